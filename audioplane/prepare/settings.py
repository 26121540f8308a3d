"""Every choice of a preparation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from audioplane.errors import UserError
from audioplane.prepare.landmarks import KINDS

Progress = Callable[[str, int], Callable[[int], object]]
"""Opens a bar: (name, total) -> a function that is told how much more is done."""

SKIPPABLE = ("hair", "flow", "weights", "bundle", "inertia", "refine")
SHORTEST = 2.0  # seconds


@dataclass(frozen=True)
class Settings:
    """Every choice.

    Attributes:
        size: side of the Subject's pictures, pixels. start, end: of what is taken, seconds after the first picture.
        landmarks: "mediapipe" or "face-alignment". focal: in sides of the picture; 0 searches it.
        shift_audio: seconds by which the sound is put later, or "auto". train: seconds to learn from, the rest is held
            out; 0 takes 80 %. rounds: of photometric refinement. refine_size: side of its pictures, pixels.
        face_parsing: a file of BiSeNet's weights for the masks, "bisenet" for the one among the assets, or "" for
            MediaPipe's networks.
        skip: parts that are left out, of `SKIPPABLE`. seed: of the still cloud.
    """

    size: int = 512
    start: float = 0.0
    end: float | None = None
    landmarks: str = "mediapipe"
    focal: float = 0.0
    shift_audio: float | str = 0.0
    train: float = 0.0
    rounds: int = 2
    refine_size: int = 128
    face_parsing: str = ""
    skip: tuple[str, ...] = ()
    seed: int = 0

    def check(self) -> None:
        """Refuses what is not possible, in a sentence."""
        if not 64 <= self.size <= 1024 or self.size % 2:
            raise UserError(f"--size is an even number from 64 to 1024, not {self.size}")
        if self.start < 0 or (self.end is not None and self.end <= self.start):
            raise UserError(f"--start and --end must lie in order, from 0 s on; got {self.start:g} and {self.end}")
        if self.landmarks not in KINDS:
            raise UserError(f"--landmarks is {' or '.join(KINDS)}, not {self.landmarks!r}")
        unknown = [name for name in self.skip if name not in SKIPPABLE]
        if unknown:
            raise UserError(f"--skip takes {', '.join(SKIPPABLE)}; not {unknown[0]!r}")
        if isinstance(self.shift_audio, str) and self.shift_audio != "auto":
            raise UserError(f"--shift-audio takes seconds or auto, not {self.shift_audio!r}")
