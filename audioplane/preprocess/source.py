"""A video file as it is: what is in it, its pictures at 25 a second by their timestamps, its sound at 16 kHz.

Frame t of what leaves here shows the moment (t + 0.5) / 25 s after the first picture: of the file's pictures the one
that is on the screen then. So 30 pictures a second, a variable rate, and doubled or dropped pictures all come out in
step with the sound, which is laid down by its own timestamps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
from av.stream import Disposition

from audioplane.errors import UserError
from audioplane.subject.format import FPS, SAMPLE_RATE

GAP = 0.05  # seconds by which sound may be off its timestamps before it is moved
HOLE = 0.4  # seconds from one picture to the next that tell of lost ones


@dataclass(frozen=True)
class Sound:
    """The sound of a file: 16 kHz mono from the first picture on, and what it was before."""

    samples: np.ndarray
    rate: int
    channels: int
    codec: str
    start: float  # seconds after the first picture; negative: before


@dataclass(frozen=True)
class Timing:
    """When a file's pictures are shown.

    Attributes:
        times: of every picture in the file, seconds after the first. end: when the last one goes. declared: how long
        the file says it is, seconds; 0 if it does not. damaged: what went wrong while reading, or "".
    """

    times: np.ndarray
    end: float
    declared: float
    damaged: str


def _words(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).strip().rstrip(".")


def _open(path: Path) -> Any:
    if not path.exists():
        raise UserError(f"{path} does not exist")
    if path.is_dir():
        raise UserError(f"{path} is a folder; give one video file")
    if path.stat().st_size == 0:
        raise UserError(f"{path} is empty")
    try:
        return av.open(str(path), metadata_errors="ignore")
    except (av.error.FFmpegError, ValueError) as error:
        raise UserError(f"{path} is not a video that can be read, or is damaged ({_words(error)})") from error


def _moving(file: Any) -> list[Any]:
    """The video streams that are not the picture of a cover."""
    cover = Disposition.attached_pic
    return [stream for stream in file.streams.video if not stream.disposition & cover]


@dataclass(frozen=True)
class Source:
    """A video file.

    Attributes:
        path: of the file. width, height: of its pictures as they are to be seen (square pixels, upright).
        codec: of the pictures. rate: pictures a second, as the file says. has_sound: whether there is a sound track.
    """

    path: Path
    width: int
    height: int
    codec: str
    rate: float
    has_sound: bool

    @classmethod
    def open(cls, path: str | Path) -> Source:
        """Looks at the file and its first picture.

        Raises:
            UserError: it is missing, not a video, or nothing can be decoded.
        """
        path = Path(path)
        with _open(path) as file:
            streams = _moving(file)
            if not streams:
                what = "only sound" if file.streams.audio else "no pictures"
                raise UserError(f"{path} has {what}: prepare needs a video of a face")
            stream = streams[0]
            try:
                first = next(iter(file.decode(stream)), None)
            except av.error.FFmpegError as error:
                raise UserError(f"{path} is damaged: its first picture cannot be decoded ({_words(error)})") from error
            if first is None:
                raise UserError(f"{path} is damaged or cut short: it has no picture that can be decoded")
            width, height = _shown_size(first, stream)
            return cls(
                path,
                width,
                height,
                str(stream.codec_context.name),
                float(stream.average_rate or stream.base_rate or 0),
                bool(file.streams.audio),
            )

    def _decoded(self) -> Iterator[tuple[float, float, Any]]:
        """(time, duration, frame) in the order of time, until the end or the first damage."""
        with _open(self.path) as file:
            stream = _moving(file)[0]
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = 2
            usual, first, last = 1 / float(stream.average_rate or stream.base_rate or 25), None, -math.inf
            for frame in file.decode(stream):
                if frame.pts is None:
                    time = 0.0 if first is None else last + usual
                else:
                    time = float(frame.pts * frame.time_base)
                first = time if first is None else first
                time -= first
                if time <= last:  # a timestamp that goes back says nothing
                    continue
                duration = float(frame.duration * frame.time_base) if frame.duration else usual
                last = time
                yield time, duration, frame

    def pictures(
        self,
        start: float,
        count: int,
        box: tuple[int, int, int, int] | None = None,
        size: int = 0,
    ) -> Iterator[np.ndarray]:
        """The pictures on the screen at the moments start + (t + 0.5) / 25, t = 0 .. count - 1.

        Args:
            start: seconds after the first picture. count: how many.
            box: left, top, width, height of what is cut out, pixels; it may reach over the edge, which is repeated.
            size: side that the cut is resized to; 0 leaves it.

        Yields:
            H x W x 3 uint8 RGB; the same array again where a picture stays on the screen. The last one that can be
            decoded stands for those that cannot.
        """
        t, shown, picture = 0, None, None
        steps = self._decoded()
        held: Any = None

        def convert(frame: Any) -> np.ndarray:
            return cut_out(upright(frame, self.width, self.height), box, size)

        while t < count:
            try:
                upcoming = next(steps, None)
            except av.error.FFmpegError:
                upcoming = None
            while t < count and held is not None and (upcoming is None or upcoming[0] > start + (t + 0.5) / FPS):
                if shown is not held:
                    picture, shown = convert(held), held
                assert picture is not None
                yield picture
                t += 1
            if upcoming is None:
                return
            held = upcoming[2]

    def sound(self, start: float = 0.0, seconds: float | None = None) -> Sound:
        """The sound from `start` seconds after the first picture on, mono, 16 kHz; silence where there is none.

        Raises:
            UserError: there is no sound track, or nothing of it can be decoded.
        """
        if not self.has_sound:
            raise UserError(f"{self.path} has no sound track: a talking head cannot be learnt without the voice")
        picture_start = self._first_picture()
        with _open(self.path) as file:
            stream = file.streams.audio[0]
            pieces: list[tuple[float, np.ndarray]] = []
            rate, reach, end = int(stream.rate or 0), math.inf if seconds is None else start + seconds, -math.inf
            try:
                for frame in file.decode(stream):
                    rate = rate or int(frame.sample_rate)
                    time = end if frame.pts is None else float(frame.pts * frame.time_base) - picture_start
                    if abs(time - end) < GAP:
                        time = end  # timestamps are rounded: only a true gap moves the sound
                    if not math.isfinite(time):
                        time = 0.0
                    piece = _mono(frame)
                    end = time + len(piece) / rate
                    pieces.append((time, piece))
                    if time > reach + 1:
                        break
            except av.error.FFmpegError as error:
                if not pieces:
                    raise UserError(f"{self.path}: its sound cannot be decoded ({_words(error)})") from error
            channels, codec = int(stream.channels), str(stream.codec_context.name)
        if not pieces:
            raise UserError(f"{self.path}: its sound track is empty")
        seconds = max(end - start, 0.0) if seconds is None else seconds
        line = np.zeros(math.ceil(seconds * rate) + 1, np.float32)
        for time, piece in pieces:
            at = round((time - start) * rate)
            a, b = max(at, 0), min(at + len(piece), len(line))
            if b > a:
                line[a:b] = piece[a - at : b - at]
        return Sound(_to_16k(line, rate)[: round(seconds * SAMPLE_RATE)], rate, channels, codec, pieces[0][0])

    def _first_picture(self) -> float:
        with _open(self.path) as file:
            for frame in file.decode(video=0):
                return float(frame.pts * frame.time_base) if frame.pts is not None else 0.0
        return 0.0

    def timing(self) -> Timing:
        """Reads all timestamps; decodes everything once, so damage shows."""
        times, end, damaged, corrupt = [], 0.0, "", 0
        steps = self._decoded()
        while True:
            try:
                step = next(steps, None)
            except av.error.FFmpegError as error:
                damaged = f"decoding stopped at {end:.2f} s ({_words(error)})"
                break
            if step is None:
                break
            times.append(step[0])
            end = step[0] + step[1]
            corrupt += bool(step[2].is_corrupt)
        with _open(self.path) as file:
            stream = _moving(file)[0]
            if stream.duration and stream.time_base:
                declared = float(stream.duration * stream.time_base)
            else:
                declared = _clock(stream.metadata.get("DURATION", ""))
        if not damaged and declared and end < declared - 0.5:
            damaged = f"it says {declared:.1f} s but ends after {end:.1f} s"
        if not damaged and corrupt:
            damaged = f"{corrupt} of its pictures are damaged"
        return Timing(np.array(times), end, declared, damaged)


def _clock(text: str) -> float:
    """Seconds of Matroska's "00:01:02.500000000"; 0 if it is none."""
    try:
        hours, minutes, seconds = (float(part) for part in text.split(":"))
    except ValueError:
        return 0.0
    return 3600 * hours + 60 * minutes + seconds


