"""A pack: many lossless pictures in one file, any of them decoded alone in about a millisecond.

Layout, little-endian, in the order it is written (the file is only ever appended to, and hashed as it grows):

    head     8 bytes    magic `APPACK1\\n`
    records  PNG bytes, one after another; a pack with a base picture has it as the record before the first
    index    (n + 1) uint64 offsets of the records and of their end, then n uint32 CRC-32 of each record
    tail     n, offset of the index, 1 when record 0 is the base, CRC-32 of index and tail, magic `APEND01\\n`

A file cut short has no tail and is refused when opened; a record whose bytes changed is refused when read.

Base picture: where a still background fills most of each frame, the difference to it (modulo 256, so nothing
is lost) compresses and decodes faster than the frame. The reader adds it back.

Records are read with `pread`, not through a memory map: pages of a map count as the process's own memory, and
a file that shrinks under a map kills the process.
"""

from __future__ import annotations

import hashlib
import os
import struct
import threading
import weakref
import zlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from audioplane.errors import UserError
from audioplane.runtime import pictures

HEAD = b"APPACK1\n"
END = b"APEND01\n"
FACTS, CLOSE = struct.Struct("<QQI"), struct.Struct("<I8s")
TAIL_SIZE = FACTS.size + CLOSE.size

# Run-length matching at level 1, each row as its difference to the one above: on pictures of people a fifteenth larger
# than zlib's level 6 with every filter, in a sixth of the time, and the fastest to read.
PNG_SETTINGS = [
    *(cv2.IMWRITE_PNG_COMPRESSION, 1),
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP),
]


class DamagedPackError(UserError):
    """The file is not a whole pack, or a record of it has changed since it was written."""


class StrangePictureError(DamagedPackError):
    """A picture has another size or type than all must have."""


def encode_png(image: np.ndarray) -> bytes:
    """PNG bytes of an H x W (uint8, uint16) or H x W x 3 (uint8, RGB) picture; lossless."""
    ok, data = cv2.imencode(".png", image[..., ::-1] if image.ndim == 3 else image, PNG_SETTINGS)
    if not ok:
        raise ValueError(f"cannot encode a picture of shape {image.shape} and type {image.dtype} as PNG")
    return data.tobytes()


def decode_png(data: bytes) -> np.ndarray | None:
    """The inverse of `encode_png`; None when the bytes are not a picture, or one beyond the limits."""
    size = pictures.png_size(data)
    if size is None or not pictures.fits(size):
        return None
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if image is None:
        return None
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if image.ndim == 3 and image.shape[2] == 3 else image


class HashedFile:
    """A new file that is hashed while it is written.

    Args:
        path: where; the file must not exist.
    """

    def __init__(self, path: Path) -> None:
        self._file = open(path, "xb")  # noqa: SIM115 (closed by close)
        self._digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self._digest.update(data)
        self.size += len(data)

    def close(self) -> tuple[str, int]:
        """Closes the file; returns its sha256 (hex) and its size in bytes."""
        self._file.close()
        return self._digest.hexdigest(), self.size


