"""The skin's topology: a closed grid of rows (crown to neck) and columns (meridians), cut open at mouth and
eyes.

The same for every person. Rows crowd where the lips and lids are; along each of the three slits the vertices
stand twice, one copy for the faces above, one for those below. From the mouth's two edges a second, smaller
grid runs inside: the inner lips and the cavity. Columns run around the head: column 0 is the midline of the
face, column -j the mirror of column j.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache

import numpy as np

# Columns of the left half: |x| in millimetres as far as the outer eye, then meridians of the net.
_FINE = np.arange(0, 24.1, 1.2)
_MIDDLE = np.arange(25.6, 49.0, 1.55)
COLUMN_X = np.concatenate([_FINE, _MIDDLE])
_SIDE = np.concatenate([np.linspace(3.28, 6, 15), np.linspace(6.4, 9, 8)])
HALF = len(COLUMN_X) + len(_SIDE) - 1  # column of the nape's midline
COLUMNS = 2 * HALF

# Number of rows between the rows of the control net at which each span ends.
SPANS = (
    ("crown", "hairline", 8),
    ("hairline", "forehead", 6),
    ("forehead", "brow", 7),
    ("brow", "eye", 15),
    ("eye", "cheek", 12),
    ("cheek", "subnasale", 15),
    ("subnasale", "stomion", 15),
    ("stomion", "labiomental", 12),
    ("labiomental", "jaw", 13),
    ("jaw", "cervical", 8),
    ("cervical", "base", 9),
)
ROW_OF: dict[str, int] = {"crown": 0}
for _, _end, _count in SPANS:
    ROW_OF[_end] = ROW_OF[next(s for s in SPANS if s[1] == _end)[0]] + _count
ROWS = ROW_OF["base"] + 1

MOUTH_COLUMN = int(np.argmin(np.abs(COLUMN_X - 25.8)))
EYE_IN = int(np.argmin(np.abs(COLUMN_X - 16.8)))
EYE_OUT = int(np.argmin(np.abs(COLUMN_X - 45.4)))
INNER_ROWS = 11  # rows of the inner mouth beyond each lip's edge
LID_INNER_ROWS = 2  # rows behind each lid's edge


@dataclass(frozen=True)
class Grid:
    """Index arrays of the skin mesh.

    Attributes:
        upper, lower: (ROWS, COLUMNS) vertex of a grid point as seen from the faces above / below it (they
            differ on the slits only).
        inner_upper, inner_lower: (INNER_ROWS, 2 * MOUTH_COLUMN + 1) inner mouth, columns -MOUTH_COLUMN ... +.
        lid_upper, lid_lower: {side: (LID_INNER_ROWS, n)} rows behind the lids' edges, side "Left" / "Right".
        faces: (F, 3) triangles.
        face_row: (F,) grid row of each face; -1 in the mouth, -2 behind the lids.
        size: number of vertices.
        mirror: (size,) the vertex on the other side.
    """

    upper: np.ndarray
    lower: np.ndarray
    inner_upper: np.ndarray
    inner_lower: np.ndarray
    lid_upper: dict[str, np.ndarray]
    lid_lower: dict[str, np.ndarray]
    faces: np.ndarray
    face_row: np.ndarray
    size: int
    mirror: np.ndarray


def eye_columns(side: str) -> np.ndarray:
    """Columns from the inner to the outer corner of an eye, both corners included."""
    columns = np.arange(EYE_IN, EYE_OUT + 1)
    return columns if side == "Left" else -columns


@cache
def grid() -> Grid:
    """The one skin grid."""
    columns = np.arange(COLUMNS)
    upper = np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS)
    upper[0] = 0  # the crown is one vertex
    lower = upper.copy()
    size = ROWS * COLUMNS
    mouth = np.arange(-MOUTH_COLUMN + 1, MOUTH_COLUMN)
    mouth_all = np.arange(-MOUTH_COLUMN, MOUTH_COLUMN + 1)
    slits = [(ROW_OF["stomion"], mouth)]
    slits += [(ROW_OF["eye"], eye_columns(side)[1:-1]) for side in ("Left", "Right")]
    mirror = upper[:, -columns % COLUMNS].ravel().copy()
    mirror[:COLUMNS] = columns  # the crown's spare numbers stand for nothing
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    for row, cut in slits:
        lower[row, cut] = size + np.arange(len(cut))
        size += len(cut)
    for row, cut in slits:
        pairs.append((lower[row, cut], lower[row, -cut]))
    inner_upper, inner_lower, size = _inner_grid(size, len(mouth_all), INNER_ROWS, both_ends=True)
    pairs += [(a, a[:, ::-1]) for a in (inner_upper, inner_lower)]
    lids: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for side in ("Left", "Right"):
        up, low, size = _inner_grid(size, EYE_OUT - EYE_IN + 1, LID_INNER_ROWS, both_ends=True)
        lids[side] = (up, low)
    for k in (0, 1):
        pairs += [(lids["Left"][k], lids["Right"][k]), (lids["Right"][k], lids["Left"][k])]
    faces, rows = [], []

    def sheet(a: np.ndarray, b: np.ndarray, tag: int) -> None:
        """Triangles between two neighbouring rows of vertices, upper row first, seen from outside."""
        quads = np.stack([a[:-1], a[1:], b[1:], b[:-1]], axis=1)
        triangles = np.concatenate([quads[:, [0, 2, 1]], quads[:, [0, 3, 2]]])
        distinct = (
            (triangles[:, 0] != triangles[:, 1])
            & (triangles[:, 1] != triangles[:, 2])
            & (triangles[:, 0] != triangles[:, 2])
        )
        faces.append(triangles[distinct])
        rows.append(np.full(distinct.sum(), tag))

    around = np.append(columns, 0)
    for row in range(ROWS - 1):
        sheet(lower[row, around], upper[row + 1, around], row)
    row = ROW_OF["stomion"]
    chain = [upper[row, mouth_all], *inner_upper]
    for a, b in itertools.pairwise(chain):
        sheet(a, b, -1)
    chain = [lower[row, mouth_all], *inner_lower]
    for a, b in itertools.pairwise(chain):
        sheet(b, a, -1)
    sheet(inner_upper[-1], inner_lower[-1], -1)
    row = ROW_OF["eye"]
    for side in ("Left", "Right"):
        cut = eye_columns(side)
        order = slice(None) if side == "Left" else slice(None, None, -1)
        chain = [upper[row, cut][order], *lids[side][0][:, order]]
        for a, b in itertools.pairwise(chain):
            sheet(a, b, -2)
        chain = [lower[row, cut][order], *lids[side][1][:, order]]
        for a, b in itertools.pairwise(chain):
            sheet(b, a, -2)
    full_mirror = np.arange(size)
    full_mirror[: len(mirror)] = mirror
    for a, b in pairs:
        full_mirror[a] = b
    return Grid(
        upper,
        lower,
        inner_upper,
        inner_lower,
        {side: lids[side][0] for side in lids},
        {side: lids[side][1] for side in lids},
        np.concatenate(faces).astype(np.int32),
        np.concatenate(rows),
        size,
        full_mirror,
    )


def _inner_grid(size: int, width: int, rows: int, both_ends: bool) -> tuple[np.ndarray, np.ndarray, int]:
    """Two sheets of `rows` x `width` new vertices that share their first and last columns."""
    up = size + np.arange(rows * width).reshape(rows, width)
    size += rows * width
    low = size + np.arange(rows * width).reshape(rows, width)
    size += rows * width
    if both_ends:
        low[:, 0], low[:, -1] = up[:, 0], up[:, -1]
    return up, low, size
