"""A person's range: what goes together, how foreign captures come into it, and that nothing leaves it."""

from __future__ import annotations

import numpy as np
import pytest

from audioplane.methods.types import UPPER_FACE
from audioplane.motion.own_range import CONTROLS, OwnRange, readings
from audioplane.subject import blendshapes
from audioplane.subject.blendshapes import columns

BLINK, GAZE_X, GAZE_Y, BROWS = range(len(CONTROLS))


def capture(rest: float = 0.1, closed: float = 0.6, frames: int = 1000, seed: int = 0) -> np.ndarray:
    """(frames, 52): blinks with eyes that seem to look down, glances to the image right, raised brows, noise."""
    generator = np.random.default_rng(seed)
    weights = np.abs(0.005 * generator.standard_normal((frames, blendshapes.COUNT)))

    def put(name: str, track: np.ndarray) -> None:
        for side in ("Left", "Right"):
            weights[:, blendshapes.index(name + side)] += track

    shut = (np.arange(frames) % 80 < 4).astype(float)
    put("eyeBlink", rest + (closed - rest) * shut)
    put("eyeLookDown", 0.5 * shut)
    glance = 0.3 * (np.arange(frames) % 130 > 100)
    weights[:, blendshapes.index("eyeLookOutLeft")] += glance
    weights[:, blendshapes.index("eyeLookInRight")] += glance
    put("browOuterUp", 0.2 * (np.arange(frames) % 170 > 140))
    return weights


def fit(weights: np.ndarray) -> OwnRange:
    return OwnRange.fit(columns(weights, UPPER_FACE), UPPER_FACE)


def at(own: OwnRange, name: str) -> int:
    return own.names.index(name)


def test_upper_face_names_are_arkits():
    assert set(UPPER_FACE) <= set(blendshapes.NAMES)
    assert not set(UPPER_FACE) & set(blendshapes.MOUTH)


def test_the_rest_pose_is_zero_and_what_was_never_seen_is_not_asked_for():
    own = fit(capture())
    assert np.array_equal(own.standardise(own.rest), np.zeros(len(UPPER_FACE), np.float32))
    far = own.standardise(np.full(len(UPPER_FACE), 5.0))
    assert np.array_equal(far, own.standardise(own.high))


def test_a_blink_closes_the_eyes_and_brings_what_the_tracker_sees_with_it():
    own = fit(capture())
    closed = own.steered(np.array([[1.0, 0, 0, 0]]))[0]
    assert closed[at(own, "eyeBlinkLeft")] == pytest.approx(0.6, abs=0.03)
    assert closed[at(own, "eyeLookDownRight")] == pytest.approx(0.5, abs=0.03)
    assert np.abs((closed - own.rest)[at(own, "eyeLookOutLeft")]) < 0.02
    looking_down = own.steered(np.array([[0, 0, -1.0, 0]]))[0]
    assert abs(looking_down[at(own, "eyeBlinkLeft")] - own.rest[at(own, "eyeBlinkLeft")]) < 0.03


def test_gaze_and_brows_go_where_they_are_sent():
    own = fit(capture())
    right = own.steered(np.array([[0, 1.0, 0, 0]]))[0]
    assert right[at(own, "eyeLookOutLeft")] == pytest.approx(0.3, abs=0.03)
    raised = own.steered(np.array([[0, 0, 0, 1.0]]))[0]
    assert raised[at(own, "browOuterUpLeft")] == pytest.approx(0.2, abs=0.03)
    assert raised[at(own, "eyeBlinkLeft")] == pytest.approx(own.rest[at(own, "eyeBlinkLeft")], abs=0.02)


def test_a_capture_of_another_face_comes_into_the_own_range():
    mine, other = fit(capture(0.1, 0.6)), capture(0.3, 0.95, seed=1)
    taken = mine.adopt(other)
    lid, shut = taken[:, at(mine, "eyeBlinkLeft")], np.arange(len(other)) % 80 < 4
    assert np.median(lid[~shut]) == pytest.approx(0.1, abs=0.02)
    assert lid[shut].mean() == pytest.approx(0.6, abs=0.05)
    assert (taken >= mine.low - 1e-12).all()
    assert (taken <= mine.high + 1e-12).all()


def test_a_face_that_hardly_moves_is_not_made_to_blink():
    mine = fit(capture())
    still = np.abs(0.01 * np.random.default_rng(2).standard_normal((500, blendshapes.COUNT)))
    lid = mine.adopt(still)[:, at(mine, "eyeBlinkLeft")]
    assert lid.max() < 0.2


def test_the_own_capture_stays_what_it_was():
    mine = fit(capture())
    assert np.abs(mine.adopt(capture()) - columns(capture(), UPPER_FACE)).mean() < 0.01


def test_readings_are_signed_by_the_image():
    change = np.zeros((1, len(UPPER_FACE)))
    change[0, UPPER_FACE.index("eyeLookOutLeft")] = 0.4  # the person's left is image right
    change[0, UPPER_FACE.index("browDownLeft")] = change[0, UPPER_FACE.index("browDownRight")] = 0.2
    found = readings(change, UPPER_FACE)[0]
    assert found[GAZE_X] == pytest.approx(0.2)
    assert found[BROWS] == pytest.approx(-0.2)
    assert found[BLINK] == found[GAZE_Y] == 0


def test_nothing_captured_is_known_as_that():
    own = OwnRange.fit(np.zeros((50, len(UPPER_FACE))), UPPER_FACE)
    assert not own.is_captured
    assert np.array_equal(own.standardise(np.ones(len(UPPER_FACE))), np.zeros(len(UPPER_FACE), np.float32))
    assert fit(capture()).is_captured
