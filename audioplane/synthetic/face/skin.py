"""Where each vertex of the skin lies at rest: the skull's surface, then nose, lids and lips on it.

Everything is worked out for the left half (columns 0 to HALF) and mirrored. A "chart" first places the
grid's rows and columns over the front of the face, so that they run along the lips and lids of this person.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from audioplane.synthetic.face import grid as topology
from audioplane.synthetic.face import lids, lips, nose
from audioplane.synthetic.face.anatomy import Anatomy
from audioplane.synthetic.face.identity import Identity
from audioplane.synthetic.face.skull import MEAN_NET, ROW, Skull, control_net

FRONT = len(topology.COLUMN_X)


def smoothstep(t: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, smooth between."""
    t = np.clip(t, 0, 1)
    return t * t * (3 - 2 * t)


def column_meridians() -> np.ndarray:
    """Position of each column of the left half in the meridians of the control net."""
    at = PchipInterpolator(MEAN_NET[ROW["cheek"], :5, 0], np.arange(5))(topology.COLUMN_X)
    return np.concatenate([at, topology._SIDE])


def fixed_rows() -> np.ndarray:
    """Position of each grid row in the rows of the control net, away from mouth and eyes."""
    out = [0.0]
    for start, end, count in topology.SPANS:
        a, b = ROW[start], ROW[end]
        steps = np.arange(1, count + 1) / count
        if start == "crown":
            steps = steps**0.85
        out.extend(a + (b - a) * steps)
    return np.array(out)


@dataclass
class Half:
    """The left half of the skin: (ROWS, HALF + 1, 3) points above and below the slits, plus the inner
    sheets."""

    above: np.ndarray
    below: np.ndarray
    inner_upper: np.ndarray
    inner_lower: np.ndarray
    lid_upper: np.ndarray
    lid_lower: np.ndarray


def build_half(who: Identity, body: Anatomy, skull: Skull) -> Half:
    """The rest shape of the left half of the skin in millimetres."""
    rows = fixed_rows()
    base = skull.at_rows(np.broadcast_to(rows, (len(skull.meridians), len(rows)))).transpose(1, 0, 2)
    eye, mouth = lids.Chart(body), lips.Chart(body)
    x, y = base[:, :FRONT, 0].copy(), base[:, :FRONT, 1].copy()
    x = mouth.columns(eye.columns(x))
    y_above, y_below = mouth.rows(*eye.rows(y, y.copy()))

    def lay(y: np.ndarray) -> np.ndarray:
        z = skull.front(x, y)
        start = np.interp(rows, [5.5, 7.5, 10], [2.9, 2.1, 1.6])[:, None]
        blend = 1 - smoothstep((skull.meridians[None, :FRONT] - start) / 0.9)
        span = smoothstep((rows - 3.0) / 0.8) * (1 - smoothstep((rows - 9.3) / 0.9))
        weight = (blend * span[:, None])[..., None]
        out = base.copy()
        out[:, :FRONT] += weight * (np.stack([x, y, z], -1) - base[:, :FRONT])
        return out

    above, below = lay(y_above), lay(y_below)
    for sheet in (above, below):
        nose.sculpt(sheet, who, body, skull)
    eye.sculpt(above, below, skull, who)
    mouth.sculpt(above, below, skull, who)
    lid_upper, lid_lower = eye.inner(above, below)
    inner_upper, inner_lower = mouth.inner(above, below)
    return Half(above, below, inner_upper, inner_lower, lid_upper, lid_lower)


def skin(who: Identity, body: Anatomy) -> tuple[np.ndarray, Skull]:
    """Rest positions (V, 3) of the skin grid in millimetres, symmetric, and the skull below."""
    skull = Skull(control_net(who, body), column_meridians())
    half = build_half(who, body, skull)
    mesh = topology.grid()
    out = np.zeros((mesh.size, 3))
    flip = np.array([-1.0, 1, 1])
    left = np.arange(topology.HALF + 1)

    def place(index_left: np.ndarray, index_right: np.ndarray, points: np.ndarray) -> None:
        out[index_right] = points * flip
        out[index_left] = points

    place(mesh.upper[:, left], mesh.upper[:, -left], half.above)
    place(mesh.lower[:, left], mesh.lower[:, -left], np.where(_cut()[..., None], half.below, half.above))
    m = topology.MOUTH_COLUMN
    for index, points in ((mesh.inner_lower, half.inner_lower), (mesh.inner_upper, half.inner_upper)):
        place(index[:, m:], index[:, m::-1], points)
    for index, points in ((mesh.lid_lower, half.lid_lower), (mesh.lid_upper, half.lid_upper)):
        place(index["Left"], index["Right"], points)
    midline = np.abs(out[:, 0]) < 1e-9
    out[midline, 0] = 0.0
    unused = np.setdiff1d(np.arange(mesh.size), mesh.faces)
    out[unused] = out[0]
    return out, skull


def _cut() -> np.ndarray:
    cut = np.zeros((topology.ROWS, topology.HALF + 1), bool)
    cut[topology.ROW_OF["stomion"], : topology.MOUTH_COLUMN] = True
    cut[topology.ROW_OF["eye"], topology.EYE_IN + 1 : topology.EYE_OUT] = True
    return cut
