"""How the skin of the lids moves with their edges."""

from __future__ import annotations

import numpy as np

from audioplane.synthetic.face import grid as topology
from audioplane.synthetic.face import lids
from audioplane.synthetic.face.canvas import Canvas, smoothstep

LID_ROWS = 13  # rows above the slit that an upper lid moves


def lid_motion(canvas: Canvas, up: np.ndarray | float, low: np.ndarray | float) -> np.ndarray:
    """Displacements that move the left lids' edges by `up` and `low` millimetres down (per column or one
    value).

    Rows between edge and crease slide over the eyeball; beyond, the motion fades out.
    """
    mesh, body = canvas.mesh, canvas.body
    slit, columns = topology.ROW_OF["eye"], topology.eye_columns("Left")
    chart = lids.Chart(body)
    moved = np.zeros((mesh.size, 3))
    for sign, shift in ((-1, up), (1, low)):
        shift = np.broadcast_to(np.asarray(shift, float), columns.shape)
        copy = mesh.upper if sign < 0 else mesh.lower
        rows = LID_ROWS if sign < 0 else 9
        for k in range(rows):
            index = copy[slit + sign * k, columns] if k == 0 else mesh.upper[slit + sign * k, columns]
            share = _lid_share(k, sign)
            p = canvas.points[index]
            target = p.copy()
            target[:, 1] += share * shift
            # Keep the vertex's height above the ball where it lies on it.
            target[:, 2] += _slide(chart, p, target, index)
            moved[index] += target - p
        inner = (mesh.lid_upper if sign < 0 else mesh.lid_lower)["Left"]
        for k in range(topology.LID_INNER_ROWS):
            index = inner[k]
            p = canvas.points[index]
            offset = p - np.array(body.eye)
            radius = np.linalg.norm(offset, axis=1, keepdims=True)
            turned = offset + np.stack([np.zeros_like(shift), shift, np.zeros_like(shift)], -1)
            turned *= radius / np.linalg.norm(turned, axis=1, keepdims=True)
            moved[index[1:-1]] = (turned - offset)[1:-1]
    ends = mesh.upper[slit, columns[[0, -1]]]
    moved[ends] = 0.0
    return moved


def _lid_share(k: int, sign: int) -> float:
    if sign < 0:
        return float(np.interp(k, [0, 1, 2, 5, 7, 8, 10, LID_ROWS - 1], [1, 1, 0.97, 0.72, 0.48, 0.36, 0.14, 0]))
    return float(np.interp(k, [0, 1, 2, 5, 8], [1, 1, 0.92, 0.5, 0]))


def _slide(chart: lids.Chart, start: np.ndarray, end: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Change of depth that keeps points on their sphere about the eyeball's centre (less where they are not
    on it)."""
    centre = np.array(chart.body.eye)
    radius = np.linalg.norm(start - centre, axis=1)
    flat = (end[:, 0] - centre[0]) ** 2 + (end[:, 1] - centre[1]) ** 2
    on = np.sqrt(np.maximum(radius**2 - flat, 0.0))
    z = centre[2] - on
    # Beyond the ball's rim the sphere turns away: follow it only in part.
    sideways = np.abs(start[:, 0] - centre[0]) / radius
    weight = 1 - smoothstep((sideways - 0.62) / 0.33)
    lidded = 1 - smoothstep((radius - chart.body.eye_radius - 2.6) / 3.0)
    del index
    return (z - start[:, 2]) * weight * lidded
