"""What the motion processes share: phrases, pauses and accents of speech, smooth noise, and smooth steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from audioplane.runtime import large_arrays
from audioplane.subject.phonemes import VOWELS, Phoneme

TRACK_RATE = 200  # Hz of the tracks, before they are sampled at video frames
PIECE = 24_000  # samples of a track that are computed from sound at once: two minutes
PAUSE = 0.16  # seconds; a shorter gap does not close the mouth


@dataclass(frozen=True)
class Accent:
    """An emphasised syllable: the middle of its vowel in seconds, and its strength in 0..1."""

    time: float
    strength: float


@dataclass(frozen=True)
class Timing:
    """The timing of an utterance, which motion of head, eyes and brows follows.

    Attributes:
        seconds: length.
        pauses: (start, end) of silences of 0.16 s and more.
        phrases: (start, end) of speech between pauses of 0.28 s and more.
        accents: in order of time.
    """

    seconds: float
    pauses: tuple[tuple[float, float], ...]
    phrases: tuple[tuple[float, float], ...]
    accents: tuple[Accent, ...]

    @property
    def count(self) -> int:
        """Samples of a track at `TRACK_RATE`."""
        return round(self.seconds * TRACK_RATE) + 1

    @property
    def times(self) -> np.ndarray:
        return np.arange(self.count) / TRACK_RATE

    def stretch(self, start: float, end: float) -> tuple[slice, np.ndarray]:
        """Which samples of a track lie between two moments in seconds, with one more on either side; their times."""
        first = min(max(int(np.floor(start * TRACK_RATE)), 0), self.count)
        last = min(max(int(np.ceil(end * TRACK_RATE)) + 1, first), self.count)
        return slice(first, last), np.arange(first, last) / TRACK_RATE

    def speaking(self, blur: float = 0.25) -> np.ndarray:
        """1 within phrases, 0 in long pauses, blurred by `blur` seconds; at `TRACK_RATE`."""
        track = np.zeros(self.count)
        for start, end in self.phrases:
            track[int(start * TRACK_RATE) : int(end * TRACK_RATE) + 1] = 1.0
        return gaussian_filter1d(track, blur * TRACK_RATE, mode="nearest")


def speech_timing(phonemes: Sequence[Phoneme], loudness: np.ndarray, seconds: float) -> Timing:
    """Finds the pauses, phrases and accents of an utterance.

    An accent is the loudest, longest stressed vowel within about 0.8 s: pitch accents of read speech come about once a
    second, on a third of the stressed syllables.
    """
    pauses = find_pauses(phonemes, seconds)
    vowels = [p for p in phonemes if p.stress == 2 and any(letter in VOWELS for letter in p.ipa)]
    at = [min(len(loudness) - 1, round(0.5 * (p.start + p.end) * TRACK_RATE)) for p in vowels]
    weight = np.array([loudness[i] * np.sqrt(p.duration / 0.1) for i, p in zip(at, vowels, strict=True)])
    middles = np.array([0.5 * (p.start + p.end) for p in vowels])
    accents = []
    top = float(np.percentile(weight, 95)) if len(weight) else 1.0
    for i, middle in enumerate(middles):
        if weight[i] >= weight[np.abs(middles - middle) < 0.45].max():
            accents.append(Accent(float(middle), float(np.clip(weight[i] / max(top, 1e-6), 0, 1))))
    return Timing(seconds, tuple(pauses), _phrases(pauses, seconds), tuple(accents))


def timing_of_sound(audio: np.ndarray, seconds: float, rate: int = 16_000) -> Timing:
    """The timing of an utterance of which only the sound is known.

    It pauses where the sound is 26 dB below its loud parts, and accents its loudest places, about one a second.

    Args:
        audio: (n,) mono. seconds: length of the timing. rate: samples a second.
    """
    audio = audio[: round(seconds * rate)]
    loudness = _loudness(audio, round(seconds * TRACK_RATE) + 1, rate)
    top = float(np.percentile(loudness, 95)) if len(audio) else 0.0
    voiced = loudness > max(0.05 * top, 1e-4)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], voiced, [False]]).astype(np.int8))) / TRACK_RATE
    edges = np.minimum(edges, seconds)  # the last sample lies at the end, and a voice that goes on ends after it
    starts, ends = edges[::2], edges[1::2]
    # Silence at both ends goes beyond them, as in `find_pauses`.
    gaps = zip([-1.0, *ends], [*starts, seconds + 1.0], strict=True)
    pauses = [(float(a), float(b)) for a, b in gaps if b - a >= PAUSE]
    accents = []
    for i in np.flatnonzero((loudness[1:-1] >= loudness[:-2]) & (loudness[1:-1] > loudness[2:]) & voiced[1:-1]) + 1:
        reach = round(0.45 * TRACK_RATE)
        if loudness[i] >= loudness[max(i - reach, 0) : i + reach + 1].max():
            accents.append(Accent(i / TRACK_RATE, float(np.clip(loudness[i] / max(top, 1e-6), 0, 1))))
    return Timing(seconds, tuple(pauses), _phrases(pauses, seconds), tuple(accents))


def _loudness(audio: np.ndarray, count: int, rate: int) -> np.ndarray:
    """Root mean square of a sound at `TRACK_RATE`, over about 0.05 s: (count,); silence beyond its end."""
    step, power = rate // TRACK_RATE, np.zeros(count)
    for first in range(0, count, PIECE):  # hours of squares would be large
        steps = min(PIECE, count - first)
        given = np.asarray(audio[first * step : (first + steps) * step], np.float64)
        squares = np.zeros(steps * step)
        squares[: len(given)] = np.square(given)
        large_arrays.release()
        power[first : first + steps] = squares.reshape(steps, step).mean(axis=1)
    return np.sqrt(np.maximum(gaussian_filter1d(power, 0.025 * TRACK_RATE, mode="constant"), 0))


def _phrases(pauses: Sequence[tuple[float, float]], seconds: float) -> tuple[tuple[float, float], ...]:
    """Speech between pauses of 0.28 s and more."""
    long = [(max(a, 0.0), min(b, seconds)) for a, b in pauses if b - a >= 0.28]
    borders = [0.0, *(edge for pause in long for edge in pause), seconds]
    return tuple((a, b) for a, b in zip(borders[::2], borders[1::2], strict=True) if b - a > 0.05)


def find_pauses(phonemes: Sequence[Phoneme], seconds: float) -> list[tuple[float, float]]:
    """Silences long enough to close the mouth, as (start, end) seconds; silence at both ends counts."""
    starts = [0.0 if not phonemes else -1.0, *(p.end for p in phonemes)]
    ends = [*(p.start for p in phonemes), seconds + 1.0]
    return [(a, b) for a, b in zip(starts, ends, strict=True) if b - a >= PAUSE]


def smooth_noise(count: int, time_scale: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise of standard deviation 1, low-passed: correlations fall off within about `time_scale` seconds.

    The spectrum is a Gaussian with standard deviation 1 / (2 pi time_scale) Hz.
    """
    sigma = time_scale * TRACK_RATE
    margin = int(4 * sigma) + 1
    white = rng.standard_normal(count + 2 * margin)
    scale = np.sqrt(2 * np.sqrt(np.pi) * sigma)  # restores unit variance after the filter
    return gaussian_filter1d(white, sigma, truncate=4.0)[margin:-margin] * scale


def sample(track: np.ndarray, times: np.ndarray) -> np.ndarray:
    """A track (n,) or (n, k) at `TRACK_RATE`, linearly interpolated at `times` in seconds."""
    place = np.clip(times * TRACK_RATE, 0, len(track) - 1)
    low = np.minimum(place.astype(int), len(track) - 2)
    share = place - low
    if track.ndim == 2:
        share = share[:, None]
    return track[low] * (1 - share) + track[low + 1] * share


def bump(times: np.ndarray, start: float, rise: float, hold: float, fall: float) -> np.ndarray:
    """0, a minimum-jerk rise to 1, a hold, a minimum-jerk fall to 0."""
    return ease((times - start) / rise) * (1 - ease((times - start - rise - hold) / fall))


def ease(u: np.ndarray) -> np.ndarray:
    """Minimum-jerk step from 0 to 1 over 0 <= u <= 1 (Flash & Hogan 1985)."""
    u = np.clip(u, 0.0, 1.0)
    return u * u * u * (10 - 15 * u + 6 * u * u)
