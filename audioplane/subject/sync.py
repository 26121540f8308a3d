"""Do mouth and voice move together? The lag between mouth opening and loudness."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

MAX_LAG = 12
"""Largest lag that is looked for, frames."""


class Sync(NamedTuple):
    """Where the correlation of mouth opening and loudness peaks."""

    lag: float
    """Frames by which the picture comes after the sound; negative: before."""
    correlation: float
    """Correlation at the peak."""
    at_zero: float
    """Correlation without a shift."""


def loudness(audio: np.ndarray, num_frames: int, samples_per_frame: int = 640) -> np.ndarray:
    """Loudness around the middle of each video frame, decibels above the floor of the recording; T values.

    Each value covers two frames' length with a Hann window, so that pitch periods do not show.
    """
    window = np.hanning(2 * samples_per_frame)
    padded = np.zeros((num_frames + 1) * samples_per_frame + samples_per_frame)
    usable = min(len(audio), num_frames * samples_per_frame)
    start = samples_per_frame // 2
    padded[start : start + usable] = audio[:usable]
    starts = np.arange(num_frames) * samples_per_frame
    pieces = np.stack([padded[s : s + 2 * samples_per_frame] for s in starts])
    power = (pieces**2 * window).sum(1) / window.sum()
    decibels = 10 * np.log10(power + 1e-10)
    return np.maximum(decibels - max(float(decibels.max()) - 45, -90), 0)


def mouth_sound_sync(opening: np.ndarray, audio: np.ndarray, max_lag: int = MAX_LAG) -> Sync | None:
    """Finds the lag between mouth opening and voice.

    Args:
        opening: T values of mouth opening, any unit; NaN where unknown.
        audio: 16 kHz samples.
        max_lag: largest lag looked for, frames.

    Returns:
        The lag with its correlations, or None when the clip says nothing (silent, still, too short).
    """
    opening = np.asarray(opening, np.float64)
    known = np.isfinite(opening)
    if known.sum() < 4 * max_lag:
        return None
    sound = loudness(audio, len(opening))
    frames = np.arange(len(opening))
    mouth = np.interp(frames, frames[known], opening[known])
    if mouth.std() < 1e-9 or sound.std() < 1e-9:
        return None
    lags = np.arange(-max_lag, max_lag + 1)
    values = np.array([_correlation_at(mouth, sound, int(lag)) for lag in lags])
    best = int(values.argmax())
    lag = float(lags[best])
    if 0 < best < len(lags) - 1:  # the peak between the frames, by a parabola
        left, middle, right = values[best - 1 : best + 2]
        bend = left - 2 * middle + right
        lag += 0.5 * (left - right) / bend if bend < 0 else 0.0
    return Sync(lag, float(values[best]), float(values[max_lag]))


def _correlation_at(mouth: np.ndarray, sound: np.ndarray, lag: int) -> float:
    a, b = (mouth[lag:], sound[: len(sound) - lag]) if lag >= 0 else (mouth[:lag], sound[-lag:])
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else 0.0
