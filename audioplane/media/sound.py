"""The one reader of sound: the track that has the voice, its channels, levels and times, as 16 kHz mono.

A file is decoded twice: first to hear which track and which channels hold something and how its samples are scaled,
then into one line of 16 kHz, resampled by soxr on the way, each piece where its timestamp says.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from audioplane.errors import UserError
from audioplane.media.container import DAMAGE, check_file, exact, moving_pictures, opened, reason
from audioplane.runtime import large_arrays, limits

log = logging.getLogger("audioplane")

SAMPLE_RATE = 16_000
GAP = Fraction(1, 20)  # seconds by which sound may be off its timestamps before it is moved
RATES = (1_000, 6_000_000)  # samples a second that sound can have
SILENT = 1e-3  # of full scale: the loudest sample of what has no voice in it
ACTIVE = 1e-2  # share of the loudest channel's power that makes another count
CANCELLED = 0.4  # share of the loudest channel's power below which the mean of channels loses something
LOUDEST = 1.5  # of arrays that are samples in [-1, 1]; a resampled or mixed one may reach a little beyond 1
INTEGER = 64.0  # floats beyond that are integers that were never divided
FULL_SCALES = (2.0**15, 2.0**23, 2.0**31)


@dataclass(frozen=True)
class Track:
    """A sound track of a file, as the file describes it.

    Attributes:
        number: from 1. codec: "" if it is not known here. rate: samples a second. channels: how many.
        title: language and title, or "". default: whether it is flagged so.
    """

    number: int
    codec: str
    rate: int
    channels: int
    title: str
    default: bool

    def __str__(self) -> str:
        flag = ", flagged default" if self.default else ""
        return (
            f"track {self.number} ({self.codec or 'unknown codec'}, {self.rate / 1000:g} kHz x{self.channels}"
            f"{', ' + self.title if self.title else ''}{flag})"
        )


@dataclass(frozen=True)
class Sound:
    """Sound as 16 kHz mono, and what it was before.

    Attributes:
        samples: (n,) float32 in [-1, 1]. rate, channels, codec: of the file. start: seconds after the first picture at
            which the file's sound begins (negative: before); of sound alone 0. track: which was taken.
        notes: what was done beyond what every file needs, each in words.
    """

    samples: np.ndarray
    rate: int
    channels: int
    codec: str
    start: float
    track: int = 1
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Line:
    """A whole track as 16 kHz mono.

    Attributes:
        samples: (n,) float32. begin: number of the first, counted from the moment 0. about: everything but samples.
    """

    samples: np.ndarray
    begin: int
    about: Sound

    def cut(self, start: Fraction, seconds: float | None) -> Sound:
        """From `start` seconds on, silence where there is nothing; seconds None: to the end."""
        first = round(start * SAMPLE_RATE)
        end = self.begin + len(self.samples)
        count = max(end - first, 0) if seconds is None else round(seconds * SAMPLE_RATE)
        samples = large_arrays.zeros(count)
        a, b = max(first, self.begin), min(first + count, end)
        if b > a:
            _copy(self.samples[a - self.begin : b - self.begin], samples[a - first : b - first])
        own = self.about
        return Sound(samples, own.rate, own.channels, own.codec, own.start, own.track, own.notes)


# What is there


def tracks_of(file: Any) -> tuple[Track, ...]:
    """The sound tracks of an opened file."""
    from av.stream import Disposition

    found = []
    for number, stream in enumerate(file.streams.audio, 1):
        codec = stream.codec_context
        words = [stream.metadata.get(name, "") for name in ("language", "title")]
        title = " ".join(word for word in words if word and word != "und")
        found.append(
            Track(
                number,
                "" if codec is None else str(codec.name),
                0 if codec is None else int(codec.sample_rate or 0),
                0 if codec is None else int(codec.layout.nb_channels),
                title.encode("utf-8", "replace").decode(),
                bool(stream.disposition & Disposition.default),
            )
        )
    return tuple(found)


def check_track(path: Path, tracks: tuple[Track, ...], number: int) -> None:
    """Refuses a track that is not there.

    Raises:
        UserError: `number` is neither 0 nor one of the tracks'.
    """
    if number and not 1 <= number <= len(tracks):
        has = "; ".join(map(str, tracks)) if tracks else "no sound"
        raise UserError(f"--audio-track {number}: {path} has {has}")


@dataclass
class DecodedTrack:
    """What a track holds.

    Attributes:
        peak: largest magnitude. power: (C, C) mean products of its channels. names: of the channels.
        floats: whether it was coded as floating-point samples. pieces: how many could be decoded.
        fault: why nothing could, or what is wrong with its samples, or "".
    """

    peak: float = 0.0
    power: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    names: tuple[str, ...] = ()
    floats: bool = False
    pieces: int = 0
    fault: str = ""

    def add(self, piece: _Piece) -> None:
        channels = len(piece.samples)
        if not self.pieces:
            self.power, self.names, self.floats = np.zeros((channels, channels)), piece.names, piece.floats
        self.pieces += 1
        if not piece.samples.shape[1]:
            return
        peak = float(np.abs(piece.samples).max())
        if not np.isfinite(peak):
            self.fault = "contains NaN or infinite samples; export it again"
            return
        self.peak = max(self.peak, peak)
        if channels == len(self.power):
            wide = piece.samples.astype(np.float64) if peak > 1e3 else piece.samples
            self.power += wide @ wide.T

    @property
    def silent(self) -> bool:
        return self.peak < SILENT

    def weights(self) -> tuple[np.ndarray, str]:
        """(C,) of each channel in the mix, and a note: their mean, or the loudest where the mean would lose the voice.

        A channel that is 20 dB below the loudest does not count, and neither does one for low effects.
        """
        power = np.diag(self.power).copy()
        power[[k for k, name in enumerate(self.names) if name.startswith("LFE") and len(power) > 1]] = 0
        loudest = int(power.argmax()) if len(power) else 0
        active = power >= ACTIVE * power[loudest]
        weights = active / active.sum() if power[loudest] > 0 else np.full(len(power), 1 / len(power))
        if power[loudest] > 0 and weights @ self.power @ weights < CANCELLED * power[loudest]:
            only = np.zeros(len(power))
            only[loudest] = 1
            which = f"channel {loudest + 1} of {len(power)} alone was taken"
            return only, f"its channels cancel or drown each other: {which}"
        return weights, ""

    def scale(self) -> tuple[float, str]:
        """What samples are multiplied by, and a note."""
        if not self.floats or self.peak <= 1:
            return 1.0, ""
        full = self.peak
        if self.peak > INTEGER:
            full = next((scale for scale in FULL_SCALES if self.peak <= 1.01 * scale), 0.0)
        if not full:
            raise UserError(f"samples reach {self.peak:.3g}, which no recording has; export it again as 16-bit wav")
        note = f"its samples reach {self.peak:.6g} where 1 is full scale; they were divided by {full:.6g}"
        return 1 / full, note if self.peak > LOUDEST else ""


# Decoding


@dataclass(frozen=True)
class _Piece:
    """A decoded piece: samples (C, n) float32, when it begins (None unknown), its rate and its channels' names."""

    time: Fraction | None
    rate: int
    samples: np.ndarray
    names: tuple[str, ...]
    floats: bool


