from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from audioplane.evaluation.audio_probe import reference_performance
from audioplane.metrics.mouth import correlation
from audioplane.preprocess import slips
from audioplane.preprocess.piece import Piece
from audioplane.preprocess.settings import Settings
from audioplane.preprocess.slips import Slip

SIZE = 640  # samples of a frame


@pytest.fixture(scope="module")
def film() -> tuple[np.ndarray, np.ndarray]:
    """An embedded speaker's opening, seen by an unsure eye, and voice: 40 s."""
    truth = reference_performance("adam", 40.0)
    noise = np.random.default_rng(0).normal(0, 0.2 * truth.opening.std(), len(truth.opening))
    return truth.opening + noise, truth.audio.astype(np.float32)


def later(audio: np.ndarray, frame: int, frames: float) -> np.ndarray:
    """From `frame` on the sound comes so many frames earlier: the picture comes later."""
    at = np.arange(len(audio))
    return audio[np.clip(at + np.where(at < frame * SIZE, 0, round(frames * SIZE)), 0, len(audio) - 1)]


def test_what_keeps_step_is_left_alone(film) -> None:
    assert slips.find(*film) == ()


@pytest.mark.parametrize("frames", [1.0, -1.5])
def test_a_slip_is_found_where_it_is(film, frames: float) -> None:
    opening, audio = film
    [found] = slips.find(opening, later(audio, 520, frames))
    assert found.frames == pytest.approx(frames, abs=0.2)
    assert abs(found.frame - 520) < 75


def test_faces_that_are_lost_now_and_then_do_no_harm(film) -> None:
    opening, audio = film[0].copy(), later(film[1], 520, 1.0)
    opening[100:130] = opening[700:760] = np.nan
    assert len(slips.find(opening, audio)) == 1


def test_nothing_to_tell() -> None:
    assert slips.find(np.ones(1000), np.zeros(640_000, np.float32)) == ()
    assert slips.find(np.full(1000, np.nan), np.ones(640_000, np.float32)) == ()
    assert slips.find(np.random.default_rng(0).normal(size=100), np.ones(64_000, np.float32)) == ()


def test_chance_makes_no_step_and_true_ones_are_found() -> None:
    noise = np.random.default_rng(1).normal(0, 0.2, (200, 18))
    assert sum(bool(slips.jumps(row)) for row in noise) <= 4
    found = []
    for row in noise:
        row = row + np.repeat([0.0, 1.0, -0.5], 6)
        row[[3, 9]] = np.nan
        found.append(slips.jumps(row))
    right = [len(edges) == 2 and abs(edges[0] - 6) <= 1 and abs(edges[1] - 12) <= 1 for edges in found]
    assert sum(right) > 150


def test_the_sound_is_moved_by_what_was_found_and_by_nothing_on_the_whole() -> None:
    course = slips.shifts([Slip(400, 1.0), Slip(800, -0.5)], 1000)
    assert [frame for frame, _ in course] == [0, 400, 800]
    later = [by for _, by in course]
    assert np.diff(later) == pytest.approx([1.0, -0.5])
    assert 0.4 * later[0] + 0.4 * later[1] + 0.2 * later[2] == pytest.approx(0.0)
    assert slips.shifts([], 1000) == [(0, 0.0)]


def test_cuts_are_made_where_it_is_quiet() -> None:
    audio = np.random.default_rng(0).normal(0, 0.1, 100 * SIZE).astype(np.float32)
    audio[57 * SIZE : 59 * SIZE] = 0.0
    assert slips.quietest(audio, 50) == 58
    assert 0 < slips.quietest(audio, 2) < 20


def test_a_mended_clip_is_in_step(film) -> None:
    opening, audio = film
    slipped = later(audio, 520, 1.0)

    def sound(start: float, seconds: float, track: int) -> Any:
        assert track == 1
        first = round(start * 16_000)
        at = np.arange(first, first + round(seconds * 16_000))
        return SimpleNamespace(samples=np.where((at >= 0) & (at < len(slipped)), slipped[at % len(slipped)], 0.0))

    whole: Any = SimpleNamespace(source=SimpleNamespace(sound=sound), settings=Settings())
    piece = Piece(whole, None, 0, len(opening), (0, 0, 1, 1))  # type: ignore[arg-type]
    course = slips.shifts(slips.find(opening, slipped), len(opening))
    mended = piece._moved(course, course[0][1] * -1 / 25, track=1)  # all of it back to where its first part was
    assert mended.shape == audio.shape
    for part in (slice(0, 440 * SIZE), slice(600 * SIZE, 980 * SIZE)):
        agreed = {
            lag: correlation(np.roll(mended, lag)[part].astype(np.float64), audio[part].astype(np.float64))
            for lag in range(-400, 401)
        }
        assert abs(max(agreed, key=lambda lag: agreed[lag])) < 0.25 * SIZE
    assert slips.find(opening, mended.astype(np.float32)) == ()
