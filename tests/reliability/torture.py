"""Tries to break everything, and says what broke: `python -m tests.reliability.torture [PART ...]` (`make torture`).

    commands   the table of bad commands: one sentence, no traceback, 20 s, 2 GB, nothing left behind
    mutations  valid files with random changes, given to every reader
    kills      commands that are killed at random moments and started again: the same bytes, nothing left behind
    places     full and read-only disks, little memory, closed outputs, two at once

With --every N only each N-th try is made, with --only TEXT those whose names hold it (of mutations and kills: the
reader, the command). Exit status: 0 where nothing broke. --table FILE writes the table of results.
"""

from __future__ import annotations

import argparse
import functools
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.reliability import harness

CACHE = "AUDIOPLANE_CACHE"


@dataclass
class Results:
    """What came of one part.

    Attributes:
        name: of the part. tries: how many. each: what broke, by try. faults: (try, what broke).
        seconds: in all. slowest, largest: of a try.
    """

    name: str
    tries: int = 0
    each: dict[str, list[str]] = field(default_factory=dict)
    faults: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0.0
    slowest: float = 0.0
    largest: int = 0

    def add(self, what: str, faults: list[str], seconds: float = 0.0, memory: int = 0) -> None:
        """Notes one try."""
        self.tries += 1
        self.each[what] = faults
        self.faults += [(what, fault) for fault in faults]
        self.slowest, self.largest = max(self.slowest, seconds), max(self.largest, memory)
        for fault in faults:
            print(f"{self.name}: {what}: {fault}", flush=True)

    def count(self, kind: str) -> int:
        """How many faults of a kind there were."""
        return sum(fault.startswith(kind) for _, fault in self.faults)


def commands(work: Path, good: Path, every: int, only: str = "") -> Results:
    """The table of bad commands."""
    from tests.reliability import bad_commands, inputs

    results = Results("commands")
    for number, case in enumerate(bad_commands.table()):
        if (number % every and not case.must_pass) or only not in case.name:
            continue
        folder = work / "command"
        inputs.copy(good, case.needs, folder)
        try:
            case.damage(folder)
            outcome = harness.run(case.command, folder, work / "log", {CACHE: str(work / "cache")})
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        faults = outcome.faults()
        if outcome.status == 0 and not case.may_pass:
            faults.append("is accepted")
        if outcome.status != 0 and case.must_pass:
            faults.append(f"is refused: {outcome.err.strip()[-200:]}")
        results.add(case.name, faults, outcome.seconds, outcome.memory)
    return results


BLOCK = 50  # mutations in one child


def mutations(work: Path, good: Path, every: int, only: str = "") -> Results:
    """Valid files with random changes."""
    from tests.reliability import inputs, mutations

    results = Results("mutations")
    for name, (_, needs, _, count) in mutations.READERS.items():
        folder, report = work / "mutated", work / "report"
        seeds = list(range(0, count, every)) if only in name else []
        while seeds:
            shutil.rmtree(folder, ignore_errors=True)
            inputs.copy(good, needs, folder)
            some, report = seeds[:BLOCK], work / "report"
            child = harness.Child(
                functools.partial(mutations.block, name, some, folder, report),
                work,
                work / "log",
                {CACHE: str(work / "cache")},
            )
            status, hung, memory = child.wait(20 * BLOCK * mutations.SECONDS)
            lines = [json.loads(line) for line in report.read_text().splitlines()]
            done = {line[0]: line[1] for line in lines if len(line) == 2}
            for seed, fault in done.items():
                results.add(f"{name} {seed}", [fault] if fault else [])
            results.largest = max(results.largest, memory)
            last = lines[-1][0] if lines else some[0]
            if last not in done:
                told = f"crashes: status {status} {child.said()[1][-200:]}"
                why = "hangs" if hung or -status == signal.SIGPROF else told
                results.add(f"{name} {last}", [why])
            seeds = [seed for seed in seeds if seed > last]
    shutil.rmtree(work / "mutated", ignore_errors=True)
    return results


