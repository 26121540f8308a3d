"""Measurements of a film of a face, as training data: log-mel and lips; where no face is found, the sound alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from audioplane.audio.mel import SAMPLE_RATE, STEP, log_mel
from audioplane.audio.phonetic import BANDS
from audioplane.errors import UserError
from audioplane.runtime import files
from audioplane.subject import blendshapes

LIPS = ("opening", "width", "pucker")


def measure(task: tuple[Path, Path]) -> None:
    """Measures one film (the first path): log-mel, and lips in parts of the distance of the eyes (to the second)."""
    from audioplane.audio.pretrain import lip_shapes
    from audioplane.media.reader import MediaReader
    from audioplane.preprocess.landmarks import follow, ibug, landmarker
    from audioplane.preprocess.survey import frame_count, survey

    path, kept = task
    source, finder = MediaReader.open(path), landmarker("mediapipe")
    sound = source.sound().samples
    frames = min(frame_count(float(source.timing().end)), len(sound) * 25 // SAMPLE_RATE)
    mel = log_mel(sound, BANDS)[: len(sound) // STEP].astype(np.float16)
    lips = np.full((len(mel), len(LIPS)), np.nan)
    try:
        where = survey(source, finder, 0.0, frames, lambda done: None).expected(frames)
        track = follow(source.pictures(0.0, frames), finder, where, lambda done: None)
    except UserError:  # no face: there is only a voice to learn from
        pass
    else:
        assert track.blendshapes is not None
        points = ibug(track.points)[..., :2]
        eyes = np.linalg.norm(points[:, 45] - points[:, 36], axis=1)
        width = np.linalg.norm(points[:, 54] - points[:, 48], axis=1) / eyes
        pucker = np.where(track.found, track.blendshapes[:, blendshapes.NAMES.index("mouthPucker")], np.nan)
        seen = np.stack([lip_shapes(points, 1).opening, width, pucker], axis=1)
        moments = (np.arange(len(seen)) + 0.5) / 25
        times = np.arange(len(mel)) * STEP / SAMPLE_RATE
        lips = np.stack([np.interp(times, moments, values, np.nan, np.nan) for values in seen.T], axis=1)
    files.write_arrays(kept, {"mel": mel, "lips": lips.astype(np.float32)})
