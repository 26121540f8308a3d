"""How late the sound is: found up to a second, told from foreign voices, and unknown rather than wrong."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from audioplane.preprocess import lag
from audioplane.synthetic.performance import perform
from audioplane.synthetic.specs import SPEAKERS
from audioplane.synthetic.voice import load_voice

SIZE = 640  # samples of a frame


@cache
def take(name: str) -> tuple[np.ndarray, np.ndarray]:
    """A speaker's opening as an unsure eye sees it, and the voice."""
    own = perform(SPEAKERS[name], 60.0)
    noise = np.random.default_rng(0).normal(0, 0.5 * own.opening.std(), len(own.opening))
    return own.opening + noise, own.audio.astype(np.float32)


def window(name: str, start: int, count: int, later: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """`count` frames of a take, its sound so many seconds later."""
    opening, audio = take(name)
    moved = np.roll(audio, round(later * 16_000))
    return opening[start : start + count], moved[start * SIZE : (start + count) * SIZE]


@pytest.mark.parametrize("seconds", [-1.0, -0.6, -0.4, 0.4, 0.6, 0.8, 1.0])
@pytest.mark.parametrize("name", ["elise", "adam"])
def test_sound_that_is_off_by_up_to_a_second_is_found(name: str, seconds: float) -> None:
    opening, audio = window(name, 200, 350, seconds)
    found = lag.find(opening, audio)
    assert found is not None
    assert found.clear
    assert found.frames == pytest.approx(-25 * seconds, abs=1)
    assert lag.is_steady(found, opening, audio, 1.5)


def test_what_lies_beyond_reach_is_not_taken_for_something_near() -> None:
    for seconds in (-2.0, -1.3, 1.3, 1.6, 3.0):
        found = lag.find(*window("elise", 300, 400, seconds))
        assert found is not None
        assert not found.clear, seconds


def test_foreign_voices_are_told_from_ones_own() -> None:
    rng, own, foreign = np.random.default_rng(1), [], []
    for name in ("elise", "adam", "frida"):
        for count in (350, 425, 500):
            for start in range(0, 1500 - count, 250):
                found = lag.find(*window(name, start, count))
                own.append(found is not None and found.clear and abs(found.frames) < 1.5)
                voice = load_voice(str(rng.choice(["english_b", "chinese_m", "french_m", "german_drive"]))).audio
                at = int(rng.integers(0, len(voice) // SIZE - count)) * SIZE
                other = lag.find(take(name)[0][start : start + count], voice[at : at + count * SIZE])
                foreign.append(other is not None and other.clear)
    assert np.mean(own) > 0.95
    assert np.mean(foreign) <= 0.05


def test_noise_is_nobodys_voice() -> None:
    rng = np.random.default_rng(2)
    for start in range(0, 1200, 200):
        shape = np.fft.rfft(rng.standard_normal(200 * SIZE))
        pink = np.fft.irfft(shape / np.sqrt(np.maximum(np.arange(len(shape)), 1)))
        found = lag.find(take("elise")[0][start : start + 200], (0.3 * pink / np.abs(pink).max()).astype(np.float32))
        assert found is not None
        assert not found.clear


def test_a_lag_that_changes_is_not_steady() -> None:
    opening, audio = window("elise", 0, 700)
    audio = np.concatenate([audio[: 350 * SIZE], np.roll(audio, 8 * SIZE)[350 * SIZE :]])
    found = lag.find(opening, audio)
    assert found is not None
    assert not lag.is_steady(found, opening, audio, 1.5)


def test_nothing_to_tell() -> None:
    voice = take("adam")[1]
    assert lag.find(np.ones(300), voice[: 300 * SIZE]) is None
    assert lag.find(take("adam")[0][:100], voice[: 100 * SIZE]) is None
    assert lag.find(take("adam")[0][:300], np.zeros(300 * SIZE, np.float32)) is None
    holes = take("adam")[0][:400].copy()
    holes[50:90] = np.nan
    found = lag.find(holes, voice[: 400 * SIZE])
    assert found is not None
    assert abs(found.frames) < 1
