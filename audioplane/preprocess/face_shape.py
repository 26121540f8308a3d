"""What is known of any face before it is seen: a generic one, and which parts of it follow the skull.

Head coordinates are those of every Subject: metres, x to the image's right, y down, z from the face to the back, the
origin in the middle of the head. Their unit cannot be seen in a video: the outer corners of the eyes are taken to be
95 mm apart, as on the generic face.
"""

from __future__ import annotations

import numpy as np

# The 68 landmarks of this package's own synthetic face, millimetres.
GENERIC = 1e-3 * np.array(
    [
        (-70, -6, -21),
        (-68, 16, -26),
        (-61, 43, -24),
        (-54, 60, -23),
        (-47, 77, -30),
        (-38, 89, -46),
        (-29, 96, -66),
        (-15, 101, -85),
        (0, 101, -91),
        (15, 101, -84),
        (28, 97, -65),
        (38, 89, -46),
        (48, 78, -31),
        (54, 61, -24),
        (60, 45, -24),
        (67, 17, -27),
        (70, -6, -21),
        (-46, -40, -81),
        (-38, -47, -88),
        (-29, -48, -95),
        (-19, -44, -99),
        (-10, -40, -100),
        (11, -39, -101),
        (20, -44, -100),
        (29, -47, -95),
        (38, -47, -88),
        (46, -40, -81),
        (1, -21, -100),
        (1, -9, -106),
        (1, 6, -113),
        (1, 18, -119),
        (-15, 29, -106),
        (-7, 23, -109),
        (1, 31, -115),
        (8, 23, -109),
        (16, 30, -105),
        (-48, -18, -73),
        (-38, -22, -84),
        (-27, -21, -84),
        (-18, -17, -79),
        (-27, -14, -83),
        (-38, -13, -84),
        (18, -17, -79),
        (27, -21, -84),
        (38, -22, -84),
        (48, -18, -73),
        (38, -13, -84),
        (27, -14, -83),
        (-27, 51, -87),
        (-16, 45, -100),
        (-5, 44, -106),
        (1, 45, -106),
        (6, 44, -106),
        (17, 46, -99),
        (27, 52, -86),
        (18, 58, -96),
        (10, 60, -101),
        (0, 61, -103),
        (-9, 60, -101),
        (-18, 57, -96),
        (-24, 51, -90),
        (-9, 51, -101),
        (1, 52, -102),
        (10, 51, -100),
        (25, 52, -90),
        (10, 51, -100),
        (1, 52, -102),
        (-9, 51, -100),
    ]
)

STEADY = [*range(27, 36), 36, 39, 42, 45]  # nose and corners of the eyes
UNSTEADY = 0.1  # weight of what moves by itself: brows and lids


def semantic_weights(points: np.ndarray) -> np.ndarray:
    """How well points of the face follow the skull: 1 firm, 0.1 brows and lids, 0 lips, jaw and what hangs on it.

    SyncTalk++: the Semantic Weighting module of Sec. III-C.

    Args:
        points: (..., 3) metres, head coordinates.
    """
    x, y = np.abs(points[..., 0]), points[..., 1]
    brows = (y > -0.054) & (y < -0.028) & (x < 0.055)
    lids = (y >= -0.028) & (y < -0.006) & (x > 0.022) & (x < 0.044)
    return np.where(y > 0.036, 0.0, np.where(brows | lids, UNSTEADY, 1.0))


def similarity(source: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """(s, R, t) that bring s R source + t nearest to target, both N x 3 (Umeyama 1991)."""
    a, b = source - source.mean(0), target - target.mean(0)
    U, sizes, Vt = np.linalg.svd(b.T @ a)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(U @ Vt))])
    R = U * sign @ Vt
    s = float((sizes * sign).sum() / (a**2).sum())
    return s, R, target.mean(0) - s * R @ source.mean(0)


def mean_shape(points: np.ndarray) -> np.ndarray:
    """A first shape in head coordinates: N x 3 metres.

    Args:
        points: T x N x 3 pixels with depth, as a mesh gives them; frames with NaN are left out.

    Raises:
        ValueError: no frame has all points.
    """
    known = points[np.isfinite(points).all((1, 2))].astype(np.float64)
    if not len(known):
        raise ValueError(f"points: expected a frame in which all are known, received {len(points)} frames without")
    known = known[:: max(1, len(known) // 200)]
    shape = known[len(known) // 2]
    for _ in range(4):
        moved = []
        for frame in known:
            s, R, t = similarity(frame, shape)
            moved.append(s * frame @ R.T + t)
        shape = np.mean(moved, axis=0)
    return shape


def to_head_axes(landmarks: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """The similarity (s, R, t) that lays landmarks (68 x 3) onto the generic face: its axes, its distance of eyes."""
    steady = [*STEADY, 0, 1, 15, 16]
    _, R, _ = similarity(landmarks[steady], GENERIC[steady])
    s = float(np.linalg.norm(GENERIC[45] - GENERIC[36]) / np.linalg.norm(landmarks[45] - landmarks[36]))
    return s, R, GENERIC[[36, 45]].mean(0) - s * R @ landmarks[[36, 45]].mean(0)
