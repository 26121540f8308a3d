"""Commands that are killed at random moments, started again and killed again: in the end the same bytes.

A chain is one working folder in which a command is killed several times before it may finish; then the folder must be
what it is after a command that was left alone, leftovers included.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from tests.reliability import harness, inputs

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
CHAIN = 5  # kills before a command may finish
LEAST = 0.25  # of a command's whole time: a moment is drawn from that much at least, where it goes on
LONGEST = 600.0  # seconds that one command may take here
WHEN = ("seconds", "made", "fps", "fps_device", "device_seconds", "time", "speed")
"""Keys of JSON whose values are times of the day or durations."""

Again = Callable[[Path], tuple[str, ...]]


@dataclass(frozen=True)
class Killed:
    """A command that is killed.

    Attributes:
        name: of it. needs: the valid inputs. command: from the folder, what is to be run now. chains: how many.
        goes_on: whether it goes on from where it was killed, so that what is left to be killed becomes shorter.
        first: what its process does before.
    """

    name: str
    needs: tuple[str, ...]
    command: Again
    chains: int
    goes_on: bool = False
    first: Callable[[], object] = lambda: None


def train(method: str, *settings: str) -> Again:
    """`audioplane train`, with --resume where there is something to resume."""
    words = ("train", "subject", "--out", "new")
    longer = ("schedule.coarse=60", "schedule.fine=60", *settings)

    def command(folder: Path) -> tuple[str, ...]:
        if (folder / "new" / "state.safetensors").exists():
            return (*words, "--resume")
        return (*words, "--method", method, *inputs.settings(method, *longer))

    return command


def painted_face() -> None:
    """`prepare` without model files: it finds the face that `more_inputs` paints."""
    _fake_face().install()


def _fake_face() -> ModuleType:
    folder = str(Path(__file__).parents[1] / "preprocess")
    if folder not in sys.path:  # tests of preprocess import each other by their bare names
        sys.path.append(folder)
    return importlib.import_module("fake_face")


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
    prepare = ("prepare", "face.mp4", "--out", "prepared", "--size", "64")
    if os.environ.get("AUDIOPLANE_ASSETS"):
        found.append(Killed("prepare", ("face.mp4",), always(*prepare), 5, True))
    split = ("prepare", "cut.mkv", "--out", "pieces", "--size", "64", "--split", "--skip", "refine", "--skip", "flow")
    found.append(Killed("prepare --split", ("cut.mkv",), always(*split), 4, True, painted_face))
    reproduce = ("reproduce", "table3", "--preset", "smoke", "--subject", "subject", "--jobs", "1", "--out", "tables")
    found.append(Killed("reproduce", ("subject",), always(*reproduce), 6, True))
    return found


def more_inputs(good: Path) -> int:
    """What only kills need: a longer voice, a film with a cut, and one of a face."""
    fake_face = _fake_face()
    inputs.voice(good / "long.wav", 6.0)
    opening = fake_face.babble(130)
    frames = fake_face.paint(fake_face.moving(130), opening)
    frames[70:] = [np.roll(frame, 6, axis=1) for frame in frames[70:]]
    fake_face.clips.write(good / "cut.mkv", frames, sound=fake_face.voice(opening))
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
        if not (name.endswith((".json", ".jsonl", ".csv")) and path.is_file()):
            continue
        text = path.read_text().replace(str(folder), "FOLDER")  # records say where a model file was missing
        if name.endswith(".csv"):
            found[name] = text
        else:
            rows = [text] if name.endswith(".json") else text.splitlines()
            found[name] = json.dumps([_timeless(json.loads(row)) for row in rows])
    return found


def _timeless(value: object) -> object:
    if isinstance(value, dict):
        return {key: _timeless(one) for key, one in value.items() if key not in WHEN}
    return [_timeless(one) for one in value] if isinstance(value, list) else value


def start(case: Killed, folder: Path, log: Path, environment: Mapping[str, str]) -> harness.Child:
    """Starts the command of a case, or what comes after it, in its folder."""
    return harness.start(case.command(folder), folder, log, environment, first=case.first)


def chain(
    case: Killed, good: Path, work: Path, seed: int, whole: float, wanted: dict[str, str]
) -> tuple[int, list[str]]:
    """One chain: how many kills there were, and what broke.

    Args:
        whole: seconds that the command takes. wanted: `comparable` of a folder in which it was left alone.
    """
    rng, folder, faults, kills, left = random.Random(seed), work / "chain", [], 0, whole
    shutil.rmtree(folder, ignore_errors=True)
    inputs.copy(good, case.needs, folder)
    own = {"AUDIOPLANE_CACHE": str(folder / "cache")}
    for _ in range(CHAIN):
        child, number, after = start(case, folder, work / "log", own), rng.choice(SIGNALS), rng.uniform(0.0, left)
        status = _killed(child, after, number)
        if status is None:
            break  # it had ended before
        kills += 1
        if case.goes_on:
            left = max(left - after, LEAST * whole)
        if "Traceback" in child.said()[1] and number != signal.SIGKILL:
            faults.append(f"traceback: after {number.name}: {harness.tail_of_traceback(child.said()[1])}")
        if number == signal.SIGINT and status not in (130, -signal.SIGINT, 0):
            faults.append(f"crashes: {number.name} ends in status {status}: {child.said()[1][-100:]}")
    last = start(case, folder, work / "log", own)
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
