"""Performances of the embedded speakers, and what their faces' geometry does in them; each is worked out once."""

# ruff: noqa: RUF001 (IPA)

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property

import numpy as np

from audioplane.subject.phonemes import BILABIALS, Phoneme
from audioplane.synthetic.cast import identity_of
from audioplane.synthetic.face import Face
from audioplane.synthetic.performance import Performance, perform
from audioplane.synthetic.specs import SPEAKERS

FRAMES = 600  # of the geometry: 24 seconds
OPEN_VOWELS, ROUNDED, SPREAD = "aɑɐæɒʌ", "uʊyʏwʃʒoø", "iɪe"
# Height of the tongue, 0 open to 1 close (the IPA's rows).
HEIGHT = {
    "a": 0, "ɑ": 0, "ɒ": 0, "æ": 0.15, "ɐ": 0.15, "ʌ": 0.33, "ɔ": 0.33, "ɛ": 0.33, "œ": 0.33, "ɜ": 0.33, "ə": 0.5,
    "e": 0.67, "o": 0.67, "ø": 0.67, "ɤ": 0.67, "ɪ": 0.85, "ʊ": 0.85, "ʏ": 0.85, "i": 1, "u": 1, "y": 1,
}  # fmt: skip


@cache
def performance_of(name: str) -> Performance:
    """The speaker's whole 100 seconds."""
    return perform(SPEAKERS[name])


@dataclass(frozen=True)
class Measured:
    """The face's own geometry over the first frames of a performance; millimetres, T values each unless said.

    Attributes:
        gap: between the inner lips at the midline. largest_gap: where they stand farthest apart.
        width: between the corners of the mouth. jaw: how far the lower teeth have sunk.
        bite: from the lower lip to the edge of the upper incisors, or to where it would touch them.
        tongue: from the edge of the upper incisors down to the tongue's top beneath it (negative: above the edge);
            infinite while the tip lies behind the teeth.
        lids: opening of both eyes, T x 2.
    """

    performance: Performance
    gap: np.ndarray
    largest_gap: np.ndarray
    width: np.ndarray
    jaw: np.ndarray
    bite: np.ndarray
    tongue: np.ndarray
    lids: np.ndarray

    @cached_property
    def times(self) -> np.ndarray:
        return self.performance.times[: len(self.gap)]

    @property
    def seconds(self) -> float:
        return len(self.gap) / self.performance.fps

    def sounds(self, letters: Sequence[str], shortest: float = 0.04) -> list[Phoneme]:
        """The phonemes that begin with one of `letters`, last a frame or longer and are within the measured part."""
        return [
            p
            for p in self.performance.phonemes
            if p.ipa[0] in letters and p.duration >= shortest and p.end < self.seconds - 0.04
        ]

    def frames(self, p: Phoneme) -> slice:
        """The frames whose time overlaps a sound's."""
        return slice(int(p.start * self.performance.fps), int(p.end * self.performance.fps) + 1)

    def over(self, values: np.ndarray, p: Phoneme, how: str = "min") -> float:
        """The least or greatest value ("min", "max") during a sound (a stop: until its release), or its "mean"."""
        moments = np.linspace(p.start, p.release or p.end, 9)
        return float(getattr(np.interp(moments, self.times, values), how)())


@cache
def measured(name: str) -> Measured:
    """Moves the face of the speaker `name` through its performance, without hair, which hides the mouth."""
    performance = performance_of(name)
    face = Face(replace(identity_of(SPEAKERS[name]), hair="bald", beard="none", glasses=False))
    rest, groups = 1000 * face.rest, face.vertex_groups
    middle = np.abs(rest[:, 0]) < 8
    upper, lower = groups["upper_teeth"], groups["lower_teeth"]
    edge_y = rest[upper, 1].max()
    edge = upper[middle[upper] & (rest[upper, 1] > edge_y - 1.5)]
    line = rest[groups["lips_inner_upper"], 1].max()
    lips = groups["lips"]
    lip = np.union1d(lips[middle[lips] & (rest[lips, 1] > line)], groups["lips_inner_lower"])
    tongue = groups["tongue"][middle[groups["tongue"]]]
    front = rest[edge, 2].min()
    rows = []
    for t in range(min(FRAMES, performance.num_frames)):
        moved = face.vertices(performance.blendshapes[t], {k: float(v[t]) for k, v in performance.extras.items()})
        v = 1000 * moved
        mouth = face.mouth_measures(moved)
        tip = v[tongue][v[tongue, 2] < front]
        marks = face.landmarks(v)
        rows.append(
            (
                1000 * mouth["gap"],
                1000 * mouth["largest_gap"],
                1000 * mouth["width"],
                v[lower, 1].mean() - rest[lower, 1].mean(),
                np.linalg.norm(v[lip][:, None] - v[edge], axis=-1).min(),
                tip[:, 1].min() - edge_y if len(tip) else np.inf,
                np.mean(marks[[47, 46], 1] - marks[[43, 44], 1]),
                np.mean(marks[[41, 40], 1] - marks[[37, 38], 1]),
            )
        )
    columns = np.array(rows).T
    return Measured(performance, *columns[:6], lids=columns[6:].T)


def closures(name: str) -> list[Phoneme]:
    """The bilabials of the measured part."""
    return measured(name).sounds(BILABIALS, shortest=0.0)
