"""The one way kernels are compiled: serial, without the interpreter lock, cached on disk.

numba's cache notices a change of the file a function stands in, but not of the files it calls into: an edit of
`splat/tiles.py` would leave yesterday's compositing running. Here a cached kernel is fresh only while every source file
of its folder, and the vector type they all share, is the one it was compiled from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from numba import njit

PACKAGE = Path(__file__).parents[1]
SHARED = PACKAGE / "splat" / "simd.py"


@cache
def _sources(folder: Path) -> str:
    """A hash of a folder's source files and of what kernels of all folders share."""
    digest = hashlib.sha256()
    own = [] if folder == PACKAGE else sorted(folder.glob("*.py"))  # kernels of the package's top call no neighbours
    for path in [*own, SHARED]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """A decorator like `numba.njit(cache=True, nogil=True, **options)` whose cache knows the whole folder."""

    def wrap(function: Callable[..., Any]) -> Any:
        dispatcher = njit(cache=True, nogil=True, **options)(function)
        # Private to numba, hence guarded: without it the cache is merely numba's own.
        index = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
        if index is not None and hasattr(index, "_source_stamp"):
            index._source_stamp = (index._source_stamp, _sources(Path(function.__code__.co_filename).parent))
        return dispatcher

    return wrap
