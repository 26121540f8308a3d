"""The large form of head and neck: a smooth surface through a net of anatomical control points.

The net has 16 rows (crown, hairline, ..., jaw edge, ..., neck base) and 10 meridians from the midline of the
face to that of the nape; the left half is written down, the right half is its mirror. A bicubic spline runs
through it. Nose,
lids, lips and ears are not in it: it is the face as if they were filled and smoothed over.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline, RectBivariateSpline, griddata

from audioplane.synthetic.face.anatomy import Anatomy
from audioplane.synthetic.face.identity import Identity

ROW_NAMES = (
    "crown",
    "cap",
    "hairline",
    "forehead",
    "brow",
    "eye",
    "cheek",
    "subnasale",
    "stomion",
    "labiomental",
    "chin",
    "jaw",
    "submental",
    "cervical",
    "neck",
    "base",
)
ROW = {name: i for i, name in enumerate(ROW_NAMES)}

# Mean net: two lines a row, (x, y, z) of meridians 0 (front) to 9 (back).
_NET = """
0 -127 2; 0 -127 2; 0 -127 2; 0 -127 2; 0 -127 2;
    0 -127 2; 0 -127 2; 0 -127 2; 0 -127 2; 0 -127 2;
0 -119 -46; 9 -119 -45; 18 -119 -41; 26 -118.5 -34; 31 -118 -25;
    36 -117.5 -11; 38 -117 6; 33 -116 27; 20 -115 42; 0 -114.5 48;
0 -97 -82; 15 -97 -80; 29 -97 -73; 41 -96.5 -61; 49 -96 -45;
    57 -95 -21; 60.5 -94 8; 55 -93 41; 35 -91 67; 0 -90 77;
0 -67 -98; 17 -67 -95.5; 33 -67 -87.5; 46 -67 -74; 56.5 -66 -56;
    67.5 -64 -28; 72.5 -62 5; 67.5 -60 45; 43.5 -59 77; 0 -58 90;
0 -36 -101; 16 -38 -98.5; 32 -38 -92.5; 47 -38 -80; 58 -36 -64;
    68 -34 -36; 73 -32 -2; 70 -30 40; 46 -30 78; 0 -30 92;
0 -20 -93; 16 -18 -85; 32 -18 -85.5; 46.5 -18 -75.5; 58 -16 -61;
    67.5 -14 -35; 71 -12 0; 69 -10 40; 45 -10 76; 0 -10 89;
0 4 -95; 16 5 -90; 32 5 -87; 47 5 -78.5; 58.5 5 -62;
    66.5 5 -34; 69 6 0; 65 8 36; 42 10 68; 0 10 80;
0 30 -101.5; 16 30 -96; 32 30 -87.5; 46 30 -73; 56 30 -54;
    63 30 -30; 65 28 -2; 59 28 32; 40 30 56; 0 30 66;
0 52 -102; 16 52 -97; 31 52 -86; 43.5 52 -69; 52 52 -49;
    57.5 52 -27; 58 48 -4; 54 45 28; 38 50 50; 0 50 58;
0 68 -96.5; 15 68 -92.5; 29 68 -81; 40 67 -64; 48 65 -45;
    53.5 60 -24; 55 56 -6; 53 56 26; 38 62 48; 0 65 54;
0 84 -98; 13 84 -93; 25 83 -79; 35 80 -62; 43 76 -44;
    50 69 -24; 53 63 -8; 53 66 25; 38 75 48; 0 80 53;
0 97 -89; 11 96.5 -86; 21.5 94.5 -75; 30.5 90.5 -60; 38.5 85 -43;
    46.5 76.5 -25; 51 69 -9; 53 76 24; 38 88 48; 0 94 53;
0 102 -75; 9 102 -73; 18 100 -66; 26 97 -54; 34 92.5 -41;
    42 85 -26; 48 78 -10; 53 88 22; 38 100 48; 0 105 54;
0 108 -50; 10 108 -48.5; 20 107.5 -46; 29 106 -41; 37 103 -34;
    45 98 -24; 51 93 -10; 55 103 20; 40 115 50; 0 118 56;
0 138 -39; 13 138 -38; 25 137 -35; 35 136 -30; 43 134 -22;
    50 131 -12; 56 128 2; 59 132 28; 42 138 56; 0 140 66;
0 190 -26; 15 189 -26; 30 187 -25; 44 184 -20; 56 178 -12;
    66 172 -2; 74 166 12; 76 160 38; 52 160 68; 0 162 78;
