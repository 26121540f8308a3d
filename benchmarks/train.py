"""Milliseconds of a training step, and where they go.

    python benchmarks/train.py [SUBJECT] [--size 256] [--gaussians 6000] [--threads 2] [--set PATH=VALUE ...]

Without a subject a shaded ball stands in. Times are the least of many steps, on the wall and of the processor (all
threads together): on a machine that does other things too, the processor's time halved is what two free cores take.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the stand-ins of the tests
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # waiting threads must not take the core from working ones

import numpy as np
import torch

from audioplane.config import preset
from audioplane.training.dataset import samples
from audioplane.training.trainer import Trainer

GROUPS = {
    "planes forward": ("_Sample",),
    "planes backward": ("_SampleBackward",),
    "matrix products": ("aten::mm", "aten::addmm"),
    "projection": ("_Project", "_ProjectBackward"),
    "sorting": ("aten::sort", "_Tiles"),
    "compositing forward": ("_Composite",),
    "compositing backward": ("_CompositeBackward",),
    "pixel-wise losses": ("_PixelTerms", "_PixelTermsBackward"),
    "similarity": ("_Similarity", "_SimilarityBackward"),
    "optimisers": ("Optimizer.step#SparseAdam.step", "aten::_fused_adam_"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="milliseconds of a training step")
    parser.add_argument("subject", nargs="?")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--gaussians", type=int, default=6000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.subject:
        from audioplane.subject import Subject

        subject = Subject.open(args.subject)
    else:
        from tests.tiny_subject import TinySubject

        subject = TinySubject(60, args.size)
    config = preset("demo").replace(
        f"schedule.size={args.size}",
        f"gaussians.cap={args.gaussians}",
        "schedule.coarse=320",
        "schedule.early_size=0",
        "gaussians.densify_every=12",
        "gaussians.densify_from=20",
        "audio.pretrain_steps=5",
        *args.settings,
    )
    trainer = Trainer(config, subject)  # type: ignore[arg-type]
    feed = samples(trainer.cache, subject.train, config.schedule, 0, 0, 10**9)

    def measure(count: int) -> tuple[float, float]:
        times = []
        for _ in range(count):
            sample = next(feed)
            wall, work = time.perf_counter(), time.process_time()
            trainer.step(sample)
            times.append((time.perf_counter() - wall, time.process_time() - work))
        least = np.min(times, axis=0) * 1e3
        return float(least[0]), float(least[1])

    measure(270)
    coarse = measure(45)
    measure(15)
    fine = measure(args.steps)
    count = len(trainer.method.branch("head").params["means"])
    print(f"{subject.width if not args.size else args.size} px, {count} Gaussians, {args.threads} thread(s)")
    print(f"{'':24}{'wall ms':>9}{'processor ms':>14}")
    for name, (wall, work) in (("coarse step", coarse), ("fine step", fine)):
        print(f"{name:24}{wall:9.1f}{work:14.1f}")
    profile(trainer, feed)


def profile(trainer: Trainer, feed: object, count: int = 20) -> None:
    """Prints the share of each part of a fine step."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as watch

    ready = [next(feed) for _ in range(count)]  # type: ignore[call-overload]
    with watch(activities=[ProfilerActivity.CPU]) as seen:
        for sample in ready:
            trainer.step(sample)
    spent = {row.key: row.self_cpu_time_total / 1e3 / count for row in seen.key_averages()}
    total = sum(spent.values())
    print(f"{'of a fine step':24}{'ms':>9}")
    for name, keys in GROUPS.items():
        part = sum(spent.pop(key, 0.0) for key in keys)
        print(f"  {name:22}{part:9.2f}")
    print(f"  {'all else':22}{sum(spent.values()):9.2f}\n  {'together':22}{total:9.2f}")


if __name__ == "__main__":
    main()
