"""Eyes that go with a voice: blinks as people's, in pauses, within the person's range, at any frame rate."""

from __future__ import annotations

import numpy as np
import pytest

from audioplane.methods.types import UPPER_FACE
from audioplane.metrics.eyes import blink_statistics
from audioplane.motion.natural import natural_expression
from audioplane.motion.own_range import OwnRange
from audioplane.motion.timing import find_pauses, speech_timing, timing_of_sound
from audioplane.subject.blendshapes import columns
from tests.motion.test_own_range import capture

RATE, SECONDS = 16_000, 120


@pytest.fixture(scope="module")
def own() -> OwnRange:
    return OwnRange.fit(columns(capture(), UPPER_FACE), UPPER_FACE)


@pytest.fixture(scope="module")
def voice() -> np.ndarray:
    """Phrases of two seconds, pauses of half a second."""
    times = np.arange(SECONDS * RATE) / RATE
    noise = np.random.default_rng(0).standard_normal(len(times))
    return (0.2 * noise * (times % 2.5 < 2.0) * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * times))).astype(np.float32)


@pytest.mark.parametrize("fps", [24.0, 25.0, 30.0, 50.0, 59.94])
def test_blinks_are_as_often_as_long_and_as_deep_as_peoples(own: OwnRange, voice: np.ndarray, fps: float) -> None:
    rates, seconds, depths = [], [], []
    for seed in range(4):
        weights = natural_expression(own, voice, round(SECONDS * fps), fps, seed)
        found = blink_statistics(own.closure(weights), fps)
        rates.append(found.rate)
        seconds.append(found.duration)
        depths.append(found.closure)
    assert 10.5 < np.mean(rates) < 32.5
    assert 0.08 < np.mean(seconds) < 0.25
    assert np.mean(depths) > 0.9, "frames show closed eyes"


def test_the_same_seed_gives_the_same_eyes_at_every_rate(own: OwnRange, voice: np.ndarray) -> None:
    slow, fast = (natural_expression(own, voice, round(SECONDS * fps), fps, 3) for fps in (25.0, 75.0))
    assert np.array_equal(slow, natural_expression(own, voice, SECONDS * 25, 25.0, 3))
    np.testing.assert_allclose(fast[1::3], slow, atol=1e-9)  # (3 t + 1.5) / 75 is (t + 0.5) / 25
    assert not np.array_equal(slow, natural_expression(own, voice, SECONDS * 25, 25.0, 4))


def test_eyes_live_in_silence_too(own: OwnRange) -> None:
    weights = natural_expression(own, np.zeros(60 * RATE, np.float32), 1500, 25.0)
    assert blink_statistics(own.closure(weights), 25.0).count > 8
    look = weights[:, UPPER_FACE.index("eyeLookOutLeft")]
    assert len(np.unique(np.round(look, 2))) > 5
    still = (np.abs(np.diff(weights, axis=0)).max(axis=1) < 1e-6).astype(int)
    longest = max(map(len, "".join(map(str, still)).split("0")))
    assert longest < 5 * 25, "never a frozen stare"


def test_blinks_like_pauses(own: OwnRange, voice: np.ndarray) -> None:
    """The share of closing lids within .3 s of a pause's start, against that of times at random."""
    times, near = [], []
    for seed in range(6):
        lids = own.closure(natural_expression(own, voice, SECONDS * 25, 25.0, seed))
        starts = np.flatnonzero((lids[1:] > 0.3) & (lids[:-1] <= 0.3)) / 25
        times += list(starts)
        near += list(np.abs((starts - 2.0 + 1.25) % 2.5 - 1.25) < 0.3)
    assert np.mean(near) > 1.4 * 0.6 / 2.5


def test_everything_stays_in_the_range_of_the_person(own: OwnRange, voice: np.ndarray) -> None:
    weights = natural_expression(own, voice, 3000, 25.0)
    assert (weights >= own.low).all()
    assert (weights <= own.high).all()


def test_eyes_make_good_for_a_turned_head(own: OwnRange, voice: np.ndarray) -> None:
    turned = np.tile([6.0, 0.0], (1500, 1))  # to the image right: the eyes go left, which this person never shows
    straight, away = (natural_expression(own, voice, 1500, 25.0, head=head) for head in (-turned, turned))
    look = UPPER_FACE.index("eyeLookOutLeft")
    assert straight[:, look].mean() > away[:, look].mean() + 0.05


def test_pauses_of_the_sound_are_those_of_the_phonemes() -> None:
    from audioplane.synthetic.articulation import articulate
    from audioplane.synthetic.voice import load_voice

    spoken = load_voice("english_drive")
    audio, seconds = spoken.audio[: 20 * RATE], 20.0
    phonemes = [p for p in spoken.phonemes if p.end < seconds]
    loudness = articulate(phonemes, audio, RATE, seconds, shortest_hold=0.04).loudness
    true, found = speech_timing(phonemes, loudness, seconds), timing_of_sound(audio, seconds)
    times = np.arange(0, seconds, 0.01)
    inside = lambda timing: np.any([(times >= a) & (times < b) for a, b in timing.phrases], axis=0)  # noqa: E731
    assert (inside(true) == inside(found)).mean() > 0.9
    assert 0.5 < len(found.accents) / seconds < 2.0
    assert find_pauses(phonemes, seconds)
