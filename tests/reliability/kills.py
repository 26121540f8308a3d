"""Commands that are killed at random moments, started again and killed again: in the end the same bytes.

A chain is one working folder in which a command is killed several times before it may finish; then the folder must be
what it is after a command that was left alone, leftovers included.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.reliability import harness, inputs

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
CHAIN = 5  # kills before a command may finish
LONGEST = 600.0  # seconds that one command may take here
WHEN = ("seconds", "made", "fps", "fps_device", "device_seconds", "time", "speed")
"""Keys of JSON whose values are times of the day or durations."""

Again = Callable[[Path], tuple[str, ...]]


@dataclass(frozen=True)
class Killed:
    """A command that is killed.

    Attributes:
        name: of it. needs: the valid inputs. command: from the folder, what is to be run now. chains: how many.
        environment: of it, paths within the folder for {}.
    """

    name: str
    needs: tuple[str, ...]
    command: Again
    chains: int
    environment: tuple[tuple[str, str], ...] = ()


def train(method: str, *settings: str) -> Again:
    """`audioplane train`, with --resume where there is something to resume."""
    words = ("train", "subject", "--out", "new")
    longer = ("schedule.coarse=60", "schedule.fine=60", *settings)

    def command(folder: Path) -> tuple[str, ...]:
        if (folder / "new" / "state.safetensors").exists():
            return (*words, "--resume")
        return (*words, "--method", method, *inputs.settings(method, *longer))

    return command


def always(*words: str) -> Again:
    return lambda folder: words


def table() -> list[Killed]:
    """Every command, and every method and field that trains."""
    from audioplane import registry
    from tests.tiny_run import VARIANTS

    found = [
        Killed(
            "speakers make",
            (),
            always("speakers", "make", "adam", "--out", "made", "--size", "32", "--seconds", "2"),
            8,
        )
    ]
    for name in registry.names():
        for number, settings in enumerate(VARIANTS.get(name, ((),))):
            found.append(Killed(f"train {name} {number}", ("subject",), train(name, *settings), 3))
    found.append(Killed("speak", ("run", "long.wav"), always("speak", "run", "long.wav", "--out", "talk.mp4"), 6))
    if os.environ.get("AUDIOPLANE_ASSETS"):
        found.append(
            Killed("prepare", ("face.mp4",), always("prepare", "face.mp4", "--out", "prepared", "--size", "64"), 5)
        )
    reproduce = ("reproduce", "table3", "--preset", "smoke", "--subject", "subject", "--jobs", "1", "--out", "tables")
    found.append(Killed("reproduce", ("subject",), always(*reproduce), 6))
    return found


def more_inputs(good: Path) -> int:
    """What only kills need: a longer voice, and a film of a face."""
    inputs.voice(good / "long.wav", 6.0)
    if os.environ.get("AUDIOPLANE_ASSETS"):
        from audioplane import synthetic
        from audioplane.media.writer import write_video

        subject = synthetic.make("adam", good / "face", 192, 3, 0, progress=False)
        write_video(good / "face.mp4", (subject.frame(t) for t in range(subject.num_frames)), 25.0, subject.audio)
        shutil.rmtree(good / "face")
    return 0


def comparable(folder: Path) -> dict[str, str]:
    """What must be the same after all: every file, without times of the day and durations in JSON."""
    found = harness.state_of(folder)
    for name in found:
        path = folder / name
        if name.endswith((".json", ".jsonl")) and path.is_file():
            rows = [path.read_text()] if name.endswith(".json") else path.read_text().splitlines()
            found[name] = json.dumps([_timeless(json.loads(row)) for row in rows])
    return found


def _timeless(value: object) -> object:
    if isinstance(value, dict):
        return {key: _timeless(one) for key, one in value.items() if key not in WHEN}
    return [_timeless(one) for one in value] if isinstance(value, list) else value


def chain(
    case: Killed, good: Path, work: Path, seed: int, whole: float, wanted: dict[str, str]
) -> tuple[int, list[str]]:
    """One chain: how many kills there were, and what broke.

    Args:
        whole: seconds that the command takes. wanted: `comparable` of a folder in which it was left alone.
    """
    rng, folder, faults, kills = random.Random(seed), work / "chain", [], 0
    shutil.rmtree(folder, ignore_errors=True)
    inputs.copy(good, case.needs, folder)
    own = {"AUDIOPLANE_CACHE": str(folder / "cache")}
    for _ in range(CHAIN):
        child, number = harness.start(case.command(folder), folder, work / "log", own), rng.choice(SIGNALS)
        status = _killed(child, rng.uniform(0.0, whole), number)
        if status is None:
            break  # it had ended before
        kills += 1
        if "Traceback" in child.said()[1] and number != signal.SIGKILL:
            faults.append(f"traceback: after {number.name}: {harness.tail_of_traceback(child.said()[1])}")
        if number == signal.SIGINT and status not in (130, -signal.SIGINT, 0):
            faults.append(f"crashes: {number.name} ends in status {status}: {child.said()[1][-100:]}")
    last = harness.start(case.command(folder), folder, work / "log", own)
    status, hung, _ = last.wait(LONGEST)
    already = "exists already" in last.said()[1] or "already holds" in last.said()[1]
    if hung or (status and not already):
        faults.append("hangs" if hung else f"crashes: not finished: {last.said()[1].strip()[-150:]}")
    differ = differences(wanted, comparable(folder))
    if differ:
        faults.append(f"differs: {', '.join(differ[:4])}")
    shutil.rmtree(folder, ignore_errors=True)
    return kills, faults


def differences(a: dict[str, str], b: dict[str, str]) -> list[str]:
    """Names of what is not the same in two folders."""
    return sorted(name for name in a.keys() | b.keys() if a.get(name) != b.get(name) and not _own(name))


def _own(name: str) -> bool:
    """Kept kernels and the like, which are no result."""
    return name.startswith(("cache/kernels", "cache/matplotlib"))


def _killed(child: harness.Child, after: float, number: signal.Signals) -> int | None:
    """Sends a signal after so many seconds; the status, None if the child had ended before."""
    import time

    end = time.monotonic() + after
    while time.monotonic() < end:
        pid, _ = os.waitpid(child.pid, os.WNOHANG)
        if pid:
            return None
        time.sleep(0.005)
    child.signal(number)
    status, _, _ = child.wait(LONGEST)
    return status
