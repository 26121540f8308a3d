"""The voices that ship: synthesised speech with the time of every phoneme, read without a synthesiser.

Audio is Ogg Opus at 16 kHz, timings are JSON; both were made by `python -m audioplane.synthetic.voice.make` from the
texts beside them.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from audioplane.errors import UserError
from audioplane.subject.phonemes import Phoneme

SAMPLE_RATE = 16_000
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Sentence:
    """One spoken sentence: the text, seconds, and the part it belongs to ("train", "test" or "drive")."""

    text: str
    start: float
    end: float
    part: str


@dataclass(frozen=True)
class Voice:
    """A recording with its truth.

    Attributes:
        name: such as "english_a".
        language: "en", "zh", "fr" or "de".
        sex: "m" or "f".
        audio: float32 (n,), 16 kHz, within [-1, 1].
        phonemes: in order, seconds from the start of `audio`; pauses are the gaps between them.
        sentences: in order.
    """

    name: str
    language: str
    sex: str
    audio: np.ndarray
    phonemes: tuple[Phoneme, ...]
    sentences: tuple[Sentence, ...]

    @property
    def seconds(self) -> float:
        return len(self.audio) / SAMPLE_RATE


def voice_names() -> list[str]:
    """Names of all voices that ship, sorted."""
    return sorted(f.name[:-5] for f in (files(__name__) / "data").iterdir() if f.name.endswith(".json"))


@cache
def load_voice(name: str) -> Voice:
    """Reads one voice; the audio array is read-only and shared between calls.

    Raises:
        UserError: no voice of that name ships, or its files were made by another version.
    """
    import soundfile

    if name not in voice_names():
        raise UserError(f"no voice is named {name!r}; there are {', '.join(voice_names())}")
    folder = files(__name__) / "data"
    facts = json.loads((folder / f"{name}.json").read_text(encoding="utf8"))
    if facts["version"] != FORMAT_VERSION:
        raise UserError(f"voice {name!r} has format {facts['version']}, this version reads {FORMAT_VERSION}")
    audio, rate = soundfile.read(io.BytesIO((folder / f"{name}.ogg").read_bytes()), dtype="float32")
    assert rate == SAMPLE_RATE
    audio = audio[: facts["samples"]]
    audio[np.abs(audio) < 1e-7] = 0.0  # the decoder leaves denormal dust in pauses
    audio.setflags(write=False)
    return Voice(
        name=name,
        language=facts["language"],
        sex=facts["sex"],
        audio=audio,
        phonemes=tuple(_phoneme(*row) for row in facts["phonemes"]),
        sentences=tuple(Sentence(t, a / 1000, b / 1000, part) for t, a, b, part in facts["sentences"]),
    )


def _phoneme(ipa: str, start: int, end: int, stress: int, word: int, release: int | None) -> Phoneme:
    opened = None if release is None else release / 1000
    return Phoneme(ipa, start / 1000, end / 1000, stress, bool(word), opened)
