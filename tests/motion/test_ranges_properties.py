"""A person's own range, captures at other rates, and eyes and brows for any voice."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from audioplane.motion.captures import at_rate
from audioplane.motion.natural import natural_expression
from audioplane.motion.own_range import CONTROLS, OwnRange, readings
from audioplane.motion.timing import PAUSE, timing_of_sound
from audioplane.subject import blendshapes
from tests.strategies import arrays, few, fewer, generators, in_any_layout, seeds

NAMES = tuple(name for name in blendshapes.NAMES if name.startswith(("eye", "brow")))
MIRROR = {"Left": "Right", "Right": "Left"}


def some_range(generator: np.random.Generator) -> OwnRange:
    return OwnRange.fit(generator.random((120, len(NAMES))) ** 2, NAMES)


def mirrored(name: str) -> str:
    side = next((side for side in MIRROR if name.endswith(side)), "")
    return name.removesuffix(side) + MIRROR.get(side, "")


@few
@given(arrays(st.integers(2, 40), 3), st.sampled_from([24.0, 25.0, 30.0, 60.0]), st.floats(0.3, 3))
def test_a_capture_at_its_own_rate_is_itself_and_no_time_is_lost(weights, fps, factor):
    same = in_any_layout(lambda x: at_rate(x, fps, fps), weights)
    np.testing.assert_allclose(same, weights, atol=1e-9)
    other = at_rate(weights, fps, factor * fps)
    assert abs(len(other) / (factor * fps) - len(weights) / fps) <= 0.51 / (factor * fps) + 1e-9 or len(other) == 1
    assert other.min() >= weights.min()
    assert other.max() <= weights.max()
    ramp = np.arange(len(weights), dtype=float)[:, None]
    inside = at_rate(ramp, fps, factor * fps)[:, 0]
    np.testing.assert_allclose(inside, np.minimum(np.arange(len(inside)) / factor, len(weights) - 1), atol=1e-9)


@few
@given(generators, st.integers(1, 20), st.floats(-2, 2))
def test_readings_are_linear_and_mirror_the_gaze(generator, count, factor):
    a, b = generator.standard_normal((2, count, len(NAMES)))
    found = in_any_layout(lambda x: readings(x, NAMES), a)
    np.testing.assert_allclose(readings(a + factor * b, NAMES), found + factor * readings(b, NAMES), atol=1e-9)
    other = [NAMES.index(mirrored(name)) for name in NAMES]
    flipped = readings(a[:, other], NAMES)
    np.testing.assert_allclose(flipped, found * np.where(np.array(CONTROLS) == "gaze_x", -1, 1), atol=1e-12)
    order = generator.permutation(len(NAMES))
    np.testing.assert_allclose(readings(a[:, order], [NAMES[k] for k in order]), found, atol=1e-12)
    assert not readings(a[:, :0], []).any()


@few
@given(generators, st.integers(1, 10))
def test_what_is_steered_stays_within_what_was_seen(generator, count):
    own = some_range(generator)
    shares = generator.uniform(-1, 1, (count, len(CONTROLS)))
    found = in_any_layout(own.steered, shares)
    assert ((found >= own.low) & (found <= own.high)).all()
    assert np.array_equal(own.steered(np.zeros((1, len(CONTROLS))))[0], own.rest)
    for one, expected in zip(shares, found, strict=True):
        np.testing.assert_allclose(own.steered(one[None])[0], expected)
    assert np.isfinite(own.standardise(100 * shares @ own.up)).all()
    blink = own.steered(np.eye(len(CONTROLS))[:1])
    assert own.closure(blink)[0] >= own.closure(own.rest[None])[0]


@few
@given(generators, st.integers(1, 30), st.floats(0.5, 1.0), st.floats(0, 0.3))
def test_another_face_is_adopted_whatever_its_rest_and_strength(generator, count, gain, rest):
    own = some_range(generator)
    weights = 0.7 * generator.random((count, len(blendshapes.NAMES)))
    found = in_any_layout(own.adopt, weights)
    assert found.shape == (count, len(NAMES))
    assert ((found >= own.low) & (found <= own.high)).all()
    np.testing.assert_allclose(own.adopt(weights + rest), found, atol=1e-9)
    still = np.tile(weights[:1], (count, 1))
    np.testing.assert_allclose(own.adopt(still), np.tile(own.rest, (count, 1)))
    reach = np.percentile(weights, 99.5, axis=0) - np.median(weights, axis=0)
    strong = (gain * reach[[blendshapes.index(name) for name in NAMES]] > 0.3).nonzero()[0]
    np.testing.assert_allclose(own.adopt(gain * weights)[:, strong], found[:, strong], atol=1e-9)


@fewer
@given(generators, seeds, st.integers(0, 60), st.sampled_from([25.0, 30.0]))
def test_natural_eyes_are_seeded_within_range_and_as_many_as_asked(generator, seed, count, fps):
    own, voice = some_range(generator), 0.2 * generator.standard_normal(int(16_000 * count / 25))
    found = natural_expression(own, voice, count, fps, seed)
    assert found.shape == (count, len(NAMES))
    assert ((found >= own.low) & (found <= own.high)).all()
    assert np.array_equal(found, natural_expression(own, voice.tolist(), count, fps, seed))
    still = natural_expression(own, voice, count, fps, seed, np.zeros((count, 2)))
    assert np.array_equal(found, still)


@few
@given(generators, st.floats(0.3, 3), st.floats(0.05, 2), st.sampled_from([8000, 16_000, 48_000]))
def test_a_sounds_timing_knows_neither_level_nor_what_comes_after_its_end(generator, seconds, gain, rate):
    count = round(seconds * rate)
    sound = 0.3 * generator.standard_normal(count) * (generator.random(count) < 0.5)
    sound[len(sound) // 3 : len(sound) // 2] = 0
    timing = in_any_layout(lambda x: timing_of_sound(x, seconds, rate), sound)
    louder = timing_of_sound(gain * sound, seconds, rate)
    np.testing.assert_allclose(louder.pauses, timing.pauses)
    np.testing.assert_allclose([a.time for a in louder.accents], [a.time for a in timing.accents])
    assert all(b - a >= PAUSE for a, b in timing.pauses)
    assert all(0 <= a < b <= seconds for a, b in timing.phrases)
    assert all(0 <= accent.strength <= 1 and 0 <= accent.time <= seconds for accent in timing.accents)
    longer = np.concatenate([sound, np.ones(rate)])
    assert timing_of_sound(longer, seconds, rate).phrases == timing.phrases
