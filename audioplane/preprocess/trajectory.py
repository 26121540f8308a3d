"""The head's path through the whole video: all that was seen, and that heads have inertia, in one problem.

    minimise  sum_landmarks w |r|^2 / s_l^2  +  sum_tracks |r|^2 / s_f^2  +  sum_t |acceleration_t|^2 / s_a^2

over the poses of all frames and the followed points, which are eliminated; what is left is a banded system, solved
exactly. The prior looks at accelerations on both sides of a frame alike, so it smooths without lagging.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solveh_banded
from scipy.spatial.transform import Rotation

from audioplane.preprocess.bundle import Lens, Poses, derivatives, normal, robust, spread
from audioplane.preprocess.flow import LIFE, Tracks

TURN, MOVE = np.radians(0.25), 0.0008
"""Usual accelerations of a head, a frame squared: radians, metres."""

CORRELATED = 12.0
"""Errors of neighbouring landmarks go together: so many count as one."""

DRIFT = 0.6
"""Pixels of a 256 picture by which followed points go astray: together, so more than each trembles."""

LOOSE = 0.004
"""Metres by which a followed point may leave where the landmarks put it."""


class Band:
    """A symmetric banded system of T poses with 6 unknowns each.

    Attributes:
        blocks: T x reach x 6 x 6: [t, d] couples frames t and t + d. rhs: T x 6.
    """

    def __init__(self, count: int, reach: int) -> None:
        self.blocks = np.zeros((count, reach, 6, 6))
        self.rhs = np.zeros((count, 6))

    def solve(self) -> np.ndarray:
        """T x 6."""
        count, reach = self.blocks.shape[:2]
        upper = np.zeros((6 * reach, 6 * count))
        for d in range(min(reach, count)):
            for i in range(6):
                for j in range(0 if d else i, 6):
                    k = 6 * d + j - i  # columns to the right of the diagonal
                    upper[6 * reach - 1 - k, 6 * d + j :: 6] = self.blocks[: count - d, d, i, j]
        return solveh_banded(upper, self.rhs.reshape(-1)).reshape(count, 6)


def add_inertia(band: Band, poses: Poses, breaks: list[int], strength: float = 1.0) -> None:
    """The prior of `solve`'s last term; none across breaks."""
    count = len(poses)
    if count < 3:
        return
    turn = Rotation.from_matrix(poses.R[1:] @ poses.R[:-1].transpose(0, 2, 1)).as_rotvec()
    now = np.column_stack([np.diff(turn, axis=0), np.diff(poses.t, 2, axis=0)])  # of frames 1 .. T - 2
    weight = strength / np.repeat([TURN, MOVE], 3) ** 2
    active = np.ones(count - 2)
    for cut in breaks:
        active[[k for k in (cut - 2, cut - 1) if 0 <= k < count - 2]] = 0
    stencil = (1.0, -2.0, 1.0)
    for a in range(3):
        band.rhs[a : count - 2 + a] -= stencil[a] * weight * now * active[:, None]
        for b in range(a, 3):
            block = stencil[a] * stencil[b] * active[:, None] * weight
            band.blocks[a : count - 2 + a, b - a, range(6), range(6)] += block


def add_landmarks(
    band: Band, points: np.ndarray, shape: np.ndarray, weights: np.ndarray, poses: Poses, lens: Lens, seen: np.ndarray
) -> None:
    """The first term of `solve`."""
    pixels, J, _ = derivatives(shape, poses[seen], lens)
    r = points[seen] - pixels
    sigma = spread(r, weights)
    w = weights * robust(r, sigma) / (CORRELATED * sigma**2)
    A, b = normal(w, J, r)
    band.blocks[seen, 0] += A
    band.rhs[seen] += b


def add_tracks(band: Band, tracks: Tracks, points: np.ndarray, poses: Poses, lens: Lens, sigma: float) -> np.ndarray:
    """The second term of `solve`, its points eliminated; returns their own steps for poses that stay (S x M x 3)."""
    own = np.zeros_like(points)
    for s, start in enumerate(tracks.start):
        there = np.isfinite(points[s, :, 0])
        if not there.any():
            continue
        stop = min(start + LIFE, len(poses))
        seen = tracks.pixels[s, there, : stop - start].transpose(1, 0, 2)
        known = np.isfinite(seen[..., 0])
        pixels, Jp, Jx = derivatives(points[s, there], poses[start:stop], lens)
        r = np.where(known[..., None], seen - pixels, 0.0)
        w = known * robust(r, sigma) / sigma**2
        U, b = normal(w, Jp, r)
        V, gx = normal(w.T, Jx.transpose(1, 0, 2, 3), r.transpose(1, 0, 2))
        V, gx = V + np.eye(3) / LOOSE**2, gx - (points[s, there] - tracks.points[s, there]) / LOOSE**2
        W = (Jp.transpose(0, 1, 3, 2) @ (w[..., None, None] * Jx)).transpose(1, 0, 2, 3)  # n x t x 6 x 3
        n, frames = W.shape[:2]
        solved = np.linalg.solve(V, np.concatenate([W.reshape(n, -1, 3).transpose(0, 2, 1), gx[..., None]], -1))
        own[s, there] = solved[..., -1]
        flat = W.reshape(n, 6 * frames, 3).transpose(1, 0, 2).reshape(6 * frames, -1)
        S = (flat @ solved[..., :-1].reshape(-1, 6 * frames)).reshape(frames, 6, frames, 6)
        for d in range(frames):
            band.blocks[start : stop - d, d] -= S[range(frames - d), :, range(d, frames)]
        band.blocks[start:stop, 0] += U
        band.rhs[start:stop] += b - (flat @ solved[..., -1].reshape(-1)).reshape(frames, 6)
    return own


def solve(
    points: np.ndarray,
    shape: np.ndarray,
    weights: np.ndarray,
    poses: Poses,
    lens: Lens,
    breaks: list[int],
    tracks: Tracks | None,
    seen: np.ndarray,
    iterations: int = 3,
    inertia: float = 1.0,
) -> Poses:
    """The path of the head.

    Args:
        points: T x N x 2 landmarks, pixels. shape: N x 3 metres. weights: N. poses: T, where to start.
        breaks: frames that do not go on from the one before. tracks: followed points, or None.
        seen: T bool, frames with landmarks; the others follow from their neighbours.
        inertia: strength of the last term.
    """
    where = None if tracks is None else tracks.points.copy()
    for _ in range(iterations):
        band = Band(len(poses), 3 if tracks is None else LIFE)
        band.blocks[:, 0] += 1e-6 * np.eye(6)
        add_landmarks(band, points, shape, weights, poses, lens, seen)
        add_inertia(band, poses, breaks, inertia)
        if tracks is not None and where is not None:
            where = where + add_tracks(band, tracks, where, poses, lens, DRIFT * max(lens.x / 128, 1.0))
        poses = poses.moved(band.solve())
    return poses
