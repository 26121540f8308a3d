"""What a machine with a GPU is asked once: does everything work there, and how fast. Without a network.

    python benchmarks/gpu.py [--out build/gpu.json] [--iterations 10000] [--dry-run]

Four parts, each kept in the bundle as soon as it ends: `audioplane doctor`, `pytest -m gpu`, a table of speeds, and one
head of an embedded speaker at the paper's scale, from whose speed the paper's 100,000 iterations are extrapolated.
On a machine without a GPU it says what it would do, and does nothing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # the stand-ins of the tests

import torch

from audioplane.runtime import files

CLOUDS = (10_000, 20_000, 50_000)  # Gaussians of the speaking heads that are timed
SIZE = 512
PAPER_FINE = 100_000  # iterations of the paper
STEPS = 300  # of each stage, timed


def doctor() -> dict[str, Any]:
    """What `audioplane doctor --json` says."""
    found = subprocess.run(
        [sys.executable, "-m", "audioplane", "doctor", "--json"], capture_output=True, text=True, check=False
    )
    return dict(json.loads(found.stdout))


def tests() -> dict[str, Any]:
    """The outcome of `pytest -m gpu`."""
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "tests"], capture_output=True, text=True, check=False
    )
    return {"passed": found.returncode == 0, "said": found.stdout[-4000:]}


def speaking() -> list[dict[str, Any]]:
    """Frames a second at 512 pixels: one at a time, and in batches as films are made."""
    from audioplane.inference.talking_head import TalkingHead
    from audioplane.metrics import speed
    from benchmarks.speak import stand_in

    rows = []
    for count in CLOUDS:
        head = TalkingHead.load(stand_in(count), device="cuda")
        codes, views = head.extras["codes"], head.viewmats
        behind = head.render(codes[0], views[0], size=SIZE)

        def draw(k: int, head: TalkingHead = head, behind: Any = behind) -> Any:
            t = k % len(head.extras["codes"])
            return head.render(head.extras["codes"][t], head.viewmats[t], behind, SIZE)

        single = speed.measure(draw, 500, ("deformation", "rasterization", "compositing"), "cuda")
        voice = torch.randn(16_000 * 20).mul(0.1).numpy()
        list(head.frames(voice[:16_000], "natural", SIZE))
        start, shown = time.perf_counter(), 0
        for _ in head.frames(voice, "natural", SIZE):
            shown += 1
        rows.append(
            {
                "gaussians": len(head.cloud),
                "moving": head.moving,
                "fps": single.fps,
                "p50_ms": single.p50,
                "p95_ms": single.p95,
                "batched_fps": shown / (time.perf_counter() - start),
                "device": single.device,
            }
        )
    return rows


def paper_head(iterations: int) -> dict[str, Any]:
    """One head of an embedded speaker at the paper's scale, fewer iterations; and what all of them would take."""
    from audioplane import speakers
    from audioplane.config import preset
    from audioplane.training.trainer import Trainer

    subject = speakers.make("adam", size=SIZE)
    config = preset("paper").replace(schedule__fine=iterations, schedule__size=subject.width)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(config, subject, folder, device="cuda")
        marks: dict[str, list[float]] = {}

        class Clock:
            def step(self, _: Trainer, report: Any) -> None:
                if report.iteration % 100 == 0:
                    torch.cuda.synchronize()
                    marks.setdefault(report.stage, []).append(time.perf_counter())

            def close(self) -> None: ...

        trainer.callbacks.append(Clock())
        start = time.perf_counter()
        trainer.run()
        torch.cuda.synchronize()
        seconds = time.perf_counter() - start
    rates = {name: 100 * (len(times) - 1) / (times[-1] - times[0]) for name, times in marks.items() if len(times) > 1}
    last = list(rates.values())[-1]
    return {
        "iterations": trainer.method.iterations,
        "seconds": seconds,
        "steps_per_second": rates,
        "gaussians": sum(len(branch.params["means"]) for branch in trainer.method.each()),
        "extrapolated_seconds_of_the_paper": seconds + (PAPER_FINE - iterations) / last,
        "peak_mib": torch.cuda.max_memory_allocated() / 2**20,
    }


def parts(iterations: int) -> dict[str, tuple[str, Callable[[], Any]]]:
    """Name in the bundle -> what it is, and how it is found."""
    clouds = ", ".join(f"{count:,}" for count in CLOUDS)
    return {
        "doctor": ("what this machine has (seconds)", doctor),
        "tests": (
            "pytest -m gpu: every method, kernels against their twins (minutes, not measured)",
            tests,
        ),
        "speaking": (
            f"frames a second at {SIZE} pixels, {clouds} Gaussians (a minute, not measured)",
            speaking,
        ),
        "paper_head": (
            f"an embedded speaker, preset paper, {iterations:,} fine iterations (minutes, not measured); "
            f"extrapolated to {PAPER_FINE:,}",
            lambda: paper_head(iterations),
        ),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="everything that a GPU is asked once")
    parser.add_argument("--out", type=Path, default=Path("build/gpu.json"), help="the bundle (default: build/gpu.json)")
    parser.add_argument("--iterations", type=int, default=10_000, help="fine iterations of the head (default: 10000)")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and stop")
    args = parser.parse_args()
    every = parts(args.iterations)
    if args.dry_run or not torch.cuda.is_available():
        print("Would be done:" if args.dry_run else "torch sees no GPU here, so nothing is done. On one, this would:")
        print("\n".join(f"  {name}: {about}" for name, (about, _) in every.items()))
        print(f"  and write {args.out}")
        return 0
    files.make_folder(args.out.parent)
    found: dict[str, Any] = {"gpu": torch.cuda.get_device_name(0), "torch": torch.__version__}
    for name, (about, find) in every.items():
        print(f"{name}: {about}", flush=True)
        start = time.perf_counter()
        try:
            found[name] = find()
        except Exception as error:  # the other parts are worth having
            found[name] = {"failed": f"{type(error).__name__}: {error}"[:2000]}
        found[f"{name}_seconds"] = round(time.perf_counter() - start, 1)
        files.write_text(args.out, json.dumps(found, indent=1) + "\n")
    failed = [
        name
        for name in every
        if isinstance(found[name], dict) and ("failed" in found[name] or found[name].get("passed") is False)
    ]
    print(f"{args.out}: " + (f"FAILED in {', '.join(failed)}" if failed else "all parts done"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
