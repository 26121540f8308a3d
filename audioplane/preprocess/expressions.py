"""The face of whoever a film shows: what `prepare` captures, without making a Subject of it."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np

from audioplane.errors import UserError
from audioplane.media.videos import at_rate, look
from audioplane.preprocess.landmarks import Track, follow, landmarker
from audioplane.subject.format import FPS


def follow_film(path: Path) -> Track:
    """Landmarks and blendshapes of a film at 25 frames a second; of the face that is largest when it first shows one.

    Raises:
        UserError: the film cannot be read, its first second shows no face, or MediaPipe's file or package is missing.
    """
    finder = landmarker("mediapipe")
    first = next((boxes[0] for boxes in map(finder.detect, islice(at_rate(path), int(FPS))) if boxes), None)
    if first is None:
        raise UserError(f"no face was found in the first second of {path}")
    most = int(np.ceil(look(path).seconds * FPS)) + 2  # the pictures end before that
    expected = np.tile([first.x, first.y, first.size], (most, 1))
    return follow(at_rate(path), finder, expected, lambda _: None)


def expression_of_film(path: Path) -> tuple[np.ndarray, float]:
    """Blendshapes of the face in a film.

    SyncTalk++, Eq. 4: its Facial Animation Capturer; here MediaPipe's network.

    Returns:
        (T, 52) weights, those of frames without a face taken from their neighbours in time; frames a second.

    Raises:
        UserError: as `follow_film`.
    """
    track = follow_film(path)
    assert track.blendshapes is not None  # the mesh always gives them
    known, times = np.flatnonzero(track.found), np.arange(len(track.found))
    return np.stack([np.interp(times, known, column[known]) for column in track.blendshapes.T], axis=1), FPS
