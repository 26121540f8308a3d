"""The embedded speakers: synthetic people, whose ground truth is known exactly.

`audioplane.synthetic.make("adam")` makes one (once; then it is read from the cache), `names()` lists them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from audioplane.subject import Subject

__all__ = ["make", "names"]


def names() -> list[str]:
    """Names of the embedded speakers."""
    from audioplane.synthetic.specs import SPEAKERS

    return list(SPEAKERS)


def make(
    name: str,
    out: str | Path | None = None,
    size: int = 256,
    seconds: float = 100,
    seed: int = 0,
    progress: bool = True,
    voice: str | None = None,
    backend: str = "ours",
    around: tuple[float, float] = (0.0, 0.0),
    turns: str = "speech",
) -> Subject:
    """Makes an embedded speaker, or opens it where it has been made already.

    Args:
        name: one of `names()`, or `held_out_N`: person N of an endless family that no table shows. Its face is its
            own; its words are a shipped voice's, in another order and up to 8 % faster or slower: no new voice.
        out: the new folder; None: the user's cache, where it is found again until code or settings change.
        size: width and height of the frames, pixels.
        seconds: length; four fifths are for training, the rest is held out.
        seed: of everything that is random in the performance (blinks, gaze, head motion).
        progress: show a progress bar.
        voice: another voice that drives this face, such as another speaker's; None: the speaker's own.
        around: where the camera stands about the head, degrees: yaw (the head seems turned to the image's right) and
            pitch (up). The same seed gives the same performance from everywhere.
        turns: "speech", or "wide" for a head that also looks around, 25 degrees to the sides and 12 up and down.
        backend: whose head: "ours", or "ict" for that of ICT-FaceKit (first: `audioplane fetch ict-facekit`).

    Returns:
        The Subject, opened.

    Raises:
        UserError: no such speaker, an impossible size or length, `out` holds something else, or the backend's files
            are missing.
    """
    from audioplane.synthetic.making import make as make_speaker

    return make_speaker(name, out, size, seconds, seed, progress, voice, backend, around, turns)