def _pieces(path: Path, index: int) -> Iterator[_Piece]:
    """The pieces of a track in the file's order; damaged packets are left out, as FFmpeg does.

    Raises:
        FFmpegError: the first packets cannot be decoded, and none after them.
    """
    with opened(path, "sound") as file:
        stream = file.streams.audio[index]
        fault: Exception | None = None
        found = False
        packets = file.demux(stream)
        while True:
            try:
                packet = next(packets, None)
                frames = packet.decode() if packet is not None else []
            except EOFError:
                break
            except DAMAGE as error:
                fault = error
                if packets is None or not _goes_on(error):
                    break
                continue
            if packet is None:
                break
            for frame in frames:
                found = True
                yield _piece(frame)
        if fault is not None and not found:
            raise fault


def _goes_on(error: Exception) -> bool:
    """Whether what follows a damaged packet may be sound; a file that cannot be read on is over."""
    from av.error import InvalidDataError

    return isinstance(error, (InvalidDataError, ValueError))


def _piece(frame: Any) -> _Piece:
    data = frame.to_ndarray()
    names = tuple(str(channel.name) for channel in frame.layout.channels)
    if not frame.format.is_planar:
        data = data.reshape(-1, len(names)).T
    floats = data.dtype.kind == "f"
    if data.dtype == np.uint8:
        data = (data.astype(np.float32) - 128) / 128
    elif data.dtype.kind == "i":
        data = data.astype(np.float32) / np.float32(-float(np.iinfo(data.dtype).min))
    time = None if frame.pts is None else frame.pts * exact(frame.time_base)
    return _Piece(time, int(frame.sample_rate), np.asarray(data, np.float32), names, floats)