class PackWriter:
    """Writes pictures in the order they are added, encoding them in worker threads.

    Args:
        path: the new file.
        base: H x W x 3 uint8 picture that most frames resemble (see the module), or None.
        threads: encoding threads; default: the machine's cores.
        ahead: pictures that may wait before `add` blocks.
    """

    def __init__(self, path: Path, base: np.ndarray | None = None, threads: int | None = None, ahead: int = 16) -> None:
        self._file = HashedFile(path)
        self._base = base
        self._pool = ThreadPoolExecutor(threads or os.cpu_count() or 1, thread_name_prefix="pack")
        self._waiting: deque[Future[bytes]] = deque()
        self._ahead = ahead
        self._offsets: list[int] = []
        self._checks: list[int] = []
        self.count = 0
        self._file.write(HEAD)
        if base is not None:
            self._write(encode_png(base))

    def _write(self, data: bytes) -> None:
        self._offsets.append(self._file.size)
        self._checks.append(zlib.crc32(data))
        self._file.write(data)

    def _encode(self, image: np.ndarray) -> bytes:
        return encode_png(image if self._base is None else image - self._base)

    def add(self, image: np.ndarray) -> None:
        """Appends one picture; it is copied, so the caller may reuse the array."""
        self._waiting.append(self._pool.submit(self._encode, image.copy()))
        self.count += 1
        while len(self._waiting) > self._ahead:
            self._write(self._waiting.popleft().result())

    def close(self) -> tuple[str, int]:
        """Writes what still waits, the index and the tail; returns sha256 (hex) and bytes of the file."""
        while self._waiting:
            self._write(self._waiting.popleft().result())
        self._pool.shutdown()
        n, start = len(self._offsets), self._file.size
        offsets = np.asarray([*self._offsets, start], "<u8").tobytes()
        index = offsets + np.asarray(self._checks, "<u4").tobytes()
        self._file.write(index)
        facts = FACTS.pack(n, start, int(self._base is not None))
        self._file.write(facts + CLOSE.pack(zlib.crc32(index + facts), END))
        return self._file.close()

    def abort(self) -> None:
        """Stops the threads and closes the file as it is; the caller deletes it."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._file.close()


class PackReader:
    """Opens a pack; `pack[i]` decodes picture i. Safe to use from many threads.

    Args:
        path: of the file.
        shape: of its pictures, (H, W) or (H, W, 3); None for any.
        dtype: of its pictures, uint8 or uint16.

    Raises:
        DamagedPackError: when the file is not a whole pack.
    """

    def __init__(self, path: Path, shape: tuple[int, ...] | None = None, dtype: type = np.uint8) -> None:
        self.path, self.shape, self.dtype = path, shape, np.dtype(dtype)
        try:
            self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        except OSError as error:
            raise DamagedPackError(f"cannot open {path}: {error.strerror}; make the Subject again") from error
        self.close = weakref.finalize(self, os.close, self._descriptor)
        """Closes the file (once, or when the reader is forgotten); the reader cannot be used afterwards."""
        self._lock = threading.Lock()
        try:
            self._open(os.fstat(self._descriptor).st_size)
        except BaseException:
            self.close()
            raise

    def _open(self, size: int) -> None:
        if size < len(HEAD) + TAIL_SIZE or self._read(0, len(HEAD)) != HEAD:
            raise DamagedPackError(f"{self.path} is not a picture pack; make the Subject again")
        tail = self._read(size - TAIL_SIZE, TAIL_SIZE)
        n, start, has_base = FACTS.unpack_from(tail)
        check, end = CLOSE.unpack_from(tail, FACTS.size)
        index_size = 12 * n + 8
        if end != END or start + index_size + TAIL_SIZE != size:
            raise DamagedPackError(f"{self.path} is cut short (its index is missing); copy or make it again")
        index = self._read(start, index_size)
        if zlib.crc32(index + tail[: FACTS.size]) != check:
            raise DamagedPackError(f"{self.path} has a damaged index; copy or make it again")
        self._offsets = np.frombuffer(index, "<u8", n + 1).astype(np.int64)
        self._checks = np.frombuffer(index, "<u4", n, 8 * (n + 1))
        self._first = int(has_base)
        ends = np.diff(self._offsets)
        if n < self._first or self._offsets[0] < len(HEAD) or self._offsets[-1] != start or (ends < 0).any():
            raise DamagedPackError(f"{self.path} has an index that leads out of it; copy or make it again")
        self._base = self._decode(0) if has_base else None

    def _read(self, offset: int, size: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self._descriptor, size, offset)
        with self._lock:  # Windows
            os.lseek(self._descriptor, offset, os.SEEK_SET)
            return os.read(self._descriptor, size)

    def __len__(self) -> int:
        return len(self._checks) - self._first

    def _decode(self, record: int) -> np.ndarray:
        start, stop = int(self._offsets[record]), int(self._offsets[record + 1])
        data = self._read(start, stop - start)
        whole = zlib.crc32(data) == self._checks[record]
        claimed = pictures.png_size(data) if whole else None
        if self.shape is not None and claimed is not None and claimed != self.shape[:2]:  # before it is decoded
            raise self._strange(record, claimed)
        image = decode_png(data) if whole else None
        if image is None:
            raise DamagedPackError(f"{self._picture(record)} is damaged; copy or make the file again")
        if self.shape is not None and (image.shape != self.shape or image.dtype != self.dtype):
            raise self._strange(record, image.shape)
        return image

    def _strange(self, record: int, shape: tuple[int, ...]) -> StrangePictureError:
        wanted = f"{self.shape} {self.dtype}"
        return StrangePictureError(f"{self._picture(record)} has shape {shape}, expected {wanted}; make the file again")

    def _picture(self, record: int) -> str:
        return f"picture {record - self._first} of {self.path}"

    def __getitem__(self, index: int) -> np.ndarray:
        if not 0 <= index < len(self):
            raise IndexError(f"picture {index} of {self.path.name}, which has {len(self)}")
        image = self._decode(index + self._first)
        if self._base is None:
            return image
        if image.shape != self._base.shape or image.dtype != self._base.dtype:
            raise self._strange(index + self._first, image.shape)
        return image + self._base
