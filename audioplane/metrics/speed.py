"""How fast and how large: frames a second, latency, memory; what was included stands beside every number."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from audioplane.runtime.memory import give_back

Device = str | torch.device


@dataclass(frozen=True)
class Speed:
    """Of one thing that is done frame by frame.

    Attributes:
        included: what a frame's time holds, in words. frames: timed. warm_up: done before, untimed.
        fps: timed frames over the time they took. p50, p95: latency of a frame, milliseconds.
        device: what it ran on, in words. peak_memory: MiB, see `peak_memory`.
    """

    included: tuple[str, ...]
    frames: int
    warm_up: int
    fps: float
    p50: float
    p95: float
    device: str
    peak_memory: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def measure(
    work: Callable[[int], Any],
    frames: int,
    included: tuple[str, ...],
    device: Device = "cpu",
    warm_up: int = 10,
    clock: Callable[[], float] = time.perf_counter,
) -> Speed:
    """Times `work(0)`, `work(1)`, ... one after the other.

    Args:
        work: does one frame.
        frames: to time.
        included: what it does, such as "audio", "deformation", "rasterization", "compositing", "encoding".
        device: where it does so: a GPU is waited for before and after each frame. Not what the machine has.
        warm_up: frames before, which compile and fill caches.
        clock: seconds.

    Raises:
        ValueError: no frame to time.
    """
    if frames < 1 or warm_up < 0:
        raise ValueError(f"frames, warm_up: expected at least 1 and 0, received {frames} and {warm_up}")
    device = torch.device(device)
    on_gpu = device.type == "cuda"

    def wait() -> None:
        if on_gpu:
            torch.cuda.synchronize(device)

    for k in range(warm_up):
        work(k % frames)
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(device)
    times = np.empty(frames)
    for k in range(frames):
        wait()
        start = clock()
        work(k)
        wait()
        times[k] = clock() - start
    p50, p95 = np.quantile(times, [0.5, 0.95])
    return Speed(
        included,
        frames,
        warm_up,
        float(frames / times.sum()),
        float(1e3 * p50),
        float(1e3 * p95),
        device_name(device),
        peak_memory(device),
    )


def peak_growth(run: Callable[[], Any]) -> float:
    """MiB that a call needs at its height beyond what the process held before, freed memory given back first.

    Returns:
        NaN where the system does not tell: it needs Linux' /proc.
    """
    import gc

    def said(field: str) -> float:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(field)) / 2**10

    gc.collect()
    give_back()
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    except OSError:
        return float("nan")
    before = said("VmRSS")
    run()
    return said("VmHWM") - before


def device_name(device: Device) -> str:
    """What stands beside a number: the GPU's name, or how many of torch's threads worked on the CPU."""
    device = torch.device(device)
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} thread(s)"


def peak_memory(device: Device = "cpu") -> float:
    """MiB: the largest that torch has held on a GPU, or the largest this process has ever been; NaN if unknown."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest / (2**20 if sys.platform == "darwin" else 2**10)
