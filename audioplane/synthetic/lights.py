"""The studio: where light comes from, what glossy surfaces mirror, and what is in shadow.

The studio stands still around the camera: directions are in camera coordinates (x right, y down, z away from
the camera), so a head that turns is lit anew, as in a real recording.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from audioplane.runtime.compiled import compiled
from audioplane.runtime.contracts import indices
from audioplane.synthetic.raster import depth_map

BLUR = 7  # texels: width of the box that softens a shadow's edge
UNSHADOWED = np.float32(1e9)  # a depth beyond everything (not infinity: the shader's fast math has none)
NORMAL_OFFSET = 0.0015  # metres along the normal before looking up the shadow, against self-shadowing
DEPTH_BIAS = 0.0018  # metres
STEEPEST = 0.2  # cosine to the key light beyond which slopes are no longer allowed for


@dataclass(frozen=True)
class Lights:
    """A key light that casts shadows, a fill, a rim, and the hemisphere around them.

    Attributes:
        directions: (3, 3) unit vectors toward key, fill and rim.
        colours: (3, 3) linear RGB; 1 turns a white facing surface white.
        sky, ground: (3,) linear RGB arriving from above and from below.
    """

    directions: np.ndarray
    colours: np.ndarray
    sky: np.ndarray
    ground: np.ndarray

    def turned(self, turn: np.ndarray) -> Lights:
        """The same lamps seen by a camera whose axes are turned by (3, 3) `turn`.

        What arrives from all around stays with the camera: sky and ground, and the little more that comes from before.
        """
        return replace(self, directions=self.directions @ turn.T)


def studio(side: float = -1.0) -> Lights:
    """A portrait set: warm key from the upper left (`side` -1) or right (+1), cool fill, rim from behind."""
    directions = np.array([[0.66 * side, -0.52, -0.66], [-0.75 * side, -0.12, -0.62], [-0.62 * side, -0.5, 0.62]])
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    colours = np.array([[1.06, 0.98, 0.88], [0.275, 0.265, 0.26], [0.50, 0.52, 0.55]])
    return Lights(directions, colours, np.array([0.265, 0.262, 0.262]), np.array([0.17, 0.128, 0.108]))


@dataclass(frozen=True)
class ShadowFrame:
    """The parallel view of the key light: texel = rows[:2] . (x, y, z, 1), depth = rows[2] . (x, y, z, 1)."""

    rows: np.ndarray  # (3, 4)
    size: int


def shadow_frame(direction: np.ndarray, centre: np.ndarray, radius: float, size: int = 512) -> ShadowFrame:
    """The key light's view of a sphere around the scene: a size x size map, depth in metres."""
    forward = -np.asarray(direction, np.float64)
    right = np.cross([0.0, 1.0, 0.0], forward)
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    scale = size / (2.0 * radius)
    axes = np.stack([right * scale, down * scale, forward])
    offset = -axes @ np.asarray(centre, np.float64)
    offset[:2] += size / 2.0
    return ShadowFrame(np.column_stack([axes, offset]), size)


@compiled(fastmath=True)
def _to_frame(points, rows, out):
    for v in range(points.shape[0]):
        for k in range(3):
            out[v, k] = rows[k, 0] * points[v, 0] + rows[k, 1] * points[v, 1] + rows[k, 2] * points[v, 2] + rows[k, 3]


def windows(depth: np.ndarray) -> np.ndarray:
    """A depth map, and the least and greatest depth right and down of each texel within BLUR: (3, H, W).

    With them `lit` knows at once, for most points, that all or none of its window is nearer. BLUR + 1 is a
    power of 2.
    """
    least, greatest = depth.copy(), depth.copy()
    step = 1
    while step <= BLUR:
        for axis in (0, 1):
            for array, pick in ((least, np.minimum), (greatest, np.maximum)):
                view = array if axis == 0 else array.T
                view[:-step] = pick(view[:-step], view[step:])
        step *= 2
    return np.stack([depth, least, greatest])


def shadow_map(points: np.ndarray, faces: np.ndarray, casters: np.ndarray, frame: ShadowFrame) -> np.ndarray:
    """`windows` (3, size, size) of the depth of faces[casters] from the key light, metres or UNSHADOWED.

    Raises:
        ValueError: a face or vertex is named that there is not.
    """
    indices("faces", faces.reshape(-1), len(points))
    indices("casters", casters, len(faces))
    seen = np.empty(points.shape)
    _to_frame(points, frame.rows, seen)
    depth = np.full((frame.size, frame.size), UNSHADOWED, np.float32)
    depth_map(seen, faces, casters, depth)
    return windows(depth)


