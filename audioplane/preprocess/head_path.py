"""Focal length, shape and first poses from landmarks alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audioplane.preprocess import bundle, face_shape
from audioplane.preprocess.bundle import Lens, Poses
from audioplane.preprocess.landmarks import Track, ibug


@dataclass(frozen=True)
class HeadPath:
    """What landmarks alone tell of the head.

    Attributes:
        lens: of the pictures. shape: N x 3 metres. weights: N. points: T x N x 2 pixels. poses: T; frames without a
            face have a neighbour's.
    """

    lens: Lens
    shape: np.ndarray
    weights: np.ndarray
    points: np.ndarray
    poses: Poses

    @staticmethod
    def find(track: Track, size: int, focal: float, semantic: bool, adjust: bool) -> HeadPath:
        """SyncTalk++'s Head Motion Tracker and bundle adjustment (Eq. 7, 8, 11, 12).

        Args:
            track: of the face. size: side of the pictures. focal: in sides; 0 searches. semantic: whether brows, lids,
                lips and jaw weigh less. adjust: whether shape and poses are refined together.
        """
        seen = track.found
        if track.points.shape[1] == 68:
            shape = face_shape.GENERIC
        else:
            shape = face_shape.mean_shape(track.points)
            s, R, t = face_shape.to_head_axes(ibug(shape))
            shape = s * shape @ R.T + t
        weigh = face_shape.semantic_weights(shape) if semantic else np.ones(len(shape))
        use = weigh > 0
        shape, weigh = shape[use], weigh[use]
        points = track.points[:, use, :2].astype(np.float64)
        known = points[seen]
        lens = Lens(focal * size, size / 2, size / 2)
        if not focal:
            lens, _ = bundle.search_focal(known, shape, weigh, size)
        poses = bundle.fit_poses(known, shape, weigh, bundle.first_poses(known, shape, weigh, lens), lens)
        if adjust:
            chosen = bundle.keyframes(len(known))
            shape, _, _ = bundle.adjust(known[chosen], shape, weigh, poses[chosen], lens)
            poses = bundle.fit_poses(known, shape, weigh, poses, lens)
        number = np.searchsorted(np.flatnonzero(seen), np.arange(len(seen))).clip(0, len(known) - 1)
        return HeadPath(lens, shape, weigh, points, poses[number])
