"""Audio codes of a voice as the training voice had them: their statistics, and closed lips in silence."""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import uniform_filter1d
from torch import Tensor

FADE = 9  # frames in which lips close where speech ends
FAMILIAR = 100  # frames that the training voice counts for, where another voice's codes are standardised


def match_training_statistics(codes: Tensor, speech: np.ndarray | None = None) -> Tensor:
    """Codes (T, code) of a voice with the mean and spread that those of the training voice had, 0 and 1.

    An encoder is surest of the voice it learned from: other voices' codes are drawn towards the middle, and the lips
    would hardly open. The training voice's own spread counts as four further seconds, and no code is stretched more
    than twofold: a cough or a pause is not made speech.

    Args:
        codes: of every frame.
        speech: (T,) of bool, the frames by which the voice is judged (`audio.activity.speech_frames`), so that silence
            stays silence, with closed lips, and is not taken for the middle of all that a voice says. Default all.
    """
    judged = codes if speech is None else codes[torch.from_numpy(speech)]
    if len(judged) == 0:
        return codes
    own = len(judged) / (len(judged) + FAMILIAR)
    spread = (own * judged.var(dim=0, unbiased=False) + (1.0 - own)).sqrt()
    return (codes - own * judged.mean(dim=0)) / spread.clamp_min(0.5)


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
