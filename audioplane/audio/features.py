"""Sound files, and per-frame features of a voice: overlapping windows at 25 frames a second (Audio-Plane, Sec. III-C).

Every kind of feature comes as windows (T, window, C) float32: `window` steps, 20 ms each, around each video frame.
Frame t of the video shows what happens at (t + 0.5) / fps, the middle of its window.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sized
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from audioplane.audio.front_ends import AV, DEFAULT_NETWORKS, LIVE, PHONETIC, WHISPER, load_network
from audioplane.audio.mel import LONG, STEP, StandardisedSteps, Statistics, log_mel, standardise, standardise_by
from audioplane.config import AudioConfig
from audioplane.errors import UserError
from audioplane.media.sound import SAMPLE_RATE as SAMPLE_RATE
from audioplane.media.sound import check_audio as check_audio
from audioplane.media.sound import load_audio as load_audio
from audioplane.runtime import arrays

if TYPE_CHECKING:
    from torch import Tensor


def count_frames(samples: Sized, fps: float) -> int:
    """Video frames that cover all of `samples`, the last one perhaps in part."""
    return max(1, math.ceil(len(samples) * fps / SAMPLE_RATE - 1e-6))


def samples_of(frames: range, fps: float) -> slice:
    """The samples that belong to neighbouring frames."""
    return slice(round(frames.start * SAMPLE_RATE / fps), round(frames.stop * SAMPLE_RATE / fps))


def voice_digest(samples: np.ndarray) -> str:
    """The sha256 of a voice, (n,) float32: features that lie in a file are of one voice alone."""
    return hashlib.sha256(np.ascontiguousarray(samples, np.float32).tobytes()).hexdigest()


def window_places(steps: int, frames: int, fps: float, window: int, first: float, trailing: bool = False) -> np.ndarray:
    """Which steps each frame's window holds: those whose middle lies nearest to (t + 0.5) / fps.

    Args:
        steps: how many there are; the ends are continued by the first and the last of them.
        frames: T.
        fps: of the video.
        window: steps a frame.
        first: when the first step is centred, in steps of 20 ms.
        trailing: the window ends there, for a voice while it is spoken.

    Returns:
        (T, window) indices.
    """
    start = window_starts(frames, fps, window, first, trailing)
    return np.clip(start[:, None] + np.arange(window), 0, steps - 1)


def window_starts(frames: int, fps: float, window: int, first: float, trailing: bool = False) -> np.ndarray:
    """The first step of each frame's window, (T,), before the ends are continued; arguments of `window_places`."""
    if trailing:
        return last_steps(np.arange(frames), fps, first) - (window - 1)
    middle = (np.arange(frames) + 0.5) * (SAMPLE_RATE / STEP) / fps - first
    return np.floor(middle - (window - 1) / 2 + 0.5 + 1e-9).astype(int)


def last_steps(frames: np.ndarray, fps: float, first: float = 0.0) -> np.ndarray:
    """The last step of the windows of some frames (k,) of a live voice: the last one centred before their middle."""
    return np.floor((frames + 0.5) * (SAMPLE_RATE / STEP) / fps - first + 1e-9).astype(int)


def cut_windows(
    steps: np.ndarray, frames: int, fps: float, window: int, first: float, trailing: bool = False
) -> np.ndarray:
    """(steps, C) at 50 Hz -> (frames, window, C), see `window_places`."""
    return steps[window_places(len(steps), frames, fps, window, first, trailing)]


def half_step(window: int, trailing: bool = False) -> int:
    """Samples of silence to put before a voice, so that windows of so many steps can be centred at a frame.

    The middle of an even number of steps lies between two of them, that of a frame at 25 a second on a step. Half a
    step of silence in front moves every step's centre half a step forward. Windows that end at the frame need none.
    """
    return STEP // 2 if window % 2 == 0 and not trailing else 0


@dataclass(frozen=True)
class AugmentedCopies:
    """Features of augmented copies of one voice.

    Attributes:
        steps: (K, n, C) float32.
        places: (T, window), the steps of each frame's window.
    """

    steps: np.ndarray
    places: np.ndarray


