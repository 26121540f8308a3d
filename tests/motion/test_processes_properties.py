"""Blinks, gaze, brows, head and hair: seeded, smooth, within what faces do, whatever is said."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from audioplane.motion.blinks import SHORTEST_INTERVAL, blink_times, blinks
from audioplane.motion.body import NECK, body
from audioplane.motion.expression import expression
from audioplane.motion.gaze import LOOK_DEGREES, gaze, look_shapes
from audioplane.motion.swing import FURTHEST, swing
from audioplane.motion.timing import (
    PAUSE,
    TRACK_RATE,
    Timing,
    bump,
    ease,
    find_pauses,
    smooth_noise,
    speech_timing,
)
from audioplane.subject import blendshapes
from audioplane.subject.phonemes import Phoneme
from tests.strategies import arrays, few, fewer, in_any_layout, seeds


@st.composite
def utterances(draw: st.DrawFn) -> tuple[list[Phoneme], float]:
    """Phonemes in order with gaps between them, and the length of the clip in seconds."""
    clock, phonemes = draw(st.floats(0.0, 1.0)), []
    for _ in range(draw(st.integers(0, 12))):
        length = draw(st.floats(0.03, 0.3))
        ipa = draw(st.sampled_from(["a", "m", "t", "i"]))
        phonemes.append(Phoneme(ipa, clock, clock + length, 2 if ipa in "ai" else 0))
        clock += length + draw(st.sampled_from([0.0, 0.0, 0.1, 0.2, 0.5]))
    return phonemes, clock + draw(st.floats(0.5, 3.0))


def timing_of(utterance: tuple[list[Phoneme], float], seed: int = 0) -> Timing:
    phonemes, seconds = utterance
    return speech_timing(phonemes, np.random.default_rng(seed).random(round(seconds * TRACK_RATE) + 1), seconds)


# Timing


@few
@given(utterances())
def test_pauses_are_the_gaps_between_phonemes(utterance):
    phonemes, seconds = utterance
    for start, end in find_pauses(phonemes, seconds):
        assert end - start >= PAUSE
        assert not any(start < (p.start + p.end) / 2 < end for p in phonemes)
    silent = sum(max(0.0, min(b, seconds) - max(a, 0.0)) for a, b in find_pauses(phonemes, seconds))
    spoken = sum(p.end - p.start for p in phonemes)
    assert silent + spoken <= seconds + 1e-9


@few
@given(utterances(), seeds)
def test_phrases_and_accents_lie_within_the_clip(utterance, seed):
    timing = timing_of(utterance, seed)
    assert all(0 <= a < b <= timing.seconds for a, b in timing.phrases)
    assert all(x[1] <= y[0] for x, y in zip(timing.phrases[:-1], timing.phrases[1:], strict=True))
    for accent in timing.accents:
        assert 0 <= accent.strength <= 1
        assert any(p.start <= accent.time <= p.end and p.stress == 2 for p in utterance[0])
    times = [accent.time for accent in timing.accents]
    assert times == sorted(times)
    speaking = timing.speaking()
    assert speaking.shape == timing.times.shape == (timing.count,)
    assert 0 <= speaking.min() <= speaking.max() <= 1 + 1e-9


@few
@given(utterances(), st.floats(0.01, 100))
def test_accents_do_not_depend_on_the_recordings_level(utterance, gain):
    phonemes, seconds = utterance
    loud = np.random.default_rng(1).random(round(seconds * TRACK_RATE) + 1) + 0.01
    quiet = in_any_layout(lambda x: speech_timing(phonemes, x, seconds), loud)
    scaled = speech_timing(phonemes, gain * loud, seconds)
    assert [a.time for a in scaled.accents] == [a.time for a in quiet.accents]
    assert [a.strength for a in scaled.accents] == pytest.approx([a.strength for a in quiet.accents])


@few
@given(arrays(50, low=-1.0, high=2.0))
def test_ease_is_a_step_without_corners(u):
    got = in_any_layout(ease, u)
    assert (got[u <= 0] == 0).all()
    assert (got[u >= 1] == 1).all()
    order = np.argsort(u)
    assert (np.diff(got[order]) >= 0).all()
    np.testing.assert_allclose(ease(1 - u), 1 - got, atol=1e-12)  # the same forth and back
    step = 1e-4
    for end in (0.0, 1.0):  # neither speed nor acceleration at the ends
        around = ease(np.array([end - step, end, end + step]))
        assert abs(around[2] - around[0]) / (2 * step) < 1e-6
        assert abs(around[2] - 2 * around[1] + around[0]) / step**2 < 1e-2


@few
@given(st.floats(0, 2), st.floats(0.05, 1), st.floats(0, 1), st.floats(0.05, 1))
def test_a_bump_rises_holds_and_falls(start, rise, hold, fall):
    times = np.linspace(-1, 6, 701)
    got = bump(times, start, rise, hold, fall)
    end = start + rise + hold + fall
    np.testing.assert_allclose(got[(times <= start) | (times >= end)], 0.0, atol=1e-9)
    held = (times >= start + rise) & (times <= start + rise + hold)
    np.testing.assert_allclose(got[held], 1.0)
    assert -1e-9 <= got.min() <= got.max() <= 1 + 1e-9
    going_up = times <= start + rise
    assert (np.diff(got[going_up]) >= -1e-9).all()
    assert (np.diff(got[times >= start + rise + hold]) <= 1e-9).all()


@fewer
@given(seeds, st.sampled_from([0.05, 0.2, 0.5]))
def test_smooth_noise_has_unit_variance_and_its_time_scale(seed, scale):
    noise = smooth_noise(round(4000 * scale * TRACK_RATE), scale, np.random.default_rng(seed))
    assert noise.std() == pytest.approx(1.0, abs=0.2)
    lag = round(scale * TRACK_RATE)
    # A Gaussian of deviation s convolved with itself: correlation exp(-t^2 / 4 s^2), .78 after one time scale.
    near, far = (np.corrcoef(noise[: -k * lag], noise[k * lag :])[0, 1] for k in (1, 4))
    assert near == pytest.approx(np.exp(-1 / 4), abs=0.1)
    assert abs(far) < 0.35


# What is drawn from one generator


PROCESSES = {
    "blinks": lambda timing, rng: blinks(timing, rng),
    "gaze": lambda timing, rng: gaze(timing, np.zeros((timing.count, 2)), rng),
    "expression": lambda timing, rng: np.stack(list(expression(timing, rng).values()), axis=1),
    "head": lambda timing, rng: body(timing, rng).head,
    "torso": lambda timing, rng: body(timing, rng).torso,
}


@fewer
@given(utterances(), seeds, st.sampled_from(sorted(PROCESSES)))
def test_the_same_seed_moves_the_same(utterance, seed, name):
    timing, process = timing_of(utterance), PROCESSES[name]
    first, again = (process(timing, np.random.default_rng(seed)) for _ in range(2))
    assert len(first) == timing.count
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(first, again)
    if name in ("head", "torso", "gaze"):
        assert not np.array_equal(first, process(timing, np.random.default_rng(seed + 1)))


@few
@given(utterances(), seeds)
def test_blinks_keep_their_distance_and_close_the_eyes(utterance, seed):
    timing = timing_of(utterance)
    starts = np.array(blink_times(timing, np.random.default_rng(seed)))
    assert (np.diff(starts) > SHORTEST_INTERVAL).all()
    assert ((starts > 0) & (starts < timing.seconds + 1)).all()
    lids = blinks(timing, np.random.default_rng(seed))
    assert lids.shape == (timing.count, 2)
    assert 0 <= lids.min() <= lids.max() <= 1
    assert (lids[:, 1] <= lids[:, 0] + 1e-12).all()
    away = np.ones(timing.count, bool)
    for start in starts:
        away &= (timing.times < start) | (timing.times > start + 0.6)
    assert (lids[away] == 0).all(), "lids move in blinks alone"


def test_people_blink_about_every_three_seconds():
    timing = Timing(600.0, (), ((0.0, 600.0),), ())
    count = np.mean([len(blink_times(timing, np.random.default_rng(seed))) for seed in range(5)])
    assert 150 < count < 260
    lids = blinks(timing, np.random.default_rng(0))[:: TRACK_RATE // 25, 0]  # as a film of 25 frames a second sees it
    shut = (lids > 0.95).astype(int)
    assert (np.diff(shut) == 1).sum() > 0.8 * count


@few
@given(utterances(), seeds)
def test_eyes_make_good_for_the_head(utterance, seed):
    timing = timing_of(utterance)
    head = np.random.default_rng(seed).uniform(-5, 5, (timing.count, 2))
    still = gaze(timing, np.zeros_like(head), np.random.default_rng(seed))
    moved = in_any_layout(lambda x: gaze(timing, x, np.random.default_rng(seed)), head)
    inside = (np.abs(still) < 18) & (np.abs(moved) < 24)
    np.testing.assert_allclose((moved + head)[inside], still[inside], atol=1e-9)
    assert np.abs(moved).max() <= 24


@few
@given(arrays(12, 2, low=-24.0, high=24.0))
def test_look_shapes_can_be_read_back(degrees):
    found = look_shapes(degrees)
    assert set(found) <= set(blendshapes.NAMES)
    assert len(found) == 8
    assert all((weight >= 0).all() for weight in found.values())
    right = found["eyeLookOutLeft"] - found["eyeLookInLeft"]
    up = found["eyeLookUpLeft"] - found["eyeLookDownLeft"]
    np.testing.assert_allclose(LOOK_DEGREES * np.stack([right, up], axis=1), degrees)
    mirrored = look_shapes(degrees * [-1, 1])
    for name, weight in found.items():
        other = name.replace("Left", "*").replace("Right", "Left").replace("*", "Right")
        np.testing.assert_allclose(mirrored[other], weight)
        assert (np.minimum(weight, mirrored[name]) == 0).all() or "Up" in name or "Down" in name


@few
@given(utterances(), seeds)
def test_faces_stay_neutral(utterance, seed):
    timing = timing_of(utterance)
    found = expression(timing, np.random.default_rng(seed))
    assert set(found) <= set(blendshapes.NAMES)
    for name, weight in found.items():
        assert weight.shape == (timing.count,)
        assert weight.min() >= 0, name
        assert weight.max() < 0.7, name
        assert np.abs(np.diff(weight)).max() < 0.06, f"{name} jumps"


@few
@given(utterances(), seeds)
def test_heads_move_a_few_degrees_and_turn_about_the_neck(utterance, seed):
    timing = timing_of(utterance)
    found = body(timing, np.random.default_rng(seed))
    assert np.degrees(np.abs(found.head[:, :3])).max() <= 6.5
    assert np.degrees(np.abs(found.torso[:, :3])).max() < 3
    assert found.breath.shape == (timing.count,)
    assert 0 <= found.breath.min() <= found.breath.max() <= 1
    turned = Rotation.from_rotvec(found.head[:, :3]).apply(NECK) + found.head[:, 3:]
    assert np.abs(turned - NECK).max() < 0.02, "the neck stays where it is, but for a sway of millimetres"
    speed = np.abs(np.diff(found.head[:, :3], axis=0)).max() * TRACK_RATE
    assert np.degrees(speed) < 120


# Hair


heads = arrays(st.integers(2, 120), 6, low=-0.05, high=0.05)


@few
@given(heads, st.sampled_from([50.0, 100.0, 200.0]))
def test_hair_stays_within_its_reach(head, rate):
    out = in_any_layout(lambda x: swing(x, rate), head)
    assert out.shape == (len(head), 3)
    assert np.linalg.norm(out, axis=1).max() <= FURTHEST + 1e-12
    assert (out[:, 1] == 0).all()


@few
@given(arrays(6, low=-0.05, high=0.05), arrays(3, low=-1.0, high=1.0))
def test_hair_of_a_still_head_hangs_still_wherever_it_is(pose, away):
    still = swing(np.tile(pose, (50, 1)), 100.0)
    np.testing.assert_allclose(still, still[:1].repeat(50, 0), atol=1e-12)
    moved = swing(np.tile(pose + np.concatenate([np.zeros(3), away]), (50, 1)), 100.0)
    np.testing.assert_allclose(moved, still, atol=1e-9)
    np.testing.assert_allclose(swing(np.zeros((50, 6)), 100.0), 0.0)


def test_hair_swings_and_comes_to_rest():
    """After a jerk aside it lags behind, then swings about its rest, less each time."""
    head = np.zeros((800, 6))
    head[:, 3] = 0.02 * ease((np.arange(800) / 200 - 0.2) / 0.15)
    out = swing(head, 200.0)[:, 0]
    assert out[:36] == pytest.approx(0, abs=1e-9)
    assert out[45:60].min() < -0.001, "it lags behind"
    assert np.abs(out[100:200]).max() > 3 * np.abs(out[400:]).max()
    np.testing.assert_allclose(out[-1], 0, atol=1e-4)


@few
@given(heads)
def test_hair_swings_to_both_sides_alike(head):
    mirror = np.array([1, -1, -1, -1, 1, 1])  # a mirrored pose: x flips, rotations about y and z turn round
    np.testing.assert_allclose(swing(head * mirror, 100.0)[:, 0], -swing(head, 100.0)[:, 0], atol=1e-12)
