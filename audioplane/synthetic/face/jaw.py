"""The jaw: a hinge near the ears, and how much of its motion each vertex of the skin shares.

The share is harmonic over the skin (the smoothest field between what is fixed): 1 on the mandible, 0 on the
skull and the neck, and along the lips' edges a profile that opens the mouth to an oval. A second share,
equal on both lips, is
what the skin would follow if the lips stayed together: their difference is ARKit's mouthClose.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy.sparse import coo_matrix, diags
from scipy.sparse.linalg import splu

from audioplane.synthetic.face import grid as topology
from audioplane.synthetic.face.anatomy import Anatomy, anatomy
from audioplane.synthetic.face.identity import Identity
from audioplane.synthetic.face.skin import skin

OPEN_ANGLE = np.deg2rad(20.0)  # of a fully open jaw
OPEN_FORWARD = 3.0  # millimetres that the condyle glides forward (and down) with it
_SEALED, _SEALED_CORNER = 0.18, 0.32  # shares of the jaw's motion that sealed lips follow, middle and corner


@dataclass(frozen=True)
class Hinge:
    """The axis of the jaw, sideways through `centre` (millimetres), and its glide at full opening."""

    centre: np.ndarray
    angle: float
    glide: np.ndarray


def hinge(body: Anatomy) -> Hinge:
    """The condyles lie just before the ear canals."""
    del body
    return Hinge(np.array([0.0, -4.0, -14.0]), float(OPEN_ANGLE), np.array([0.0, 0.8, -1.0]) * OPEN_FORWARD)


def adjacency(faces: np.ndarray, size: int) -> Any:
    """Symmetric 0/1 matrix of the mesh's edges."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    both = np.concatenate([edges, edges[:, ::-1]])
    matrix = coo_matrix((np.ones(len(both)), (both[:, 0], both[:, 1])), shape=(size, size)).tocsr()
    matrix.data[:] = 1.0
    return matrix


@cache
def jaw_shares() -> tuple[np.ndarray, np.ndarray]:
    """Shares (V,) of the jaw's motion with open and with sealed lips; the same for every person."""
    body = anatomy(Identity())
    points, _ = skin(Identity(), body)
    mesh = topology.grid()
    row = topology.ROW_OF
    column_x = np.abs(np.arange(topology.COLUMNS) - topology.COLUMNS * (np.arange(topology.COLUMNS) > topology.HALF))
    front = column_x < len(topology.COLUMN_X) - 2
    fixed = np.full(mesh.size, np.nan)
    # Skull: above a line from the wing of the nose over the cheekbone to the ear, and all behind the ear.
    line = np.interp(points[:, 2], [-100, -80, -40, 0, 10], [26, 20, 8, 2, 4])
    fixed[(points[:, 1] < line)] = 0.0
    nape = column_x > len(topology.COLUMN_X) + 14
    fixed[mesh.upper[:, nape].ravel()] = 0.0
    fixed[mesh.upper[row["cervical"] + 1 :].ravel()] = 0.0
    # Mandible: from the chin along the jaw's edge.
    rows = np.arange(row["jaw"] - 5, row["jaw"] + 2)
    body_of_jaw = np.abs(points[mesh.upper[rows][:, front], 0])
    index = mesh.upper[rows][:, front]
    fixed[index.ravel()] = np.interp(body_of_jaw.ravel(), [0, 34, 46, 52], [1, 1, 0.85, 0.6])
    chin = mesh.upper[row["labiomental"] + 2 : row["jaw"]][:, column_x < 14]
    fixed[chin.ravel()] = 1.0
    m = topology.MOUTH_COLUMN
    t = np.abs(topology.COLUMN_X[np.abs(np.arange(-m, m + 1))]) / topology.COLUMN_X[m]
    oval = np.maximum(1 - t**2.4, 0) ** 0.62
    corner = 0.46
    inner_depth = np.interp(np.arange(topology.INNER_ROWS), [0, 4, 10], [1, 0.9, 0.0])
    slit = np.arange(-m, m + 1)
    out = []
    for sealed in (False, True):
        values = fixed.copy()
        up = corner * (1 - oval) if not sealed else _SEALED_CORNER + (_SEALED - _SEALED_CORNER) * oval
        low = 1 - (1 - corner) * (1 - oval) if not sealed else up
        values[mesh.upper[row["stomion"], slit]] = up
        values[mesh.lower[row["stomion"], slit[1:-1]]] = low[1:-1]
        if not sealed:  # the red of the lips goes with its edge
            for k in range(1, 5):
                keep = np.clip(1 - 0.02 * k, 0, 1)
                values[mesh.upper[row["stomion"] - k, slit[3:-3]]] = up[3:-3] * keep
                values[mesh.lower[row["stomion"] + k, slit[3:-3]]] = low[3:-3]
        for k in range(topology.INNER_ROWS):
            deep = inner_depth[k]
            rest_up, rest_low = (0.0, 1.0) if k < 8 else (0.0, 0.6)
            values[mesh.inner_lower[k]] = low * deep + rest_low * (1 - deep)
            values[mesh.inner_upper[k]] = up * deep + rest_up * (1 - deep)
        share = _harmonic(points, mesh.faces, values)
        out.append((share + share[mesh.mirror]) / 2)  # triangles have diagonals, people do not
    return out[0], out[1]


def _harmonic(points: np.ndarray, faces: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The smoothest field over the mesh through the values that are not NaN."""
    size = len(values)
    graph = adjacency(faces, size).tocoo()
    length = np.linalg.norm(points[graph.row] - points[graph.col], axis=1) + 0.2
    weights = coo_matrix((1.0 / length, (graph.row, graph.col)), shape=(size, size)).tocsr()
    laplacian = (diags(np.asarray(weights.sum(1)).ravel() + 1e-9) - weights).tocsr()
    free = np.isnan(values)
    out = np.where(free, 0.0, values)
    inner = laplacian[free][:, free].tocsc()
    out[free] = splu(inner).solve(-(laplacian[free][:, ~free] @ values[~free]))
    # A touch of smoothing takes the kinks out of the rim between fixed and free.
    mean = diags(1.0 / (np.asarray(weights.sum(1)).ravel() + 1e-9)) @ weights
    held = np.zeros(size, bool)
    held[np.unique(np.concatenate([_slit_vertices()]))] = True
    for _ in range(6):
        out = np.where(held, out, 0.5 * out + 0.5 * (mean @ out))
    return out


def _slit_vertices() -> np.ndarray:
    mesh, m = topology.grid(), topology.MOUTH_COLUMN
    slit = np.arange(-m, m + 1)
    row = topology.ROW_OF["stomion"]
    return np.concatenate(
        [mesh.upper[row, slit], mesh.lower[row, slit], mesh.inner_upper.ravel(), mesh.inner_lower.ravel()]
    )
