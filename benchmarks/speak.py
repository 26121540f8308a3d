"""Frames a second of folded inference: audio code, deformation, splatting, composite; not the encoding of the film.

    python benchmarks/speak.py [RUN] [--size 512] [--gaussians 10000] [--threads 2] [--seconds 8]

Without a run, a head with random weights and that many Gaussians stands in (nearly all of whose Gaussians move).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the stand-ins of the tests
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch

from audioplane.config import preset
from audioplane.inference.talking_head import TalkingHead


def stand_in(count: int) -> Path:
    """A head of random weights, in a file."""
    from audioplane.training.trainer import Trainer
    from tests.tiny_subject import TinySubject

    config = preset("demo").replace(
        gaussians__initial=count,
        gaussians__cap=count,
        audio__pretrain_steps=5,
        schedule__size=0,
        schedule__early_size=0,
    )
    trainer = Trainer(config, TinySubject(60, 256))  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        trainer.method.branch("head").params["scales"] -= 0.5
        trainer.method.branch("head").params["opacities"] += 3.0
        for layer in (trainer.method.branch("head").mlp.offset, trainer.method.branch("head").mlp.dynamism):
            layer.weight.normal_(0.0, 0.3, generator=generator)
    path = Path(tempfile.mkdtemp()) / "head.safetensors"
    TalkingHead.export(trainer, path)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description="frames a second of a speaking head")
    parser.add_argument("run", nargs="?", type=Path)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--gaussians", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=8.0)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    path = args.run or stand_in(args.gaussians)
    voice = (0.1 * np.random.default_rng(0).standard_normal(int(args.seconds * 16_000))).astype(np.float32)
    print(
        f"{args.size} px, {args.threads} thread(s)\n"
        f"{'':10}{'Gaussians':>10}{'moving':>8}{'frames/s':>10}{'ms of processor':>17}"
    )
    pictures = {}
    for name, sparse in (("all", False), ("sparse", True)):
        head = TalkingHead.load(path, sparse=sparse)
        list(head.frames(voice[:6400], "natural", args.size))
        best, work, frames = 0.0, np.inf, []
        for _ in range(3):
            start, used = time.perf_counter(), time.process_time()
            frames = list(head.frames(voice, "natural", args.size))
            best = max(best, len(frames) / (time.perf_counter() - start))
            work = min(work, (time.process_time() - used) / len(frames) * 1e3)
        pictures[name] = frames
        print(f"{name:10}{len(head.cloud):10}{head.moving:8}{best:10.1f}{work:17.1f}")
    pairs = zip(pictures["all"], pictures["sparse"], strict=True)
    error = np.mean([np.square(a.astype(np.float32) - b).mean() for a, b in pairs])
    print(f"sparse to all: {10 * np.log10(255**2 / max(float(error), 1e-9)):.1f} dB")


if __name__ == "__main__":
    main()
