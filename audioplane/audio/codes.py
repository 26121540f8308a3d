"""Audio codes of a voice as the training voice had them: their statistics, and closed lips in silence."""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import uniform_filter1d
from torch import Tensor

from audioplane.audio.front_ends import LIVE
from audioplane.audio.opening import OpeningMap
from audioplane.config import AudioConfig

FADE = 9  # frames in which lips close where speech ends
SMALLEST = 1e-6  # spread of a code's number that never changes
FAMILIAR = 100  # frames that the training voice counts for, where another voice's codes are standardised


def matches_statistics(config: AudioConfig) -> bool:
    """Whether codes of a voice are brought to the training voice's statistics: not while it is spoken."""
    return config.normalise == "voice" and config.features != LIVE


def spoken_codes(
    codes: Tensor, config: AudioConfig, opening: OpeningMap, speech: np.ndarray, trained: Tensor | None = None
) -> Tensor:
    """Codes (T, code) of a voice as a head speaks with them, before its lips close in silence.

    Args:
        codes: of every frame, as the encoder gives them. config: of the encoder. opening: the encoder's, on the host.
        speech, trained: see `match_training_statistics`.
    """
    if not matches_statistics(config):
        return opening(codes)
    emphasis = 1.0 if opening.is_fitted else config.emphasis
    return opening(match_training_statistics(codes, speech, trained, emphasis))


def match_training_statistics(
    codes: Tensor, speech: np.ndarray | None = None, trained: Tensor | None = None, emphasis: float = 1.0
) -> Tensor:
    """Codes (T, code) of a voice with the mean and spread that those of the training voice had when training ended.

    An encoder is surest of the voice it learned from: other voices' codes are drawn towards the middle, and the lips
    would hardly open. The training voice's own spread counts as four further seconds, and no code is stretched more
    than twofold: a cough or a pause is not made speech.

    Args:
        codes: of every frame.
        speech: (T,) of bool, the frames by which the voice is judged (`audio.activity.speech_frames`), so that silence
            stays silence, with closed lips, and is not taken for the middle of all that a voice says. Default all.
        trained: (2, code), mean and spread of the training voice's codes, see `code_statistics`; default 0 and 1.
        emphasis: factor on the spread.
    """
    mean, width = (0.0, torch.ones(())) if trained is None else (trained[0], trained[1].clamp_min(SMALLEST))
    codes = (codes - mean).div_(width)
    judged = codes if speech is None else codes[torch.from_numpy(speech)]
    if len(judged) == 0:
        return mean + emphasis * width * codes
    own = len(judged) / (len(judged) + FAMILIAR)
    spread = (own * judged.var(dim=0, unbiased=False) + (1.0 - own)).sqrt()
    middle = own * judged.mean(dim=0)
    del judged  # codes of hours of sound are large: from here on they are changed in place
    return codes.sub_(middle).mul_(emphasis * width).div_(spread.clamp_min(0.5)).add_(mean)


def code_statistics(codes: Tensor) -> Tensor:
    """Mean and spread of the training voice's codes (T, code): (2, code).

    They are 0 and 1 only where nothing changed the encoder after its pre-training: with `audio.fine_rate`, or without
    pre-training, they end anywhere.
    """
    return torch.stack([codes.mean(dim=0), codes.std(dim=0, unbiased=False)])


def close_lips(codes: Tensor, speech: np.ndarray, rest: Tensor | None) -> Tensor:
    """Codes (T, code) that go over to that of closed lips where nobody speaks.

    An encoder has hardly ever seen long silence: what it makes of it is chance, and lips would move in it.

    Args:
        codes: of every frame.
        speech: (T,) of bool, see `audio.activity.speech_frames`; short pauses belong to speech, and stay as they are.
        rest: (code,), the code of closed lips; None where a head has none.
    """
    if rest is None or speech.all():
        return codes
    spoken = uniform_filter1d(speech.astype(np.float32), FADE, mode="nearest")
    return torch.lerp(rest, codes, torch.from_numpy(spoken)[:, None])
