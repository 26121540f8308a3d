"""Log-mel spectrograms of a voice, 50 steps a second, and their standardisation.

Step i is centred at sample 320 i: the times of steps are exact, whatever is made of them later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from audioplane.runtime import large_arrays

SAMPLE_RATE = 16_000
STEP = 320  # samples from one step to the next: 50 Hz, the rate of wav2vec2 and of DeepSpeech
ACTIVE_DB = 35.0  # steps within so many dB of a voice's loudest count as speech
LONG = 30_000  # steps, ten minutes: longer recordings are computed in pieces
PIECE = 6_000  # steps
RANGE_DB = 80.0  # what lies further below the largest value of a spectrogram is cut off

Statistics = tuple[np.ndarray, np.ndarray]
"""Mean and spread of log-mel over the steps that count as speech, (bands,) each, dB."""


def log_mel(samples: np.ndarray, bands: int, before: int = 0) -> np.ndarray:
    """Log-mel spectrogram by windows of 25 ms.

    Args:
        samples: (n,) 16 kHz.
        bands: from 50 Hz to 8 kHz.
        before: samples of silence to put in front.

    Returns:
        ((before + n) // 320 + 1, bands) float32 in dB; step i is centred at sample 320 i, the silence counted.
    """
    count = max(before + len(samples), 512) // STEP + 1
    if count <= LONG:
        return _log_mel(np.pad(samples, (before, max(0, 512 - before - len(samples)))), bands)
    found = np.empty((count, bands), np.float32)
    for first in range(0, count, PIECE):
        last = min(first + PIECE, count)
        found[first:last] = _log_mel_piece(samples, bands, before, first, last)
    return found


def _log_mel_piece(samples: np.ndarray, bands: int, before: int, first: int, last: int) -> np.ndarray:
    """Steps `first` to `last` of the log-mel of a long voice, (last - first, bands)."""
    start = max(first - 1, 0)  # a step more to either side: half a window is less
    a, b = start * STEP - before, (last + 1) * STEP - before
    piece = np.pad(samples[max(a, 0) : max(b, 0)], (max(-a, 0), max(b - len(samples), 0)))
    large_arrays.release()
    return np.ascontiguousarray(_log_mel(piece, bands)[first - start : last - start])


def _log_mel(samples: np.ndarray, bands: int) -> np.ndarray:
    import librosa

    power = librosa.feature.melspectrogram(
        y=samples,
        sr=SAMPLE_RATE,
        n_fft=512,
        win_length=400,
        hop_length=STEP,
        n_mels=bands,
        fmin=50.0,
        fmax=8000.0,
        pad_mode="constant",
    )
    return 10.0 * np.log10(np.maximum(power.T, 1e-10)).astype(np.float32)


def standardise(steps: np.ndarray, prior: Statistics | None = None) -> tuple[np.ndarray, Statistics]:
    """Log-mel relative to the voice's own loudness and colour.

    Bands are shifted and scaled by their mean and spread over the steps that count as speech, so microphone, room and
    loudness leave little trace. With `prior`, a subject's statistics, these count as two further seconds: a short
    recording is not judged by its own three syllables.

    Args:
        steps: (n, bands) in dB.
        prior: of another recording.

    Returns:
        the steps (n, bands), and the statistics that were used. More than `LONG` steps are changed in place.
    """
    loud = steps.mean(axis=1)
    steps = np.maximum(steps, steps.max() - RANGE_DB, out=steps if len(steps) > LONG else None)
    spoken = loud > loud.max() - ACTIVE_DB
    count = int(spoken.sum())
    mean, spread = _with_prior(*_mean_and_spread(steps, spoken), count, prior)
    if len(steps) <= LONG:
        return ((steps - mean) / spread).astype(np.float32), (mean, spread)
    for start in range(0, len(steps), PIECE):
        steps[start : start + PIECE] = (steps[start : start + PIECE] - mean) / spread
    return steps, (mean, spread)


def _with_prior(mean: np.ndarray, spread: np.ndarray, count: int, prior: Statistics | None) -> Statistics:
    """Mean and spread of so many steps, with those of another recording that count as 100 more; no spread is tiny."""
    if prior is not None:
        own = count / (count + 100.0)
        mean, spread = own * mean + (1 - own) * prior[0], own * spread + (1 - own) * prior[1]
    return mean, np.maximum(spread, 2.0)


def _mean_and_spread(steps: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and spread of the chosen steps, (bands,) each; of long recordings without a copy of them."""
    if len(steps) <= LONG:
        active = steps[chosen]
        return active.mean(axis=0), active.std(axis=0)
    pieces = [slice(start, start + PIECE) for start in range(0, len(steps), PIECE)]
    return _of_pieces(lambda: (steps[one] for one in pieces), [chosen[one] for one in pieces])


def _of_pieces(pieces: Callable[[], Iterable[np.ndarray]], chosen: Sequence[np.ndarray]) -> Statistics:
    """`_mean_and_spread` of a recording that comes in pieces, twice."""
    count = sum(int(one.sum()) for one in chosen)
    mean = sum(own[one].sum(axis=0, dtype=np.float64) for own, one in zip(pieces(), chosen, strict=True)) / count
    square = sum(
        ((own[one] - mean) ** 2).sum(axis=0, dtype=np.float64) for own, one in zip(pieces(), chosen, strict=True)
    )
    return np.asarray(mean, np.float32), np.sqrt(square / count).astype(np.float32)


def standardise_by(steps: np.ndarray, statistics: Statistics) -> np.ndarray:
    """Log-mel (steps, bands) in dB by the statistics of another recording alone."""
    mean, spread = statistics
    return ((np.maximum(steps, steps.max() - RANGE_DB) - mean) / spread).astype(np.float32)


class StandardisedSteps:
    """What `standardise` makes of the log-mel of a long voice, in pieces computed when they are asked for.

    Of hours of sound the spectrogram itself would be large: it is computed once to find the loudest steps, twice for
    mean and spread, and once more where it is used.

    Args:
        samples: (n,) 16 kHz. bands: see `log_mel`. before: samples of silence to put in front.
        prior: statistics of another recording, see `standardise`. prior_only: standardise by it alone.
    """

    def __init__(
        self,
        samples: np.ndarray,
        bands: int,
        before: int = 0,
        prior: Statistics | None = None,
        prior_only: bool = False,
    ) -> None:
        self.samples, self.bands, self.before = samples, bands, before
        self._count = max(before + len(samples), 512) // STEP + 1
        self._known: dict[int, np.ndarray] = {}
        loud, top = [], []
        for steps in self._spectrogram():
            top.append(steps.max())
            loud.append(steps.mean(axis=1))
        self.floor = max(top) - RANGE_DB
        if prior_only and prior is not None:
            self.statistics = prior
            return
        quietest = max(one.max() for one in loud) - ACTIVE_DB
        spoken = [one > quietest for one in loud]
        floored = lambda: (np.maximum(steps, self.floor) for steps in self._spectrogram())  # noqa: E731
        self.statistics = _with_prior(*_of_pieces(floored, spoken), sum(int(one.sum()) for one in spoken), prior)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, steps: slice) -> np.ndarray:
        """Some steps, (k, bands) float32; faster in rising order."""
        start, stop = steps.start, min(steps.stop, len(self))
        numbers = range(start // PIECE, (stop - 1) // PIECE + 1)
        self._known = {k: self._known[k] if k in self._known else self._piece(k) for k in numbers}
        joined = np.concatenate(list(self._known.values()))
        return joined[start - numbers.start * PIECE : stop - numbers.start * PIECE]

    def _piece(self, number: int) -> np.ndarray:
        mean, spread = self.statistics
        return ((np.maximum(self._log_mel(number), self.floor) - mean) / spread).astype(np.float32)

    def _spectrogram(self) -> Iterator[np.ndarray]:
        return (self._log_mel(number) for number in range(-(-len(self) // PIECE)))

    def _log_mel(self, number: int) -> np.ndarray:
        first, last = number * PIECE, min((number + 1) * PIECE, len(self))
        return _log_mel_piece(self.samples, self.bands, self.before, first, last)
