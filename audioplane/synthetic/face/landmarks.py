"""The 68 iBUG landmarks as fixed vertices of the skin grid."""

from __future__ import annotations

from functools import cache

import numpy as np

from audioplane.synthetic.face import grid as topology
from audioplane.synthetic.face.skin import column_meridians, fixed_rows


def _column(meridian: float) -> int:
    return int(np.argmin(np.abs(column_meridians() - meridian)))


def _column_x(x: float) -> int:
    return int(np.argmin(np.abs(topology.COLUMN_X - x)))


def _row(position: float) -> int:
    return int(np.argmin(np.abs(fixed_rows() - position)))


@cache
def landmark_vertices() -> np.ndarray:
    """(68,) vertex indices in iBUG order (0 is on the image's left: the person's right)."""
    mesh, row = topology.grid(), topology.ROW_OF
    out = np.zeros(68, int)
    # Jaw: from beside the right ear to the chin and up again; (row, meridian) of the control net.
    contour = [
        (5.4, 5.35),
        (6.5, 5.3),
        (7.6, 5.2),
        (9.0, 5.0),
        (10.3, 4.6),
        (10.85, 3.8),
        (11.0, 2.7),
        (11.0, 1.35),
        (11.0, 0),
    ]
    for k, (r, meridian) in enumerate(contour):
        out[k], out[16 - k] = mesh.upper[_row(r), -_column(meridian)], mesh.upper[_row(r), _column(meridian)]
    brow = row["brow"]
    for k, (x, rise) in enumerate([(10.5, 0), (19, 1), (28.5, 2), (38, 2), (46, 0)]):
        out[22 + k], out[21 - k] = (
            mesh.upper[brow - rise, _column_x(x)],
            mesh.upper[brow - rise, -_column_x(x)],
        )
    eye, sub = row["eye"], row["subnasale"]
    tip = sub - 7
    for k, r in enumerate(np.round(np.linspace(eye - 1, tip, 4)).astype(int)):
        out[27 + k] = mesh.upper[r, 0]
    for k, (x, rise) in enumerate([(0, 1), (6.0, 1), (12.5, 2)]):
        out[33 + k], out[33 - k] = mesh.upper[sub - rise, _column_x(x)], mesh.upper[sub - rise, -_column_x(x)]
    a, b = topology.EYE_IN, topology.EYE_OUT
    inner, outer = a + round((b - a) * 0.33), a + round((b - a) * 0.68)
    ring = [
        (mesh.upper, a),
        (mesh.upper, inner),
        (mesh.upper, outer),
        (mesh.upper, b),
        (mesh.lower, outer),
        (mesh.lower, inner),
    ]
    for k, (copy, column) in enumerate(ring):
        out[42 + k] = copy[eye, column]
        out[[39, 38, 37, 36, 41, 40][k]] = copy[eye, -column]
    slit, m = row["stomion"], topology.MOUTH_COLUMN
    border = 7  # rows from the contact to the border of the red
    peak, wing = _column_x(5.0), _column_x(15.0)
    low_near, low_far = _column_x(8.0), _column_x(17.0)
    out[48], out[54] = mesh.upper[slit, -m], mesh.upper[slit, m]
    out[49:54] = [mesh.upper[slit - border, c] for c in (-wing, -peak, 0, peak, wing)]
    out[55:60] = [mesh.upper[slit + border, c] for c in (low_far, low_near, 0, -low_near, -low_far)]
    out[60], out[64] = mesh.upper[slit, -m + 2], mesh.upper[slit, m - 2]
    inner_column = _column_x(9.0)
    out[61:64] = [mesh.upper[slit, c] for c in (-inner_column, 0, inner_column)]
    out[65:68] = [mesh.lower[slit, c] for c in (inner_column, 0, -inner_column)]
    return out
