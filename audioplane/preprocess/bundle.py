"""Head pose from points: projection and its derivatives, one frame at a time, and shape and poses together.

A pose is camera-from-head (R, t): x = R X + t, and a step (w, v) changes it to (exp(w) R, t + v), with w in radians
about the camera's axes and v in metres.

SyncTalk++: Eq. 7 (search for the focal length), Eq. 8 (poses of all frames), Eq. 11 and 12 (bundle adjustment).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

KEYFRAMES = 400  # frames that the shape is found from
HUBER = 1.5  # residuals beyond so many standard deviations pull less
FOCALS = (1.2, 1.6, 2.0, 2.5, 3.0, 4.0, 5.5)  # candidates, in sides of the picture
USUAL_FOCAL = 2.9  # of the embedded speakers; taken where the fits hardly differ
FLAT = 1.01  # fits within a hundredth of the best count as equal


@dataclass(frozen=True)
class Poses:
    """T camera-from-head poses: R (T, 3, 3), t (T, 3) metres, float64."""

    R: np.ndarray
    t: np.ndarray

    def __len__(self) -> int:
        return len(self.t)

    def __getitem__(self, index: np.ndarray | slice | list[int]) -> Poses:
        return Poses(self.R[index], self.t[index])

    def moved(self, steps: np.ndarray) -> Poses:
        """Changed by steps (T, 6)."""
        return Poses(Rotation.from_rotvec(steps[:, :3]).as_matrix() @ self.R, self.t + steps[:, 3:])

    def matrices(self) -> np.ndarray:
        """T x 4 x 4."""
        out = np.tile(np.eye(4), (len(self), 1, 1))
        out[:, :3, :3], out[:, :3, 3] = self.R, self.t
        return out

    @staticmethod
    def of(matrices: np.ndarray) -> Poses:
        """The inverse of `matrices`."""
        return Poses(matrices[:, :3, :3].astype(np.float64), matrices[:, :3, 3].astype(np.float64))


@dataclass(frozen=True)
class Lens:
    """Focal length and principal point, pixels."""

    focal: float
    x: float
    y: float

    @property
    def K(self) -> np.ndarray:  # noqa: N802
        """3 x 3."""
        return np.array([[self.focal, 0, self.x], [0, self.focal, self.y], [0, 0, 1]])


def project(points: np.ndarray, poses: Poses, lens: Lens) -> np.ndarray:
    """N x 3, or T x N x 3, points seen from T poses: T x N x 2 pixels."""
    seen = points @ poses.R.transpose(0, 2, 1) + poses.t[:, None]
    return lens.focal * seen[..., :2] / seen[..., 2:] + (lens.x, lens.y)


def derivatives(points: np.ndarray, poses: Poses, lens: Lens) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Projections T x N x 2; derivatives by the poses' steps T x N x 2 x 6 and by the points T x N x 2 x 3."""
    turned = points @ poses.R.transpose(0, 2, 1)
    seen = turned + poses.t[:, None]
    depth = seen[..., 2]
    by_seen = np.zeros((*depth.shape, 2, 3))
    by_seen[..., 0, 0] = by_seen[..., 1, 1] = lens.focal / depth
    by_seen[..., 0, 2], by_seen[..., 1, 2] = (-lens.focal * seen[..., k] / depth**2 for k in (0, 1))
    x, y, z = turned[..., None, 0], turned[..., None, 1], turned[..., None, 2]
    a, b, c = by_seen[..., 0], by_seen[..., 1], by_seen[..., 2]
    by_turn = np.stack([c * y - b * z, a * z - c * x, b * x - a * y], -1)  # -D [RX]x
    pixels = lens.focal * seen[..., :2] / depth[..., None] + (lens.x, lens.y)
    return pixels, np.concatenate([by_turn, by_seen], -1), np.einsum("tnij,tjk->tnik", by_seen, poses.R)


