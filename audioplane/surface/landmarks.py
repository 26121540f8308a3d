"""The 68 landmarks of a person in space: where the frames see them, and a mean head where these do not tell.

Heads that speak turn by a few degrees, so frames hardly tell how deep a landmark lies. Each landmark is found by least
squares from its rays, as sure as its own residuals are small, and from its place on the mean head.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from audioplane.subject.masks import mouth_opening
from audioplane.surface.mean_head import MeanHead

if TYPE_CHECKING:
    from audioplane.subject import Subject

VIEWS = 240  # frames that are looked at
CLOSED = 0.4  # share of them, those with the lips most closed, that tell the shape of mouth and jaw
ENOUGH = 12  # frames with landmarks, below which nothing is fitted
SPREAD = 0.006  # metres by which a person's landmarks stray from the mean head's
AGREE = 6  # frames whose errors are alike, since detectors err in the same way on neighbours
SHARPEST = 0.25  # pixels; no landmark is known better
ROUNDS = 6


def in_space(subject: Subject, frames: range, mean: MeanHead) -> NDArray[np.float64] | None:
    """Landmarks in head coordinates, (68, 3) metres; None where too few frames have any.

    Args:
        subject: whose. frames: to learn from. mean: the mean head.
    """
    chosen = _frames(subject, frames)
    if len(chosen) < ENOUGH:
        return None
    seen = subject.landmarks[chosen].astype(np.float64)
    views, K = subject.viewmats[chosen].astype(np.float64), subject.K.astype(np.float64)
    points, scale = mean.landmarks.copy(), 1.0
    for turn in range(ROUNDS):
        expected = _laid_on(mean.landmarks, points) if turn else mean.landmarks
        scale = np.sqrt(np.var(expected) / np.var(mean.landmarks))
        points = _solve(seen, views, K, points, expected, SPREAD * scale * (3.0 if turn < 2 else 1.0))
    return points


def _frames(subject: Subject, frames: range) -> NDArray[np.int64]:
    """Frames with landmarks and closed lips, evenly over the clip."""
    known = np.array([t for t in frames if np.isfinite(subject.landmarks[t]).all()], int)
    if not len(known):
        return known
    opening = mouth_opening(subject.landmarks[known])
    closed = known[opening <= np.quantile(opening, CLOSED)]
    return closed[:: max(1, len(closed) // VIEWS)]


def _solve(
    seen: NDArray, views: NDArray, K: NDArray, points: NDArray, expected: NDArray, spread: float
) -> NDArray[np.float64]:
    """One Gauss-Newton step of every landmark by itself."""
    turned = points @ views[:, :3, :3].transpose(0, 2, 1) + views[:, None, :3, 3]
    depth = turned[..., 2]
    by_seen = np.zeros((*depth.shape, 2, 3))
    by_seen[..., 0, 0], by_seen[..., 1, 1] = K[0, 0] / depth, K[1, 1] / depth
    by_seen[..., 0, 2] = -K[0, 0] * turned[..., 0] / depth**2
    by_seen[..., 1, 2] = -K[1, 1] * turned[..., 1] / depth**2
    J = np.einsum("tnij,tjk->tnik", by_seen, views[:, :3, :3])
    pixels = turned @ K.T
    r = seen - pixels[..., :2] / pixels[..., 2:]
    sigma = np.maximum(np.sqrt((r**2).mean((0, 2))), SHARPEST)  # of each landmark
    weight = 1.0 / (AGREE * sigma**2)
    A = np.einsum("tnki,tnkj,n->nij", J, J, weight) + np.eye(3) / spread**2
    b = np.einsum("tnki,tnk,n->ni", J, r, weight) + (expected - points) / spread**2
    return points + np.linalg.solve(A, b[..., None])[..., 0]


def _laid_on(source: NDArray, target: NDArray) -> NDArray[np.float64]:
    """Landmarks scaled and moved, not turned, to lie nearest others."""
    a, b = source - source.mean(0), target - target.mean(0)
    return float((a * b).sum() / (a**2).sum()) * a + target.mean(0)
