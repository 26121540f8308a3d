"""From a voice to the audio codes of its frames, in the range that the training voice had."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from audioplane.audio.activity import speech_frames
from audioplane.audio.codes import close_lips, spoken_codes
from audioplane.audio.features import SAMPLE_RATE, count_frames, voice_digest
from audioplane.errors import UserError
from audioplane.inference import arguments
from audioplane.inference.live import LiveCodes
from audioplane.runtime import large_arrays
from audioplane.runtime.memory import give_back

if TYPE_CHECKING:
    from audioplane.inference.talking_head import TalkingHead


def codes_of(head: TalkingHead, audio: np.ndarray, features: str, sample: np.ndarray | None) -> Tensor:
    """Audio codes (T, code) of every frame of a voice, on the host; arguments of `TalkingHead.encode`.

    Raises:
        UserError: see `TalkingHead.encode`.
    """
    audio, before = arguments.voice(audio, "audio"), 0
    _check_features(head, audio, features)
    if sample is not None:
        if head.config.audio.features == "deepspeech":
            raise UserError("a head with DeepSpeech features reads the voice from its .npy; it takes no sample")
        sample = arguments.voice(sample, "sample")
        before = count_frames(sample, head.fps)
        space = round(before * SAMPLE_RATE / head.fps)
        both = large_arrays.zeros(space + len(audio))
        both[: len(sample)] = sample
        for part in large_arrays.parts(len(audio)):
            both[space:][part] = audio[part]
        audio = both
    if head.features.is_live:
        return LiveCodes(head).of(audio)[before:]
    windows = head.features.windows(audio, head.fps, features)
    if isinstance(windows, Tensor) and windows.shape[2] != head.method.encoder.channels:
        raise UserError(
            f"the features have {windows.shape[2]} channels, this head was trained on {head.method.encoder.channels}; "
            "make them as those of its training clip were made"
        )
    codes = head.method.encoder.all_codes(windows).cpu()
    del windows
    give_back()  # before what comes next needs as much again, for hours of sound
    own = head.config.audio
    speech = speech_frames(audio, head.fps, len(codes), own.longest_pause)
    codes = spoken_codes(codes, own, head.opening, speech, head.extras.get("code_statistics"))
    return close_lips(codes, speech, head.extras.get("rest"))[before:]


def _check_features(head: TalkingHead, audio: np.ndarray, features: str) -> None:
    """Refuses features in a file that are not those of the voice.

    Raises:
        UserError: DeepSpeech features of another sound, or for a head that takes none.
    """
    is_from_file = head.config.audio.features == "deepspeech"
    if features and not is_from_file:
        raise UserError("this head was not trained on DeepSpeech features; leave --features away")
    if is_from_file and not features and voice_digest(audio) != head.about.get("voice"):
        raise UserError(
            "the features of this head lie in a file, and this sound is not the one that they are of; "
            "give this sound's own .npy of DeepSpeech features (--features)"
        )