def holes(times: np.ndarray, start: float, end: float) -> list[tuple[float, float]]:
    """(from, to) in seconds, within start to end, of stretches without a new picture, which no camera makes.

    Args:
        times: of the pictures, seconds after the first.
    """
    inside = times[(times >= start) & (times <= end)]
    wide = np.flatnonzero(np.diff(inside) > HOLE)
    return [(round(float(inside[k]), 2), round(float(inside[k + 1]), 2)) for k in wide]


def _shown_size(frame: Any, stream: Any) -> tuple[int, int]:
    ratio = stream.sample_aspect_ratio or Fraction(1)
    width = round(frame.width * ratio) if 0 < ratio != 1 else frame.width
    turned = getattr(frame, "rotation", 0) % 180 == 90
    return (frame.height, width) if turned else (width, frame.height)


def upright(frame: Any, width: int, height: int) -> np.ndarray:
    """A decoded frame as H x W x 3 uint8 RGB, upright, pixels square."""
    import cv2

    image = frame.to_ndarray(format="rgb24")
    turns = round(getattr(frame, "rotation", 0) / 90) % 4
    if turns:
        image = np.rot90(image, turns)
    if image.shape[:2] != (height, width):  # pixels that are not square, or a size that changes on the way
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(image)


def cut_out(image: np.ndarray, box: tuple[int, int, int, int] | None, size: int) -> np.ndarray:
    """The box (left, top, width, height) of a picture, its edges repeated where the box reaches over, resized."""
    import cv2

    if box is not None:
        left, top, width, height = box
        tall, wide = image.shape[:2]
        reach = [max(-top, 0), max(top + height - tall, 0), max(-left, 0), max(left + width - wide, 0)]
        if any(reach):
            above, below, before, after = reach
            image = cv2.copyMakeBorder(image, above, below, before, after, cv2.BORDER_REPLICATE)
        y, x = top + reach[0], left + reach[2]
        image = image[y : y + height, x : x + width]
    if size and image.shape[:2] != (size, size):
        way = cv2.INTER_AREA if image.shape[0] > size else cv2.INTER_CUBIC
        image = cv2.resize(image, (size, size), interpolation=way)
    return np.ascontiguousarray(image)


def _mono(frame: Any) -> np.ndarray:
    """One decoded piece of sound: mean of its channels, float32 in [-1, 1]."""
    data = frame.to_ndarray()
    channels = len(frame.layout.channels)
    if not frame.format.is_planar:
        data = data.reshape(-1, channels).T
    if data.dtype == np.uint8:
        data = (data.astype(np.float32) - 128) / 128
    elif data.dtype.kind == "i":
        data = data.astype(np.float32) / np.float32(-float(np.iinfo(data.dtype).min))
    return data.astype(np.float32).mean(0)


def _to_16k(samples: np.ndarray, rate: int) -> np.ndarray:
    if rate == SAMPLE_RATE:
        return np.clip(samples, -1, 1)
    from scipy.signal import resample_poly

    common = math.gcd(rate, SAMPLE_RATE)
    return np.clip(resample_poly(samples, SAMPLE_RATE // common, rate // common), -1, 1).astype(np.float32)
