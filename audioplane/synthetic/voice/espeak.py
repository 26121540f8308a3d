"""A thin bridge to the espeak-ng library, for makers of voices and for typed text; imported only where it is used.

espeak-ng is licensed under the GPL. It stays an optional tool at arm's length (`pip install espeakng-loader`): what it
speaks is no derivative of it, and nothing of it is shipped.
"""

from __future__ import annotations

import ctypes
import functools
from dataclasses import dataclass

import numpy as np

from audioplane.errors import UserError

_RETRIEVAL, _PHONEME_EVENTS_AS_IPA = 1, 1 | 2
_END_OF_LIST, _WORD, _PHONEME = 0, 1, 7
_RATE, _PITCH, _RANGE = 1, 3, 4
_UTF8 = 1


class _Id(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    ]


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@dataclass(frozen=True)
class RawEvent:
    """A phoneme as espeak reports it: its own name for the sound ("" = a gap), where it starts, whether a word does."""

    name: str
    sample: int
    word_start: bool


@functools.cache
def opened() -> Espeak:
    """The library, opened once in a process: its threads do not survive a second opening, which may wait for ever.

    Raises:
        UserError: it is not installed.
    """
    return Espeak()


class Espeak:
    """The library; take it from `opened`."""

    def __init__(self) -> None:
        try:
            import espeakng_loader  # type: ignore[import-not-found]
        except ImportError as error:
            raise UserError(
                "making voices needs espeak-ng, which is not installed: run `pip install espeakng-loader`"
            ) from error
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        self.sample_rate = int(self._library.espeak_Initialize(_RETRIEVAL, 0, data, _PHONEME_EVENTS_AS_IPA))

    def speak(
        self, text: str, voice: str, rate: int, pitch: int = 50, pitch_range: int = 50
    ) -> tuple[np.ndarray, list[RawEvent]]:
        """Speaks one sentence.

        Args:
            text: what to say.
            voice: espeak's name with variant, such as "en-us+m3".
            rate: words per minute.
            pitch, pitch_range: 0 to 100, 50 = the voice's own.

        Returns:
            Samples, int16, at `sample_rate`; the phonemes in order.
        """
        chunks: list[np.ndarray] = []
        events: list[RawEvent] = []
        word = False

        def receive(samples, count, reported) -> int:
            nonlocal word
            if count > 0:
                chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
            i = 0
            while reported[i].type != _END_OF_LIST:
                if reported[i].type == _WORD:
                    word = True
                elif reported[i].type == _PHONEME:
                    name = bytes(reported[i].id.string).decode("utf8", "ignore").strip("\0")
                    events.append(RawEvent(name, reported[i].sample, word and bool(name)))
                    word = word and not name
                i += 1
            return 0

        callback = _CALLBACK(receive)
        self._library.espeak_SetSynthCallback(callback)
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise UserError(f"espeak-ng has no voice named {voice!r}")
        for parameter, value in ((_RATE, rate), (_PITCH, pitch), (_RANGE, pitch_range)):
            self._library.espeak_SetParameter(parameter, int(value), 0)
        spoken = text.encode() + b"\0"
        self._library.espeak_Synth(spoken, len(spoken), 0, 0, 0, _UTF8, None, None)
        self._library.espeak_Synchronize()
        return np.concatenate(chunks), events
