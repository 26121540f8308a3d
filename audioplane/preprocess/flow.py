"""Points of the skin followed by optical flow, checked forward and backward.

Landmarks of one frame are found without the next: they tremble. Points followed from frame to frame do not tremble
but drift, so each lives for a second at most, and new ones start every few frames.

SyncTalk++: Eq. 9 and 10, the Stable Head Points Tracker (there a learnt flow; here pyramidal Lucas-Kanade).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from audioplane.preprocess.bundle import Lens, Poses, project
from audioplane.preprocess.face_shape import semantic_weights

EVERY = 8  # frames from one set of new points to the next
LIFE = 16  # frames that a point is followed
MOST = 120  # points in a set
DOUBT = 0.35  # pixels of a 512 picture by which a point may miss its start when followed back
BORDER = 0.006  # metres that points keep from where the face turns away


@dataclass(frozen=True)
class Tracks:
    """Sets of points that start together.

    Attributes:
        start: S, the first frame of each set. pixels: S x MOST x LIFE x 2, NaN once a point is lost. points: S x MOST x
            3 metres, where they lie on the head as far as the landmarks tell; NaN where there are fewer.
    """

    start: np.ndarray
    pixels: np.ndarray
    points: np.ndarray


def track(
    frames: Iterable[np.ndarray],
    shape: np.ndarray,
    poses: Poses,
    lens: Lens,
    breaks: list[int],
    semantic: bool,
    progress: Callable[[int], object],
) -> Tracks:
    """Follows corners of the firm parts of the face.

    SyncTalk++, Eq. 9 (the flow) and Eq. 10 (which points). Eq. 10 keeps the points whose flow changes most, the code of
    SyncTalk those whose flow changes least; neither is done here. Which points move with the skull is known from where
    they lie (`semantic_weights`), and one that cannot be followed back to where it was is dropped: change alone tells
    neither a moving brow from a turning head nor a lost point from a good one.

    Args:
        frames: T pictures, H x W x 3 uint8. shape: N x 3 metres, of the firm parts. poses: T, from landmarks.
        breaks: frames that do not go on from the one before. semantic: whether to leave out brows and lids.
        progress: called with 1 after each frame.
    """
    count = len(poses)
    places = project(shape, poses, lens)
    depths = (shape @ poses.R.transpose(0, 2, 1) + poses.t[:, None])[..., 2]
    sets: list[tuple[int, np.ndarray, np.ndarray]] = []
    alive: list[int] = []
    before: np.ndarray | None = None
    for t, frame in enumerate(frames):
        gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        if t in breaks:
            alive = []
        if before is not None and alive:
            _advance(before, gray, [sets[k] for k in alive], t)
        alive = [k for k in alive if t - sets[k][0] < LIFE - 1]
        if t % EVERY == 0 and t < count - 2:
            found, points = _corners(gray, places[t], depths[t], poses[t : t + 1], lens, semantic)
            row = np.full((MOST, LIFE, 2), np.nan)
            row[: len(found), 0] = found
            sets.append((t, row, points))
            alive.append(len(sets) - 1)
        before = gray
        progress(1)
    return Tracks(*(np.stack([s[k] for s in sets]) for k in range(3)))


def _advance(before: np.ndarray, gray: np.ndarray, sets: list[tuple[int, np.ndarray, np.ndarray]], t: int) -> None:
    """Follows all living points of several sets into frame t, in place."""
    old = np.concatenate([row[:, t - 1 - start] for start, row, _ in sets])
    known = np.isfinite(old[:, 0])
    new = np.full_like(old, np.nan)
    if known.any():
        side = max(9, gray.shape[0] // 32) | 1
        way = {"winSize": (side, side), "maxLevel": 3, "criteria": (3, 20, 0.005)}
        at = (old[known] - 0.5).astype(np.float32)[:, None]
        there, ok, _ = cv2.calcOpticalFlowPyrLK(before, gray, at, np.empty_like(at), **way)  # type: ignore[call-overload]
        back, ok_back, _ = cv2.calcOpticalFlowPyrLK(gray, before, there, np.empty_like(at), **way)  # type: ignore[call-overload]
        miss = np.linalg.norm(back - at, axis=2)[:, 0]
        good = (ok[:, 0] > 0) & (ok_back[:, 0] > 0) & (miss < DOUBT * gray.shape[0] / 512)
        there = there[:, 0] + 0.5
        there[~good] = np.nan
        new[known] = there
    for k, (start, row, _) in enumerate(sets):
        row[:, t - start] = new[k * MOST : (k + 1) * MOST]


def _corners(
    gray: np.ndarray, places: np.ndarray, depths: np.ndarray, pose: Poses, lens: Lens, semantic: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Corners on the firm parts of the face: pixels n x 2, and points MOST x 3 on the head, metres."""
    mask = np.zeros(gray.shape, np.uint8)
    hull = cv2.convexHull(places.astype(np.float32)).reshape(-1, 2)
    cv2.fillConvexPoly(mask, np.round(hull).astype(np.int32), 255)
    edge = max(int(BORDER * lens.focal / pose.t[0, 2]), 2)
    mask = cv2.erode(mask, np.ones((2 * edge + 1, 2 * edge + 1), np.uint8))
    points = np.full((MOST, 3), np.nan)
    found = cv2.goodFeaturesToTrack(gray, 3 * MOST, 0.003, gray.shape[0] / 90, mask=mask, blockSize=5)
    if found is None:
        return np.empty((0, 2)), points
    found = found[:, 0].astype(np.float64) + 0.5
    away = np.linalg.norm(found[:, None] - places[None], axis=2)
    near = np.argpartition(away, 3, axis=1)[:, :3]
    share = 1 / (np.take_along_axis(away, near, 1) + 1.0)
    depth = (depths[near] * share).sum(1) / share.sum(1)
    rays = np.column_stack([(found - (lens.x, lens.y)) / lens.focal, np.ones(len(found))])
    on_head = (rays * depth[:, None] - pose.t[0]) @ pose.R[0]
    firm = (semantic_weights(on_head) >= 1 if semantic else np.ones(len(found), bool)).nonzero()[0][:MOST]
    points[: len(firm)] = on_head[firm]
    return found[firm], points