"""
MEAN_NET = np.array([[float(n) for n in p.split()] for p in _NET.split(";")[:-1]]).reshape(16, 10, 3)


def control_net(who: Identity, body: Anatomy) -> np.ndarray:
    """This person's control points (16 rows, 10 meridians, 3) in millimetres."""
    net = MEAN_NET.copy()
    x, y, z = net[..., 0], net[..., 1], net[..., 2]
    x0, y0, z0 = x.copy(), y.copy(), z.copy()

    def bump(row: float, meridian: float, row_width: float, meridian_width: float) -> np.ndarray:
        rows, meridians = np.arange(16)[:, None], np.arange(10)[None]
        return np.exp(-(((rows - row) / row_width) ** 2) - ((meridians - meridian) / meridian_width) ** 2)

    def step(at: float, width: float) -> np.ndarray:  # 0 above the height, 1 below it
        return 1 / (1 + np.exp(-(y0 - at) / width))

    above, below = 1 - step(-25, 10), step(42, 9)
    face = (1 - above) * (1 - below)
    neck = step(112, 8)
    side = np.clip((np.abs(x0) - 30) / 25, 0, 1)
    x *= 1 + 0.026 * who.head_width * above
    x *= 1 + side * (0.022 * who.face_width + 0.006 * who.head_width) * face
    x *= 1 + side * (0.06 * who.jaw_width + 0.008 * who.face_width) * below * (1 - neck)
    x *= 1 + (0.06 * who.neck_width - 0.03) * neck
    z += np.where(z0 > 10, z0 * 0.028 * who.head_length, 0.0)
    z += 2.6 * who.forehead_slope * (bump(2, 0, 0.9, 5) + 0.55 * bump(3, 0, 0.8, 5))
    z -= 1.1 * who.brow_ridge * (bump(4, 1.6, 0.5, 2.0)) - 0.3 * who.brow_ridge * bump(3.2, 1, 0.6, 2.5)
    z -= 1.5 * who.cheekbones * bump(6, 3, 0.7, 1.2)
    x += 1.3 * who.cheekbones * bump(6, 3.8, 0.7, 1.3)
    fullness = who.cheek_fullness - 0.5 * max(0.0, who.age - 45) / 15
    x += 1.5 * fullness * bump(7.6, 4, 1.0, 1.3)
    z -= 1.4 * fullness * bump(7.6, 3, 1.0, 1.1)
    chin = bump(10.4, 0, 1.1, 1.8)
    z -= 1.9 * who.chin_forward * chin
    x *= 1 + 0.11 * who.chin_width * bump(10.6, 1.6, 1.0, 1.5)
    y -= 3.0 * who.jaw_angle * -bump(11, 5.3, 1.5, 1.4)
    x += 1.0 * who.jaw_angle * bump(11, 5.3, 1.2, 1.2)
    z -= body.lip_forward * bump(8, 0, 0.9, 2.0)
    z[5, 0] -= 0.4 * who.nose_bridge
    y[:] = body.height(y)
    return net


class Skull:
    """The spline through a control net, sampled for fast look-up.

    Attributes:
        meridians: (K,) positions of the sampled meridians, in units of the net (0 front to 9 back).
        dense: (K, R, 3) points of each sampled meridian along `rows`.
        rows: (R,) row positions of the samples.
    """

    def __init__(self, net: np.ndarray, meridians: np.ndarray) -> None:
        mirror = net[:, 1:4][:, ::-1] * [-1, 1, 1]
        nape = net[:, -4:-1][:, ::-1] * [-1, 1, 1]
        self._net = np.concatenate([mirror, net, nape], axis=1)
        self._across = CubicSpline(np.arange(-3, 13), self._net, axis=1)
        self.rows = np.linspace(0, 15, 751)
        self.meridians = np.asarray(meridians, float)
        self.dense = self.curve(self.meridians)
        self._front = self._front_map()

    def curve(self, meridians: np.ndarray) -> np.ndarray:
        """Points (K, R, 3) of the given meridians along `rows`."""
        through = self._across(meridians)  # rows, K, 3
        slope = np.full((2, *through.shape[1:]), np.nan)
        start = through[1] - through[0]
        start[:, 1] = 0.0  # level at the crown
        slope[0] = start * 1.25
        slope[1] = through[-1] - through[-2]
        ends: Any = ((1, slope[0]), (1, slope[1]))
        return CubicSpline(np.arange(16), through, bc_type=ends)(self.rows).transpose(1, 0, 2)

    def at_rows(self, rows: np.ndarray) -> np.ndarray:
        """Points (K, n, 3) at row positions (K, n), one set a sampled meridian."""
        return np.stack([_lookup(self.rows, self.dense[k], rows[k]) for k in range(len(rows))])

    def row_of_height(self, k: int, heights: np.ndarray) -> np.ndarray:
        """Row positions between brow and chin at which sampled meridian `k` has the given heights y."""
        span = (self.rows >= 3.2) & (self.rows <= 10.4)
        return np.interp(heights, self.dense[k, span, 1], self.rows[span])

    def front(self, x: np.ndarray, y: np.ndarray, dx: int = 0, dy: int = 0) -> np.ndarray:
        """Depth z (or its derivative) of the front of the face over (x, y); for |x| < 60, -75 < y < 88."""
        return self._front.ev(np.clip(y, -75, 95), np.clip(np.abs(x), 0, 60), dx=dy, dy=dx)

    def _front_map(self) -> RectBivariateSpline:
        curves = self.curve(np.linspace(-1.5, 5.2, 41))[:, 60:560:3].reshape(-1, 3)
        ys, xs = np.arange(-76, 97, 2.0), np.arange(-2, 61, 2.0)
        z = griddata(curves[:, :2], curves[:, 2], (xs[None], ys[:, None]), method="linear")
        near = griddata(curves[:, :2], curves[:, 2], (xs[None], ys[:, None]), method="nearest")
        return RectBivariateSpline(ys, xs, np.where(np.isnan(z), near, z), s=0)


def _lookup(positions: np.ndarray, table: np.ndarray, at: np.ndarray) -> np.ndarray:
    return np.stack([np.interp(at, positions, table[:, i]) for i in range(3)], axis=-1)
