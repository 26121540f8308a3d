"""Every choice of a preparation."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from audioplane.errors import UserError
from audioplane.preprocess.landmarks import KINDS

Progress = Callable[[str, int], Callable[[int], object]]
"""Opens a bar: (name, total) -> a function that is told how much more is done."""

FACES = ("largest", "left", "right")
MOST_FACES = 4  # that are looked for in a picture
SKIPPABLE = ("hair", "flow", "weights", "bundle", "inertia", "refine")
SHORTEST = 2.0  # seconds
FARTHEST = 5.0  # seconds that the sound may be moved by
FOCAL = (0.5, 20.0)  # sides of the picture; what lenses have


@dataclass(frozen=True)
class Settings:
    """Every choice.

    Attributes:
        size: side of the Subject's pictures, pixels. audio_track: the sound track to take, from 1; 0: the one that is
            flagged, else the first that is not silent. face: whom to take where there are several, "largest", "left",
            "right", or a number: the so many-th by size. start, end: of what is taken, seconds after the first picture.
        landmarks: "mediapipe" or "face-alignment". focal: in sides of the picture; 0 searches it.
        shift_audio: seconds by which the sound is put later, or "auto". train: seconds to learn from, the rest is held
            out; 0 takes 80 %. rounds: of photometric refinement. refine_size: side of its pictures, pixels.
        face_parsing: a file of BiSeNet's weights for the masks, "bisenet" for the one among the assets, or "" for
            MediaPipe's networks.
        skip: parts that are left out, of `SKIPPABLE`. seed: of the still cloud.
    """

    size: int = 512
    audio_track: int = 0
    face: str = "largest"
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
        end = math.inf if self.end is None else self.end
        if not (0 <= self.start < math.inf and self.start < end):
            raise UserError(f"--start and --end must lie in order, from 0 s on; got {self.start:g} and {self.end}")
        if self.face not in FACES and not (self.face.isdigit() and 1 <= int(self.face) <= MOST_FACES):
            raise UserError(f"--face is {', '.join(FACES)} or a number from 1 to {MOST_FACES}, not {self.face!r}")
        if self.audio_track < 0:
            raise UserError(f"--audio-track counts from 1, not {self.audio_track}")
        if self.landmarks not in KINDS:
            raise UserError(f"--landmarks is {' or '.join(KINDS)}, not {self.landmarks!r}")
        unknown = [name for name in self.skip if name not in SKIPPABLE]
        if unknown:
            raise UserError(f"--skip takes {', '.join(SKIPPABLE)}; not {unknown[0]!r}")
        shift = self.shift_audio
        if shift != "auto" and (isinstance(shift, str) or not -FARTHEST <= shift <= FARTHEST):
            raise UserError(f"--shift-audio takes auto, or seconds from {-FARTHEST:g} to {FARTHEST:g}; not {shift!r}")
        if self.focal and not FOCAL[0] <= self.focal <= FOCAL[1]:
            raise UserError(f"--focal is from {FOCAL[0]:g} to {FOCAL[1]:g} sides of the crop, not {self.focal:g}")
        if not 0 <= self.train < math.inf:
            raise UserError(f"--train takes seconds, not {self.train:g}")
