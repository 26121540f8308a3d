"""Full and read-only places, little memory, closed outputs, and two commands at once in one place."""

from __future__ import annotations

import functools
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from tests.reliability import harness, inputs, kills
from tests.reliability.bad_commands import CHECK, EVALUATE, RESUME, SHOW, SPEAK, TRAIN

Attempt = Callable[[Path, Path, Path], list[str]]
NEEDS = ("subject", "run", "voice.wav", "film.mp4")
COMMANDS = {
    "check": CHECK,
    "show": SHOW,
    "train": TRAIN,
    "resume": RESUME,
    "speak": SPEAK,
    "evaluate": (*EVALUATE, "--json", "found.json"),
    "films": ("evaluate", "--pred", "film.mp4", "--ref", "film.mp4"),
    "speakers": ("speakers", "make", "adam", "--out", "made", "--size", "32", "--seconds", "2"),
    "list": ("speakers",),
    "doctor": ("doctor",),
}
MIB = 2**20


def table() -> dict[str, Attempt]:
    """Every try by its name."""
    found: dict[str, Attempt] = {}
    for name, command in COMMANDS.items():
        for size in (1000, 30_000, 200_000):
            place = harness.Place(largest=size)
            found[f"{name}, no file beyond {size} bytes"] = functools.partial(alone, command, place)
        for memory in (20, 60, 150, 400, 900, 1100):
            place = harness.Place(memory=memory * MIB)
            found[f"{name}, {memory} MiB of memory"] = functools.partial(alone, command, place)
        for out in ("/dev/full", "closed"):
            found[f"{name}, output to {out}"] = functools.partial(alone, command, harness.Place(out=out))
    for name, command in {
        "speak to /dev/full": (*SPEAK[:-1], "/dev/full"),
        "evaluate to /dev/full": (*EVALUATE, "--json", "/dev/full"),
        "train into /proc": ("train", "subject", "--out", "/proc/new", *TRAIN[4:]),
        "speak into /proc": (*SPEAK[:-1], "/proc/x.mp4"),
        "sheet into /sys": (*SHOW[:-1], "/sys/x.png"),
        "import into /proc": ("subject", "import", "nerf", "--out", "/proc/x"),
    }.items():
        found[name] = functools.partial(alone, command, harness.USUAL)
    found["two trainings in one folder"] = two_trainings
    for name in ("speak", "evaluate", "show", "speakers"):
        found[f"{name} twice at once"] = functools.partial(twice, COMMANDS[name])
    return found


def alone(command: tuple[str, ...], place: harness.Place, good: Path, folder: Path, log: Path) -> list[str]:
    """One command: it ends well or in a sentence; a result of which only the telling failed is as it always is."""
    inputs.copy(good, (*NEEDS, "nerf"), folder)
    outcome = harness.run(command, folder, log, {"AUDIOPLANE_CACHE": str(folder / "cache")}, place=place)
    own = tuple(name for name in outcome.left if not name.startswith(("cache", "run/", "new")) or name.endswith(".tmp"))
    if place.out and own:
        left = kills.comparable(folder)
        shutil.rmtree(folder)
        inputs.copy(good, (*NEEDS, "nerf"), folder)
        harness.run(command, folder, log / "usual", {"AUDIOPLANE_CACHE": str(folder / "cache")})
        usual = kills.comparable(folder)
        own = tuple(name for name in own if left.get(name) != usual.get(name))
    faults = harness.Outcome(
        outcome.status, outcome.out, outcome.err, outcome.seconds, outcome.memory, outcome.hung, own
    ).faults()
    return [fault for fault in faults if not (place.out and fault == "says nothing")]


def two_trainings(good: Path, folder: Path, log: Path) -> list[str]:
    """The second ends in a sentence, the first as if it were alone."""
    inputs.copy(good, ("subject",), folder)
    first = harness.start(TRAIN, folder, log / "first")
    while not (folder / "new" / ".lock").exists():
        time.sleep(0.01)
    second = harness.run((*TRAIN, "--seed", "5"), folder, log / "second")
    status, _, _ = first.wait(kills.LONGEST)
    faults = [] if status == 0 else [f"crashes: the first ends in {status}: {first.said()[1][-150:]}"]
    if second.status != 2 or "another process is working" not in second.err:
        faults.append(f"crashes: the second ends in {second.status}: {second.err[-150:]}")
    wanted = (good / "run" / "head.safetensors").read_bytes()
    if (folder / "new" / "head.safetensors").read_bytes() != wanted:
        faults.append("differs: the head of the first")
    return faults


def twice(command: tuple[str, ...], good: Path, folder: Path, log: Path) -> list[str]:
    """Both end well, or one in a sentence; what they leave is what one leaves."""
    found = []
    for number in (1, 2):
        shutil.rmtree(folder, ignore_errors=True)
        inputs.copy(good, NEEDS, folder)
        own = {"AUDIOPLANE_CACHE": str(folder / "cache")}
        children = [harness.start(command, folder, log / str(k), own) for k in range(number)]
        ends = [child.wait(kills.LONGEST)[0] for child in children]
        said = [child.said()[1] for child in children]
        if 0 not in ends or any(end not in (0, 2) for end in ends) or any("Traceback" in text for text in said):
            return [f"crashes: they end in {ends}: {said[-1][-200:]}"]
        found.append(kills.comparable(folder))
    differ = kills.differences(*found)
    return [f"differs: {', '.join(differ[:4])}"] if differ else []
