"""The mean head that ships: points of a bald adult's surface with their normals, and its 68 landmarks.

It is the mean of this package's own synthetic family (`synthetic.mean_head` makes the file), symmetric, CC0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FILE = Path(__file__).with_name("mean_head.npz")
UNIT = 1e-5  # metres of a step of the stored whole numbers


@dataclass(frozen=True)
class MeanHead:
    """Metres in head coordinates, as `Subject` has them.

    Attributes:
        points: (P, 3). normals: (P, 3), outward, of length 1. landmarks: (68, 3), iBUG order, lips closed.
    """

    points: NDArray[np.float64]
    normals: NDArray[np.float64]
    landmarks: NDArray[np.float64]


@cache
def mean_head() -> MeanHead:
    """The one that ships."""
    with np.load(FILE) as file:
        points, normals, landmarks = (file[name].astype(np.float64) for name in ("points", "normals", "landmarks"))
    return MeanHead(UNIT * points, normals / np.linalg.norm(normals, axis=1, keepdims=True), UNIT * landmarks)
