"""The pose of a head as six numbers."""

from __future__ import annotations

import numpy as np


def pose_numbers(viewmats: np.ndarray) -> np.ndarray:
    """R as a rotation vector (radians) and T (metres) of cameras.

    Args:
        viewmats: (..., 4, 4) camera-from-head.

    Returns:
        (..., 6) float32.
    """
    from scipy.spatial.transform import Rotation

    given = np.asarray(viewmats, np.float64).reshape(-1, 4, 4)
    turns = Rotation.from_matrix(given[:, :3, :3]).as_rotvec()
    numbers = np.concatenate([turns, given[:, :3, 3]], axis=1).astype(np.float32)
    return numbers.reshape(*np.shape(viewmats)[:-2], 6)
