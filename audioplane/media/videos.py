"""Films as they come: pictures with the seconds at which they are shown, and two films paired by them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from audioplane.errors import UserError


@dataclass(frozen=True)
class Film:
    """What a file says of its picture: size, shown times (T,) in seconds from the first frame, frames a second."""

    path: Path
    width: int
    height: int
    times: NDArray[np.float64]
    fps: float
    has_sound: bool

    @property
    def seconds(self) -> float:
        """From the first frame's time to the last one's, and one frame's time more."""
        return float(self.times[-1]) + 1 / self.fps


def read(path: str | Path) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Yields each picture's time in seconds from the first and its pixels (H, W, 3) uint8 RGB.

    Raises:
        UserError: no such file, or it cannot be read as a film.
    """
    import av
    from av.error import FFmpegError

    path = Path(path)
    if not path.is_file():
        raise UserError(f"there is no film {path}")
    first: float | None = None
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise UserError(f"{path} has no picture")
            container.streams.video[0].thread_type = "AUTO"
            for frame in container.decode(video=0):
                at = frame.time or 0.0
                first = at if first is None else first
                yield at - first, np.asarray(frame.to_ndarray(format="rgb24"))
    except FFmpegError as error:
        raise UserError(f"{path} cannot be read as a film ({error})") from error


def look(path: str | Path) -> Film:
    """Size, times and rate of a film; its packets are read, its pictures are not decoded.

    Raises:
        UserError: no such file, not a film, or without a picture.
    """
    import av
    from av.error import FFmpegError

    path = Path(path)
    if not path.is_file():
        raise UserError(f"there is no film {path}")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise UserError(f"{path} has no picture")
            stream: Any = container.streams.video[0]
            width, height, sound = stream.width, stream.height, bool(container.streams.audio)
            rate = float(stream.average_rate or stream.guessed_rate or 25)
            stamps = [float(p.pts * p.time_base) for p in container.demux(stream) if p.pts is not None]
    except FFmpegError as error:
        raise UserError(f"{path} cannot be read as a film ({error})") from error
    if not stamps:
        raise UserError(f"{path} has no frame")
    times = np.sort(np.array(stamps))
    return Film(path, width, height, times - times[0], rate, sound)


@dataclass(frozen=True)
class Pair:
    """Two films of the same length and size, and which frame of one belongs to which of the other.

    Attributes:
        pred, ref: the films. frames: (n, 2) numbers of frames of pred and of ref, shown at the same time.
        resized: whether pred's pictures are scaled to ref's size.
    """

    pred: Film
    ref: Film
    frames: NDArray[np.int64]
    resized: bool

    def __iter__(self) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
        """Yields pictures of pred and ref, (H, W, 3) uint8, pair by pair."""
        sides = [
            _only(read(film.path), numbers)
            for film, numbers in ((self.pred, self.frames[:, 0]), (self.ref, self.frames[:, 1]))
        ]
        for pred, ref in zip(*sides, strict=True):
            if self.resized:
                pred = cv2.resize(pred, (self.ref.width, self.ref.height), interpolation=cv2.INTER_AREA)
            yield np.asarray(pred, np.uint8), ref


def pair(pred: str | Path, ref: str | Path, resize: bool = False, cut: bool = False) -> Pair:
    """Pairs two films by the times at which their frames are shown.

    The slower film gives the moments; of the other, the frame shown nearest to each is taken, which lies within half of
    its frame's time.

    Args:
        resize: allow other sizes; pred is scaled to ref's. cut: allow other lengths; the longer one's end is left out.

    Raises:
        UserError: sizes differ, or lengths by more than a frame, and it was not asked to allow it.
    """
    a, b = look(pred), look(ref)
    if (a.width, a.height) != (b.width, b.height) and not resize:
        raise UserError(
            f"{a.path} is {a.width} x {a.height}, {b.path} is {b.width} x {b.height}; give films of one size, or "
            f"--resize to scale the first"
        )
    if abs(a.seconds - b.seconds) > 1.5 / min(a.fps, b.fps) and not cut:
        raise UserError(
            f"{a.path} lasts {a.seconds:.2f} s, {b.path} {b.seconds:.2f} s; give films of one length, or --cut to "
            f"leave the longer one's end out"
        )
    slow, fast = (a, b) if a.fps <= b.fps else (b, a)
    reach = 0.75 / fast.fps
    after = np.searchsorted(fast.times, slow.times).clip(1, max(len(fast.times) - 1, 1))
    before = after - 1
    after = after.clip(max=len(fast.times) - 1)
    later = np.abs(fast.times[after] - slow.times) < np.abs(fast.times[before] - slow.times)
    nearest = np.where(later, after, before)
    known = np.abs(fast.times[nearest] - slow.times) <= reach
    if not known.any():
        raise UserError(f"{a.path} and {b.path} share no moment; are their times right?")
    index = np.column_stack([np.flatnonzero(known), nearest[known]])
    return Pair(a, b, index if slow is a else index[:, ::-1], (a.width, a.height) != (b.width, b.height))


def _only(frames: Iterator[tuple[float, NDArray[np.uint8]]], numbers: NDArray) -> Iterator[NDArray[np.uint8]]:
    """The frames of those (rising) numbers; one that is asked for twice comes twice."""
    wanted = iter(numbers.tolist())
    next_one = next(wanted, None)
    for number, (_, picture) in enumerate(frames):
        while next_one == number:
            yield picture
            next_one = next(wanted, None)
        if next_one is None:
            return


def at_rate(path: str | Path, fps: float = 25.0) -> Iterator[NDArray[np.uint8]]:
    """A film's pictures at another rate: at each moment k / fps the one that is then shown (as `ffmpeg -r` has it)."""
    k, shown = 0, None
    for at, picture in read(path):
        while shown is not None and k / fps < at - 0.5 / fps:
            yield shown
            k += 1
        shown = picture
        if k / fps <= at + 0.5 / fps:
            yield shown
            k += 1