def decode_track(path: Path, index: int) -> DecodedTrack:
    """Decodes a track once and says what it holds; a fault is told, not raised."""
    decoded, length = DecodedTrack(), Fraction(0)
    try:
        for piece in _pieces(path, index):
            if not RATES[0] <= piece.rate <= RATES[1]:
                decoded.fault = f"has a rate of {piece.rate} samples a second; export it again at 16000 or more"
                break
            decoded.add(piece)
            length += Fraction(piece.samples.shape[1], piece.rate)
            if length > 3600 * limits.limit("sound_hours"):
                decoded.fault = (
                    f"is longer than {limits.limit('sound_hours'):g} hours; see {limits.VARIABLE}, sound_hours"
                )
            if decoded.fault:
                break
    except DAMAGE as error:
        decoded.fault = f"cannot be decoded ({reason(error)}); convert it to wav"
    if not decoded.pieces and not decoded.fault:
        decoded.fault = "is empty; record at least a few milliseconds"
    return decoded


def choose(path: Path, tracks: tuple[Track, ...]) -> tuple[Track, DecodedTrack, str]:
    """The track to read: of those that are not silent the one flagged as default, else the first; and a note.

    Raises:
        UserError: no track can be decoded.
    """
    if len(tracks) == 1:
        return tracks[0], decode_track(path, 0), ""
    every = [decode_track(path, track.number - 1) for track in tracks]
    loud = [(t, h) for t, h in zip(tracks, every, strict=True) if not h.silent and not h.fault]
    usable = loud or [(t, h) for t, h in zip(tracks, every, strict=True) if not h.fault]
    if not usable:
        return tracks[0], every[0], ""
    track, decoded = next(((t, h) for t, h in usable if t.default), usable[0])
    others = [
        f"{other} {own.fault.split(';')[0] if own.fault else 'is silent' if own.silent else 'was left'}"
        for other, own in zip(tracks, every, strict=True)
        if other != track
    ]
    return (
        track,
        decoded,
        f"of its {len(tracks)} sound tracks {track} was taken ({', '.join(others)}); see --audio-track",
    )


