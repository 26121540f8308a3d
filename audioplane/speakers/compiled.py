"""The one way kernels of this room are compiled: serial, without the interpreter lock, cached on disk.

numba's cache notices a change of the file a function stands in, but not of the files it calls into: an edit
of `surfaces.py` would leave yesterday's `shade` running. Here a cached kernel is fresh only while every
source file of this folder is the one it was compiled from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from numba import njit


@cache
def _sources() -> str:
    """A hash of this folder's source files."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """A decorator like `numba.njit(cache=True, nogil=True, **options)` whose cache knows the whole folder."""

    def wrap(function: Callable[..., Any]) -> Any:
        dispatcher = njit(cache=True, nogil=True, **options)(function)
        # Private to numba, hence guarded: without it the cache is merely numba's own.
        index = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
        if index is not None and hasattr(index, "_source_stamp"):
            index._source_stamp = (index._source_stamp, _sources())
        return dispatcher

    return wrap