class Steps(Protocol):
    """Features of a voice, every 20 ms, (n, C): an array, or what computes them when they are asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, steps: slice, /) -> np.ndarray: ...


@dataclass(frozen=True)
class StepsBeside:
    """Two kinds of features of one voice side by side, (n, C) each, in slices as they are asked for."""

    first: Steps
    second: Steps

    def __len__(self) -> int:
        return min(len(self.first), len(self.second))

    def __getitem__(self, steps: slice) -> np.ndarray:
        return np.concatenate([self.first[steps], self.second[steps]], axis=1)


@dataclass(frozen=True)
class LazyWindows:
    """Windows of a long voice, cut out of its steps for the frames that are asked for.

    Attributes:
        steps: (n, C), computed when they are asked for.
        starts: (T,), see `window_starts`. window: steps of each.
    """

    steps: Steps
    starts: np.ndarray
    window: int

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, frames: Tensor) -> Tensor:
        """The windows of some frames: (k, window, C) float32."""
        import torch

        starts = self.starts[frames.numpy()]
        places = np.clip(starts[:, None] + np.arange(self.window), 0, len(self.steps) - 1)
        first, last = int(places.min()), int(places.max()) + 1
        return torch.from_numpy(self.steps[first:last][places - first])


class Features:
    """The feature function of a run: fitted once on the subject's voice, from then on the same call for every voice.

    Args:
        config: kind, window and model.
        statistics: of the subject's voice, from an earlier run; `fit` takes them from a recording.
    """

    def __init__(self, config: AudioConfig, statistics: Statistics | None = None) -> None:
        self.config, self.statistics = config, statistics
        self.is_live = config.features == LIVE
        self.before = half_step(config.window, self.is_live)
        self._network: Any = None

    @classmethod
    def fit(cls, config: AudioConfig, samples: np.ndarray) -> Features:
        """The feature function of a subject.

        Args:
            config: kind, window and model.
            samples: (n,) 16 kHz, the subject's voice.
        """
        padded = _padded(samples, half_step(config.window, config.features == LIVE))
        found = []
        if config.features == LIVE:
            from audioplane.audio import live

            return cls(config, live.statistics(samples, config))
        if config.features in WHISPER:
            from audioplane.audio import whisper

            found.append(whisper.extract(padded, whisper.load(config.model, config.block))[1])
        if config.features == AV:
            from audioplane.audio import av_encoder

            found.append(av_encoder.extract(padded)[1])
        if mel_bands(config):
            found.append(standardise(log_mel(padded, mel_bands(config)))[1])
        if not found:
            return cls(config)
        means, spreads = zip(*found, strict=True)
        return cls(config, (np.concatenate(means), np.concatenate(spreads)))

    def __call__(
        self, samples: np.ndarray, fps: float, frames: int | None = None, model: str = "", own_voice: bool = False
    ) -> np.ndarray:
        """Windows of all frames of a voice.

        Args:
            samples: (n,) 16 kHz.
            fps: of the video.
            frames: T; default as many as cover the audio.
            model: DeepSpeech only: this voice's own .npy, in place of the config's.
            own_voice: these samples are of the voice that it was fitted on, whose statistics serve as they are: frames
                that it was not fitted on leave no trace in the others.

        Returns:
            (T, window, C) float32.

        Raises:
            ValueError: log-mel, Whisper, the centred phonetic network and the audio-visual encoder need statistics, and
                it was not fitted.
        """
        frames = count_frames(samples, fps) if frames is None else frames
        if self.config.features == "deepspeech":
            return load_deepspeech(model or self.config.model, frames, self.config.window)
        if self.statistics is None and (mel_bands(self.config) or self.config.features in (*WHISPER, AV)):
            raise ValueError("features: expected the statistics of a subject's voice; use Features.fit")
        before = self.before
        if self.is_live:
            from audioplane.audio.live import LiveSteps

            stream = LiveSteps(self)
            steps = np.concatenate([stream.push(samples), stream.end()])
        elif self.config.features == "whisper-phonetic":
            padded = _padded(samples, before)
            steps = _beside(self._whisper_steps(padded, own_voice), self._phonetic_steps(padded, own_voice))
        elif self.config.features in PHONETIC:
            steps = self._phonetic_steps(_padded(samples, before), own_voice)
        elif self.config.features == "whisper":
            steps = self._whisper_steps(_padded(samples, before), own_voice)
        elif self.config.features == AV:
            steps = self._av_steps(_padded(samples, before), own_voice)
        elif self.config.features == "mel":
            steps = self._mel_steps(_padded(samples, before), own_voice)
        else:
            steps = self._network_steps(_padded(samples, before + FIELD // 2))
        return cut_windows(steps, frames, fps, self.config.window, -before / STEP, self.is_live)

    def windows(self, samples: np.ndarray, fps: float, model: str = "") -> LazyWindows | Tensor:
        """As a call; windows of a long voice are cut when they are asked for, most features computed then as well.

        Args:
            samples: (n,) 16 kHz. fps: of the video. model: DeepSpeech only: this voice's own .npy.
        """
        import torch

        kind = self.config.features
        if self.is_live or kind not in (*PHONETIC, *WHISPER, AV, "mel") or len(samples) <= LONG * STEP:
            return torch.from_numpy(self(samples, fps, model=model))
        from audioplane.audio.phonetic import FeatureSteps
        from audioplane.audio.whisper import WhisperSteps, load

        before, frames = self.before, count_frames(samples, fps)
        prior_only = self.config.normalise == "subject"
        found: list[Steps] = []
        if kind in WHISPER:
            network = load(self.config.model, self.config.block)
            prior = _first(self.statistics, network.channels)
            found.append(WhisperSteps(samples, network, prior, prior_only, before))
        if kind in PHONETIC:
            prior = _last(self.statistics, mel_bands(self.config))
            found.append(FeatureSteps(samples, PHONETIC[kind], prior, prior_only, before))
        if kind == AV:
            from audioplane.audio.av_encoder import LongVoice

            found.append(LongVoice(samples, None, self.statistics, prior_only, before))
        if kind == "mel":
            found.append(StandardisedSteps(samples, self.config.mel_bands, before, self.statistics, prior_only))
        steps = found[0] if len(found) == 1 else StepsBeside(found[0], found[1])
        starts = window_starts(frames, fps, self.config.window, -before / STEP)
        return LazyWindows(steps, starts, self.config.window)

    def _mel_steps(self, samples: np.ndarray, own_voice: bool) -> np.ndarray:
        """Log-mel, standardised: (steps, bands)."""
        steps = log_mel(samples, self.config.mel_bands)
        if self.config.normalise == "voice" and not own_voice:
            return standardise(steps, self.statistics)[0]
        assert self.statistics is not None
        return standardise_by(steps, self.statistics)

    def _phonetic_steps(self, samples: np.ndarray, own_voice: bool) -> np.ndarray:
        """Log-mel, embedding and mouth tracks of the phonetic network: (steps, C)."""
        from audioplane.audio.phonetic import extract

        prior_only = own_voice or self.config.normalise == "subject"
        prior = _last(self.statistics, mel_bands(self.config))
        return extract(samples, PHONETIC[self.config.features], prior, prior_only)[0].features

    def _whisper_steps(self, samples: np.ndarray, own_voice: bool) -> np.ndarray:
        """States of Whisper, standardised: (steps, C)."""
        from audioplane.audio import whisper

        features = whisper.load(self.config.model, self.config.block)
        prior_only = own_voice or self.config.normalise == "subject"
        prior = _first(self.statistics, features.channels)
        return whisper.extract(samples, features, prior, prior_only)[0]

    def _av_steps(self, samples: np.ndarray, own_voice: bool) -> np.ndarray:
        """Codes of the audio-visual encoder, standardised: (steps, C)."""
        from audioplane.audio import av_encoder

        prior_only = own_voice or self.config.normalise == "subject"
        return av_encoder.extract(samples, None, self.statistics, prior_only)[0]

    def augmented_copies(self, samples: np.ndarray, fps: float, frames: int, seed: int) -> AugmentedCopies | None:
        """The same voice as if from other people, rooms and recorders; phonetic features and Whisper's only.

        Args:
            samples: (n,) 16 kHz.
            fps: of the video.
            frames: T.
            seed: of the augmentation.

        Returns:
            `COPIES` augmented copies, or `LIVE_COPIES`; None for other features, or where audio.augment is 0.
        """
        own, before = self.config, self.before
        if own.augment == 0.0:
            return None
        padded, found = _padded(samples, before), []
        copies = LIVE_COPIES if self.is_live else COPIES
        if own.features in WHISPER:
            from audioplane.audio import whisper

            network = whisper.load(own.model, own.block)
            if self.is_live:
                from audioplane.audio import live

                found.append(live.augmented_states(padded, network, copies, own.augment, seed, self.statistics))
            else:
                found.append(whisper.augmented(padded, network, copies, own.augment, seed))
        if own.features in PHONETIC:
            from audioplane.audio.phonetic import augmented

            found.append(augmented(padded, PHONETIC[own.features], copies, own.augment, seed))
        if not found:
            return None
        steps = found[0] if len(found) == 1 else _beside(*found)
        places = window_places(steps.shape[1], frames, fps, self.config.window, -before / STEP, self.is_live)
        return AugmentedCopies(steps, places)

    def _network_steps(self, samples: np.ndarray) -> np.ndarray:
        """Hidden states of wav2vec2 or HuBERT: (steps, C), in pieces of 20 s that overlap by one.

        State i has seen the `FIELD` samples from sample 320 i on.
        """
        import torch

        if self._network is None:
            self._network = load_network(self.config.model or DEFAULT_NETWORKS[self.config.features])
        piece, margin = 20 * SAMPLE_RATE, SAMPLE_RATE
        parts, wanted = [], math.ceil(len(samples) / STEP)
        with torch.no_grad():
            for start in range(0, len(samples), piece):
                first = max(0, start - margin)
                cut = samples[first : start + piece + margin]
                cut = np.pad(cut, (0, max(0, 2 * STEP - len(cut))))
                cut = (cut - cut.mean()) / (cut.std() + 1e-5)
                states = self._network(torch.from_numpy(cut)[None]).last_hidden_state[0].numpy()
                skip, want = (start - first) // STEP, min(piece // STEP, wanted - start // STEP)
                states = states[skip : skip + want]
                parts.append(np.pad(states, ((0, want - len(states)), (0, 0)), mode="edge"))
        return np.concatenate(parts).astype(np.float32)


def _padded(samples: np.ndarray, before: int) -> np.ndarray:
    """A voice (n,) with so many samples of silence in front."""
    return np.pad(samples, (before, 0)) if before else samples


def _beside(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Two kinds of features (..., steps, C) of one voice side by side; the longer one's last step is left out."""
    count = min(first.shape[-2], second.shape[-2])
    return np.concatenate([first[..., :count, :], second[..., :count, :]], axis=-1)


