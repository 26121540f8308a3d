"""Runs commands of `audioplane` in forked children of one process that has imported everything, and watches them.

A child is a whole command: its own process group, working folder, standard output and error, limits of time and memory.
Forking saves the seconds that imports take, so that hundreds of commands can be tried in a minute.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

SECONDS, MEMORY = 20, 2 * 2**30
PATIENCE = 300.0  # seconds by the clock, where others use the machine too: `SECONDS` are of the processor
GUARD = 6 * 2**30  # of address space beyond what is there already: a command beyond `MEMORY` shall not hurt the machine
NOTHING: Mapping[str, str] = MappingProxyType({})
TRACEBACK = 70  # exit status of a child that ended in a traceback


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Attributes:
        status: its exit status, or minus the signal that ended it. out, err: what it wrote.
        seconds: how long it took. memory: the most it had, bytes. hung: whether it had to be killed.
        left: paths in its folder that were not there before, or have changed.
    """

    status: int
    out: str
    err: str
    seconds: float
    memory: int
    hung: bool
    left: tuple[str, ...]

    def faults(self) -> list[str]:
        """What is wrong with a command on a bad input that ended so; empty when all is well."""
        found = []
        if self.hung:
            found.append(f"hangs: more than {SECONDS:g} s")
        elif self.status < 0:
            found.append(f"crashes: signal {-self.status}")
        if self.status == TRACEBACK or "Traceback" in self.err:
            found.append("traceback: " + tail_of_traceback(self.err))
        if self.memory > MEMORY:
            found.append(f"takes {self.memory / 2**30:.1f} GB")
        if self.status not in (0, TRACEBACK) and not self.err.strip() and not self.out.strip():
            found.append("says nothing")
        if self.status != 0 and self.left:
            found.append(f"leaves {', '.join(self.left[:4])}")
        return found


def tail_of_traceback(text: str) -> str:
    """The innermost lines of the last traceback in what a command wrote, in one line."""
    lines = text[text.rfind("Traceback") :].strip().splitlines()
    inner = next((k for k, line in enumerate(lines) if k and not line.startswith(" ")), len(lines) - 1)
    return " | ".join(line.strip() for line in lines[max(inner - 4, 0) : inner + 1])[:400]


def preload() -> None:
    """Imports what commands import, without running anything that starts threads."""
    import importlib

    import audioplane  # noqa: F401
    from audioplane.cli import COMMANDS

    for module in COMMANDS.values():
        importlib.import_module(module)
    for name in (
        *("inference.talking_head", "training.trainer", "subject.ad_nerf", "subject.check", "plots.contact_sheet"),
        *("evaluation.report", "experiments.runner", "media.videos", "media.writer", "synthetic", "training.callbacks"),
        *("preprocess.pipeline", "evaluation.user_study", "methods.audio_plane.model"),
    ):
        importlib.import_module(f"audioplane.{name}")
    _stay_on_one_thread()


_threads = 0  # that a child computes with; 0: as many as torch takes


def _stay_on_one_thread() -> None:
    """A child of a process whose OpenMP has started its threads waits for them for ever: this one starts none."""
    global _threads
    import torch

    if not _threads:
        _threads = torch.get_num_threads()
        torch.set_num_threads(1)


def state_of(folder: Path) -> dict[str, str]:
    """Every path below a folder, with a hash of what it is; locks are left out, since they mean nothing."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = f"link {os.readlink(path)}"
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            found[name] = "folder"
    return found


@dataclass(frozen=True)
class Place:
    """What a command finds around it.

    Attributes:
        out, err: where its outputs go; "" for files of the log, "closed" for nowhere. memory: address space beyond
            what is there already, bytes. largest: of a file that it may write, bytes; 0 for any.
    """

    out: str = ""
    err: str = ""
    memory: int = GUARD
    largest: int = 0


USUAL = Place()


class Child:
    """A forked child that runs a function; see `start`."""

    def __init__(
        self,
        run: Callable[[], int],
        folder: Path,
        log: Path,
        environment: Mapping[str, str],
        limited: bool = False,
        place: Place = USUAL,
    ) -> None:
        self.log, self.began = log, time.monotonic()
        log.mkdir(parents=True, exist_ok=True)
        sys.stdout.flush(), sys.stderr.flush()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # in the child until its command begins
        self.pid = os.fork()
        if self.pid == 0:
            _child(run, folder, log, environment, limited, place)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})

    def signal(self, number: int) -> None:
        """Sends a signal to the child and all that it has started."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            os.kill(self.pid, number)

    def wait(self, seconds: float) -> tuple[int, bool, int]:
        """Waits; returns exit status (or minus a signal), whether it had to be killed, and its peak memory in bytes."""
        hung, end = False, self.began + seconds
        while True:
            pid, state, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                break
            if not hung and time.monotonic() > end:
                hung = True
                self.signal(signal.SIGKILL)
            time.sleep(0.002)
        return os.waitstatus_to_exitcode(state), hung, usage.ru_maxrss * 1024

    def said(self) -> tuple[str, str]:
        out, err = ((self.log / name).read_text(encoding="utf-8", errors="replace") for name in ("out", "err"))
        return out, err


def _child(
    run: Callable[[], int], folder: Path, log: Path, environment: Mapping[str, str], limited: bool, place: Place
) -> None:
    status = TRACEBACK
    try:
        if _threads:
            import torch

            torch.set_num_threads(_threads)
        os.setsid()
        os.chdir(folder)
        os.environ.update(environment)
        for number, name, target in ((1, "out", place.out), (2, "err", place.err)):
            (log / name).write_text("")
            os.dup2(os.open(log / name if target in ("", "closed") else target, os.O_WRONLY | os.O_APPEND), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdin = os.fdopen(0, closefd=False)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", closefd=False, errors="backslashreplace", buffering=1)
        if place.out == "closed":
            os.close(1)
            sys.stdout = None  # type: ignore[assignment]
        if place.largest:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (place.largest, place.largest))
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + place.memory, used + place.memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if limited:
            resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 5))
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            status = run()
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else int(error.code is not None)
        except BaseException:
            traceback.print_exc()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.flush()
    finally:
        os._exit(status)


def start(
    command: Sequence[str],
    folder: Path,
    log: Path,
    environment: Mapping[str, str] = NOTHING,
    limited: bool = False,
    place: Place = USUAL,
    first: Callable[[], object] = lambda: None,
) -> Child:
    """Starts `audioplane COMMAND` in `folder`; `limited`: to `SECONDS` of the processor; `first` is called before."""
    from audioplane.cli import main

    def run() -> int:
        first()
        return main(list(command))

    return Child(run, folder, log, environment, limited, place)


def run(
    command: Sequence[str],
    folder: Path,
    log: Path,
    environment: Mapping[str, str] = NOTHING,
    seconds: float = PATIENCE,
    place: Place = USUAL,
) -> Outcome:
    """Runs `audioplane COMMAND` in `folder` to its end."""
    before = state_of(folder)
    child = start(command, folder, log, environment, True, place)
    status, hung, memory = child.wait(seconds)
    hung = hung or status == -signal.SIGXCPU
    after = state_of(folder)
    left = tuple(name for name in after if before.get(name) != after[name])
    gone = tuple(f"{name} (gone)" for name in before if name not in after)
    out, err = child.said()
    return Outcome(status, out, err, time.monotonic() - child.began, memory, hung, left + gone)
