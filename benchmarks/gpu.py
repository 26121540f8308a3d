"""What a machine with a GPU is asked once: does everything work there, and how fast. Without a network.

    python benchmarks/gpu.py [--out build/gpu.json] [--iterations 10000] [--dry-run]
    python benchmarks/gpu.py --rehearse [--out build/rehearsal.json]
    python benchmarks/gpu.py --read build/gpu.json [--page benchmarks/README.md] [--records records/gpu]

Four parts, each kept in the bundle as soon as it ends: `audioplane doctor`, `pytest -m gpu`, a table of speeds, and one
head of an embedded speaker at the paper's scale, from whose speed the paper's 100,000 iterations are extrapolated.
On a machine without a GPU it says what it would do, and does nothing; a rehearsal does all of it at a tiny size on the
processor, so that the script itself is tried. `--read` puts a bundle into a section of the page and its head's record
into a folder.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # the stand-ins of the tests

import torch

from audioplane.config import Config, preset
from audioplane.errors import UserError
from audioplane.experiments.records import Record
from audioplane.experiments.runs import Clip, Job
from audioplane.runtime import documents, files
from audioplane.runtime.names import check_name

ROOT = Path(__file__).resolve().parents[1]
PAPER_FINE = 100_000  # iterations of the paper
BEGIN, END = "<!-- from a bundle of benchmarks/gpu.py -->", "<!-- end of the bundle -->"
ADVICE = "make it again with `make gpu`"


@dataclass(frozen=True)
class Scale:
    """How large everything is.

    Attributes:
        device: where. clouds: Gaussians of the speaking heads that are timed. size: of their pictures, pixels.
        frames, seconds: that they speak one by one, and in batches. clip: that is learnt. config: of its training.
        every: steps between two looks at the clock. tests: arguments of pytest.
    """

    device: str
    clouds: tuple[int, ...]
    size: int
    frames: int
    seconds: int
    clip: Clip
    config: Config
    every: int = 100
    tests: tuple[str, ...] = ("-m", "gpu", "-q", "tests")

    @staticmethod
    def of_paper(iterations: int) -> Scale:
        """That of the paper; iterations: fine ones of the head."""
        config = preset("paper").replace(schedule__fine=iterations, schedule__size=512)
        return Scale("cuda", (10_000, 20_000, 50_000), 512, 500, 20, Clip("adam", "", 100.0, 512), config)

    @staticmethod
    def of_rehearsal() -> Scale:
        """Tiny, on the processor."""
        config = preset("smoke").replace(
            schedule__coarse=41, schedule__fine=41, schedule__size=64, gaussians__initial=200, gaussians__cap=300
        )
        tests = ("-m", "gpu", "-q", "--collect-only", "tests/test_on_a_real_gpu.py")
        return Scale("cpu", (200,), 64, 20, 1, Clip("adam", "", 10.0, 64), config, 10, tests)


# A bundle


@dataclass(frozen=True)
class Failed:
    """A part that did not go through."""

    failed: str


@dataclass(frozen=True)
class Tests:
    """The outcome of pytest, and the end of what it said."""

    passed: bool
    said: str


@dataclass(frozen=True)
class Spoken:
    """Frames a second of one head."""

    gaussians: int
    moving: int
    fps: float
    p50_ms: float
    p95_ms: float
    batched_fps: float
    device: str


@dataclass(frozen=True)
class Learnt:
    """How one head was trained; `record`: the `Record` of its run."""

    iterations: int
    seconds: float
    steps_per_second: dict[str, float]
    extrapolated_seconds_of_the_paper: float
    peak_mib: float
    record: dict[str, Any]


@dataclass(frozen=True)
class Bundle:
    """All parts, as the file holds them; a part that was not reached is missing.

    Attributes:
        gpu: its name. torch: the version. rehearsal: whether all was tiny, on a processor. size: of speaking, pixels.
        seconds: that each part took.
    """

    gpu: str
    torch: str
    rehearsal: bool
    size: int
    seconds: dict[str, float] = field(default_factory=dict)
    doctor: dict[str, Any] | None = None
    tests: dict[str, Any] | None = None
    speaking: list[Spoken] | dict[str, Any] | None = None
    paper_head: dict[str, Any] | None = None

    def part(self, name: str, kind: Any) -> Any:
        """One part as its type, a `Failed`, or None where it was not reached."""
        found = getattr(self, name)
        if found is None or isinstance(found, list):
            return found
        kind = Failed if "failed" in found else kind
        return documents.convert(found, kind, f"the bundle's {name}", ADVICE)


# Making one


def doctor() -> dict[str, Any]:
    """What `audioplane doctor --json` says."""
    found = subprocess.run(
        [sys.executable, "-m", "audioplane", "doctor", "--json"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    return dict(json.loads(found.stdout))


def tests(scale: Scale) -> Tests:
    """The outcome of `pytest -m gpu`."""
    command = [sys.executable, "-m", "pytest", *scale.tests]
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    return Tests(found.returncode == 0, found.stdout[-4000:])


def speaking(scale: Scale) -> list[Spoken]:
    """Frames a second: one at a time, and in batches as films are made."""
    from audioplane.inference.talking_head import TalkingHead
    from audioplane.metrics import speed
    from benchmarks.speak import stand_in

    rows = []
    for count in scale.clouds:
        head = TalkingHead.load(stand_in(count), device=scale.device)
        codes, views = head.extras["codes"], head.viewmats
        behind = head.render(codes[0], views[0], size=scale.size)

        def draw(k: int, head: TalkingHead = head, behind: Any = behind) -> Any:
            t = k % len(head.extras["codes"])
            return head.render(head.extras["codes"][t], head.viewmats[t], behind, scale.size)

        single = speed.measure(draw, scale.frames, ("deformation", "rasterization", "compositing"), scale.device)
        voice = torch.randn(16_000 * scale.seconds).mul(0.1).numpy()
        list(head.frames(voice[:16_000], "natural", scale.size))
        start, shown = time.perf_counter(), 0
        for _ in head.frames(voice, "natural", scale.size):
            shown += 1
        batched = shown / (time.perf_counter() - start)
        rows.append(
            Spoken(len(head.cloud), head.moving, single.fps, single.p50, single.p95, batched, str(single.device))
        )
    return rows


def paper_head(scale: Scale) -> Learnt:
    """One head of an embedded speaker, and what all of the paper's iterations would take; its record is made anew."""
    from audioplane.experiments import runs

    marks: dict[str, list[float]] = {}
    wait = torch.cuda.synchronize if scale.device == "cuda" else lambda: None

    class Clock:
        def step(self, _: Any, report: Any) -> None:
            if report.iteration % scale.every == 0:
                wait()
                marks.setdefault(report.stage, []).append(time.perf_counter())

        def close(self) -> None: ...

    job = Job(scale.clip, scale.config)
    runs.forget(job)
    record = runs.run(job, (Clock(),))
    rates = {
        name: scale.every * (len(times) - 1) / (times[-1] - times[0]) for name, times in marks.items() if len(times) > 1
    }
    schedule, seconds = scale.config.schedule, record.seconds["train"]
    return Learnt(
        iterations=schedule.coarse + schedule.fine,
        seconds=seconds,
        steps_per_second=rates,
        extrapolated_seconds_of_the_paper=seconds + (PAPER_FINE - schedule.fine) / list(rates.values())[-1],
        peak_mib=torch.cuda.max_memory_allocated() / 2**20 if scale.device == "cuda" else 0.0,
        record=asdict(record),
    )


