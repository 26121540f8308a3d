"""SyncNet's audio features: 13 mel cepstra (MFCC), 100 times a second.

Number for number what `python_speech_features.mfcc` (0.6) gives with its defaults, which is what `syncnet_python`
calls: pre-emphasis .97, rectangular windows of 25 ms every 10 ms, 512-point power spectrum, 26 mel filters, DCT-II,
lifter 22, and the logarithm of the frame's energy in place of the first cepstrum. Samples count in 16-bit steps.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
COEFFICIENTS = 13
WINDOW, STEP, POINTS, FILTERS = 400, 160, 512, 26
LIFTER = 22
_TINY = np.finfo(np.float64).eps


def mfcc(audio: NDArray[np.floating]) -> NDArray[np.float64]:
    """Mel cepstra of a voice.

    Args:
        audio: (n,) samples in [-1, 1] at 16 kHz, n >= 1.

    Returns:
        (columns, 13); column j covers samples 160 j to 160 j + 400, the last one padded with silence.

    Raises:
        ValueError: not a series of samples.
    """
    if audio.ndim != 1 or not len(audio) or not np.issubdtype(audio.dtype, np.floating):
        raise ValueError(f"audio: expected (n,) floats in [-1, 1], received {audio.dtype} {audio.shape}")
    steps = np.clip(np.round(audio.astype(np.float64) * 32768.0), -32768, 32767)
    emphasised = np.append(steps[0], steps[1:] - 0.97 * steps[:-1])
    columns = 1 + max(0, -(-(len(steps) - WINDOW) // STEP))
    padded = np.pad(emphasised, (0, max(0, (columns - 1) * STEP + WINDOW - len(steps))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::STEP][:columns]
    power = np.abs(np.fft.rfft(frames, POINTS)) ** 2 / POINTS
    energy = power.sum(axis=1)
    energy[energy == 0] = _TINY
    bands = power @ _filters().T
    bands[bands == 0] = _TINY
    cepstra = np.log(bands) @ _cosines().T
    cepstra[:, 0] = np.log(energy)
    return cepstra


@cache
def _filters() -> NDArray[np.float64]:
    """(26, 257): triangles between whole bins of the spectrum, evenly spaced in mel from 0 to 8 kHz."""
    top = 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700)
    hertz = 700 * (10 ** (np.linspace(0, top, FILTERS + 2) / 2595) - 1)
    corners = np.floor((POINTS + 1) * hertz / SAMPLE_RATE)
    bins = np.arange(POINTS // 2 + 1)
    low, middle, high = (corners[k : k + FILTERS, None] for k in range(3))
    rising = (bins - low) / np.maximum(middle - low, 1)
    falling = (high - bins) / np.maximum(high - middle, 1)
    return np.where((bins >= low) & (bins < middle), rising, np.where((bins >= middle) & (bins < high), falling, 0.0))


@cache
def _cosines() -> NDArray[np.float64]:
    """(13, 26): the orthonormal DCT-II, its rows lifted."""
    order, band = np.arange(COEFFICIENTS)[:, None], np.arange(FILTERS)
    rows = np.sqrt(2 / FILTERS) * np.cos(np.pi * order * (2 * band + 1) / (2 * FILTERS))
    rows[0] /= np.sqrt(2)
    return rows * (1 + LIFTER / 2 * np.sin(np.pi * order / LIFTER))
