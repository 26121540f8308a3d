"""The one reader of arrays from outside: .npy and .npz without pickle, whose type, shape and size are known before
anything is read or inflated.
"""

from __future__ import annotations

import math
import os
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from audioplane.errors import UserError
from audioplane.runtime import limits

FAULTS = (
    *(OSError, ValueError, TypeError, KeyError, EOFError, OverflowError, RecursionError, MemoryError),
    *(SyntaxError, NotImplementedError, RuntimeError, IndexError, zipfile.BadZipFile, zlib.error),
    tokenize.TokenError,
)
"""What numpy and zipfile raise of damaged files."""
ADVICE = "copy or make it again"
HEADER = 10_000  # bytes of an array's header


@dataclass(frozen=True)
class Expected:
    """What an array must be.

    Attributes:
        shape: of it, None where any size will do; None altogether for any shape.
        kinds: numpy's letters of the types it may have: f, i, u, b, U.
        finite: whether NaN and infinite numbers are refused.
    """

    shape: tuple[int | None, ...] | None = None
    kinds: str = "f"
    finite: bool = True

    def __str__(self) -> str:
        names = {"f": "float", "i": "int", "u": "unsigned int", "b": "bool", "U": "text"}
        kinds = " or ".join(names[kind] for kind in self.kinds)
        if self.shape is None:
            return kinds
        return f"{kinds} of shape ({', '.join('*' if size is None else str(size) for size in self.shape)})"


ANY = Expected(None, "fiubU", finite=False)


@dataclass(frozen=True)
class _Header:
    """Of one array: its shape and type, whether its last index is the slowest, and where its values begin."""

    shape: tuple[int, ...]
    dtype: np.dtype
    by_column: bool
    begin: int

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def read_npy(path: Path, expected: Expected = ANY, mapped: bool = False) -> np.ndarray:
    """An .npy file.

    Args:
        path: of the file. expected: what it must hold. mapped: whether it stays on the disk and is read when it is
            used; then its values are not looked at.

    Raises:
        UserError: missing, damaged, too large, or something else than expected.
    """
    with _sentences(path), _ordinary(path) as file:
        header = _header(file, str(path), expected, os.fstat(file.fileno()).st_size)
        if mapped:
            order: Any = "F" if header.by_column else "C"
            if not header.bytes:
                return np.zeros(header.shape, header.dtype)
            return np.memmap(path, header.dtype, "r", header.begin, header.shape, order)
        return _values(file, str(path), header, expected)


def check_npy(path: Path, expected: Expected) -> None:
    """As `read_npy`, but looks at the header alone."""
    with _sentences(path), _ordinary(path) as file:
        _header(file, str(path), expected, os.fstat(file.fileno()).st_size)


def read_npz(
    path: Path, wanted: Mapping[str, Expected] | None = None, others: Expected | None = ANY, headers: bool = False
) -> dict[str, np.ndarray]:
    """An .npz file.

    Args:
        path: of the file. wanted: what it must hold. others: what further arrays must be; None passes over them.
        headers: whether to look at the headers alone; arrays come back empty.

    Raises:
        UserError: missing, damaged, too large, lacking an array, or one is something else than expected.
    """
    wanted = wanted or {}
    with _sentences(path), _ordinary(path) as file, zipfile.ZipFile(file) as archive:
        members = _members(path, archive)
        missing = [name for name in wanted if name not in members]
        if missing:
            raise UserError(f"{path} lacks {', '.join(missing)}; {ADVICE}")
        total = sum(info.file_size for info in members.values())
        if total > limits.limit("array_bytes"):
            raise limits.exceeded(f"{path} holds {total} bytes of arrays", "array_bytes")
        found = {}
        for name, info in members.items():
            expected = wanted.get(name, others)
            if expected is None:
                continue
            with archive.open(info) as member:
                what = f"{path}: {name}"
                header = _header(member, what, expected, info.file_size)
                found[name] = np.zeros(0) if headers else _values(member, what, header, expected)
        return found


def check_numbers(values: np.ndarray, what: str, expected: Expected) -> np.ndarray:
    """Returns an array that is what was expected.

    Raises:
        UserError: it is not; `what` says whose it is.
    """
    _fits(what, values.shape, values.dtype, expected)
    if expected.finite and values.dtype.kind == "f" and not np.isfinite(values).all():
        raise UserError(f"{what} has NaN or infinite numbers; {ADVICE}")
    return values


def _members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    infos = archive.infolist()
    if len(infos) > limits.limit("array_members"):
        raise limits.exceeded(f"{path} holds {len(infos)} files", "array_members")
    members: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        name = info.filename.removesuffix(".npy")
        if name == info.filename or name in members or info.flag_bits & 1:
            raise UserError(f"{path} is no .npz of plain arrays (it holds {info.filename[:60]!r}); {ADVICE}")
        members[name] = info
    return members


def _header(file: IO[bytes], what: str, expected: Expected, size: int) -> _Header:
    """The header of the array that begins here and takes `size` bytes with it."""
    version = npy.read_magic(file)
    if version == (1, 0):
        shape, by_column, dtype = npy.read_array_header_1_0(file, HEADER)
    elif version == (2, 0):
        shape, by_column, dtype = npy.read_array_header_2_0(file, HEADER)
    else:
        raise UserError(f"{what} has version {version} of numpy's format, which no array of plain numbers needs")
    header = _Header(tuple(int(n) for n in shape), dtype, by_column, file.tell())
    _fits(what, header.shape, dtype, expected)
    if header.bytes != size - header.begin:
        raise UserError(f"{what} is cut short or too long for its shape {header.shape}; {ADVICE}")
    return header


def _fits(what: str, shape: tuple[int, ...], dtype: np.dtype, expected: Expected) -> None:
    wanted = expected.shape
    same = wanted is None or (
        len(wanted) == len(shape) and all(a in (None, b) for a, b in zip(wanted, shape, strict=True))
    )
    if not same or dtype.kind not in expected.kinds or dtype.hasobject or any(n < 0 for n in shape):
        raise UserError(f"{what}: expected {expected}, it holds {dtype} of shape {shape}; {ADVICE}")


def _values(file: IO[bytes], what: str, header: _Header, expected: Expected) -> np.ndarray:
    if header.bytes > limits.limit("array_bytes"):
        raise limits.exceeded(f"{what} has {header.bytes} bytes", "array_bytes")
    data = file.read(header.bytes)
    if len(data) != header.bytes or file.read(1):  # reading to the end also checks a member's CRC
        raise UserError(f"{what} is cut short; {ADVICE}")
    values = np.frombuffer(bytearray(data), header.dtype)
    return check_numbers(values.reshape(header.shape, order="F" if header.by_column else "C"), what, expected)


@contextmanager
def _ordinary(path: Path) -> Iterator[IO[bytes]]:
    if not path.is_file():  # a pipe would be waited for
        raise UserError(f"{path} is not an ordinary file" if path.exists() else f"there is no file {path}")
    with open(path, "rb") as file:
        yield file


@contextmanager
def _sentences(path: Path) -> Iterator[None]:
    try:
        yield
    except FAULTS as error:
        reason = getattr(error, "strerror", None) or str(error).split("\n")[0] or type(error).__name__
        raise UserError(f"{path} is damaged or no array ({reason[:120]}); {ADVICE}") from error