def _first(statistics: Statistics | None, channels: int) -> Statistics | None:
    return None if statistics is None else (statistics[0][:channels], statistics[1][:channels])


def _last(statistics: Statistics | None, channels: int) -> Statistics | None:
    return None if statistics is None or not channels else (statistics[0][-channels:], statistics[1][-channels:])


def mel_bands(config: AudioConfig) -> int:
    """How many bands of log-mel have statistics of the subject's voice; 0 for features that need none."""
    from audioplane.audio.phonetic import BANDS

    return {"mel": config.mel_bands, "phonetic": BANDS, "whisper-phonetic": BANDS}.get(config.features, 0)


def statistics_size(config: AudioConfig, channels: int) -> int:
    """How many numbers have statistics of the subject's voice, of features with so many channels; 0 for none.

    Those of states come first, then those of log-mel, which the phonetic features begin with.
    """
    from audioplane.audio import phonetic

    if config.features == AV:
        return channels
    if config.features not in WHISPER:
        return mel_bands(config)
    beside = phonetic.CHANNELS if config.features in PHONETIC else 0
    return max(1, channels - beside) + mel_bands(config)


COPIES = 8  # augmented copies of a voice that an encoder learns from
LIVE_COPIES = 3  # those of a live voice, which cost several times as much
FIELD = 400  # samples that one state of wav2vec2 or HuBERT sees: 25 ms


def load_deepspeech(path: str, frames: int, window: int) -> np.ndarray:
    """DeepSpeech features as AD-NeRF's tools write them (aud_ds.npy): (T, 16, 29), or (steps, 29) at 50 Hz.

    DeepSpeech's step i sees 25 ms from i x 20 ms on, so it is centred half a step (and 2.5 ms) later.

    Raises:
        UserError: no file, or another shape.
    """
    if not path or not Path(path).is_file():
        raise UserError(
            f"audio.features 'deepspeech' needs a .npy of features at audio.model; there is none at '{path}'"
        )
    values = arrays.read_npy(Path(path), arrays.Expected(None, "fiu")).astype(np.float32)
    if not values.size:
        raise UserError(f"{path} holds no features")
    if values.ndim == 2:
        return cut_windows(values, frames, 25.0, window, 0.5)
    if values.ndim != 3 or values.shape[1] != window:
        raise UserError(f"{path} must hold (T, {window}, C) or (steps, C) features, not {values.shape}")
    return values[np.clip(np.arange(frames), 0, len(values) - 1)]
