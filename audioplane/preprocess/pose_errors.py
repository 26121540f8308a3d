"""Errors of estimated head poses against true ones, which are known for embedded speakers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.transform import Rotation

from audioplane.errors import UserError
from audioplane.media.reader import MediaReader
from audioplane.preprocess import flow, trajectory
from audioplane.preprocess.bundle import Lens, Poses
from audioplane.preprocess.head_path import HeadPath
from audioplane.preprocess.landmarks import Track, follow, landmarker

if TYPE_CHECKING:
    import pandas as pd

    from audioplane.subject import Subject

Frames = Callable[[], Iterable[np.ndarray]]
"""Gives the pictures of a video from its beginning, (H, W, 3) uint8 each."""

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
        return rms_jitter(self.turn, self.breaks), rms_jitter(self.move[:, :2], self.breaks)


def rms_jitter(series: np.ndarray, breaks: tuple[int, ...] = ()) -> float:
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


@dataclass(frozen=True)
class Study:
    """Poses found with ever more parts, on a speaker whose poses are known.

    Attributes:
        truth: T. poses: by the parts that found them. errors: of these. landmarks: where these came from, in words.
    """

    truth: Poses
    poses: dict[str, Poses]
    errors: dict[str, PoseError]
    landmarks: str

    def table(self) -> pd.DataFrame:
        """One row a variant: errors and jitter."""
        import pandas as pd

        rows = {
            name: {
                "rotation (degrees)": error.degrees,
                "place (mm)": error.millimetres,
                "distance (mm)": error.depth,
                "jitter (degrees)": error.jitter[0],
                "jitter (mm)": error.jitter[1],
            }
            for name, error in self.errors.items()
        }
        return pd.DataFrame(rows).T


def found_or_noisy(subject: Subject, frames: Frames, seed: int = 0) -> tuple[Track, str]:
    """The face of an embedded speaker through a clip, by MediaPipe's networks where they are.

    Without them the true landmarks with noise such as networks have: each trembles by itself, and all of a frame a
    little together.

    Args:
        subject: the speaker. frames: gives T pictures. seed: of the noise.

    Returns:
        the track, and where it came from, in words.
    """
    try:
        finder = landmarker("mediapipe")
    except UserError:
        rng, truth = np.random.default_rng(seed), subject.landmarks
        pixel = subject.width / 256
        noise = rng.normal(0, 0.35 * pixel, truth.shape) + rng.normal(0, 0.25 * pixel, (len(truth), 1, 2))
        points = np.full((*truth.shape[:2], 3), np.nan, np.float32)
        points[..., :2] = truth + noise
        return Track(points, np.ones(len(truth), np.float32), None), "the true landmarks with noise (no networks here)"
    boxes = finder.detect(next(iter(frames())))
    expected = np.tile([boxes[0].x, boxes[0].y, boxes[0].size], (subject.num_frames, 1))
    return follow(frames(), finder, expected, lambda done: None), "MediaPipe's mesh"


def stabilized(track: Track, frames: Frames, size: int, semantic: bool = True) -> tuple[HeadPath, Poses]:
    """Poses by SyncTalk++'s whole stabilizer (Sec. III-C).

    Args:
        track: of the face, T frames. frames: gives T pictures. size: side of these. semantic: False leaves out the
            weights of the landmarks.

    Returns:
        what landmarks alone tell, and the poses by landmarks, flow tracks and inertia.
    """
    path = HeadPath.find(track, size, 0.0, semantic, adjust=True)
    tracks = flow.track(frames(), path.shape, path.poses, path.lens, [], True, lambda done: None)
    poses = trajectory.solve(path.points, path.shape, path.weights, path.poses, path.lens, [], tracks, track.found)
    return path, poses


def refined(
    subject: Subject, frames: Frames, start: Poses, lens: Lens, seen: np.ndarray, rounds: int, side: int
) -> Poses:
    """Poses of an embedded speaker, refined by its pictures within its true masks.

    Args:
        subject: whose masks are true. frames: gives T pictures. start: T poses. lens: of the pictures. seen: (T,) bool,
            where a face was found. rounds, side: of the refinement.
    """
    import cv2

    from audioplane.preprocess import refine

    heads, images = [], []
    for t, frame in enumerate(frames()):
        head, moving = subject.head_mask(t), subject.motion_mask(t)
        inner = cv2.erode((head & ~moving).astype(np.uint8), np.ones((5, 5), np.uint8))
        small = [cv2.resize(m.astype(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST) for m in (head, inner)]
        heads.append(np.asarray(small[0] + 2 * small[1], np.uint8))
        images.append(cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA))
    K = lens.K.copy()
    K[:2] *= side / subject.width
    stage = refine.Stage(np.stack(images), np.stack(heads), K, start.matrices(), seen)
    return refine.refine(stage, start, [], rounds, 0, lambda done: None)


def pose_study(subject: Subject, video: Path, rounds: int = 2, side: int = 128) -> Study:
    """Poses of an embedded speaker's video, with ever more parts of the stabilizer.

    SyncTalk++: what its Sec. III-C adds to one another; the last row is ours.

    Args:
        subject: the speaker, whose poses and masks are true. video: of it. rounds, side: of the refinement.
    """
    source, count = MediaReader.open(video), subject.num_frames

    def frames() -> Iterator[np.ndarray]:
        return source.pictures(0.0, count)

    track, came_from = found_or_noisy(subject, frames)
    seen, poses = track.found, {}
    plain = HeadPath.find(track, subject.width, 0.0, semantic=False, adjust=False)
    poses["each frame by itself"] = plain.poses
    poses["+ semantic weights"] = HeadPath.find(track, subject.width, 0.0, semantic=True, adjust=False).poses
    path, last = stabilized(track, frames, subject.width)
    poses["+ bundle adjustment"] = path.poses
    poses["+ inertia"] = trajectory.solve(path.points, path.shape, path.weights, path.poses, path.lens, [], None, seen)
    poses["+ flow tracks"] = last
    poses["+ pictures"] = refined(subject, frames, last, path.lens, seen, rounds, side)
    truth = Poses.of(subject.viewmats)
    return Study(truth, poses, {name: compare(found, truth) for name, found in poses.items()}, came_from)


def degrees(poses: Poses) -> np.ndarray:
    """Rotations from the middle frame on, T x 3 degrees about the camera's axes."""
    return Rotation.from_matrix(poses.R @ poses.R[len(poses) // 2].T).as_rotvec(degrees=True)
