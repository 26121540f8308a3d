"""Typed text as a voice, through espeak-ng where it is installed (`pip install espeakng-loader`)."""

from __future__ import annotations

import importlib.util

import numpy as np
from numpy.typing import NDArray

from audioplane.audio.features import SAMPLE_RATE
from audioplane.errors import UserError

VOICES = {
    "English, a man": "english_drive",
    "English, a woman": "english_b",
    "Chinese": "chinese_drive",
    "French": "french_drive",
    "German": "german_drive",
}
LEVEL = 0.06  # root mean square, that of the voices that ship
LONGEST = 2000  # letters


def is_there() -> bool:
    """Whether espeak-ng can be loaded."""
    return importlib.util.find_spec("espeakng_loader") is not None


def say(text: str, voice: str = "English, a man") -> NDArray:
    """Speaks a text.

    Args:
        text: a few sentences. voice: one of `VOICES`.

    Returns:
        (n,) float32 at 16 kHz.

    Raises:
        UserError: espeak-ng is not installed, the text is empty or too long, or nothing in it can be spoken.
    """
    from scipy.signal import resample_poly

    from audioplane.synthetic.voice.espeak import opened
    from audioplane.synthetic.voice.make import RECIPES

    if voice not in VOICES:
        raise UserError(f"there is no voice {voice!r}; there are {', '.join(VOICES)}")
    if not text.strip() or len(text) > LONGEST:
        raise UserError(f"the text must have 1 to {LONGEST} letters; it has {len(text.strip())}")
    recipe, espeak = RECIPES[VOICES[voice]], opened()
    samples, _ = espeak.speak(text.strip(), recipe.espeak, recipe.rate, recipe.pitch)
    spoken = resample_poly(samples.astype(np.float64) / 32_768, SAMPLE_RATE, espeak.sample_rate)
    level = np.sqrt(np.square(spoken).mean())
    if not level > 1e-4:
        raise UserError(f"espeak-ng speaks nothing of {text.strip()[:40]!r} in this language")
    return np.clip(spoken * LEVEL / level, -1, 1).astype(np.float32)
