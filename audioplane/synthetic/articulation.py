"""Phonemes → mouth movements: targets of single sounds, blended with those of their neighbours (coarticulation).

Each sound asks for a jaw height, an inner-lip distance, a spread and two kinds of rounding, and says how much it minds
not getting them. Neighbours blend by dominance functions (Cohen & Massaro 1993, "Modeling coarticulation in synthetic
visual speech", after Löfqvist 1990): a weighted mean of all targets, whose weights fall off exponentially with the time
from the sound. What must be exact is not left to a mean: closed lips on p, b, m, the lower lip at the upper teeth on f,
v, the tongue between the teeth on θ, ð and closed lips in pauses are windows laid over it.

Millimetres are those of a mean adult face. They follow measured speech: jaw lowering of about 10 mm and inner-lip
distances of 8 to 20 mm at open vowels, 2 to 5 mm at close ones (Fromkin 1964; Abry & Boë 1986; Perkell & Nelson 1985),
lips closing some 60 ms before the acoustic closure, and opening 60 to 120 ms before speech.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from audioplane.motion.timing import TRACK_RATE, find_pauses
from audioplane.subject.phonemes import BILABIALS, LABIODENTALS, LENGTH, VOWELS, Phoneme, Sound, sounds
from audioplane.synthetic.articulation_targets import TARGETS, TONGUE_BACK, TONGUE_UP, target

_SPAN = 0.35  # seconds beyond which a sound has no say
# Seconds by which a sound's say falls to 1/e: before it (anticipation), after it (carry-over).
_REACH = {
    "jaw": (0.050, 0.048),
    "aperture": (0.042, 0.040),
    "spread": (0.075, 0.060),
    "pucker": (0.085, 0.060),
    "funnel": (0.080, 0.060),
}
_LEAD = 0.025  # seconds by which lips and jaw run ahead of the sound they make


@dataclass(frozen=True)
class Articulation:
    """Tracks of the mouth at `rate` Hz; sample i is at i / rate seconds.

    Attributes:
        jaw: lowering of the lower teeth, mm, >= 0.
        aperture: inner-lip distance at the midline, mm, >= 0; 0 where `closure` is 1.
        spread: widening of the mouth by its corners, mm, >= 0.
        pucker, funnel: rounding with narrow lips (u, w), with flared lips (ʃ, ɔ); 0..1.
        closure: lips pressed together (p, b, m, pauses); 0..1.
        press: the part of the closure that is pressed (p, b, m only); 0..1.
        labiodental: lower lip against the upper teeth; 0..1.
        tongue_up, tongue_between, tongue_back: tip at the upper teeth ridge; tip between the teeth; back raised; 0..1.
        loudness: energy of the voice relative to this speaker's median vowel, smoothed; 1 = usual.
    """

    rate: int
    jaw: np.ndarray
    aperture: np.ndarray
    spread: np.ndarray
    pucker: np.ndarray
    funnel: np.ndarray
    closure: np.ndarray
    press: np.ndarray
    labiodental: np.ndarray
    tongue_up: np.ndarray
    tongue_between: np.ndarray
    tongue_back: np.ndarray
    loudness: np.ndarray


def articulate(
    phonemes: Sequence[Phoneme], audio: np.ndarray, sample_rate: int, seconds: float, shortest_hold: float = 0.042
) -> Articulation:
    """Moves the mouth as the phonemes demand.

    Args:
        phonemes: in order of time.
        audio: the same speech, float in [-1, 1]; its energy scales how far vowels open.
        sample_rate: of `audio`, Hz.
        seconds: length of the tracks.
        shortest_hold: seconds for which every closure is complete at least; at 25 frames/s more than 0.04 puts a frame
            into each.
    """
    count = round(seconds * TRACK_RATE) + 1
    loudness = _loudness(phonemes, audio, sample_rate, count)
    parts = [sound for phoneme in phonemes for sound in sounds(phoneme)]
    pauses = find_pauses(phonemes, seconds)
    blended = _blend(parts, pauses, loudness, count)
    window = _Windows(count, shortest_hold)
    press = window.over((_hold(s) for s in parts if s.letter in BILABIALS), 0.055, 0.050)
    shut = window.over(_shut(pauses, phonemes), 0.100, 0.070)
    labiodental = window.over(
        ((s.start + 0.15 * _length(s), s.end - 0.15 * _length(s)) for s in parts if s.letter in LABIODENTALS),
        0.060,
        0.050,
    )
    between = window.over(((s.start, s.end) for s in parts if s.letter in "θð"), 0.050, 0.040)
    labiodental = labiodental * (1 - press)
    closure = np.maximum(press, shut)
    aperture = blended["aperture"] * (1 - closure)
    aperture += (2.0 - aperture) * labiodental * (1 - closure)
    aperture = np.where(between > 0, np.maximum(aperture, 4.0 * between * (1 - closure)), aperture)
    jaw = blended["jaw"]
    jaw = jaw + (np.clip(jaw, 1.8, 3.2) - jaw) * labiodental
    jaw = jaw * (1 - 0.35 * press)
    return Articulation(
        rate=TRACK_RATE,
        jaw=jaw,
        aperture=aperture,
        spread=blended["spread"],
        pucker=blended["pucker"] * (1 - 0.8 * labiodental),
        funnel=blended["funnel"] * (1 - closure) * (1 - 0.8 * labiodental),
        closure=closure,
        press=press,
        labiodental=labiodental,
        tongue_up=_tongue(parts, TONGUE_UP, window),
        tongue_between=between * (1 - closure),
        tongue_back=_tongue(parts, TONGUE_BACK, window),
        loudness=loudness,
    )


def _length(sound: Sound) -> float:
    return sound.end - sound.start


def _hold(sound: Sound) -> tuple[float, float]:
    """When the lips are shut: until the burst for stops, all through for m."""
    release = sound.phoneme.release
    if sound.letter == "m" or release is None or not sound.start <= release <= sound.end + 1e-6:
        return sound.start + 0.006, sound.end - 0.006
    if release - sound.start < 0.02:  # no silence was found, as in "sp": the closure takes from both neighbours
        return release - 0.030, release + 0.017
    return sound.start + 0.006, release


def _shut(pauses: list[tuple[float, float]], phonemes: Sequence[Phoneme]) -> list[tuple[float, float]]:
    """When the lips rest closed in pauses: a little after the voice has stopped, until 0.1 s before it starts again.

    They stay closed where the next sound closes them anyway.
    """
    lips_first = {p.start for p in phonemes if p.ipa[0] in BILABIALS}
    return [(a + 0.12, b + 0.02 if b in lips_first else b - 0.11) for a, b in pauses if b - a > 0.25]


def _loudness(phonemes: Sequence[Phoneme], audio: np.ndarray, sample_rate: int, count: int) -> np.ndarray:
    """Root mean square over about 80 ms, divided by that of the median vowel; (count,) at `TRACK_RATE`."""
    hop = sample_rate / TRACK_RATE
    edges = np.clip(np.round((np.arange(count + 1) - 0.5) * hop).astype(int), 0, len(audio))
    energy = np.concatenate([[0.0], np.cumsum(audio.astype(np.float64) ** 2)])
    power = (energy[edges[1:]] - energy[edges[:-1]]) / hop
    level = np.sqrt(np.maximum(gaussian_filter1d(power, 0.025 * TRACK_RATE), 0))
    at = [
        min(count - 1, round(0.5 * (p.start + p.end) * TRACK_RATE))
        for p in phonemes
        if any(mark in VOWELS for mark in p.ipa)
    ]
    usual = float(np.median(level[at])) if at else 0.0
    return level / usual if usual > 0 else np.ones(count)


def _vowel_gain(sound: Sound, loudness: np.ndarray) -> float:
    """Loud, stressed and long vowels open wider: about a quarter more, or less, in all."""
    at = min(len(loudness) - 1, round(sound.middle * TRACK_RATE))
    loud = np.clip(loudness[at], 0.2, 4.0) ** 0.30
    stress = (0.88, 1.0, 1.08)[sound.phoneme.stress]
    long = np.clip((_length(sound) / 0.085) ** 0.15, 0.85, 1.12) * (1.03 if LENGTH in sound.modifiers else 1.0)
    return float(np.clip(loud * stress * long, 0.65, 1.35))


def _blend(
    parts: list[Sound], pauses: list[tuple[float, float]], loudness: np.ndarray, count: int
) -> dict[str, np.ndarray]:
    """The dominance-weighted mean of all targets, for each of `TARGETS`."""
    weighted = np.zeros((len(TARGETS), count))
    total = np.full((len(TARGETS), count), 1e-6)
    for sound in parts:
        wish, minds = target(sound)
        if sound.is_vowel:
            wish = wish * np.array([gain := _vowel_gain(sound, loudness), gain, 1.0, 1.0, 1.0])
        half = 0.5 * _length(sound)
        _add(weighted, total, sound.middle - _LEAD, 0.6 * half, wish, minds)
    for start, end in pauses:
        a, b = start + 0.07, end - 0.11
        rest = np.array([0.6, 0.0, 0.0, 0.0, 0.0])
        _add(weighted, total, 0.5 * (a + b), max(0.5 * (b - a), 0.0), rest, np.ones(5))
    means = zip(TARGETS, weighted / total, strict=True)
    # The jaw is heavier than the lips: even at open vowels it stays below about 0.2 m/s (Perkell & Nelson 1985).
    return {name: gaussian_filter1d(mean, (0.026 if name == "jaw" else 0.014) * TRACK_RATE) for name, mean in means}


def _add(weighted, total, middle: float, core: float, wish: np.ndarray, minds: np.ndarray) -> None:
    """Adds one sound's dominance: full within `core` seconds of its middle, exponential beyond."""
    count = weighted.shape[1]
    first = max(0, int((middle - core - _SPAN) * TRACK_RATE))
    last = min(count, int((middle + core + _SPAN) * TRACK_RATE) + 2)
    if last <= first:
        return
    away = np.arange(first, last) / TRACK_RATE - middle
    for row, name in enumerate(TARGETS):
        before, after = _REACH[name]
        distance = np.maximum(np.abs(away) - core, 0)
        say = minds[row] * np.exp(-distance / np.where(away < 0, before, after))
        weighted[row, first:last] += say * wish[row]
        total[row, first:last] += say


