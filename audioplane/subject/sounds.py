"""Which class of sound is spoken in each frame, and what values do by class of sound."""

# ruff: noqa: RUF001 - phonetic letters that look like Latin ones are meant

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from audioplane.subject import Subject

CLASSES = {
    "p b m": "pbm",
    "f v": "fv",
    "t d n l s z": "tdnlszθðɾ",
    "k ɡ ŋ h": "kɡŋh",
    "ʃ tʃ r w": "ʃʒɹwʧʤj",
    "u o ɔ": "uʊoɔ",
    "i ɪ e ɛ": "iɪeɛ",
    "a ɑ ə ʌ": "aɑæəʌɐɒɜɚ",
}
SILENCE = "silence"


def sounds(subject: Subject) -> list[str]:
    """The class of sound (a key of `CLASSES`, or silence) that is spoken in each frame.

    Raises:
        ValueError: the subject has no phonemes.
    """
    if subject.phonemes is None:
        raise ValueError(f"subject: expected one with phonemes, received {subject!r}")
    spoken = [SILENCE] * subject.num_frames
    for phoneme in subject.phonemes:
        start, stop = (int(np.ceil(at * subject.fps - 0.5)) for at in (phoneme.start, phoneme.end))
        found = next((name for name, letters in CLASSES.items() if phoneme.ipa[:1] in letters), SILENCE)
        for t in range(max(start, 0), min(stop, subject.num_frames)):
            spoken[t] = found
    return spoken


def frames_by_opening(opening: NDArray, frames: range, count: int = 4) -> list[int]:
    """`count` of `frames` from the least to the most open mouth, evenly by rank; `opening` (T,) of the whole clip."""
    order = np.argsort(opening[frames.start : frames.stop], kind="stable")
    return [frames.start + int(order[k]) for k in np.linspace(0, len(order) - 1, count).astype(int)]


def mean_by_sound(values: NDArray, spoken: list[str]) -> tuple[list[str], NDArray]:
    """Names of the classes that occur, and the mean of `values` (T, F) over the frames of each: (classes, F)."""
    labels = np.array(spoken)
    names = [name for name in (*CLASSES, SILENCE) if (labels == name).any()]
    return names, np.stack([values[labels == name].mean(0) for name in names])


def variance_explained(values: NDArray, spoken: list[str]) -> float:
    """The share of the variance of `values` (T, F) that lies between classes of sound rather than within them."""
    names, means = mean_by_sound(values, spoken)
    between = means[[names.index(name) for name in spoken]]
    return float(between.var(0).sum() / max(values.var(0).sum(), 1e-12))
