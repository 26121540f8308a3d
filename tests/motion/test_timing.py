"""Tracks of long voices: what is computed piece by piece is what the whole gives."""

from __future__ import annotations

import numpy as np
import pytest

from audioplane.motion import timing
from audioplane.motion.timing import TRACK_RATE, Timing, bump, timing_of_sound


def test_the_timing_of_a_sound_in_pieces_is_that_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    loud = np.interp(np.arange(6 * 16_000), np.arange(0, 7 * 16_000, 3000), np.maximum(rng.normal(0.2, 0.4, 38), 0))
    audio = (0.2 * loud * rng.standard_normal(len(loud))).astype(np.float32)
    whole = timing_of_sound(audio, 6.3)
    assert len(whole.accents) > 2
    monkeypatch.setattr(timing, "PIECE", 70)
    assert timing_of_sound(audio, 6.3) == whole


@pytest.mark.parametrize("start", [-0.5, -0.001, 0.0, 0.503, 1.7, 1.999, 2.4])
def test_a_bump_is_nothing_beyond_its_stretch(start: float) -> None:
    own = Timing(2.0, (), (), ())
    whole = bump(own.times, start, 0.1, 0.2, 0.3)
    inside, times = own.stretch(start, start + 0.6)
    np.testing.assert_allclose(times, own.times[inside])
    part = np.zeros(own.count)
    part[inside] = bump(times, start, 0.1, 0.2, 0.3)
    np.testing.assert_allclose(part, whole, atol=1e-12)
    assert len(times) <= 0.6 * TRACK_RATE + 3
