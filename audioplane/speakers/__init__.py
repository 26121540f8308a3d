"""The embedded speakers: people who do not exist, whose every truth is known.

from audioplane import speakers
subject = speakers.make("english-a")      # made once, then read from the cache
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from audioplane.subject import Subject

__all__ = ["make", "names"]


def names() -> list[str]:
    """Names of the embedded speakers."""
    from audioplane.speakers.cast import CAST

    return list(CAST)


def make(
    name: str,
    out: str | Path | None = None,
    size: int = 256,
    seconds: float = 100,
    seed: int = 0,
    progress: bool = True,
) -> Subject:
    """Makes an embedded speaker, or opens it where it has been made already.

    Args:
        name: one of `names()`.
        out: the new folder; None: the user's cache, where it is found again until code or settings change.
        size: width and height of the frames, pixels.
        seconds: length; the first 80 % are for training, the rest is held out.
        seed: of everything that is random in the performance (blinks, gaze, head motion).
        progress: show a progress bar.

    Returns:
        The Subject, opened.

    Raises:
        UserError: no such speaker, an impossible size or length, or `out` holds something else.
    """
    from audioplane.speakers.making import make as make_speaker

    return make_speaker(name, out, size, seconds, seed, progress)
