"""How good a capture is: known blinks are counted, known noise is measured, and lids that do not agree are told."""

from dataclasses import replace

import numpy as np
import pytest

from audioplane.preprocess.capture import capture_quality
from audioplane.subject import blendshapes

FRAMES, EVERY, LONG = 1000, 100, 5  # a blink of five frames every four seconds


def film(noise: float = 0.0, late: int = 0, depth: float = 0.6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights, landmarks and seen frames of a face that blinks ten times, its weights `late` frames after its lids."""
    generator = np.random.default_rng(0)
    closed = np.zeros(FRAMES)
    for start in range(EVERY // 2, FRAMES, EVERY):
        closed[start : start + LONG] = 1.0
    weights = np.zeros((FRAMES, blendshapes.COUNT), np.float32)
    captured = 0.1 + depth * np.roll(closed, late)
    for name in ("eyeBlinkLeft", "eyeBlinkRight"):
        weights[:, blendshapes.index(name)] = captured + noise * generator.normal(size=FRAMES)
    marks = np.zeros((FRAMES, 68, 2), np.float32)
    marks[:, 8] = (0.0, 100.0)  # the chin, below the nose's bridge at 0
    for lid in (37, 38, 43, 44):
        marks[:, lid, 1] = -10.0 * (1.0 - closed)
    return weights, marks, np.ones(FRAMES, bool)


def test_blinks_are_counted_and_timed() -> None:
    found = capture_quality(*film())
    assert (found.blinks, found.seconds) == (10, pytest.approx(LONG / 25))
    assert found.rate == pytest.approx(10 * 60 * 25 / FRAMES)
    assert found.range == pytest.approx(0.6, abs=1e-6)
    assert (found.noise, found.lids_correlation, found.lids_lag) == (0.0, pytest.approx(1.0), 0)
    assert not found.troubles()


def test_noise_and_lag_are_those_that_were_put_in() -> None:
    found = capture_quality(*film(noise=0.02, late=2))
    two_eyes = 0.02 / np.sqrt(2)
    assert found.noise == pytest.approx(two_eyes, rel=0.15)
    assert found.lids_lag == 2
    assert found.blinks == 10


def test_what_may_hurt_is_said() -> None:
    assert "no blink" in capture_quality(*film(depth=0.02)).troubles()[0]
    assert "noisy" in capture_quality(*film(noise=0.4)).troubles()[0]
    weights, marks, seen = film()
    marks[:, 37:48] = 0.0
    hidden = capture_quality(weights, marks, seen)
    assert (hidden.lids_correlation, hidden.lids_lag) == (None, None), "lids that never move tell nothing"
    assert "hardly agree" in replace(hidden, lids_correlation=0.2, lids_lag=0).troubles()[0]


def test_frames_without_a_face_do_not_count() -> None:
    weights, marks, seen = film()
    whole = capture_quality(weights, marks, seen)
    seen[:10], seen[400:410] = False, False
    weights[~seen], marks[~seen] = 0.0, np.nan
    found = capture_quality(weights, marks, seen)
    assert found.lids_correlation == pytest.approx(whole.lids_correlation)
    assert replace(found, lids_correlation=None) == replace(whole, lids_correlation=None)
