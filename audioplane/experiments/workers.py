"""Where jobs run: processes of this machine, or the workers of a Ray cluster. Either way a job is `runs.run`.

A pool takes jobs and gives futures of their records. What was begun can be continued, so a pool may be stopped at any
moment: a training goes on from its checkpoint, in whatever process next takes its lock.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import multiprocessing
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from audioplane.errors import UserError
from audioplane.experiments.records import Record
from audioplane.experiments.run_cache import HEAD, place, trained, training_code
from audioplane.experiments.runs import Job, run
from audioplane.runtime import cache, files

if TYPE_CHECKING:
    from audioplane.config import Config
    from audioplane.subject import Subject
    from audioplane.training.report import Report
    from audioplane.training.trainer import Trainer

T = TypeVar("T")

EVERY = 0.5  # seconds between two notes of a worker, and between two looks at them
RETRIES = 3  # how often Ray starts a job again whose worker was lost
OBJECTS = 128 * 2**20  # bytes of a local Ray's shared memory: records are small
STARTED_BY_US = "local"  # the address of a Ray that is started here and ends with us


class Pool(Protocol):
    """Somewhere to run jobs."""

    def submit(self, job: Job, notes: Path) -> Future[Record]:
        """Queues a job; its progress may be noted as `notes`/KEY.json."""
        ...

    def stop(self) -> None:
        """Ends what is running."""
        ...

    def close(self) -> None:
        """Lets go of the workers."""
        ...


class Here:
    """This process: a job is done when it is given. For jobs that take less time than a process needs to start."""

    def submit(self, job: Job, notes: Path) -> Future[Record]:
        return _done(lambda: work(job, notes))

    def train(self, subject: Subject, config: Config) -> Future[Path]:
        """`Processes.train`, at once."""
        return _done(lambda: _train(subject, config))

    def stop(self) -> None: ...

    def close(self) -> None: ...


def _done(job: Callable[[], T]) -> Future[T]:
    """The result of a job, or its error; torch has as many threads afterwards as before."""
    import torch

    future, threads = Future[Any](), torch.get_num_threads()
    try:
        future.set_result(job())
    except Exception as error:
        future.set_exception(error)
    finally:
        torch.set_num_threads(threads)
    return future


class Processes:
    """Processes of this machine.

    Args:
        count: of them.
    """

    def __init__(self, count: int) -> None:
        # spawn: a forked child would inherit compiled kernels' threads in an unknown state
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(count, context, initializer=start_worker)

    def submit(self, job: Job, notes: Path) -> Future[Record]:
        return self._pool.submit(work, job, notes)

    def train(self, subject: Subject, config: Config) -> Future[Path]:
        """Queues a training that nobody judges; its folder comes back."""
        return self._pool.submit(_train, subject, config)

    def call(self, function: Callable[..., T], *given: Any) -> Future[T]:
        """Queues anything else; it must be known to a new process by its name."""
        return self._pool.submit(function, *given)

    def stop(self) -> None:
        for process in list((self._pool._processes or {}).values()):
            process.terminate()

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


class Ray:
    """The workers of a Ray cluster, or of a Ray that is started on this machine and ends with this object.

    A job asks for one processor, and for one GPU where the cluster has some. Where nodes share the cache folder, a
    worker finds the heads and checkpoints of all others.

    Args:
        address: HOST:PORT of a cluster; `STARTED_BY_US` for one of this machine.
        count: workers of the latter; None: as many as processors, or GPUs.

    Raises:
        ModuleNotFoundError: Ray is not installed. UserError: it cannot be reached, or does not start.
    """

    def __init__(self, address: str, count: int | None = None) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        if address != STARTED_BY_US:
            _check_reachable(address)
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # it would report to its makers; read when it is imported
        self._ray: Any = importlib.import_module("ray")
        quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
        if address == STARTED_BY_US:
            # a folder of its own, so that nothing stays; its sockets' names must be short
            self._folder = tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True)
            quiet |= {"include_dashboard": False, "object_store_memory": OBJECTS, "_temp_dir": self._folder.name}
            quiet |= {"num_cpus": count} if count else {}
        try:
            self._ray.init(address=address, **quiet)
        except Exception as error:  # of many kinds, a plain Exception among them
            self.close()
            why = (str(error) or type(error).__name__).splitlines()[0][:200]
            what = "did not start" if address == STARTED_BY_US else f"cannot be reached at {address[:100]!r}"
            raise UserError(f"Ray {what}: {why}") from error
        gpus = 1 if self._ray.cluster_resources().get("GPU", 0) >= 1 else 0
        # Ray would set it to 1. Matrix products of numpy, in the log-mel, round differently with other numbers of
        # threads, so a worker has as many as a process of ours.
        threads = os.environ.get("OMP_NUM_THREADS") or str(os.cpu_count() or 1)
        alike = {"env_vars": {"OMP_NUM_THREADS": threads}}
        task = self._ray.remote(num_cpus=1, num_gpus=gpus, max_retries=RETRIES, runtime_env=alike)
        self._task = task(work_elsewhere)
        self._running: list[Any] = []

    def submit(self, job: Job, notes: Path) -> Future[Record]:
        """Queues a job; there are no notes, as the worker may stand elsewhere."""
        settings = {name: value for name, value in os.environ.items() if name.startswith("AUDIOPLANE_")}
        settings[cache.VARIABLE] = str(cache.folder())
        reference = self._task.remote(job, settings, training_code(job.config))
        self._running.append(reference)
        return reference.future()  # type: ignore[no-any-return]

    def stop(self) -> None:
        for reference in self._running:
            with contextlib.suppress(Exception):  # it has ended
                self._ray.cancel(reference, force=True)

    def close(self) -> None:
        self._ray.shutdown()
        if self._folder is not None:
            self._folder.cleanup()


def _check_reachable(address: str) -> None:
    """Asks whether anybody listens there: Ray itself would try for eight minutes.

    Raises:
        UserError: nobody does, or it is no address.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in host:
        raise UserError(f"--ray takes HOST:PORT, as `ray start --head` prints it, not {address[:100]!r}")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise UserError(f"no Ray cluster can be reached at {address[:100]!r}: {error}") from error


