"""Speed by a clock of our own, labelled by where the work ran."""

from __future__ import annotations

from pathlib import Path

import numpy as np
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


def test_speed_is_labelled_by_where_the_work_ran(monkeypatch):
    """On a machine with a GPU, work on the CPU is neither the GPU's nor waits for it."""
    import torch

    waited: list[object] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "NVIDIA H100")
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda *_: 3 * 2**20)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda *_: None)
    on_cpu = speed.measure(lambda _: None, 3, ())
    assert on_cpu.device.startswith("CPU, ")
    assert on_cpu.peak_memory > 10
    assert not waited
    on_gpu = speed.measure(lambda _: None, 3, (), device="cuda")
    assert (on_gpu.device, on_gpu.peak_memory, len(waited)) == ("NVIDIA H100", 3.0, 6)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux")
def test_memory_is_that_of_the_height_and_not_what_was_kept():
    def needs(megabytes: int) -> None:
        np.ones(megabytes * 2**17).sum()  # and it is freed again

    needs(60)  # a first call of the same size must not hide the second
    found = [speed.peak_growth(lambda size=size: needs(size)) for size in (60, 30, 0)]
    if np.isnan(found).any():
        pytest.skip("the system does not tell")
    assert found == pytest.approx([60, 30, 0], abs=6)
