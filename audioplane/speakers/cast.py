"""Who the embedded speakers are: a voice, a face, clothes and a room each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from audioplane.speakers.making import Production


@dataclass(frozen=True)
class Role:
    """One embedded speaker.

    Attributes:
        about: one line for people.
    """

    about: str


CAST: dict[str, Role] = {
    "english-a": Role("English, man"),
}


def bring_together(name: str, size: int, seconds: float, seed: int) -> Production:
    """Face, performance, camera and room of the speaker `name`."""
    raise NotImplementedError
