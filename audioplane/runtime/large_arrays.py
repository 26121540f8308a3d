"""Arrays that are too large for memory lie in a temporary file that has no name, and are read from it in parts.

Hours of sound are 220 MiB an hour, of which two minutes are looked at at a time. An array of `zeros` is an ordinary
array for whoever reads or writes it; what was touched takes memory until `release` is called, which loses nothing.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import threading
import weakref
from collections.abc import Iterator

import numpy as np

BLOCK = 1 << 24  # numbers: 64 MiB; smaller arrays lie in memory

_lock = threading.Lock()
_maps: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()


def zeros(count: int, in_file: bool | None = None) -> np.ndarray:
    """An array of float32 zeros; a large one in a file, where there is room and the system can do it.

    The file is gone as soon as the array is, also when the process is killed.

    Args:
        count: of numbers. in_file: whether it shall lie in a file; default if it is larger than `BLOCK`.

    Returns:
        (count,).
    """
    wanted = count > BLOCK if in_file is None else in_file
    if not (wanted and hasattr(os, "posix_fallocate") and hasattr(mmap.mmap, "madvise")):
        return np.zeros(count, np.float32)
    try:
        with tempfile.TemporaryFile() as file:
            os.posix_fallocate(file.fileno(), 0, 4 * count)  # a full disk is found here, not when it is written
            mapped = mmap.mmap(file.fileno(), 4 * count)
    except (OSError, ValueError):
        return np.zeros(count, np.float32)
    with _lock:
        _maps.add(mapped)
    return np.frombuffer(mapped, np.float32)


def release() -> None:
    """Takes what was touched of arrays in files out of memory; it is read again when it is asked for."""
    with _lock:
        every = list(_maps)
    for mapped in every:
        mapped.madvise(mmap.MADV_DONTNEED)


def parts(count: int) -> Iterator[slice]:
    """The parts of an array of so many numbers that are worked on at once; calls `release` after each."""
    for start in range(0, count, BLOCK):
        yield slice(start, min(start + BLOCK, count))
        release()
