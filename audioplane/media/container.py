"""Opening films and sound: by file objects, so that neither a file's name nor what it holds leads anywhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
from av.stream import Disposition

from audioplane.errors import UserError

DAMAGE = (av.error.FFmpegError, ValueError, OverflowError)
"""What PyAV raises of files that are damaged or not what they seem."""
NEEDS_METADATA_ERRORS = int(av.__version__.split(".")[0]) < 19
"""Whether tags that are not UTF-8 are refused unless `open` is told otherwise; later versions have no such argument."""


def reason(error: BaseException) -> str:
    """FFmpeg's word for what went wrong, without its number."""
    return str(getattr(error, "strerror", None) or error).strip().rstrip(".")


def check_file(path: Path, what: str) -> None:
    """Refuses what is no file with content.

    Args:
        path: of the file. what: what should be there, such as "video file".

    Raises:
        UserError: missing, a folder, no ordinary file, or empty.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist; give a {what}")
    if path.is_dir():
        raise UserError(f"{path} is a folder; give one {what}")
    if not path.is_file():
        raise UserError(f"{path} is not an ordinary file; give a {what}")
    if path.stat().st_size == 0:
        raise UserError(f"{path} is empty; export it again")


@contextmanager
def opened(path: Path, what: str = "video") -> Iterator[Any]:
    """FFmpeg's view of a file.

    A name such as "http:x.mp4" or "concat:a|b" is an address to FFmpeg, and a playlist names other files. It gets the
    opened file instead of the name, and may open nothing else.

    Args:
        path: of the file. what: what it should be, for the sentence.

    Raises:
        UserError: it cannot be read.
    """
    check_file(path, f"{what} file")
    options: dict[str, Any] = {"options": {"protocol_whitelist": "none"}}
    if NEEDS_METADATA_ERRORS:
        options["metadata_errors"] = "ignore"
    try:
        with open(path, "rb", buffering=0) as data:
            try:
                container = av.open(data, mode="r", **options)
            except DAMAGE as error:
                seems = f"is not a {what} that can be read" if what != "sound" else "cannot be read as sound"
                raise UserError(f"{path} {seems}, or is damaged ({reason(error)}); export it again") from error
            with container:
                yield container
    except PermissionError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); give yourself the right to") from error


def exact(ratio: Any) -> Fraction:
    """FFmpeg's ratios as a Fraction, whatever type this PyAV has for them; 0 where there is none."""
    return Fraction(ratio.numerator, ratio.denominator) if ratio and ratio.denominator else Fraction(0)


def moving_pictures(container: Any) -> list[Any]:
    """The video streams that can be decoded and are not the picture of a cover."""
    cover = Disposition.attached_pic
    return [s for s in container.streams.video if s.codec_context is not None and not s.disposition & cover]