def kills(work: Path, good: Path, every: int, only: str = "") -> Results:
    """Commands that are killed at random moments."""
    from tests.reliability import inputs, kills

    results, folder = Results("kills"), work / "alone"
    if not (good / "long.wav").exists():
        child = harness.Child(lambda: kills.more_inputs(good), work, work / "log", {CACHE: str(work / "cache")})
        if child.wait(600)[0]:
            raise RuntimeError(f"the inputs of kills could not be made: {child.said()[1]}")
    for case in (case for case in kills.table() if only in case.name):
        alone: list[dict[str, str]] = []
        whole = float("inf")
        for _ in range(2):  # the faster one tells how long it takes: the other may have compiled, or waited for others
            shutil.rmtree(folder, ignore_errors=True)
            inputs.copy(good, case.needs, folder)
            began = time.monotonic()
            child = kills.start(case, folder, work / "log", {CACHE: str(folder / "cache")})
            status, _, _ = child.wait(kills.LONGEST)
            whole = min(whole, time.monotonic() - began)
            alone.append(kills.comparable(folder))
        if status:
            results.add(case.name, [f"crashes: left alone it ends in {status}: {child.said()[1][-200:]}"])
            continue
        before, wanted = alone
        differ = kills.differences(before, wanted)
        if differ:
            results.add(case.name, [f"differs: two that are left alone: {differ[:3]}"])
            continue
        for seed in range(-(-case.chains // every)):
            count, faults = kills.chain(case, good, work, seed, whole, wanted)
            results.add(f"{case.name}, chain {seed}", faults)
            results.tries += count - 1
            print(f"kills: {case.name}, chain {seed} of {whole:.1f} s: {count} kills", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    return results


def places(work: Path, good: Path, every: int, only: str = "") -> Results:
    """Where nothing can be written, little memory, closed outputs, and two at once."""
    from tests.reliability import places

    results = Results("places")
    for number, (name, attempt) in enumerate(places.table().items()):
        if number % every == 0 and only in name:
            folder = work / "place"
            shutil.rmtree(folder, ignore_errors=True)
            results.add(name, attempt(good, folder, work / "log"))
    return results


PARTS: dict[str, Callable[[Path, Path, int, str], Results]] = {
    "commands": commands,
    "mutations": mutations,
    "kills": kills,
    "places": places,
}
KINDS = ("traceback", "crashes", "hangs", "takes", "leaves", "says nothing", "is accepted", "is refused", "differs")


def table(results: list[Results]) -> str:
    """The results as Markdown."""
    rows = [["part", "tries", *KINDS, "slowest, s", "largest, MB", "minutes"]]
    for one in results:
        counts = [str(one.count(kind)) for kind in KINDS]
        sizes = [f"{one.slowest:.1f}" if one.slowest else "", f"{one.largest / 2**20:.0f}" if one.largest else ""]
        sizes.append(f"{one.seconds / 60:.1f}")
        rows.append([one.name, str(one.tries), *counts, *sizes])
    rows.insert(1, ["---"] * len(rows[0]))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def run(parts: list[str], every: int = 1, only: str = "") -> list[Results]:
    """Runs some parts, one after the other."""
    from tests.reliability import inputs

    found = []
    with _working_folder() as work:
        good = work / "good"
        child = harness.Child(lambda: inputs.make(good) and 0, work, work / "log", {CACHE: str(work / "cache")})
        status, _, _ = child.wait(600)
        if status:
            raise RuntimeError(f"the valid inputs could not be made: {child.said()[1]}")
        for part in parts:
            began = time.monotonic()
            results = PARTS[part](work, good, every, only)
            results.seconds = time.monotonic() - began
            found.append(results)
    return found


class _working_folder(tempfile.TemporaryDirectory):  # noqa: N801
    def __enter__(self) -> Path:
        return Path(super().__enter__())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--every", type=int, default=1, metavar="N")
    parser.add_argument("--only", default="", metavar="TEXT")
    parser.add_argument("--json", type=Path, metavar="FILE", help="what broke, by try")
    parser.add_argument("--table", type=Path, metavar="FILE")
    args = parser.parse_args()
    harness.preload()
    found = run(args.parts or list(PARTS), args.every, args.only)
    print(table(found))
    if args.json:
        args.json.write_text(json.dumps({name: faults for one in found for name, faults in one.each.items()}))
    if args.table:
        args.table.parent.mkdir(parents=True, exist_ok=True)
        args.table.write_text(table(found), encoding="utf-8")
    return int(any(one.faults for one in found))


if __name__ == "__main__":
    sys.exit(main())
