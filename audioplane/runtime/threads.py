"""A small thread pool for compiled kernels that release the interpreter lock, and whole frames worked on side by side.

Kernels are plain serial functions `kernel(start, stop, *args)` that write only what belongs to their range, so
results cannot depend on how many threads ran them. Unlike numba's own parallel mode this compiles fast, survives
`fork`, and lets two models run side by side with one thread each. The number of threads is torch's
(`torch.set_num_threads`).
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import torch

Range = tuple[int, int]
T = TypeVar("T")
R = TypeVar("R")

_numbers_lock = threading.Lock()


class _Helper:
    """A thread that does what it is given, again and again; a lock each way wakes faster than a queue and a future."""

    def __init__(self) -> None:
        self._given, self._done = threading.Lock(), threading.Lock()
        self._given.acquire()
        self._done.acquire()
        self._work: Callable[[], None] | None = None
        self._error: BaseException | None = None
        threading.Thread(target=self._serve, name="audioplane", daemon=True).start()

    def _serve(self) -> None:
        while True:
            self._given.acquire()
            work, self._work, self._error = self._work, None, None
            try:
                assert work is not None
                work()
            except BaseException as error:  # is raised where it is waited for
                self._error = error
            work = None  # an idle thread keeps nothing alive
            self._done.release()

    def start(self, work: Callable[[], None]) -> None:
        self._work = work
        self._given.release()

    def wait(self) -> BaseException | None:
        """Until it is done; what stopped it."""
        self._done.acquire()
        error, self._error = self._error, None
        return error


_idle: list[_Helper] = []


def _helper() -> _Helper:
    try:
        return _idle.pop()  # atomic under the interpreter lock
    except IndexError:
        return _Helper()


if hasattr(os, "register_at_fork"):  # a forked child has none of its parent's threads
    os.register_at_fork(after_in_child=_idle.clear)


def split(n: int, parts: int) -> list[Range]:
    """Cuts range(n) into at most `parts` contiguous, near-equal, non-empty ranges."""
    parts = max(1, min(parts, n))
    bounds = [n * i // parts for i in range(parts + 1)]
    return [(a, b) for a, b in pairwise(bounds) if b > a]


def run(kernel: Callable[..., Any], chunks: Sequence[Range], *args: Any) -> None:
    """Calls `kernel(start, stop, *args)` for every chunk, on up to `torch.get_num_threads()` threads.

    The calling thread works too. Chunks are handed out in order as threads come free. The first exception of any
    chunk is raised after all threads have stopped.
    """
    threads = min(torch.get_num_threads(), len(chunks))
    if threads <= 1:
        for start, stop in chunks:
            kernel(start, stop, *args)
        return
    remaining = iter(chunks)  # `next` on a list iterator is atomic under the interpreter lock

    def work() -> None:
        for start, stop in remaining:
            kernel(start, stop, *args)

    helpers = [_helper() for _ in range(threads - 1)]
    for helper in helpers:
        helper.start(work)
    try:
        work()
    finally:
        errors = [helper.wait() for helper in helpers]
        _idle.extend(helpers)
    for error in errors:
        if error is not None:
            raise error


def flat(tensor: torch.Tensor) -> np.ndarray:
    """The numbers of a CPU tensor for a kernel, one-dimensional, not copied if contiguous; bfloat16 as int16."""
    row = tensor.detach().contiguous().view(-1)
    return (row.view(torch.int16) if row.dtype == torch.bfloat16 else row).numpy()


def set_own(number: int) -> int:
    """Sets how many threads kernels and torch use when the calling thread asks, and changes nothing for other threads.

    torch keeps the number for each thread (OpenMP does), and besides one that threads take on which start later:
    `torch.set_num_threads` changes both. Here the latter is put back at once.

    Returns:
        the calling thread's number before.
    """
    with _numbers_lock:
        before, of_new_threads = torch.get_num_threads(), _elsewhere(torch.get_num_threads)
        torch.set_num_threads(number)
        _elsewhere(lambda: torch.set_num_threads(of_new_threads))
    return before


def _elsewhere(function: Callable[[], R]) -> R:
    """What a function returns in a thread of its own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


@contextlib.contextmanager
def one_each() -> Iterator[int]:
    """Lets kernels of the calling thread run on it alone; yields how many threads it had, and gives them back.

    Not to be held over a `yield` of a generator: its caller would go on with one thread.
    """
    before = set_own(1)
    try:
        yield before
    finally:
        set_own(before)


def in_parallel(work: Callable[[T], R], items: Iterable[T], workers: int = 0) -> Iterator[R]:
    """work(item) of each item in order, on `workers` threads (0: all cores the process may use), two items each ahead.

    Each item's kernels run on its own thread alone: frames side by side keep cores busier than parts of one frame.
    What the caller set for its own thread (`torch.set_num_threads`) stays as it is, however long this is suspended.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    waiting: deque[Future[R]] = deque()
    workers = workers or cores
    started = threading.Barrier(workers)
    with ThreadPoolExecutor(workers, "frames", initializer=set_own, initargs=(1,)) as pool:
        # All workers set their number now: a worker that starts while this is suspended would, for an instant, change
        # what the caller's new threads take on.
        for ready in [pool.submit(started.wait) for _ in range(workers)]:
            ready.result()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
