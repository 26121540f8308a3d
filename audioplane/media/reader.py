"""The one reader of films: what a file holds, its pictures at exact times, its sound in step with them.

All times are seconds after the first picture that is shown, as fractions: what lies before it (packets that an edit
list hides, sound that starts early) does not count. A picture is on the screen from its own time until the next one's,
so any rate, a variable one, and doubled or dropped pictures come out in step with the sound.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from audioplane.errors import UserError
from audioplane.media import sound
from audioplane.media.colour import Colour
from audioplane.media.container import DAMAGE, exact, moving_pictures, opened, reason
from audioplane.media.interlacing import progressive
from audioplane.media.orientation import Orientation
from audioplane.media.sound import Sound, Track
from audioplane.runtime import limits

LEADS = (2, 12, 40)  # seconds before a moment at which a key frame is sought: filters shall have settled by then, and
# some containers lead to a place after which the next key frame is far
DECODERS = 2  # threads


@dataclass(frozen=True)
class Shown:
    """A picture of a file.

    Attributes:
        time: when it appears, seconds after the first. duration: seconds, as the file says. frame: PyAV's.
    """

    time: Fraction
    duration: Fraction
    frame: Any


@dataclass(frozen=True)
class Timing:
    """When a file's pictures are shown.

    Attributes:
        times: of every picture that was looked at, seconds after the first. end: when the last one goes. declared: how
            long the file says it is, seconds; 0 if it does not. damaged: what went wrong while reading, or "".
    """

    times: tuple[Fraction, ...]
    end: Fraction
    declared: float
    damaged: str


@dataclass(frozen=True)
class MediaReader:
    """A film.

    Attributes:
        path: of the file. width, height: of its pictures as they are to be seen (square pixels, upright).
        codec: of the pictures. rate: pictures a second, as the file says; 0 if it does not.
        tracks: of sound. audio_track: which of them is read, from 1; 0: `sound.choose` chooses.
        orientation, colour: what is done to its pictures. interlaced: whether its first picture is.
        first: the file's own time of the first picture, seconds.
    """

    path: Path
    width: int
    height: int
    codec: str
    rate: Fraction
    tracks: tuple[Track, ...]
    audio_track: int
    orientation: Orientation
    colour: Colour
    interlaced: bool
    first: Fraction
    _laid: dict[int, sound.Line] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def open(cls, path: str | Path, audio_track: int = 0) -> MediaReader:
        """Looks at the file and its first picture.

        Args:
            path: any film that FFmpeg reads.
            audio_track: the sound track to take, from 1; 0 lets `sound.choose` choose.

        Raises:
            UserError: it is missing, not a film, nothing can be decoded, or it has no such track.
        """
        path = Path(path)
        with opened(path) as file:
            streams = moving_pictures(file)
            tracks = sound.tracks_of(file)
            if not streams:
                what = "only sound" if tracks else "no pictures"
                raise UserError(f"{path} has {what}: a film with pictures is needed here")
            stream = streams[0]
            try:
                first = next(iter(file.decode(stream)), None)
            except DAMAGE as error:
                raise UserError(
                    f"{path} is damaged: its first picture cannot be decoded ({reason(error)}); export it again"
                ) from error
            if first is None:
                raise UserError(f"{path} is damaged or cut short: it has no picture that can be decoded")
            sound.check_track(path, tracks, audio_track)
            orientation = Orientation.of(first, stream)
            width, height = orientation.size(first.width, first.height)
            return cls(
                path=path,
                width=width,
                height=height,
                codec=str(stream.codec_context.name),
                rate=exact(stream.average_rate) or exact(stream.base_rate),
                tracks=tracks,
                audio_track=audio_track,
                orientation=orientation,
                colour=Colour.of(first, stream.codec_context),
                interlaced=bool(first.interlaced_frame),
                first=first.pts * exact(first.time_base) if first.pts is not None else Fraction(0),
            )

    @property
    def has_sound(self) -> bool:
        return bool(self.tracks)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is done to the pictures beyond what every film needs, each in words."""
        woven = "it is interlaced; its pictures are deinterlaced" if self.interlaced else ""
        return tuple(note for note in (self.orientation.note, self.colour.note, woven) if note)

    # Pictures

    def frames(self, start: Fraction = Fraction(0)) -> Iterator[Shown]:
        """The pictures in the order of time, from the one on the screen at `start` or earlier, until the end.

        Args:
            start: seconds after the first picture. A later one is sought by the key frame before it.

        Raises:
            FFmpegError, ValueError: damage; what came before it can be decoded.
        """
        for lead in LEADS:
            if start <= 2 * lead:
                break
            sought = self._decoded(start - lead)
            try:
                head = next(sought, None)
            except DAMAGE:
                head = None
            if head is not None and head.time <= start - LEADS[0] / 2:
                yield head
                yield from sought
                return
        yield from self._decoded(None)

    def _decoded(self, target: Fraction | None) -> Iterator[Shown]:
        """Pictures from the key frame before `target` on; None: all of them."""
        with opened(self.path) as file:
            stream = moving_pictures(file)[0]
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = DECODERS
            if target is not None:
                place = int((target + self.first) / exact(stream.time_base))
                file.seek(place, stream=stream, backward=True)
            usual = 1 / (self.rate or Fraction(25))
            last: Fraction | None = None
            for frame in progressive(file.decode(stream)):
                if frame.pts is None:
                    if target is not None and last is None:
                        return  # where this lies is not known
                    time = Fraction(0) if last is None else last + usual
                else:
                    time = frame.pts * exact(frame.time_base) - self.first
                if time < 0 or (last is not None and time <= last):  # a timestamp that goes back says nothing
                    continue
                if last is not None and time - last > limits.limit("film_gap_seconds"):
                    what = f"{self.path} shows no new picture for {float(time - last):.0f} s at {float(last):.2f} s"
                    raise limits.exceeded(what, "film_gap_seconds")
                if time > 3600 * limits.limit("film_hours"):
                    raise limits.exceeded(f"{self.path} is longer than {float(time / 3600):.1f} hours", "film_hours")
                duration = getattr(frame, "duration", None)
                last = time
                yield Shown(time, duration * exact(frame.time_base) if duration else usual, frame)

    def shown_at(self, moments: Iterable[Fraction], to_the_end: bool = False) -> Iterator[Shown]:
        """The picture on the screen at each of these rising moments, seconds after the first picture.

        The first picture stands for moments before it, the last that can be decoded for those after it. The same object
        comes again where a picture stays on the screen.

        Args:
            moments: seconds. to_the_end: whether to stop when the last picture goes.
        """
        steps: Iterator[Shown] | None = None
        held = upcoming = None

        def following() -> Shown | None:
            assert steps is not None
            try:
                return next(steps, None)
            except DAMAGE:
                return None

        for moment in moments:
            if steps is None:
                steps = self.frames(moment)
                held, upcoming = following(), following()
            while upcoming is not None and upcoming.time <= moment:
                held, upcoming = upcoming, following()
            if held is None or (to_the_end and upcoming is None and moment >= held.time + held.duration):
                return
            yield held

    def pictures_at(
        self,
        moments: Iterable[Fraction],
        box: tuple[int, int, int, int] | None = None,
        size: int = 0,
        to_the_end: bool = False,
    ) -> Iterator[np.ndarray]:
        """The pictures on the screen at rising moments.

        Args:
            moments: seconds after the first picture.
            box: left, top, width, height of what is cut out, pixels; it may reach over the edge, which is repeated.
            size: side that the cut is resized to; 0 leaves it. to_the_end: whether to stop when the last picture goes.

        Yields:
            (H, W, 3) uint8 RGB, upright; the same array again where a picture stays on the screen.
        """
        from av.video.reformatter import VideoReformatter

        reformatter, before, picture = VideoReformatter(), None, None
        for shown in self.shown_at(moments, to_the_end):
            if shown is not before or picture is None:
                picture, before = cut_out(self.picture(shown.frame, reformatter), box, size), shown
            yield picture

    def pictures(
        self,
        start: Fraction | float,
        count: int,
        box: tuple[int, int, int, int] | None = None,
        size: int = 0,
        fps: int = 25,
    ) -> Iterator[np.ndarray]:
        """The pictures on the screen in the middle of each of `count` frames: at start + (t + 1/2) / fps.

        Args:
            start: seconds after the first picture; a decimal such as 2.28 is meant exactly. count: of frames.
            box, size: as of `pictures_at`. fps: of the frames.
        """
        begin = decimal(start)
        return self.pictures_at((begin + Fraction(2 * t + 1, 2 * fps) for t in range(count)), box, size)

    def picture(self, frame: Any, reformatter: Any) -> np.ndarray:
        """A decoded frame as it is to be seen: (height, width, 3) uint8 RGB."""
        return self.orientation.upright(self.colour.rgb(frame, reformatter), self.width, self.height)

    def timing(self, start: Fraction | float = 0, end: Fraction | float | None = None) -> Timing:
        """Decodes the pictures from `start` to `end` (seconds after the first) once, so damage there shows."""
        begin, stop = decimal(start), None if end is None else decimal(end)
        times, over, damaged, corrupt, whole = [], Fraction(0), "", 0, True
        steps = self.frames(begin)
        while True:
            try:
                step = next(steps, None)
            except DAMAGE as error:
                damaged = f"decoding stopped at {float(over):.2f} s ({reason(error)})"
                break
            if step is None:
                break
            if stop is not None and step.time > stop:
                over, whole = max(over, step.time), False
                break
            times.append(step.time)
            over = step.time + step.duration
            corrupt += bool(step.frame.is_corrupt)
        if whole and not damaged and self.declared and over < self.declared - 0.5:
            damaged = f"it says {self.declared:.1f} s but ends after {float(over):.1f} s"
        if not damaged and corrupt:
            damaged = f"{corrupt} of its pictures are damaged"
        return Timing(tuple(times), over, self.declared, damaged)

    @cached_property
    def declared(self) -> float:
        """How long its pictures last as the file says, seconds; 0 if it does not."""
        with opened(self.path) as file:
            stream = moving_pictures(file)[0]
            if stream.duration and stream.time_base:
                return float(stream.duration * exact(stream.time_base))
            return _clock(stream.metadata.get("DURATION", ""))

    # Sound

    def sound(self, start: Fraction | float = 0, seconds: float | None = None, track: int = 0) -> Sound:
        """The sound from `start` seconds after the first picture on, mono, 16 kHz; silence where there is none.

        Args:
            start: may lie before the first picture. seconds: how much; None: to the end.
            track: another one than `audio_track`, from 1.

        Raises:
            UserError: there is no sound track, or nothing of it can be decoded.
        """
        if not self.has_sound:
            raise UserError(f"{self.path} has no sound track: a talking head cannot be learnt without the voice")
        number = track or self.audio_track
        if number not in self._laid:  # decoded once, 64 kB a second
            self._laid[number] = sound.read(self.path, number, self.first)
        return self._laid[number].cut(decimal(start), seconds)


def decimal(seconds: Fraction | float) -> Fraction:
    """Seconds as they were written: the float 2.28 is 57/25."""
    return seconds if isinstance(seconds, Fraction) else Fraction(str(float(seconds)))


def _clock(text: str) -> float:
    """Seconds of Matroska's "00:01:02.500000000"; 0 if it is none."""
    try:
        hours, minutes, seconds = (float(part) for part in text.split(":"))
    except ValueError:
        return 0.0
    return 3600 * hours + 60 * minutes + seconds


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


Source = MediaReader
"""Its old name, by which scripts still ask for it."""
