"""What an audio code says about the lips: a linear reading of it, and what lips should do under any voice.

The reading is learnt on a head's training frames and kept. Under another voice the truth is what the same embedded
speaker would do with that voice (`speakers.performance`); nothing has to be rendered for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from audioplane.metrics.mouth import correlation

if TYPE_CHECKING:
    import pandas as pd

    from audioplane.audio.phonetic import Heard
    from audioplane.synthetic.performance import Performance

STRENGTH = 0.01  # of the ridge penalty, as a share of the frames


class Reading:
    """Ridge regression from codes to the opening of the lips.

    Args:
        codes: a of the frames to learn from, (T, code). opening: of the lips there, (T,) millimetres.
    """

    def __init__(self, codes: Tensor, opening: NDArray) -> None:
        known = codes.numpy().astype(np.float64)
        self._mean, self._level = known.mean(0), float(opening.mean())
        centred = known - self._mean
        penalty = STRENGTH * len(known) * np.eye(known.shape[1])
        self._weights = np.linalg.solve(centred.T @ centred + penalty, centred.T @ (opening - self._level))

    def __call__(self, codes: Tensor) -> NDArray:
        """The opening that codes (T, code) say: (T,) millimetres."""
        return (codes.numpy() - self._mean) @ self._weights + self._level


def should(speaker: str, seconds: float, voice: str = "") -> Performance:
    """What an embedded speaker does while saying what a voice says; `voice` "" for the own one.

    Raises:
        UserError: no such speaker or voice, or the voice is shorter.
    """
    from audioplane.synthetic import cast
    from audioplane.synthetic.performance import perform

    return perform(cast.find(speaker), seconds, voice=voice or None)


def by_group(ear: Heard) -> dict[str, NDArray]:
    """How likely each group of sounds that look alike is at each step: name -> (steps,)."""
    from audioplane.audio.phonetic import CLASSES, VISEMES

    return {
        name: ear.posteriors[:, [CLASSES.index(one) for one in group]].sum(axis=1) for name, group in VISEMES.items()
    }


def mouth(ear: Heard, take: Performance) -> dict[str, tuple[NDArray, NDArray]]:
    """What an ear says that the mouth does, and what it does: track -> (heard, truth), each (steps,)."""
    from audioplane.audio.phonetic import TRACKS
    from audioplane.synthetic.mouth_tracks import mouth_tracks

    done = mouth_tracks(take.phonemes, take.audio, len(ear.tracks)) * np.array(list(TRACKS.values()))
    return {name: (ear.tracks[:, k], done[:, k]) for k, name in enumerate(TRACKS)}


def agreement(said: NDArray, truth: NDArray, shift: int) -> dict[str, float]:
    """How well an opening is said: correlation, the same `shift` frames late, and how far it opens beside the truth.

    Args:
        said, truth: (T,) millimetres. shift: frames by which the control is late, around the end.
    """
    return {
        "r": correlation(said, truth),
        "r, a second late": correlation(np.roll(said, shift), truth),
        "amplitude": float(said.std() / max(float(truth.std()), 1e-9)),
    }


def table(said: Mapping[str, tuple[NDArray, NDArray]], shift: int) -> pd.DataFrame:
    """`agreement` of several voices: name -> (said, truth)."""
    import pandas as pd

    return pd.DataFrame({name: agreement(*pair, shift) for name, pair in said.items()}).T


def by_sound(said: NDArray, truth: NDArray, spoken: list[str]) -> dict[str, tuple[float, float]]:
    """Mean opening at each class of sound (`subject.sounds`), said and true, of T frames each: class -> millimetres."""
    from audioplane.subject.sounds import mean_by_sound

    names, means = mean_by_sound(np.stack([said, truth], axis=1), spoken)
    return {name: (float(own[0]), float(own[1])) for name, own in zip(names, means, strict=True)}
