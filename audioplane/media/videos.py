"""Two films compared: which frame of one belongs to which of the other, by the times at which they are shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from audioplane.errors import UserError
from audioplane.media.container import DAMAGE, reason
from audioplane.media.reader import MediaReader


@dataclass(frozen=True)
class Film:
    """What a file shows, and when.

    Attributes:
        path: of the file. width, height: of its pictures, upright, their pixels square.
        times: (T,) seconds from the first, of every picture that is shown. fps: pictures a second.
        has_sound: whether it has a sound track. notes: what is done to its pictures, each in words.
    """

    path: Path
    width: int
    height: int
    times: NDArray[np.float64]
    fps: float
    has_sound: bool
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """From the first frame's time to the last one's, and one frame's time more."""
        return float(self.times[-1]) + 1 / self.fps


def read(path: str | Path) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Yields each picture's time in seconds from the first and its pixels (H, W, 3) uint8 RGB, upright.

    Raises:
        UserError: no such file, or it cannot be read as a film.
    """
    from av.video.reformatter import VideoReformatter

    source, reformatter = MediaReader.open(path), VideoReformatter()
    try:
        for shown in source.frames():
            yield float(shown.time), source.picture(shown.frame, reformatter)
    except DAMAGE as error:
        raise UserError(f"{path} is damaged ({reason(error)}); export it again") from error


def look(path: str | Path) -> Film:
    """Size, times and rate of a film; all its pictures are decoded, so packets that are never shown do not count.

    Raises:
        UserError: no such file, not a film, without a picture, or damaged.
    """
    source = MediaReader.open(path)
    timing = source.timing()
    if timing.damaged.startswith("decoding stopped"):
        raise UserError(f"{path} is damaged: {timing.damaged}; export it again")
    times = np.array([float(time) for time in timing.times])
    rate = float(source.rate) or (len(times) - 1) / max(float(times[-1]), 1e-9) or 25.0
    return Film(Path(path), source.width, source.height, times, rate, source.has_sound, source.notes)


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
        """Yields pictures of pred and ref, (H, W, 3) uint8, pair by pair.

        Raises:
            UserError: a film ends before its frames do.
        """
        sides = [_only(film, numbers) for film, numbers in zip((self.pred, self.ref), self.frames.T, strict=True)]
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


def _only(film: Film, numbers: NDArray) -> Iterator[NDArray[np.uint8]]:
    """The frames of those (rising) numbers; one that is asked for twice comes twice."""
    wanted = iter(numbers.tolist())
    next_one = next(wanted, None)
    if next_one is None:
        return
    for number, (_, picture) in enumerate(read(film.path)):
        while next_one == number:
            yield picture
            next_one = next(wanted, None)
        if next_one is None:
            return
    raise UserError(f"{film.path} ends before frame {next_one}; it changed while it was read")


def at_rate(path: str | Path, fps: float = 25.0) -> Iterator[NDArray[np.uint8]]:
    """A film's pictures at another rate: at each moment k / fps the one that is on the screen then.

    Args:
        path: of the film. fps: pictures a second that are wanted.

    Yields:
        (H, W, 3) uint8 RGB, until the last picture goes.

    Raises:
        UserError: no such file, or it cannot be read as a film.
    """
    source = MediaReader.open(path)
    rate = Fraction(fps).limit_denominator(100_000)
    yield from source.pictures_at((k / rate for k in count()), to_the_end=True)
