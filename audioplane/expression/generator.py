"""`ExpressionGenerator`: the networks that ship, and what they make of a voice."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor, nn

from audioplane.audio.activity import speech_frames
from audioplane.audio.features import Features, LazyWindows, count_frames
from audioplane.config import AudioConfig
from audioplane.errors import UserError
from audioplane.expression.voice_network import SOURCES, VoiceNetwork, VoiceNetworkSettings
from audioplane.expression.vq_vae import VqVae
from audioplane.motion.own_range import OwnRange
from audioplane.runtime import files, tensors
from audioplane.runtime.eight_bits import pack, unpack
from audioplane.subject import blendshapes

FPS = 25.0  # frames a second of both networks
WINDOW = 2  # steps of 20 ms of each frame
FADE = 3.0  # frames over which a face comes to rest in silence
PIECE = 1500  # frames that are computed at once
FILE = "expression.safetensors"
IN_HALF = ("vq_vae/entries",)  # what 8 bits are too coarse for
ADVICE = "make it anew with `python -m audioplane.pretrained.expression.make`"


@dataclass(frozen=True)
class Scales:
    """What the voice network's numbers mean, by `SOURCES`.

    Attributes:
        mean, spread: (2, 52) weights of the speakers that it learned from; spread 0 of what it did not learn.
        gain: (2, 52), factors that give predictions the spread of the true weights: a network that is unsure keeps
            near the mean. 0 of what the voice does not tell: it rests.
        rest: (52,) weights of a silent face.
        voice: (2, channels) mean and spread of a usual voice's features, see `Features`.
    """

    mean: Tensor
    spread: Tensor
    gain: Tensor
    rest: Tensor
    voice: Tensor


SCALES: Mapping[str, tuple[int | None, ...]] = {
    "mean": (len(SOURCES), blendshapes.COUNT),
    "spread": (len(SOURCES), blendshapes.COUNT),
    "gain": (len(SOURCES), blendshapes.COUNT),
    "rest": (blendshapes.COUNT,),
    "voice": (2, None),
}
"""Shapes of `Scales`."""


@dataclass(frozen=True)
class ExpressionGenerator:
    """Blendshapes of a voice, and coefficients in a person's range (SyncTalk++, Sec. III-E).

    Attributes:
        voice: the network that stands for EmoTalk. vq_vae: that of SyncTalk++, Eq. 25 to 27. scales: see there.
        features: kind of the voice features, see `config.AudioConfig`.
    """

    voice: VoiceNetwork
    vq_vae: VqVae
    scales: Scales
    features: str = "whisper-phonetic"

    @classmethod
    def load(cls, path: Path | None = None) -> ExpressionGenerator:
        """The one that ships, or that of a file; nothing in it is executed.

        Raises:
            UserError: no such file, damaged, or with other weights.
        """
        if path is None:
            return shipped()
        tensors.check_default_dtype()
        found, _ = tensors.read(path, ADVICE)
        own = {name: tensors.check(found, f"scales/{name}", shape, str(path), ADVICE) for name, shape in SCALES.items()}
        plain = _unpacked(found, path)
        with torch.random.fork_rng(devices=[]):  # torch's layers draw their first weights globally
            voice, vq_vae = VoiceNetwork(VoiceNetworkSettings()), VqVae()
        _fill(voice, "voice", plain, path)
        _fill(vq_vae, "vq_vae", plain, path)
        return cls(voice, vq_vae, Scales(**own))

    def save(self, path: Path, about: Mapping[str, str] | None = None) -> None:
        """Writes it, matrices in 8 bits, whole or not at all; `about`: texts for its header.

        Raises:
            UserError: it cannot be written.
        """
        from safetensors.torch import save

        state = {f"scales/{name}": getattr(self.scales, name).contiguous() for name in SCALES}
        for name, network in (("voice", self.voice), ("vq_vae", self.vq_vae)):
            own = {f"{name}/{key}": tensor for key, tensor in network.state_dict().items()}
            state |= {key: tensor.contiguous() for key, tensor in pack(own, in_half=IN_HALF).items()}
        files.write_bytes(path, save(state, dict(about or {})))

    def blendshapes(self, audio: np.ndarray, fps: float = FPS, source: str = SOURCES[0]) -> np.ndarray:
        """The blendshapes that go with a voice (SyncTalk++'s B, before Eq. 25).

        What a voice does not tell rests: blinks and gaze (see `motion.natural` for those), frowns and squints. In
        silence all rest.

        Args:
            audio: (n,) 16 kHz mono. fps: frames a second; frame t shows second (t + 0.5) / fps.
            source: "embedded" for all shapes, as embedded speakers move; "captured" for mouth and jaw as one captured
                speaker moves them, other shapes at rest.

        Returns:
            (T, 52) weights, 0 to 1, for as many frames as cover the voice.
        """
        row, count = SOURCES.index(source), count_frames(audio, FPS)
        tensors.check_default_dtype()
        config = AudioConfig(features=self.features, window=WINDOW)
        mean, spread = self.scales.voice.numpy().astype(np.float64)
        windows = Features(config, (mean, spread)).windows(audio, FPS)
        moved = self._predicted(windows, source) * self.scales.gain[row]
        weights = (self.scales.mean[row] + self.scales.spread[row] * moved).numpy().astype(np.float64)
        rest = self.scales.rest.numpy().astype(np.float64)
        told = (self.scales.gain[row] > 0).numpy()
        weights = np.where(told, rest + speaking(audio, FPS, count) * (weights - rest), rest)
        return resampled(np.clip(weights, 0, 1), fps, count_frames(audio, fps))

    def in_range(self, weights: np.ndarray, own: OwnRange, fps: float = FPS) -> np.ndarray:
        """Coefficients of anybody in one person's range (SyncTalk++, Eq. 25 and 26).

        Args:
            weights: (T, 52) of `subject.blendshapes.NAMES`. own: range of the person. fps: their frames a second.

        Returns:
            (T, E) weights of `own.names`, none beyond `own`.
        """
        count = max(1, round(len(weights) * FPS / fps))
        given = torch.from_numpy(resampled(weights, FPS, count, fps).astype(np.float32))
        shares = resampled(self.vq_vae.shares(given).numpy().astype(np.float64), fps, len(weights))
        shares = shares[:, [blendshapes.index(name) for name in own.names]]
        change = np.maximum(shares, 0) * (own.high - own.rest) - np.maximum(-shares, 0) * (own.rest - own.low)
        return own.clip(own.rest + change)

    def _predicted(self, windows: Tensor | LazyWindows, source: str) -> Tensor:
        """What the voice network says of a voice, in pieces with margins: (T, 52)."""
        margin, found = self.voice.settings.reach, []
        for start in range(0, len(windows), PIECE):
            first, last = max(0, start - margin), min(start + PIECE + margin, len(windows))
            part = windows[torch.arange(first, last)]
            found.append(self.voice.whole(part, source)[start - first :][:PIECE])
        return torch.cat(found)


@functools.cache
def shipped() -> ExpressionGenerator:
    """The generator that ships, read once."""
    with resources.as_file(resources.files("audioplane.expression") / FILE) as path:
        return ExpressionGenerator.load(path)


def speaking(audio: np.ndarray, fps: float, count: int) -> np.ndarray:
    """How much of each frame belongs to speech, (count, 1), 0 to 1: it fades within some frames of a long pause."""
    speech = speech_frames(audio, fps, count).astype(float)
    return gaussian_filter1d(speech, FADE * fps / FPS, mode="nearest", truncate=3.0)[:, None]


def resampled(values: np.ndarray, fps: float, count: int, own_fps: float = FPS) -> np.ndarray:
    """Values (S, K) of frames at one rate, linearly interpolated at `count` frames at another; frames show their
    middles."""
    if fps == own_fps and count == len(values):
        return values
    own, wanted = (np.arange(len(values)) + 0.5) / own_fps, (np.arange(count) + 0.5) / fps
    return np.stack([np.interp(wanted, own, column) for column in values.T], axis=1)


def _unpacked(found: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """A file's tensors in single precision.

    Raises:
        UserError: one is of a type that this project does not write, or scales fit no tensor.
    """
    for name, tensor in found.items():
        if tensor.dtype not in (torch.int8, torch.float16, torch.float32):
            raise UserError(f"{path} holds {name} as {str(tensor.dtype).removeprefix('torch.')}; {ADVICE}")
    try:
        return {name: tensor.float() for name, tensor in unpack(found).items()}
    except ValueError as error:
        raise UserError(f"{path} does not hold an expression generator ({error}); {ADVICE}") from error


def _fill(network: nn.Module, prefix: str, found: Mapping[str, Tensor], path: Path) -> None:
    """Puts a file's weights into a network.

    Raises:
        UserError: one is missing or of another shape.
    """
    own = {
        name: tensors.check(dict(found), f"{prefix}/{name}", tuple(tensor.shape), str(path), ADVICE)
        for name, tensor in network.state_dict().items()
    }
    network.load_state_dict(own)
    network.eval().requires_grad_(False)
