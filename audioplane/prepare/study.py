"""How far estimated poses are from true ones, where those are known: on an embedded speaker."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from audioplane.prepare.bundle import Poses

FACE = np.array([0.0, 0.0, -0.08])  # metres, head coordinates: between eyes and mouth


@dataclass(frozen=True)
class PoseError:
    """Errors of poses after the best constant change of the head's axes and of the unit of length.

    Attributes:
        turn: T x 3 degrees about the camera's axes. move: T x 3 millimetres across, down and away.
        breaks: frames that do not go on from the one before.
    """

    turn: np.ndarray
    move: np.ndarray
    breaks: tuple[int, ...] = ()

    @property
    def degrees(self) -> float:
        """Root mean square of the angle between true and estimated rotation."""
        return float(np.sqrt((self.turn**2).sum(1).mean()))

    @property
    def millimetres(self) -> float:
        """Root mean square distance across the picture."""
        return float(np.sqrt((self.move[:, :2] ** 2).sum(1).mean()))

    @property
    def depth(self) -> float:
        """Root mean square distance along the camera's axis, millimetres."""
        return float(np.sqrt((self.move[:, 2] ** 2).mean()))

    @property
    def jitter(self) -> tuple[float, float]:
        """Root mean square second difference of the errors: degrees, millimetres across the picture."""
        return tremble(self.turn, self.breaks), tremble(self.move[:, :2], self.breaks)


def tremble(series: np.ndarray, breaks: tuple[int, ...] = ()) -> float:
    """Root mean square length of the second difference of (T, n), without breaks."""
    second, fine = np.diff(series, 2, axis=0), np.ones(len(series) - 2, bool)
    for cut in breaks:
        fine[[k for k in (cut - 2, cut - 1) if 0 <= k < len(fine)]] = False
    return float(np.sqrt((second[fine] ** 2).sum(1).mean()))


def compare(poses: Poses, truth: Poses, breaks: tuple[int, ...] = ()) -> PoseError:
    """The errors of poses (T) against true ones (T).

    Where a head is told by its skin: `move` is that of a point between eyes and mouth.
    """
    U, _, Vt = np.linalg.svd((truth.R.transpose(0, 2, 1) @ poses.R).mean(0))
    axes = U @ np.diag([1, 1, np.sign(np.linalg.det(U @ Vt))]) @ Vt
    turned = poses.R @ axes.T
    turn = Rotation.from_matrix(turned @ truth.R.transpose(0, 2, 1)).as_rotvec(degrees=True)
    # poses.t = s (seen - turned c) + turned g + (0, 0, h), seen = R_true c + t_true: unit, origin of the head, and the
    # distance that the focal length hides
    seen = truth.R @ FACE + truth.t
    rows = np.zeros((len(poses), 3, 5))
    rows[:, :, 0], rows[:, :, 1:4], rows[:, 2, 4] = seen - turned @ FACE, turned, 1
    x = np.linalg.lstsq(rows.reshape(-1, 5), poses.t.reshape(-1), rcond=None)[0]
    return PoseError(turn, 1000 * (poses.t - rows @ x) / x[0], breaks)
