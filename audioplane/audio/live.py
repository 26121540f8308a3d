"""Audio features of a voice while it is spoken: nothing that is said later than `LOOK_AHEAD` seconds counts.

Whisper's attention looks at a whole piece of sound. Here two states at a time, 40 ms, get a piece of their own: the
sound before them and a tenth of a second after them. They lie at the same place of each piece, so they do not depend on
when a recording begins. Beside them stand the features of the causal phonetic network. A whole recording is computed as
a stream that arrives at once, so it has the features that the stream has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from audioplane.audio import phonetic, whisper
from audioplane.audio.activity import speech_steps
from audioplane.audio.augmentation import augment_spectrogram
from audioplane.audio.mel import SAMPLE_RATE, Statistics
from audioplane.audio.states import standardise_states
from audioplane.audio.whisper import HOP, LOUDEST, MEL_DB, MOST_GAIN, WINDOW, WhisperFeatures
from audioplane.runtime.threads import in_parallel

if TYPE_CHECKING:
    from audioplane.audio.features import Features
    from audioplane.config import AudioConfig

PIECE = 50  # states of a piece, 1 s: two seconds of past, or half a one, predict lips as well
CHUNK = 2  # states that are read of it, 40 ms
AHEAD = 3  # states of the piece behind these
TOGETHER = 16  # pieces that are computed at once
FIRST_LOUDEST = 1.0  # a voice counts as at least so loud (Whisper's units), until it is louder: noise stays noise
NOTHING = -1.5  # Whisper's spectrogram of digital silence
WHISPER_AHEAD = ((2 * (CHUNK + AHEAD) - 1) * HOP + WINDOW // 2) / SAMPLE_RATE  # seconds: 0.1025
LOOK_AHEAD = max(WHISPER_AHEAD, phonetic.LOOK_AHEAD)


class WhisperStream:
    """States of a voice as it arrives: `push` samples in pieces of any length, `end` gives the rest.

    A state comes out as soon as `WHISPER_AHEAD` seconds after the centre of its chunk's first one have been pushed.

    Args:
        features: an encoder, and what is kept of its states.
    """

    def __init__(self, features: WhisperFeatures) -> None:
        self.features = features
        self.samples, self.first = np.zeros(0, np.float32), 0  # kept samples start at the centre of step `first`
        self.pushed, self.steps, self.given = 0, 0, 0  # samples; steps of the spectrogram; states that came out
        before = 2 * (PIECE - CHUNK - AHEAD)
        self.mel = torch.full((before, features.encoder.bands), NOTHING)  # from the next chunk's piece on
        self.loudest = torch.full((before,), FIRST_LOUDEST)  # up to each of these steps

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """The next samples (n,) at 16 kHz; returns the states that are complete, (k, C), perhaps none."""
        self.samples = np.concatenate([self.samples, samples.astype(np.float32, copy=False)])
        self.pushed += len(samples)
        self._hear((self.pushed - WINDOW // 2) // HOP + 1)
        return self._states((len(self.mel) - 2 * PIECE) // (2 * CHUNK) + 1)

    def end(self) -> NDArray[np.float32]:
        """The last states; nothing can be pushed after it."""
        self.samples = np.pad(self.samples, (0, max(0, WINDOW - self.pushed)))
        self._hear(max(self.pushed, WINDOW) // HOP)
        count = -(-self.steps // 2)
        chunks = -(-(count - self.given) // CHUNK)
        missing = max(0, 2 * PIECE + 2 * CHUNK * (chunks - 1) - len(self.mel))
        self.mel = functional.pad(self.mel, (0, 0, 0, missing), value=NOTHING)
        self.loudest = torch.cat([self.loudest, self.loudest[-1:].expand(missing)])
        left = count - self.given
        return self._states(chunks)[:left]

    def _hear(self, steps: int) -> None:
        """Spectrogram and loudness up to so many steps."""
        if steps <= self.steps:
            return
        bands = self.features.encoder.bands
        found = spectrogram(self.samples, bands, self.steps - self.first, steps - self.first)
        self.steps = steps
        self.mel = torch.cat([self.mel, found])
        self.loudest = torch.cat([self.loudest, loudest_so_far(found, float(self.loudest[-1]))])
        keep = max(0, steps - 2)  # two steps back: the next step's window must not touch the buffer's edge
        self.samples, self.first = self.samples[(keep - self.first) * HOP :], keep

    def _states(self, chunks: int) -> NDArray[np.float32]:
        if chunks <= 0:
            return np.zeros((0, self.features.channels), np.float32)
        stop = 2 * PIECE + 2 * CHUNK * (chunks - 1)
        found = _encode(self.features, self.mel[:stop], self.loudest[2 * PIECE - 1 : stop : 2 * CHUNK])
        self.mel, self.loudest = self.mel[2 * CHUNK * chunks :], self.loudest[2 * CHUNK * chunks :]
        self.given += len(found)
        return found


def spectrogram(samples: NDArray[np.float32], bands: int, start: int = 0, stop: int = -1) -> Tensor:
    """Log-mel of some steps of a voice (n,) in Whisper's units, quiet sounds as quiet as they are: (steps, bands).

    Args:
        samples: at 16 kHz. bands: of the encoder. start, stop: steps; default all.
    """
    return (whisper.log_mel_steps(samples, bands, start, len(samples) // HOP if stop < 0 else stop) + 4.0) / 4.0


def loudest_so_far(mel: Tensor, before: float) -> Tensor:
    """The largest value up to each step of a spectrogram (n, bands), and of what came before: (n,)."""
    return torch.cummax(mel.amax(dim=1).clamp_min(before), dim=0).values


@torch.no_grad()
def _encode(features: WhisperFeatures, mel: Tensor, loudest: Tensor) -> NDArray[np.float32]:
    """States of k chunks, (k CHUNK, C).

    Args:
        features: of an encoder.
        mel: (2 PIECE + 2 CHUNK (k - 1), bands) in Whisper's units, from the first chunk's piece on.
        loudest: (k,), by which each piece is levelled, see `whisper.level`.
    """
    pieces = mel.unfold(0, 2 * PIECE, 2 * CHUNK).transpose(1, 2)
    gain = (LOUDEST - loudest).clamp_max(MOST_GAIN)[:, None, None]
    wanted = slice(PIECE - AHEAD - CHUNK, PIECE - AHEAD)

    @torch.no_grad()
    def encoded(start: int) -> Tensor:
        some = slice(start, start + TOGETHER)
        levelled = (pieces[some] + gain[some]).clamp_min(LOUDEST - 2.0)
        return features.encoder(levelled, wanted).flatten(0, 1)

    states = torch.cat(list(in_parallel(encoded, range(0, len(pieces), TOGETHER))))
    return (states if features.projection is None else functional.linear(states, *features.projection)).numpy()


def whisper_states(mel: Tensor, features: WhisperFeatures) -> NDArray[np.float32]:
    """States of a whole spectrogram (n, bands) in Whisper's units: (ceil(n / 2), C), as `WhisperStream` gives them."""
    count = -(-len(mel) // 2)
    chunks, before = -(-count // CHUNK), 2 * (PIECE - CHUNK - AHEAD)
    after = 2 * PIECE + 2 * CHUNK * (chunks - 1) - before - len(mel)
    padded = functional.pad(mel, (0, 0, before, after), value=NOTHING)
    loudest = loudest_so_far(padded, FIRST_LOUDEST)
    return _encode(features, padded, loudest[2 * PIECE - 1 :: 2 * CHUNK])[:count]


class LiveSteps:
    """Features of a voice as it arrives: `push` samples in pieces of any length, `end` gives the rest.

    States of Whisper are standardised by the voice that the features were fitted on, those of the phonetic network by
    what was heard so far.

    Args:
        features: of kind "live", fitted.

    Raises:
        ValueError: they were not fitted.
    """

    def __init__(self, features: Features) -> None:
        if features.statistics is None:
            raise ValueError("features: expected the statistics of a subject's voice; use Features.fit")
        self.mean, self.spread = features.statistics
        self.whisper = WhisperStream(whisper.load(features.config.model, features.config.block))
        self.phonetic = phonetic.Stream()
        self.states = np.zeros((0, len(self.mean)), np.float32)  # those that wait for the other network's
        self.sounds = np.zeros((0, phonetic.CHANNELS), np.float32)

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """The next samples (n,) at 16 kHz; returns the steps that are complete, (k, C), 20 ms each, perhaps none."""
        return self._joined(self.whisper.push(samples), self.phonetic.push(samples))

    def end(self) -> NDArray[np.float32]:
        """The last steps; nothing can be pushed after it."""
        return self._joined(self.whisper.end(), self.phonetic.end())

    def _joined(self, states: NDArray[np.float32], sounds: phonetic.PhoneticOutput) -> NDArray[np.float32]:
        states = ((states - self.mean) / self.spread).astype(np.float32)
        self.states = np.concatenate([self.states, states])
        self.sounds = np.concatenate([self.sounds, sounds.features])
        count = min(len(self.states), len(self.sounds))
        found = np.concatenate([self.states[:count], self.sounds[:count]], axis=1)
        self.states, self.sounds = self.states[count:], self.sounds[count:]
        return found


def statistics(samples: NDArray[np.float32], config: AudioConfig) -> Statistics:
    """Mean and spread of the states of a voice (n,) at 16 kHz, by which it and other voices are standardised."""
    stream = WhisperStream(whisper.load(config.model, config.block))
    states = np.concatenate([stream.push(samples), stream.end()])
    return standardise_states(states, speech_steps(samples, len(states)))[1]


def augmented_states(
    samples: NDArray[np.float32],
    features: WhisperFeatures,
    copies: int,
    strength: float,
    seed: int,
    given: Statistics | None,
) -> NDArray[np.float32]:
    """Standardised states of augmented copies of a recording.

    Args:
        samples: (n,) 16 kHz.
        features: of an encoder.
        copies: how many.
        strength: of the augmentation (`augmentation.augment_spectrogram`).
        seed: of the augmentation.
        given: mean and spread by which they are standardised; default their own.

    Returns:
        (copies, ceil(n / 320), C).
    """
    generator = torch.Generator().manual_seed(seed)
    mel = spectrogram(samples, features.encoder.bands)
    found = []
    for _ in range(copies):
        copy = augment_spectrogram(MEL_DB * mel[None], strength, generator)[0] / MEL_DB
        states = whisper_states(copy - copy.max() + mel.max(), features)
        speech = speech_steps(samples, len(states))
        found.append(standardise_states(states, speech, given, prior_only=given is not None)[0])
    return np.stack(found)