def read(path: Path, number: int = 0, origin: Fraction | None = None) -> Line:
    """A whole track as 16 kHz mono, in step with the pictures.

    Args:
        path: of the file. number: of the track, from 1; 0 lets `choose` choose.
        origin: the file's own time of moment 0, seconds; None: where the sound begins.

    Raises:
        UserError: no track, none that can be decoded, or samples that are no sound.
    """
    with opened(path, "sound") as file:
        tracks = tracks_of(file)
    if not tracks:
        raise UserError(f"{path} has no sound")
    check_track(path, tracks, number)
    if number:
        track, note = tracks[number - 1], ""
        decoded = decode_track(path, number - 1)
    else:
        track, decoded, note = choose(path, tracks)
    if decoded.fault:
        which = f"{path}: its sound track" if origin is not None else str(path)
        raise UserError(f"{which} {decoded.fault}")
    try:
        scale, scaled = decoded.scale()
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    weights, mixed = decoded.weights()
    samples, begin, start, rate = _lay(path, track.number - 1, (weights * scale).astype(np.float32), origin)
    notes = tuple(words for words in (note, mixed, scaled) if words)
    for words in notes:
        log.warning("%s: %s", path, words)
    about = Sound(samples[:0], rate, len(weights), track.codec, start, track.number, notes)
    for part in large_arrays.parts(len(samples)):
        np.clip(samples[part], -1, 1, out=samples[part])
    return Line(samples, begin, about)


def _lay(path: Path, index: int, weights: np.ndarray, origin: Fraction | None) -> tuple[np.ndarray, int, float, int]:
    """A track's pieces mixed, resampled, and laid where their times say.

    Returns:
        samples (n,) float32; the number of the first, from moment 0; the seconds at which it begins; the file's rate.
    """
    runs: list[tuple[Fraction, _Collected]] = []
    converter: _Resampler | None = None
    end, start, first_rate = Fraction(0), None, 0
    for piece in _pieces(path, index):
        mono = _mix(piece.samples, weights)
        if origin is None:
            origin = piece.time or Fraction(0)
        time = end if piece.time is None else piece.time - origin
        if start is None:
            start, end, first_rate = time, time, piece.rate
        if abs(time - end) > limits.limit("film_gap_seconds"):
            raise limits.exceeded(
                f"{path}: the times of its sound leap by {float(time - end):.0f} s", "film_gap_seconds"
            )
        if end > 3600 * limits.limit("sound_hours"):
            raise limits.exceeded(f"{path} has more than {float(end / 3600):.2f} hours of sound", "sound_hours")
        if converter is None or converter.rate != piece.rate or abs(time - end) >= GAP:
            if converter is not None:  # timestamps are rounded: only a true gap moves the sound
                runs[-1][1].append(converter(mono[:0], True))
            converter, end = _Resampler(piece.rate), time
            runs.append((time, _Collected()))
        runs[-1][1].append(converter(mono))
        end += Fraction(len(mono), piece.rate)
    if converter is not None:
        runs[-1][1].append(converter(np.zeros(0, np.float32), True))
    laid = [(round(time * SAMPLE_RATE), parts.joined()) for time, parts in runs]
    if len(laid) == 1:
        return laid[0][1], laid[0][0], float(start or 0), first_rate
    begin = min((at for at, _ in laid), default=0)
    line = large_arrays.zeros(max((at + len(own) for at, own in laid), default=begin) - begin)
    for at, own in laid:
        _copy(own, line[at - begin : at - begin + len(own)])
    return line, begin, float(start or 0), first_rate