def normal(w: np.ndarray, J: np.ndarray, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Normal equations of each frame: sum of w J'J (T x 6 x 6) and of w J'r (T x 6); w (T, N), J (T, N, 2, 6)."""
    rows = J.reshape(len(J), -1, J.shape[-1])
    weighted = (rows * np.repeat(w, 2, axis=1)[..., None]).transpose(0, 2, 1)
    return weighted @ rows, (weighted @ r.reshape(len(r), -1, 1))[..., 0]


def robust(residuals: np.ndarray, sigma: float) -> np.ndarray:
    """Huber's weights of residuals (..., 2): 1 near 0, falling beyond."""
    size = np.linalg.norm(residuals, axis=-1)
    return np.minimum(1.0, HUBER * sigma / np.maximum(size, 1e-9))


def spread(residuals: np.ndarray, weights: np.ndarray) -> float:
    """A robust standard deviation of residuals (..., 2) that have weight."""
    size = np.linalg.norm(residuals, axis=-1)[np.broadcast_to(weights, residuals.shape[:-1]) > 0]
    return max(float(np.median(size)) / 1.18, 1e-3)  # of a 2D normal the median length is 1.18 sigma


def first_poses(points: np.ndarray, shape: np.ndarray, weights: np.ndarray, lens: Lens) -> Poses:
    """Each frame by itself, without a start.

    Args:
        points: T x N x 2 pixels. shape: N x 3 metres. weights: N; only points with the largest are used.
    """
    firm = weights >= weights.max()
    R, t = np.empty((len(points), 3, 3)), np.empty((len(points), 3))
    for k, seen in enumerate(points):
        _, turn, move = cv2.solvePnP(shape[firm], seen[firm].astype(np.float64), lens.K, None, flags=cv2.SOLVEPNP_SQPNP)
        R[k], t[k] = cv2.Rodrigues(turn)[0], move[:, 0]
    return Poses(R, t)


def fit_poses(
    points: np.ndarray, shape: np.ndarray, weights: np.ndarray, poses: Poses, lens: Lens, iterations: int = 6
) -> Poses:
    """Every frame's pose for a fixed shape, by Gauss-Newton steps with Huber's weights.

    SyncTalk++: Eq. 8.

    Args:
        points: T x N x 2 pixels. shape: N x 3 metres. weights: N. poses: where to start.
    """
    for _ in range(iterations):
        pixels, J, _ = derivatives(shape, poses, lens)
        r = points - pixels
        w = weights * robust(r, spread(r, weights))
        A, b = normal(w, J, r)
        poses = poses.moved(np.linalg.solve(A + 1e-6 * np.eye(6), b[..., None])[..., 0])
    return poses


def adjust(
    points: np.ndarray,
    shape: np.ndarray,
    weights: np.ndarray,
    poses: Poses,
    lens: Lens,
    iterations: int = 8,
    stiffness: float = 0.02,
) -> tuple[np.ndarray, Poses, float]:
    """Shape and poses together, by Gauss-Newton steps in which the poses are eliminated.

    SyncTalk++: Eq. 11 and 12 (there by Adam; the points start from the landmarker's depth instead of at random).

    Args:
        points: T x N x 2 pixels. shape: N x 3 metres, a first guess. weights: N, all above 0. poses: where to start.
        stiffness: how strongly the shape is held to the guess, which also fixes its scale and axes.

    Returns:
        shape, poses, and the robust standard deviation of what remains, pixels.
    """
    start, count = shape, len(shape)
    hold = (stiffness * lens.focal) ** 2 * len(points) * weights.mean()
    for _ in range(iterations):
        pixels, Jp, Jx = derivatives(shape, poses, lens)
        r = points - pixels
        w = weights * robust(r, spread(r, weights))
        U, bp = normal(w, Jp, r)
        weighted = w[..., None, None] * Jx
        W = (Jp.transpose(0, 1, 3, 2) @ weighted).transpose(0, 2, 1, 3).reshape(len(points), 6, 3 * count)
        V, bx = normal(w.T, Jx.transpose(1, 0, 2, 3), r.transpose(1, 0, 2))
        bx = bx - hold * (shape - start)
        solved = np.linalg.solve(U + 1e-6 * np.eye(6), np.concatenate([W, bp[..., None]], -1))  # U^-1 [W, bp]
        flat = W.reshape(-1, 3 * count)
        S = -flat.T @ solved[..., :-1].reshape(-1, 3 * count)
        block = np.arange(count) * 3
        for i in range(3):
            for j in range(3):
                S[block + i, block + j] += V[:, i, j] + (hold if i == j else 0.0)
        rhs = bx.reshape(-1) - flat.T @ solved[..., -1].reshape(-1)
        dx = np.linalg.solve(S, rhs)
        dp = solved[..., -1] - solved[..., :-1] @ dx
        shape, poses = shape + dx.reshape(count, 3), poses.moved(dp)
    r = points - project(shape, poses, lens)
    return shape, poses, spread(r, weights)


def keyframes(count: int) -> np.ndarray:
    """At most `KEYFRAMES` of `count` frames, evenly."""
    return np.unique(np.linspace(0, count - 1, min(count, KEYFRAMES)).round().astype(int))


def search_focal(
    points: np.ndarray, shape: np.ndarray, weights: np.ndarray, size: int
) -> tuple[Lens, dict[float, float]]:
    """The focal length whose adjusted shape leaves least; the usual one where they hardly differ.

    SyncTalk++: Eq. 7.

    Args:
        points: T x N x 2 pixels. shape: N x 3 metres. weights: N. size: side of the picture, pixels.

    Returns:
        the lens, and what remains for each candidate, in pixels.
    """
    chosen = keyframes(len(points))[:: max(1, min(len(points), KEYFRAMES) // 100)]
    left = {}
    for share in FOCALS:
        lens = Lens(share * size, size / 2, size / 2)
        poses = fit_poses(points[chosen], shape, weights, first_poses(points[chosen], shape, weights, lens), lens)
        left[share] = adjust(points[chosen], shape, weights, poses, lens, 5)[2]
    best = min(left.values())
    equal = [share for share, value in left.items() if value <= FLAT * best]
    share = min(max(USUAL_FOCAL, min(equal)), max(equal))
    return Lens(share * size, size / 2, size / 2), left
