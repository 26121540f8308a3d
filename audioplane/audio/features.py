"""Sound files, and per-frame features of a voice: overlapping windows at 25 frames a second (Sec. III-C).

Every kind of feature comes as windows (T, window, C) float32: `window` steps, 20 ms each, around each video frame.
Frame t of the video shows the moment (t + 0.5) / fps, the middle of its window.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audioplane.config import AudioConfig
from audioplane.errors import UserError
from audioplane.media.sound import SAMPLE_RATE as SAMPLE_RATE
from audioplane.media.sound import check_audio as check_audio
from audioplane.media.sound import load_audio as load_audio

STEP = 320  # samples from one feature step to the next: 50 Hz, the rate of wav2vec2 and of DeepSpeech
FLOOR_DB = 60.0  # log-mel is cut this far below a voice's loudest


def count_frames(samples: np.ndarray, fps: float) -> int:
    """Video frames that cover all of `samples`, the last one perhaps in part."""
    return max(1, math.ceil(len(samples) * fps / SAMPLE_RATE - 1e-6))


def log_mel(samples: np.ndarray, bands: int) -> np.ndarray:
    """Log-mel spectrogram in dB: (steps, bands), step i centred at sample i x 320; 25 ms windows."""
    import librosa

    samples = np.pad(samples, (0, max(0, 512 - len(samples))))
    power = librosa.feature.melspectrogram(
        y=samples,
        sr=SAMPLE_RATE,
        n_fft=512,
        win_length=400,
        hop_length=STEP,
        n_mels=bands,
        fmin=50.0,
        fmax=8000.0,
        pad_mode="constant",
    )
    return 10.0 * np.log10(np.maximum(power.T, 1e-10)).astype(np.float32)


def standardise(steps: np.ndarray, prior: tuple[np.ndarray, np.ndarray] | None = None) -> tuple[np.ndarray, tuple]:
    """Log-mel relative to the voice's own loudness and colour.

    Bands are shifted and scaled by their mean and spread over the steps that are not silent, so microphone, room and
    loudness leave little trace. With `prior`, a subject's statistics, these count as two further seconds: a short
    recording is not judged by its own three syllables.

    Returns:
        the steps, and (mean, spread) that were used, each (bands,).
    """
    loud = steps.mean(axis=1)
    floor = loud.max() - FLOOR_DB
    steps = np.maximum(steps, steps.max() - 80.0)
    active = steps[loud > max(floor, loud.max() - 35.0)]
    mean, spread = active.mean(axis=0), active.std(axis=0)
    if prior is not None:
        own = len(active) / (len(active) + 100.0)
        mean, spread = own * mean + (1 - own) * prior[0], own * spread + (1 - own) * prior[1]
    spread = np.maximum(spread, 2.0)
    return ((steps - mean) / spread).astype(np.float32), (mean, spread)


def standardise_by(steps: np.ndarray, statistics: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Log-mel (steps, bands) by (mean, spread) of another recording alone."""
    mean, spread = statistics
    return ((np.maximum(steps, steps.max() - 80.0) - mean) / spread).astype(np.float32)


