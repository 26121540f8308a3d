"""When somebody speaks in a recording, and when there is only silence or a long pause."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

from audioplane.audio.mel import ACTIVE_DB, PIECE, SAMPLE_RATE, STEP
from audioplane.runtime import large_arrays

SILENT_DB = -60.0  # of full scale: a step that is quieter is silent, however quiet the recording
PAUSE = 20  # steps before and after a voice that still belong to speech: its short pauses


def speech_steps(
    samples: NDArray[np.float32], count: int, before: int = 0, longest_pause: float = 0.0
) -> NDArray[np.bool_]:
    """Which steps of 20 ms belong to speech, short pauses included.

    A step is voiced where it is within `ACTIVE_DB` of the loudest and above `SILENT_DB`; speech are the voiced steps,
    those that are at most `PAUSE` from one, and pauses between voiced steps that are not too long.

    Args:
        samples: (n,) 16 kHz.
        count: of steps; step i is centred at sample 320 i.
        before: samples of silence to put in front.
        longest_pause: seconds between two voiced steps up to which what lies between them is speech: people who pause
            for breath hardly ever close their lips. Beside it, twice `PAUSE` always is.

    Returns:
        (count,).
    """
    if count == 0:
        return np.zeros(0, bool)
    power = np.zeros(count)
    for first in range(0, count, PIECE):  # hours of squares would be large
        steps = min(PIECE, count - first)
        a = first * STEP - STEP // 2 - before
        piece = samples[max(a, 0) : max(a + steps * STEP, 0)]
        squares = np.zeros(steps * STEP)
        squares[max(-a, 0) : max(-a, 0) + len(piece)] = np.square(piece, dtype=np.float64)
        large_arrays.release()
        power[first : first + steps] = squares.reshape(steps, STEP).mean(axis=1)
    loudness = 10.0 * np.log10(power + 1e-12)
    voiced = loudness > max(loudness.max() - ACTIVE_DB, SILENT_DB)
    speech = np.asarray(maximum_filter1d(voiced, 2 * PAUSE + 1, mode="constant"), bool)
    places = np.flatnonzero(voiced)
    gaps = np.diff(places)
    for n in np.flatnonzero((gaps > 2 * PAUSE) & (gaps * STEP <= longest_pause * SAMPLE_RATE)):
        speech[places[n] : places[n + 1]] = True
    return speech


class RunningActivity:
    """Which steps of 20 ms are voiced while somebody speaks: beside the loudest step so far, see `speech_steps`.

    Attributes:
        known: steps that are complete; step i is centred at sample 320 i.
    """

    def __init__(self) -> None:
        self.known, self.loudest = 0, -np.inf
        self.samples = np.zeros(STEP // 2, np.float32)  # from step `known` on
        self.voiced = np.zeros(0, bool)

    def push(self, samples: NDArray[np.float32]) -> None:
        """The next samples (n,) at 16 kHz."""
        self.samples = np.concatenate([self.samples, samples])
        count = len(self.samples) // STEP
        squares = np.square(self.samples[: count * STEP], dtype=np.float64).reshape(count, STEP)
        loudness = 10.0 * np.log10(squares.mean(axis=1) + 1e-12)
        loudest = np.maximum.accumulate(np.concatenate([[self.loudest], loudness]))
        self.loudest = float(loudest[-1])
        voiced = loudness > np.maximum(loudest[1:] - ACTIVE_DB, SILENT_DB)
        self.voiced = np.concatenate([self.voiced, voiced])
        self.samples, self.known = self.samples[count * STEP :], self.known + count

    def end(self) -> None:
        """The last step, which silence completes."""
        self.push(np.zeros(-len(self.samples) % STEP, np.float32))

    def is_speech(self, first: int, last: int) -> bool:
        """Whether any of these steps is voiced; there is silence before the first and after the last known one."""
        return bool(self.voiced[max(first, 0) : max(last + 1, 0)].any())


def speech_frames(
    samples: NDArray[np.float32], fps: float, count: int, longest_pause: float = 0.0
) -> NDArray[np.bool_]:
    """Which of `count` video frames show speech, see `speech_steps`: (count,)."""
    steps = speech_steps(samples, len(samples) // STEP + 2, longest_pause=longest_pause)
    middles = np.round((np.arange(count) + 0.5) / fps * SAMPLE_RATE / STEP).astype(int)
    return steps[np.minimum(middles, len(steps) - 1)]
