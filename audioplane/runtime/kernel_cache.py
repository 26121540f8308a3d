"""Where compiled kernels are kept on disk: whole or not at all, and made again when anything about them is wrong.

numba's own cache notices a change of the file a function stands in, but not of the files it calls into: an edit of
`splat/tiles.py` would leave yesterday's compositing running. Here a kept kernel is fresh only while every source file
of its folder, and the vector type they all share, is the one it was compiled from. An entry also says which signature
it is of and what its bytes add up to, so that a file that was cut short, or left behind by a process that was killed,
is compiled anew; and a disk that is full or cannot be written costs time, never the call.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import pickle
import warnings
from collections.abc import Iterator
from functools import cache as remember
from pathlib import Path
from typing import Any

from numba.core import caching

from audioplane.errors import UserError
from audioplane.runtime import cache

PACKAGE = Path(__file__).parents[1]
SHARED = PACKAGE / "splat" / "simd.py"
VARIABLE = "NUMBA_CACHE_DIR"
NOWHERE = (
    f"compiled kernels cannot be kept: no folder for them can be written. Every process compiles them anew (a minute). "
    f"Set {VARIABLE} to a folder you can write"
)


def places(folder: Path) -> Iterator[Path]:
    """The folders in which the kernels of a source folder may be kept, best first; none is created."""
    name = f"{folder.name}_{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}"
    if named := os.environ.get(VARIABLE):
        yield Path(named).absolute() / name
    yield folder / "__pycache__"
    with contextlib.suppress(UserError):  # nowhere to keep anything
        yield cache.folder("kernels", name)


def place(folder: Path) -> Path | None:
    """The first of `places` that can be written, or None; nothing is created."""
    return next((path for path in places(folder) if _writable(path)), None)


def _writable(path: Path) -> bool:
    while not os.path.exists(path):  # False, not an error, in folders that may not be looked into
        path = path.parent
    return path.is_dir() and os.access(path, os.W_OK | os.X_OK)


@remember
def _made(folder: Path) -> Path | None:
    """`place`, created and tried out."""
    for path in places(folder):
        with contextlib.suppress(OSError):
            if _writable(path):
                path.mkdir(parents=True, exist_ok=True)
                return path
    _say_once(NOWHERE)
    return None


@remember
def _say_once(text: str) -> None:
    warnings.warn(text, RuntimeWarning, stacklevel=2)


def damaged(folder: Path) -> list[Path]:
    """The kept files of a source folder's kernels that are not whole; the next use makes them again."""
    kept = place(folder)
    files = sorted(kept.glob("*.nb[ic]")) if kept is not None else []
    return [path for path in files if not _whole(path.read_bytes(), is_index=path.suffix == ".nbi")]


def _whole(content: bytes, is_index: bool) -> bool:
    try:
        if is_index:
            stream = io.BytesIO(content)
            pickle.load(stream)
            pickle.load(stream)
            return True
        stored = pickle.loads(content)
    except Exception:  # whatever a damaged pickle raises
        return False
    if not (isinstance(stored, tuple) and len(stored) == 4):
        return True  # numba's own, of another version of this module: never looked at again
    return hashlib.sha256(stored[3]).digest() == stored[2]


@remember
def _sources(folder: Path) -> str:
    """A hash of a folder's source files and of what kernels of all folders share."""
    digest = hashlib.sha256()
    for path in [*sorted(folder.glob("*.py")), SHARED]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def attach(dispatcher: Any) -> None:
    """Lets a function that numba compiles keep what it compiles, where there is a place for it."""
    if _made(Path(dispatcher.py_func.__code__.co_filename).parent) is not None:
        dispatcher._cache = _Cache(dispatcher.py_func)


class _Locator(caching._CacheLocator):  # type: ignore[name-defined, misc]
    """Tells numba the folder, and when what lies in it is out of date."""

    def __init__(self, function: Any) -> None:
        self._py_file = function.__code__.co_filename
        self._line, self._folder = function.__code__.co_firstlineno, Path(self._py_file).parent

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> _Locator:
        return cls(py_func)

    def get_cache_path(self) -> str:
        return str(_made(self._folder))

    def get_source_stamp(self) -> str:
        return _sources(self._folder)

    def get_disambiguator(self) -> str:
        return str(self._line)


class _Implementation(caching.CompileResultCacheImpl):
    _locator_classes = (_Locator,)


class _Files(caching.IndexDataCacheFile):
    """numba's files, of which each says what it is, and none that cannot be read stands in the way."""

    def save(self, key: Any, data: Any) -> None:
        content = self._dump(data)
        super().save(key, (self._source_stamp, key, hashlib.sha256(content).digest(), content))

    def load(self, key: Any) -> Any:
        try:
            stored = super().load(key)
            if stored is None:
                return None
            stamp, same, digest, content = stored
            whole = stamp == self._source_stamp and same == key and hashlib.sha256(content).digest() == digest
            return pickle.loads(content) if whole else None
        except Exception:  # whatever a damaged pickle raises: it is compiled anew and takes the place of this
            return None

    def _load_index(self) -> Any:
        try:
            return super()._load_index()
        except Exception:  # as above
            return {}


class _Cache(caching.FunctionCache):
    _impl_class = _Implementation

    def __init__(self, py_func: Any) -> None:
        super().__init__(py_func)
        files = self._cache_file
        self._cache_file = _Files(self._cache_path, self._impl.filename_base, files._source_stamp)

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except OSError as error:
            _say_once(f"a compiled kernel could not be kept in {self._cache_path}: {error.strerror or error}")
