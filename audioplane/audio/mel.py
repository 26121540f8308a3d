"""Log-mel spectrograms of a voice, 50 steps a second, and their standardisation.

Step i is centred at sample 320 i: the times of steps are exact, whatever is made of them later.
"""

from __future__ import annotations

import numpy as np

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
        start = max(first - 1, 0)  # a step more to either side: half a window is less
        a, b = start * STEP - before, (last + 1) * STEP - before
        piece = np.pad(samples[max(a, 0) : max(b, 0)], (max(-a, 0), max(b - len(samples), 0)))
        found[first:last] = _log_mel(piece, bands)[first - start : last - start]
    return found


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
    mean, spread = _mean_and_spread(steps, spoken)
    if prior is not None:
        own = count / (count + 100.0)
        mean, spread = own * mean + (1 - own) * prior[0], own * spread + (1 - own) * prior[1]
    spread = np.maximum(spread, 2.0)
    if len(steps) <= LONG:
        return ((steps - mean) / spread).astype(np.float32), (mean, spread)
    for start in range(0, len(steps), PIECE):
        steps[start : start + PIECE] = (steps[start : start + PIECE] - mean) / spread
    return steps, (mean, spread)


def _mean_and_spread(steps: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and spread of the chosen steps, (bands,) each; of long recordings without a copy of them."""
    if len(steps) <= LONG:
        active = steps[chosen]
        return active.mean(axis=0), active.std(axis=0)
    starts, count = range(0, len(steps), PIECE), chosen.sum()
    pieces = [slice(start, start + PIECE) for start in starts]
    mean = sum(steps[one][chosen[one]].sum(axis=0, dtype=np.float64) for one in pieces) / count
    square = sum(((steps[one][chosen[one]] - mean) ** 2).sum(axis=0, dtype=np.float64) for one in pieces) / count
    return np.asarray(mean, np.float32), np.sqrt(square).astype(np.float32)


def standardise_by(steps: np.ndarray, statistics: Statistics) -> np.ndarray:
    """Log-mel (steps, bands) in dB by the statistics of another recording alone."""
    mean, spread = statistics
    return ((np.maximum(steps, steps.max() - RANGE_DB) - mean) / spread).astype(np.float32)
