"""What the mouth does, in the units and at the steps of the phonetic features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from audioplane.audio.mel import SAMPLE_RATE, STEP
from audioplane.audio.phonetic import TRACKS
from audioplane.subject.phonemes import Phoneme
from audioplane.synthetic.articulation import articulate


def mouth_tracks(phonemes: Sequence[Phoneme], audio: NDArray, count: int) -> NDArray[np.float16]:
    """What the mouth does at each of `count` steps: (count, tracks), in units of `TRACKS`.

    Args:
        phonemes: in order of time. audio: (n,), the same speech at 16 kHz. count: steps of 20 ms.
    """
    moved = articulate(phonemes, audio, SAMPLE_RATE, count * STEP / SAMPLE_RATE)
    times = np.arange(count) * STEP / SAMPLE_RATE * moved.rate
    tracks = [np.interp(times, np.arange(len(moved.jaw)), getattr(moved, name)) / size for name, size in TRACKS.items()]
    return np.stack(tracks, axis=1).astype(np.float16)