def open_pool(count: int | None, most: int, ray: str | None = None) -> Pool:
    """Workers for some jobs.

    Args:
        count: of workers; None: one a core, or one where there is a GPU; Ray's own where it is asked. 0: no process
            but this one.
        most: that there is work for. ray: see `Ray`; None for processes of this machine.
    """
    if ray is not None:
        return Ray(ray, count)
    if count == 0:
        return Here()
    return Processes(min(count or default_workers(), most))


def default_workers() -> int:
    """One a core; one where there is a GPU, which one run fills."""
    import torch

    if torch.cuda.is_available():
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def start_worker() -> None:
    """Leaves Ctrl-C, which reaches every process of a terminal, to the runner; ends when the runner was killed.

    An orphan would hold its run and its memory for ever: its siblings keep the pipe open at which it waits.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    runner = multiprocessing.parent_process()

    def end_with_the_runner() -> None:
        if runner is not None:
            runner.join()
            os._exit(1)

    threading.Thread(target=end_with_the_runner, daemon=True).start()


def work(job: Job, notes: Path) -> Record:
    """A job in a process of its own, with one thread."""
    import torch

    torch.set_num_threads(1)
    note = _Note(notes / f"{job.key}.json")
    try:
        return run(job, (note,))
    finally:
        note.path.unlink(missing_ok=True)


def work_elsewhere(job: Job, settings: dict[str, str], code: str) -> Record:
    """A job in a process of Ray, maybe on another machine.

    Args:
        job: what to do. settings: environment variables of the machine that asks. code: `training_code` there.

    Raises:
        UserError: this machine has another version of audioplane, so its record would be no answer.
    """
    import torch

    os.environ.update(settings)
    torch.set_num_threads(1)
    if training_code(job.config) != code:
        raise UserError(
            f"{os.uname().nodename} has another version of audioplane, or other model files, than the machine that "
            "asks: install the same on every node"
        )
    return run(job)


def train_all(subject: Subject, configs: Sequence[Config], count: int | None = None, quiet: bool = False) -> list[Path]:
    """Heads of one subject, several beside each other with a thread each; those that are there are found again.

    Args:
        subject: to learn. configs: of the heads. count: of processes; None: `default_workers`; 0: this one. quiet: no
            progress.

    Returns:
        Their folders in the order of `configs`, as `run_cache.trained` gives them.
    """
    from tqdm.auto import tqdm

    places = [place(subject.name, subject.digest, config) for config in configs]
    missing = {at: config for at, config in zip(places, configs, strict=True) if not (at / HEAD).is_file()}
    if missing:
        pool = Here() if count == 0 else Processes(min(count or default_workers(), len(missing)))
        with closing(pool), tqdm(total=len(missing), unit="head", disable=quiet, leave=False) as bar:
            try:
                for done in as_completed([pool.train(subject, config) for config in missing.values()]):
                    done.result()
                    bar.update()
            except BaseException:
                pool.stop()  # what they do can be continued
                raise
    return places


def _train(subject: Subject, config: Config) -> Path:
    """A training in a process of its own, with one thread."""
    import torch

    torch.set_num_threads(1)
    return trained(subject, config)


class _Note:
    """Reports the progress of a training to the runner."""

    def __init__(self, path: Path) -> None:
        self.path, self._last = path, 0.0

    def step(self, trainer: Trainer, report: Report) -> None:
        now = time.monotonic()
        if now - self._last > EVERY:
            self._last = now
            text = json.dumps({"share": (report.iteration + 1) / report.total, "psnr": report.psnr})
            files.write_text(self.path, text, durable=False)

    def close(self) -> None: ...


@dataclass(frozen=True)
class Progress:
    """A note of `_Note`: how much of a training is done, 0 to 1, and the PSNR of its head, dB."""

    share: float
    psnr: float
