"""Speed by a clock of our own, and verdicts on differences that are known."""

from __future__ import annotations

import numpy as np
import pytest

from audioplane.metrics import speed
from audioplane.metrics.statistics import paired_over_seeds, spread


def test_speed_is_what_the_clock_says():
    now, calls = [0.0], []

    def work(k: int) -> None:
        calls.append(k)
        now[0] += 1.0 if len(calls) <= 3 else (0.01 if k < 19 else 0.21)

    found = speed.measure(work, 20, ("deformation",), warm_up=3, clock=lambda: now[0])
    assert calls == [0, 1, 2, *range(20)]
    assert found.fps == pytest.approx(20 / (19 * 0.01 + 0.21))
    assert found.p50 == pytest.approx(10.0)
    assert 10.0 < found.p95 < 210.0
    assert found.included == ("deformation",)
    assert found.peak_memory > 10
    with pytest.raises(ValueError, match="at least 1"):
        speed.measure(work, 0, ())


def test_spread_of_seeds():
    found = spread([1.0, 2.0, 3.0])
    assert (found.mean, found.deviation, found.count) == (2.0, 1.0, 3)
    assert np.isnan(spread([5.0]).deviation)
    with pytest.raises(ValueError, match="finite"):
        spread([1.0, np.nan])


def test_seeds_that_disagree_make_a_difference_uncertain():
    generator = np.random.default_rng(0)
    base = [generator.standard_normal(200) * 0.1 for _ in range(6)]

    def against(offsets: list[float], **settings: bool) -> str:
        ours = [b + o for b, o in zip(base, offsets, strict=True)]
        return paired_over_seeds(ours, base, **settings).verdict

    assert against([0.3, 0.31, 0.28, 0.3, 0.29, 0.33]) == "better"
    assert against([0.3, 0.31, 0.28, 0.3, 0.29, 0.33], higher_is_better=False) == "worse"
    assert against([0.9, -0.8, 0.5, -0.4, 0.3, 0.1]) == "not distinguishable"
    one = paired_over_seeds([base[0] + 0.2], [base[0]])
    assert one.mean == pytest.approx(0.2)
    assert one.low == pytest.approx(one.high)
    with pytest.raises(ValueError, match="as many seeds"):
        paired_over_seeds(base, base[:2])
