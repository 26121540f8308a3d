"""Speed by a clock of our own, labelled by where the work ran."""

from __future__ import annotations

import pytest

from audioplane.metrics import speed


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
