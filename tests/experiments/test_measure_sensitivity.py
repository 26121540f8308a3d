"""Pieces of another moment, and differences that know which way is better."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from audioplane.errors import UserError
from audioplane.experiments import measure_sensitivity
from audioplane.experiments.measure_sensitivity import APART, against, two_starts


@pytest.mark.parametrize("starts", [3, 7, 40, 101, 400])
def test_another_moment_is_never_the_own_one(starts):
    generator = np.random.default_rng(0)
    drawn = np.array([two_starts(generator, starts) for _ in range(2000)])
    assert drawn.min() >= 0
    assert drawn.max() < starts
    assert np.abs(drawn[:, 0] - drawn[:, 1]).min() >= min(APART, starts // 3) > 0
    assert set(drawn[:, 0]) == set(range(starts)) or starts > 100, "every piece is drawn"


def test_a_clip_too_short_for_another_moment_says_so():
    subject = SimpleNamespace(name="brief", num_frames=60, fps=25.0, audio=np.zeros(60 * 640, np.float32))
    scorer = SimpleNamespace(count=lambda frames, samples: frames - 5)
    with pytest.raises(UserError, match=r"longer clip; brief has 2\.4 s"):
        measure_sensitivity.confidence_by_length(subject, scorer, [1.0, 2.0])


def test_a_larger_lip_error_is_worse():
    generator = np.random.default_rng(0)
    base = generator.random(200)
    series = {
        "as it is": {"lip_error": base, "mouth_psnr": base},
        "degraded": {"lip_error": base + 1 + 0.1 * generator.random(200), "mouth_psnr": base + 1},
    }
    assert against(series, "as it is", "lip_error")["degraded"].verdict == "worse"
    assert against(series, "as it is", "mouth_psnr")["degraded"].verdict == "better"