def window_places(steps: int, frames: int, fps: float, window: int) -> np.ndarray:
    """The steps at 50 Hz around (t + 0.5) / fps: (frames, window); the ends are continued by the last of `steps`."""
    centres = np.round((np.arange(frames) + 0.5) * (SAMPLE_RATE / STEP) / fps).astype(int)
    return np.clip(centres[:, None] + np.arange(window) - window // 2, 0, steps - 1)


def cut_windows(steps: np.ndarray, frames: int, fps: float, window: int) -> np.ndarray:
    """(steps, C) at 50 Hz -> (frames, window, C) around (t + 0.5) / fps; the ends are continued by their last step."""
    return steps[window_places(len(steps), frames, fps, window)]


@dataclass(frozen=True)
class Others:
    """Disguises of one voice.

    Attributes:
        steps: (K, n, C) float32. places: (T, window), the steps of each frame's window.
    """

    steps: np.ndarray
    places: np.ndarray


class Features:
    """The feature function of a run: it remembers the subject's statistics and a loaded network.

    Args:
        config: kind, window and model.
        statistics: (mean, spread) of the subject's voice from an earlier run; None to take them from the first
            audio that is described.
    """

    def __init__(self, config: AudioConfig, statistics: tuple[np.ndarray, np.ndarray] | None = None) -> None:
        self.config, self.statistics = config, statistics
        self._network: Any = None

    def __call__(self, samples: np.ndarray, fps: float, frames: int | None = None, model: str = "") -> np.ndarray:
        """Windows of all frames of a voice.

        Args:
            samples: (n,) 16 kHz.
            fps: of the video.
            frames: T; default as many as cover the audio.
            model: DeepSpeech only: this voice's own .npy, in place of the config's.

        Returns:
            (T, window, C) float32.
        """
        frames = count_frames(samples, fps) if frames is None else frames
        if self.config.features == "deepspeech":
            return load_deepspeech(model or self.config.model, frames, self.config.window)
        if self.config.features in PHONETIC:
            steps = self._phonetic_steps(samples)
        elif self.config.features == "mel":
            steps = log_mel(samples, self.config.mel_bands)
            own_voice = self.statistics is None
            if own_voice or self.config.normalise == "voice":
                steps, used = standardise(steps, self.statistics)
                self.statistics = used if own_voice else self.statistics
            else:
                assert self.statistics is not None
                steps = standardise_by(steps, self.statistics)
        else:
            steps = self._network_steps(samples)
        return cut_windows(steps, frames, fps, self.config.window)

    def _phonetic_steps(self, samples: np.ndarray) -> np.ndarray:
        """Log-mel and what the phonetic networks hear in it: (steps, C)."""
        from audioplane.audio.phonetic import listen

        own_voice = self.statistics is None
        alone = self.config.normalise == "subject"
        heard, used = listen(samples, PHONETIC[self.config.features], self.statistics, alone)
        self.statistics = used if own_voice else self.statistics
        return heard.features

    def others(self, samples: np.ndarray, fps: float, frames: int, seed: int) -> Others | None:
        """The same voice as other people and recorders would have it, to learn from; phonetic features only.

        Args:
            samples: (n,) 16 kHz. fps: of the video. frames: T. seed: of all that is drawn.
        """
        if self.config.features not in PHONETIC or self.config.augment == 0.0:
            return None
        from audioplane.audio.phonetic import disguised

        steps = disguised(samples, PHONETIC[self.config.features], COPIES, self.config.augment, seed)
        return Others(steps, window_places(steps.shape[1], frames, fps, self.config.window))

    def _network_steps(self, samples: np.ndarray) -> np.ndarray:
        """Hidden states of wav2vec2 or HuBERT: (steps, C), in pieces of 20 s that overlap by one."""
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


COPIES = 8  # disguises of a voice that an encoder of phonetic features learns from
PHONETIC = {"phonetic": "centred", "phonetic-causal": "causal"}
DEFAULT_NETWORKS = {"wav2vec2": "facebook/wav2vec2-base-960h", "hubert": "facebook/hubert-base-ls960"}


def load_network(name: str) -> Any:
    """A wav2vec2 or HuBERT from a local folder or the hub.

    Raises:
        UserError: transformers is not installed, or the weights are not to be had.
    """
    try:
        from transformers import AutoModel  # type: ignore[import-not-found]
    except ImportError:
        raise UserError(
            "audio.features 'wav2vec2' and 'hubert' need the package transformers: pip install transformers, or set "
            "audio.features=mel"
        ) from None
    try:
        return AutoModel.from_pretrained(name).eval()
    except (OSError, ValueError) as error:
        raise UserError(
            f"the network '{name}' could not be loaded ({error}); set audio.model to its local folder"
        ) from error


def load_deepspeech(path: str, frames: int, window: int) -> np.ndarray:
    """DeepSpeech features as AD-NeRF's tools write them (aud_ds.npy): (T, 16, 29), or (steps, 29) at 50 Hz.

    Raises:
        UserError: no file, or another shape.
    """
    if not path or not Path(path).is_file():
        raise UserError(
            f"audio.features 'deepspeech' needs a .npy of features at audio.model; there is none at '{path}'"
        )
    values = np.load(path, allow_pickle=False).astype(np.float32)
    if values.ndim == 2:
        return cut_windows(values, frames, 25.0, window)
    if values.ndim != 3 or values.shape[1] != window:
        raise UserError(f"{path} must hold (T, {window}, C) or (steps, C) features, not {values.shape}")
    return values[np.clip(np.arange(frames), 0, len(values) - 1)]
