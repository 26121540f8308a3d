"""How much a file from outside, or a setting, may ask for: one table, and the sentence for what asks for more.

`AUDIOPLANE_LIMITS` changes entries for a machine or a job: `AUDIOPLANE_LIMITS="sound_hours=12 picture_pixels=1e8"`.
Nothing here is a property of the method: a limit only tells a large input from a damaged or hostile one.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

from audioplane.errors import UserError

VARIABLE = "AUDIOPLANE_LIMITS"


@dataclass(frozen=True)
class Limit:
    """One entry.

    Attributes:
        name: what `AUDIOPLANE_LIMITS` calls it. value: the default. about: what it limits, with the unit.
    """

    name: str
    value: float
    about: str


TABLE = {
    one.name: one
    for one in (
        Limit("json_bytes", 64 * 2**20, "size of a JSON or CSV file, bytes"),
        Limit("json_depth", 40, "how deep objects and lists of a JSON file may lie in each other"),
        Limit("array_bytes", 1.5 * 2**30, "memory of the arrays of one .npy or .npz file, bytes"),
        Limit("array_members", 10_000, "arrays in one .npz file, or tensors in one .safetensors file"),
        Limit("tensor_bytes", 4 * 2**30, "size of a .safetensors or .ply file, bytes"),
        Limit("model_bytes", 2**30, "memory of the tables of a method that a head's file describes, bytes"),
        Limit("picture_side", 16_384, "width or height of a picture, pixels"),
        Limit("picture_pixels", 40e6, "pixels of a picture (8K film has 33 million)"),
        Limit("picture_bytes", 256 * 2**20, "size of a picture's file, bytes"),
        Limit("subject_frames", 450_000, "frames of a Subject (five hours at 25 a second)"),
        Limit("sound_hours", 5, "length of sound that is decoded, hours"),
        Limit("film_hours", 5, "length of a film that is prepared or measured, hours"),
        Limit("film_gap_seconds", 60, "seconds by which the times of a film's pictures or sound may leap"),
        Limit("ratings", 1_000_000, "rows of a user study's CSV file"),
        Limit("synthetic_hours", 2, "length of an embedded speaker or of a synthesized clip, hours"),
    )
}
"""Every limit by its name."""


def limit(name: str) -> float:
    """A limit, as `AUDIOPLANE_LIMITS` or else the table has it.

    Raises:
        UserError: `AUDIOPLANE_LIMITS` cannot be read.
        KeyError: there is no such limit.
    """
    default = TABLE[name].value
    text = os.environ.get(VARIABLE, "")
    return _changed(text).get(name, default) if text else default


def count(name: str) -> int:
    """A limit that counts something."""
    return int(limit(name))


def exceeded(what: str, name: str) -> UserError:
    """The sentence for what is beyond a limit.

    Args:
        what: the file and how large it is, such as "x.npy has 9e12 bytes". name: of the limit.
    """
    return UserError(f"{what}, more than the limit {name}={limit(name):g} allows; if it is meant, set {VARIABLE}")


def between(name: str, value: float, low: float, high: float) -> None:
    """Refuses a number outside of its bounds, and what is no number.

    Raises:
        UserError: it is; says which bounds it has.
    """
    if not low <= value <= high:
        raise UserError(f"{name} lies between {low:g} and {high:g}, not {value}")


def check_frames(frames: int, what: str) -> None:
    """Refuses a Subject of more frames than the limit.

    Raises:
        UserError: it has.
    """
    if frames > limit("subject_frames"):
        raise exceeded(f"{what} has {frames} frames", "subject_frames")


def _changed(text: str) -> dict[str, float]:
    changed = {}
    for word in text.replace(",", " ").split():
        name, equals, number = word.partition("=")
        if not equals or name not in TABLE:
            raise UserError(f"{VARIABLE}: '{word}' must read NAME=NUMBER, with a name of {', '.join(TABLE)}")
        try:
            changed[name] = float(number)
        except ValueError:
            changed[name] = math.nan
        if not 0 < changed[name] < math.inf:
            raise UserError(f"{VARIABLE}: {name} is a number above 0, not '{number}'")
    return changed