@compiled(fastmath=True)
def lit(depth, rows, x, y, z, nx, ny, nz):
    """The share of a box of BLUR texels around a camera-space point, normal n, that the key light reaches.

    depth: `windows`. Over the box the point's surface is taken for the plane it lies in: else slopes shade
    themselves.
    """
    u = rows[0, 0] * x + rows[0, 1] * y + rows[0, 2] * z + rows[0, 3] - 0.5 * BLUR
    v = rows[1, 0] * x + rows[1, 1] * y + rows[1, 2] * z + rows[1, 3] - 0.5 * BLUR
    d = rows[2, 0] * x + rows[2, 1] * y + rows[2, 2] * z + rows[2, 3] - DEPTH_BIAS
    j, i = int(np.floor(u)), int(np.floor(v))
    if i < 0 or j < 0 or i + BLUR >= depth.shape[1] or j + BLUR >= depth.shape[2]:
        return 1.0
    facing = min(-STEEPEST, rows[2, 0] * nx + rows[2, 1] * ny + rows[2, 2] * nz)
    scale = -1.0 / (facing * (rows[0, 0] * rows[0, 0] + rows[0, 1] * rows[0, 1] + rows[0, 2] * rows[0, 2]))
    across = scale * (rows[0, 0] * nx + rows[0, 1] * ny + rows[0, 2] * nz)  # metres of depth a texel
    down = scale * (rows[1, 0] * nx + rows[1, 1] * ny + rows[1, 2] * nz)
    swing = 0.5 * (BLUR + 1) * (abs(across) + abs(down))
    if depth[1, i, j] > d + swing:
        return 1.0
    if depth[2, i, j] <= d - swing:
        return 0.0
    fu, fv = u - j, v - i
    total = 0.0
    for a in range(BLUR + 1):
        row = 0.0
        # texel centres lie at +0.5; the point itself at u + BLUR / 2
        at = d + down * (a + 0.5 - fv - 0.5 * BLUR) + across * (0.5 - fu - 0.5 * BLUR)
        for b in range(BLUR + 1):
            weight = 1.0 - fu if b == 0 else (fu if b == BLUR else 1.0)
            if depth[0, i + a, j + b] > at:
                row += weight
            at += across
        total += row * (1.0 - fv if a == 0 else (fv if a == BLUR else 1.0))
    return total / (BLUR * BLUR)


_PAIRS, _SPREAD = 8, 2.39996  # opposite pairs of taps on a golden-angle spiral


@compiled(fastmath=True)
def contact(inverse_depth, supersample, focal, radius, strength, rough, out):
    """How open to light each pixel's neighbourhood is, [0, 1]: opposite depths that both stand nearer darken.

    A tilted plane raises one of a pair as much as it lowers the other, so only hollows count. The spiral
    turns from pixel to pixel in a 2 x 2 pattern, which a 3 x 3 tent then averages.

    Args:
        inverse_depth: (H s, W s) 1/metres, 0 where nothing is seen.
        focal: pixels.
        radius: metres of neighbourhood.
        rough, out: (H, W) float32; the first is scratch space.
    """
    height, width = out.shape
    half = supersample // 2
    turns = np.empty((4, _PAIRS, 2))
    for t in range(4):
        for k in range(_PAIRS):
            reach, angle = (k + 0.5 + 0.25 * t) / _PAIRS, _SPREAD * k + 0.785 * t
            turns[t, k, 0], turns[t, k, 1] = reach * np.cos(angle), reach * np.sin(angle)
    for i in range(height):
        row = i * supersample + half
        rows = min(row, height * supersample - 1 - row)
        for j in range(width):
            column = j * supersample + half
            here = inverse_depth[row, column]
            if here == 0.0:
                rough[i, j] = 1.0
                continue
            z = 1.0 / here
            pixels = radius * focal * here * supersample
            columns = min(column, width * supersample - 1 - column)
            steps = turns[2 * (i & 1) + (j & 1)]
            total = 0.0
            for k in range(_PAIRS):
                dx, dy = steps[k, 0] * pixels, steps[k, 1] * pixels
                fit = min(1.0, rows / (abs(dy) + 1e-6), columns / (abs(dx) + 1e-6))  # stay inside the picture
                across, down = int(dx * fit), int(dy * fit)
                one, two = (
                    inverse_depth[row + down, column + across],
                    inverse_depth[row - down, column - across],
                )
                if one == 0.0 or two == 0.0 or (across == 0 and down == 0):
                    continue
                rise_one, rise_two = z - 1.0 / one, z - 1.0 / two
                # What hangs far in front is no hollow's wall.
                fade = min(1.0, max(0.0, 2.0 - max(rise_one, rise_two) / (1.5 * radius)))
                rise = 0.5 * (max(rise_one, -radius) + max(rise_two, -radius)) - 0.0002
                reach = radius * np.sqrt(float(across * across + down * down)) / pixels
                total += fade * min(1.0, max(0.0, rise / (0.7 * reach) - 0.04))
            rough[i, j] = 1.0 - strength * min(1.0, total * (1.6 / _PAIRS))
    for i in range(height):
        for j in range(width):
            here = inverse_depth[i * supersample + half, j * supersample + half]
            if here == 0.0:
                out[i, j] = 1.0
                continue
            total = weights = 0.0
            for di in range(-1, 2):
                for dj in range(-1, 2):
                    a, b = i + di, j + dj
                    if a < 0 or b < 0 or a >= height or b >= width:
                        continue
                    there = inverse_depth[a * supersample + half, b * supersample + half]
                    if there != 0.0 and abs(1.0 / there - 1.0 / here) < 0.6 * radius:
                        weight = (2 - abs(di)) * (2 - abs(dj))
                        total += weight * rough[a, b]
                        weights += weight
            out[i, j] = total / weights