class _Windows:
    """Smooth windows that are exactly 1 for as long as something must hold."""

    def __init__(self, count: int, shortest_hold: float) -> None:
        self.times = np.arange(count) / TRACK_RATE
        self.shortest = shortest_hold + 1.0 / TRACK_RATE

    def over(self, spans, rise: float, fall: float, height: float = 1.0) -> np.ndarray:
        """The upper envelope of one window a span: raised-cosine flanks of `rise` and `fall` seconds outside it."""
        track = np.zeros(len(self.times))
        for start, end in spans:
            lack = max(0.0, self.shortest - (end - start))
            start, end = start - 0.5 * lack, end + 0.5 * lack
            first, last = np.searchsorted(self.times, [start - rise, end + fall])
            time = self.times[first:last]
            into = np.clip(np.minimum((time - start + rise) / rise, (end + fall - time) / fall), 0, 1)
            np.maximum(track[first:last], height * (0.5 - 0.5 * np.cos(np.pi * into)), out=track[first:last])
        return track


def _tongue(parts: list[Sound], heights: dict[str, float], window: _Windows) -> np.ndarray:
    track = np.zeros(len(window.times))
    for height in sorted(set(heights.values())):
        spans = ((s.start, s.end - 0.3 * _length(s)) for s in parts if heights.get(s.letter) == height)
        track = np.maximum(track, window.over(spans, 0.050, 0.050, height))
    return gaussian_filter1d(track, 0.008 * TRACK_RATE)
