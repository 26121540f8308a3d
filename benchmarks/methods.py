"""What each method costs: seconds and memory of a training, size of the head, frames a second. One after the other.

    python benchmarks/methods.py [--speaker elise] [--threads 2]

Rows, settings, size and length are those of Table V at `demo`, seed 0; nothing is taken from the cache but the film.
Prints a Markdown table. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # waiting threads must not take the core from working ones

import torch

from audioplane.evaluation.heads import head_speed
from audioplane.experiments import run_cache, tables
from audioplane.experiments.runs import Job
from audioplane.inference.talking_head import TalkingHead
from audioplane.metrics.speed import peak_growth
from audioplane.runtime import cache


def cost(job: Job) -> str:
    """The cells of one row: trains in a cache of its own, whose encoder no earlier row has learnt."""
    subject = job.clip.open()
    made: list[Path] = []
    usual = os.environ.get(cache.VARIABLE)
    with tempfile.TemporaryDirectory() as empty:
        os.environ[cache.VARIABLE] = empty
        start = time.perf_counter()
        memory = peak_growth(lambda: made.append(run_cache.trained(subject, job.config) / run_cache.HEAD))
        seconds = time.perf_counter() - start
        if usual is None:
            del os.environ[cache.VARIABLE]
        else:
            os.environ[cache.VARIABLE] = usual
        size = made[0].stat().st_size
        head = TalkingHead.load(made[0], sparse=False)
        speed = head_speed(head, subject)
    return f"{len(head.cloud):,} | {seconds:.0f} | {memory:.0f} | {size / 2**20:.2f} | {speed.fps:.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description="what each method costs")
    parser.add_argument("--speaker", default="elise")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    table = tables.find("table5")
    jobs = {row: job for (row, _, _), job in tables.jobs(table, "demo", 1).items() if job.clip.speaker == args.speaker}
    print("| method | Gaussians | training, s | memory beyond the film's, MiB | head's file, MiB | frames a second |")
    print("| --- | --- | --- | --- | --- | --- |")
    for row, job in jobs.items():
        print(f"| {row} | {cost(job)} |", flush=True)


if __name__ == "__main__":
    main()
