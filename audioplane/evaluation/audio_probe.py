"""What an audio code says about the lips, by a linear probe, and the true lips of an embedded speaker for any voice.

The probe is fitted on a head's training frames and then kept. For another voice the truth is how the same embedded
speaker performs it (`synthetic.performance`); nothing has to be rendered for that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from audioplane.audio.opening import OpeningReader
from audioplane.metrics.mouth import correlation

if TYPE_CHECKING:
    import pandas as pd

    from audioplane.audio.phonetic import PhoneticOutput
    from audioplane.synthetic.performance import Performance


class LinearProbe:
    """Ridge regression from codes to the opening of the lips.

    Args:
        codes: a of the frames to learn from, (T, code). opening: of the lips there, (T,) millimetres.
    """

    def __init__(self, codes: Tensor, opening: NDArray) -> None:
        self._reader, self._level = OpeningReader.fit(codes.numpy(), opening), float(opening.mean())

    def __call__(self, codes: Tensor) -> NDArray:
        """The predicted opening for codes (T, code): (T,) millimetres."""
        return self._reader(codes.numpy()) + self._level


def reference_performance(speaker: str, seconds: float, voice: str = "") -> Performance:
    """The performance of an embedded speaker who says what a voice says: the true lips for that voice.

    Args:
        speaker: its name.
        seconds: length, from the voice's start.
        voice: name of a voice that ships; "" for the speaker's own.

    Raises:
        UserError: no such speaker or voice, or the voice is shorter.
    """
    from audioplane.synthetic import cast
    from audioplane.synthetic.performance import perform

    return perform(cast.find(speaker), seconds, voice=voice or None)


def viseme_probabilities(output: PhoneticOutput) -> dict[str, NDArray]:
    """The probability of each viseme (group of sounds that look alike) at each step: name -> (steps,)."""
    from audioplane.audio.phonetic import CLASSES, VISEMES

    return {
        name: output.posteriors[:, [CLASSES.index(one) for one in group]].sum(axis=1) for name, group in VISEMES.items()
    }


def track_pairs(output: PhoneticOutput, performance: Performance) -> dict[str, tuple[NDArray, NDArray]]:
    """Mouth movements, predicted by the phonetic network and true: track -> (predicted, truth), each (steps,)."""
    from audioplane.audio.phonetic import TRACKS
    from audioplane.synthetic.mouth_tracks import mouth_tracks

    true = mouth_tracks(performance.phonemes, performance.audio, len(output.tracks)) * np.array(list(TRACKS.values()))
    return {name: (output.tracks[:, k], true[:, k]) for k, name in enumerate(TRACKS)}


def agreement(predicted: NDArray, truth: NDArray, shift: int) -> dict[str, float]:
    """How well an opening is predicted: correlation, the same `shift` frames late, and the ratio of the amplitudes.

    Args:
        predicted: (T,) millimetres.
        truth: (T,) millimetres.
        shift: frames by which the control is late; what leaves at the end comes in at the start.
    """
    return {
        "r": correlation(predicted, truth),
        "r, a second late": correlation(np.roll(predicted, shift), truth),
        "amplitude": float(predicted.std() / max(float(truth.std()), 1e-9)),
    }


def table(openings: Mapping[str, tuple[NDArray, NDArray]], shift: int) -> pd.DataFrame:
    """`agreement` of several voices: name -> (predicted, truth)."""
    import pandas as pd

    return pd.DataFrame({name: agreement(*pair, shift) for name, pair in openings.items()}).T


def opening_by_sound(predicted: NDArray, truth: NDArray, spoken: list[str]) -> dict[str, tuple[float, float]]:
    """Mean opening at each class of sound (`subject.sounds`).

    Args:
        predicted: (T,) millimetres.
        truth: (T,) millimetres.
        spoken: the class of sound of each of the T frames.

    Returns:
        class -> (predicted, truth), millimetres.
    """
    from audioplane.subject.sounds import mean_by_sound

    names, means = mean_by_sound(np.stack([predicted, truth], axis=1), spoken)
    return {name: (float(own[0]), float(own[1])) for name, own in zip(names, means, strict=True)}
