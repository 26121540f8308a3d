"""Embedded speakers with the poses that a stabilizer finds in their pictures, in place of the true ones.

All else stays as it was filmed: pictures, masks, sound. What a head loses is lost by its poses (SyncTalk++, Table VI).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from audioplane.errors import UserError
from audioplane.preprocess import pose_errors
from audioplane.preprocess.bundle import Lens, Poses
from audioplane.preprocess.head_path import HeadPath
from audioplane.runtime import cache, files, weights
from audioplane.runtime.source_hash import source_hash
from audioplane.subject import Subject, SubjectWriter

if TYPE_CHECKING:
    import numpy as np

WAYS = {
    "unstabilized": "each frame by itself: landmarks, all alike, on an average face",
    "unweighted": "the whole stabilizer without semantic weights",
    "stabilized": "the whole stabilizer: weighted landmarks, shape and poses together, flow tracks, inertia",
    "prepared": "as `audioplane prepare` finds them: the same, refined by the pictures",
}
ROUNDS, SIDE = 2, 128  # of the refinement by pictures, as `preprocess.settings.Settings` has them


def with_found_poses(subject: Subject, way: str) -> Subject:
    """The subject with found poses, made on first use and kept in the user's cache.

    It has no mesh and no depth, which are in the true head's coordinates.

    Args:
        subject: an embedded speaker. way: of `WAYS`.

    Raises:
        UserError: there is no such way.
    """
    if way not in WAYS:
        raise UserError(f"there is no way {way!r} to find poses; there are {', '.join(WAYS)}")
    made_with = f"{subject.digest} {way} {source_hash(__name__)} {weights.contents('face-landmarker')}"
    key = hashlib.sha256(made_with.encode()).hexdigest()[:12]
    folder = cache.make("posed") / f"{subject.name}-{way}-{key}"
    with files.lock(folder):
        if not folder.is_dir():
            _write(subject, way, folder)
    return Subject.open(folder)


def find_poses(subject: Subject, way: str) -> tuple[Poses, Lens, str]:
    """Poses of every frame of an embedded speaker.

    Args:
        subject: the speaker. way: of `WAYS`.

    Returns:
        T poses, the lens that was found with them, and where the landmarks came from, in words.
    """

    def frames() -> Iterator[np.ndarray]:
        return (subject.frame(t) for t in range(subject.num_frames))

    track, came_from = pose_errors.found_or_noisy(subject, frames)
    if way == "unstabilized":
        path = HeadPath.find(track, subject.width, 0.0, semantic=False, adjust=False)
        return path.poses, path.lens, came_from
    path, poses = pose_errors.stabilized(track, frames, subject.width, semantic=way != "unweighted")
    if way == "prepared":
        poses = pose_errors.refined(subject, frames, poses, path.lens, track.found, ROUNDS, SIDE)
    return poses, path.lens, came_from


def _write(subject: Subject, way: str, folder: Path) -> None:
    poses, lens, came_from = find_poses(subject, way)
    provenance = {**subject.manifest.provenance, "poses": WAYS[way], "landmarks": came_from}
    size = (subject.width, subject.height)
    with SubjectWriter(folder, subject.name, *size, licence=subject.manifest.licence, provenance=provenance) as writer:
        writer.set_background(subject.background)
        writer.describe_without_head(subject.manifest.without_head)
        for t in range(subject.num_frames):
            writer.add_frame(subject.frame(t), subject.label(t), subject.without_head(t))
        writer.set_audio(subject.audio)
        writer.set_cameras(lens.K, poses.matrices())
        writer.set_landmarks(subject.landmarks)
        if subject.phonemes is not None:
            writer.set_phonemes(subject.phonemes)
        if subject.blendshapes is not None:
            writer.set_blendshapes(subject.blendshapes)
        if subject.tracks:
            writer.set_tracks(subject.tracks)
        writer.set_split(*((part.start, part.stop) for part in (subject.train, subject.test)))