def parts(scale: Scale) -> dict[str, tuple[str, Callable[[], Any]]]:
    """Name in the bundle -> what it is, and how it is found."""
    clouds = ", ".join(f"{count:,}" for count in scale.clouds)
    return {
        "doctor": ("what this machine has (seconds)", doctor),
        "tests": (
            f"pytest {' '.join(scale.tests)}: every method, kernels against their twins (minutes, not measured)",
            lambda: tests(scale),
        ),
        "speaking": (
            f"frames a second at {scale.size} pixels, {clouds} Gaussians (a minute, not measured)",
            lambda: speaking(scale),
        ),
        "paper_head": (
            f"an embedded speaker at {scale.config.schedule.size} pixels, {scale.config.schedule.fine:,} fine "
            f"iterations, and its record (minutes, not measured); extrapolated to {PAPER_FINE:,}",
            lambda: paper_head(scale),
        ),
    }


def make(scale: Scale, out: Path) -> int:
    """Fills a bundle, part by part; returns the exit status."""
    files.make_folder(out.parent)
    on_gpu = scale.device == "cuda"
    found: dict[str, Any] = {
        "gpu": torch.cuda.get_device_name(0) if on_gpu else "no GPU",
        "torch": torch.__version__,
        "rehearsal": not on_gpu,
        "size": scale.size,
        "seconds": {},
    }
    failed = []
    for name, (about, find) in parts(scale).items():
        print(f"{name}: {about}", flush=True)
        start = time.perf_counter()
        try:
            found[name] = _plain(find())
        except Exception as error:  # the other parts are worth having
            found[name] = {"failed": f"{type(error).__name__}: {error}"[:2000]}
        if isinstance(found[name], dict) and ("failed" in found[name] or found[name].get("passed") is False):
            failed.append(name)
        found["seconds"][name] = round(time.perf_counter() - start, 1)
        files.write_text(out, json.dumps(found, indent=1) + "\n")
    print(f"{out}: " + (f"FAILED in {', '.join(failed)}" if failed else "all parts done"))
    return 1 if failed else 0


def _plain(part: Any) -> Any:
    if isinstance(part, list):
        return [asdict(one) for one in part]
    return part if isinstance(part, dict) else asdict(part)