def _mix(samples: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(C, n) -> (n,); a piece with another number of channels than the track is averaged."""
    if len(samples) != len(weights):
        return samples.mean(0) * np.float32(weights.sum())
    return weights @ samples


def _copy(source: np.ndarray, target: np.ndarray) -> None:
    """Copies samples, part by part where they are many."""
    for part in large_arrays.parts(len(source)):
        target[part] = source[part]


class _Collected:
    """Samples that come piece by piece and are joined once, without ever lying in memory twice.

    Blocks are so large that the system takes each back as soon as it is copied.
    """

    def __init__(self) -> None:
        self._blocks: list[np.ndarray] = []
        self._used = large_arrays.BLOCK

    def append(self, samples: np.ndarray) -> None:
        while len(samples):
            if self._used == large_arrays.BLOCK:
                self._blocks.append(large_arrays.zeros(large_arrays.BLOCK, in_file=bool(self._blocks)))
                self._used = 0
                large_arrays.release()
            piece = samples[: large_arrays.BLOCK - self._used]
            self._blocks[-1][self._used : self._used + len(piece)] = piece
            self._used += len(piece)
            samples = samples[len(piece) :]

    def __len__(self) -> int:
        return max(len(self._blocks) - 1, 0) * large_arrays.BLOCK + (self._used if self._blocks else 0)

    def joined(self) -> np.ndarray:
        """All of them, (n,) float32; nothing is kept."""
        whole = large_arrays.zeros(len(self))
        self._blocks.reverse()
        for part in large_arrays.parts(len(whole)):
            whole[part] = self._blocks.pop()[: part.stop - part.start]
        return whole


class _Resampler:
    """A stream from `rate` to 16 kHz, float32."""

    def __init__(self, rate: int) -> None:
        import soxr

        self.rate = rate
        same = rate == SAMPLE_RATE
        self._stream = None if same else soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32", quality=QUALITY)

    def __call__(self, samples: np.ndarray, last: bool = False) -> np.ndarray:
        samples = np.ascontiguousarray(samples, np.float32)
        return samples if self._stream is None else self._stream.resample_chunk(samples, last=last)


QUALITY = "VHQ"


def resample(samples: np.ndarray, rate: int) -> np.ndarray:
    """`samples` (n,) float32 from `rate` to 16 kHz."""
    if rate == SAMPLE_RATE or len(samples) == 0:
        return samples
    import soxr

    return soxr.resample(samples, rate, SAMPLE_RATE, quality=QUALITY)


# Voices


def load_audio(path: str | Path, track: int = 0) -> np.ndarray:
    """A sound file, or a film's sound from its first picture on, as 16 kHz mono.

    Args:
        path: anything FFmpeg reads. track: the sound track to take, from 1; 0: see `choose`.

    Returns:
        (n,) float32 in [-1, 1].

    Raises:
        UserError: no such file, not readable, empty, or with NaN or infinite samples.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"there is no sound file {path}")
    check_file(path, "sound file")
    line = read(path, track, _first_picture(path))
    samples = line.samples if line.begin == 0 else line.cut(Fraction(0), None).samples
    return check_audio(samples, str(path))


def _first_picture(path: Path) -> Fraction | None:
    """The file's own time of its first picture, seconds; None where it has none."""
    with opened(path, "sound") as file:
        streams = moving_pictures(file)
        if not streams:
            return None
        try:
            for frame in file.decode(streams[0]):
                return None if frame.pts is None else frame.pts * exact(frame.time_base)
        except DAMAGE:
            pass
    return None


def check_audio(samples: np.ndarray, name: str = "audio") -> np.ndarray:
    """Refuses what cannot be spoken: nothing, several channels, NaN, samples that are not in [-1, 1].

    Args:
        samples: (n,) floats at 16 kHz. name: of the argument or file, for the sentence.

    Returns:
        (n,) float32.

    Raises:
        UserError: it is none of that.
    """
    samples = np.asarray(samples)
    if samples.ndim != 1 or not np.issubdtype(samples.dtype, np.floating):
        raise UserError(
            f"{name} must be a one-dimensional array of floats, not {samples.dtype} of shape {samples.shape}"
        )
    if len(samples) == 0:
        raise UserError(f"{name} is empty; record at least a few milliseconds")
    ends = [f(samples[part]) for part in large_arrays.parts(len(samples)) for f in (np.max, np.min)]
    peak = float(np.abs(ends).max())
    if not np.isfinite(peak):
        raise UserError(f"{name} contains NaN or infinite samples; export it again")
    if peak > LOUDEST:
        raise UserError(
            f"{name} reaches {peak:.6g}, samples lie in [-1, 1]: divide 16-bit integers by 32768, others by their peak"
        )
    return samples.astype(np.float32, copy=False)
