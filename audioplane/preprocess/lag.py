"""By how much the sound of a clip is late or early, or whether it is this mouth's sound at all.

The opening of the lips that is seen is compared with the one that the phonetic network reads from the sound, and with
loudness, at every lag. How high chance alone comes is told by the lags far beyond those that are looked for, so a
short clip must show more than a long one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from audioplane.audio.features import SAMPLE_RATE, STEP
from audioplane.subject.sync import loudness

FPS = 25
REACH = 30  # frames that are searched to either side: shifts up to a second, with room beyond
FAR = 45  # frames from which on lags tell what chance does
TREND = 13  # frames: slower changes are taken out of both series
OVERLAP = 0.4  # share of the clip that must overlap at a lag
CLEAR = 3.8  # times the spread over far lags that a peak must reach; foreign voices do in 1 to 2 %
OBVIOUS, BEYOND = 0.8, 1.2  # or a correlation that speaks for itself, and by how much it is above all far ones
AGAINST = 2.2  # spreads by which half of a clip must rather have another lag
CLEAR_HALF = 3.0  # the same as CLEAR for both of a clip's halves, each of which would be chance more often
LEAST = 5 * FPS  # frames below which nothing can be told


class Lag(NamedTuple):
    """Where mouth and sound go together best.

    Attributes:
        frames: by which the picture comes after the sound; negative: before. correlation: there.
        clearness: height of the peak in spreads over far lags. clear: whether it is no chance.
        by: which curve of the sound, of `SOUND_CURVES`.
    """

    frames: float
    correlation: float
    clearness: float
    clear: bool
    by: str


class Curve(NamedTuple):
    """How well mouth and sound go together at each lag within reach, all (2 REACH + 1,).

    Attributes:
        lags: frames. values: correlations. heights: the same in spreads over far lags, where chance rules.
        far: the largest height over far lags.
    """

    lags: NDArray
    values: NDArray
    heights: NDArray
    far: float


def predicted_lips(samples: NDArray[np.float32], frames: int) -> NDArray:
    """The opening of the lips that the phonetic network reads from a voice, (frames,), in the middle of each frame."""
    from audioplane.audio.phonetic import TRACKS, extract

    track = extract(samples)[0].tracks[:, list(TRACKS).index("aperture")]
    moments = (np.arange(frames) + 0.5) * SAMPLE_RATE / STEP / FPS
    return np.interp(moments, np.arange(len(track)), track)


SOUND_CURVES = {"lips": predicted_lips, "loudness": loudness}
"""What is taken from a sound: (samples, frames) -> (frames,)."""


def find(opening: NDArray, samples: NDArray[np.float32]) -> Lag | None:
    """The lag between a mouth and a sound.

    Args:
        opening: (T,) of the mouth at 25 frames a second, any unit; NaN where unknown. samples: (n,) at 16 kHz.

    Returns:
        the best lag, which counts only where it is `clear`; None where there is too little to compare.
    """
    if not np.abs(samples).max(initial=0.0) > 0:
        return None
    curves = {name: compare(opening, curve(samples, len(opening))) for name, curve in SOUND_CURVES.items()}
    found = [_peak(curve, name) for name, curve in curves.items() if curve is not None]
    return max(found, key=lambda lag: (lag.clear, lag.clearness), default=None)


def compare(opening: NDArray, sound_curve: NDArray) -> Curve | None:
    """A mouth (T,), NaN where unknown, against a curve of the sound (T,); None: too little, or one is still."""
    known, frames = np.isfinite(opening), np.arange(len(opening))
    if known.sum() < LEAST:
        return None
    mouth, sound = without_trend(np.interp(frames, frames[known], opening[known])), without_trend(sound_curve)
    if mouth.std() < 1e-9 or sound.std() < 1e-9:
        return None
    count, most = len(mouth), int(len(mouth) * (1 - OVERLAP))
    mouth, sound = mouth - mouth.mean(), sound - sound.mean()
    spectrum = np.fft.rfft(mouth, 2 * count) * np.conj(np.fft.rfft(sound, 2 * count))
    lags = np.arange(-most, most + 1)
    share = 1 - np.abs(lags) / count  # that overlaps
    values = np.fft.irfft(spectrum, 2 * count)[lags] / np.sqrt((mouth**2).sum() * (sound**2).sum()) / share
    heights = values * np.sqrt(share)  # chance comes higher where less overlaps
    near, far = np.abs(lags) <= REACH, np.abs(lags) > FAR
    heights = heights / max(float(np.sqrt((heights[far] ** 2).mean())), 1e-9)
    return Curve(lags[near], values[near], heights[near], float(heights[far].max()))


def without_trend(series: NDArray) -> NDArray:
    """(T,) less its mean over about half a second around each value."""
    window = np.hanning(TREND + 2)[1:-1]
    padded = np.pad(series, TREND // 2, mode="edge")
    return series - np.convolve(padded, window / window.sum(), "valid")


def _peak(curve: Curve, name: str) -> Lag:
    best = int(curve.heights.argmax())
    height, value, lag = float(curve.heights[best]), float(curve.values[best]), int(curve.lags[best])
    if abs(lag) == REACH:  # it may go on rising beyond
        return Lag(lag, value, height, False, name)
    left, middle, right = curve.values[best - 1 : best + 2]
    bend = left - 2 * middle + right
    between = 0.5 * (left - right) / bend if bend < 0 else 0.0  # the peak between the frames, by a parabola
    obvious = value > OBVIOUS and height > BEYOND * curve.far
    return Lag(lag + float(np.clip(between, -0.5, 0.5)), value, height, height > CLEAR or bool(obvious), name)


def is_steady(lag: Lag, opening: NDArray, samples: NDArray[np.float32], most: float) -> bool:
    """Whether a lag is that of the whole clip.

    It is not where a half would rather have another one, `most` frames from it or more, or, if the clip as a whole has
    no clear lag, where both halves tell one and these differ so much.
    """
    middle, sound_curve = len(opening) // 2, SOUND_CURVES[lag.by](samples, len(opening))
    parts = (slice(0, middle), slice(middle, len(opening)))
    curves = [curve for half in parts if (curve := compare(opening[half], sound_curve[half])) is not None]
    peaks = [_peak(curve, lag.by) for curve in curves]
    if not lag.clear:
        clear = [peak.frames for peak in peaks if peak.clearness > CLEAR_HALF]
        return len(clear) < 2 or abs(clear[0] - clear[1]) < most
    at = round(lag.frames) + REACH
    return not any(
        abs(peak.frames - lag.frames) >= most and peak.clearness - curve.heights[at] > AGAINST
        for peak, curve in zip(peaks, curves, strict=True)
    )