# Reading one


def section(bundle: Bundle) -> str:
    """The bundle as a section of the page of benchmarks."""
    what = "A rehearsal on a processor, which says nothing of speed" if bundle.rehearsal else bundle.gpu
    text = [BEGIN, "## On a GPU", "", f"{what}; torch {bundle.torch}; read from a bundle of `make gpu`.", ""]
    outcome = bundle.part("tests", Tests)
    if isinstance(outcome, Tests):
        last = (outcome.said.strip().splitlines() or ["nothing"])[-1].strip("= ").replace("`", "'")
        text += [f"`pytest -m gpu` {'passed' if outcome.passed else '**failed**'}: `{last}`.", ""]
    rows = bundle.part("speaking", Any)
    if isinstance(rows, list):
        text += [
            f"| speaking at {bundle.size} pixels: Gaussians | of which move | frames/s, one by one | p50, p95 ms | "
            "frames/s, in batches |",
            "| --- | --- | --- | --- | --- |",
        ]
        text += [
            f"| {row.gaussians:,} | {row.moving:,} | {row.fps:.0f} | {row.p50_ms:.2f}, {row.p95_ms:.2f} | "
            f"{row.batched_fps:.0f} |"
            for row in rows
        ]
        text.append("")
    head = bundle.part("paper_head", Learnt)
    if isinstance(head, Learnt):
        rates = ", ".join(f"{name} {rate:.0f}" for name, rate in head.steps_per_second.items())
        text += [
            f"One head, {head.iterations:,} iterations: {head.seconds:.0f} s, {head.peak_mib:.0f} MiB; steps a second: "
            f"{rates}. The paper's {PAPER_FINE:,} fine iterations, extrapolated: "
            f"{head.extrapolated_seconds_of_the_paper / 60:.1f} min.",
            "",
        ]
    for name in ("doctor", "tests", "speaking", "paper_head"):
        found = bundle.part(name, Any if name == "doctor" else dict[str, Any])
        if found is None or isinstance(found, Failed):
            text += [f"{name}: **{'failed' if found else 'not reached'}**.", ""]
    return "\n".join([*text, END])


def read(path: Path, page: Path | None, records: Path | None) -> None:
    """Puts a bundle into a page and its record into a folder; a rehearsal only into those that are named.

    Args:
        path: of the bundle. page, records: where to; None for the clone's own.

    Raises:
        UserError: the bundle is damaged, or a place cannot be written; nothing is written then.
    """
    bundle = documents.read(path, Bundle, ADVICE)
    text, head = section(bundle), bundle.part("paper_head", Learnt)
    record = None
    if isinstance(head, Learnt):
        record = documents.convert(head.record, Record, "the bundle's record", ADVICE)
        check_name(record.key, "the record's key")
    if not bundle.rehearsal:
        page, records = page or ROOT / "benchmarks" / "README.md", records or ROOT / "records" / "gpu"
    if page is not None:
        old = page.read_text(encoding="utf-8") if page.is_file() else ""
        before, begin, rest = old.partition(BEGIN)
        after = rest.partition(END)[2] if begin else ""
        files.write_text(page, f"{before.rstrip()}\n\n{text}\n{after.lstrip()}".lstrip())
    if records is not None and record is not None:
        Record.load(record.save(records))
    print(text if page is None else f"{path} is in {page}" + (f" and {records}" if records and record else ""))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="everything that a GPU is asked once")
    parser.add_argument("--out", type=Path, default=None, help="the bundle (default: build/gpu.json)")
    parser.add_argument("--iterations", type=int, default=10_000, help="fine iterations of the head (default: 10000)")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and stop")
    parser.add_argument("--rehearse", action="store_true", help="do it all at a tiny size on the processor")
    parser.add_argument("--read", type=Path, metavar="BUNDLE", help="put a bundle into a page and a folder of records")
    parser.add_argument("--page", type=Path, help="that page (default: benchmarks/README.md; none for a rehearsal)")
    parser.add_argument("--records", type=Path, help="that folder (default: records/gpu; none for a rehearsal)")
    args = parser.parse_args(arguments)
    try:
        if args.read is not None:
            read(args.read, args.page, args.records)
            return 0
        scale = Scale.of_rehearsal() if args.rehearse else Scale.of_paper(args.iterations)
        out = args.out or Path("build") / ("rehearsal.json" if args.rehearse else "gpu.json")
        if args.dry_run or not (args.rehearse or torch.cuda.is_available()):
            print(
                "Would be done:" if args.dry_run else "torch sees no GPU here, so nothing is done. On one, this would:"
            )
            print("\n".join(f"  {name}: {about}" for name, (about, _) in parts(scale).items()))
            print(f"  and write {out}")
            return 0
        return make(scale, out)
    except UserError as error:
        print(f"gpu.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
