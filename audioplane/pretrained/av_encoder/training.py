"""Trains the audio-visual encoder: which mouth belongs to this sound? (SyncTalk++, Sec. III-B, Eq. 1 to 3)

A batch holds stretches of a few people. The generator restores each frame from a fifth of a second of its sound and
another frame of its person. Its loss is L1 (Eq. 3), and the sync loss (Eq. 2) of the lip-sync scorer that ships, which
is not trained further: restored frames with their own sound count as synchronized, with sound of another time or person
as not. Pictures are mirrored and relit; voices are given other rooms, microphones, levels and noise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import fuse_conv_bn_eval

from audioplane.audio.av_encoder import SoundConvolutions, spectrogram_windows
from audioplane.metrics.syncnet.crops import cut_mouth, mouth_warps
from audioplane.metrics.syncnet.mfcc import SAMPLE_RATE, mfcc
from audioplane.metrics.syncnet.network import FRAMES
from audioplane.metrics.syncnet.scorers import Scorer
from audioplane.pretrained.av_encoder.networks import FaceGenerator
from audioplane.pretrained.syncnet.data import Mouth
from audioplane.pretrained.syncnet.training import recorded, stack_columns
from audioplane.runtime import files, seeds
from audioplane.runtime.eight_bits import pack
from audioplane.runtime.threads import set_own

PER_FRAME = SAMPLE_RATE // 25
AROUND = 3  # frames of sound to either side of a stretch, for windows that begin before it


@dataclass(frozen=True)
class Settings:
    """Of one training.

    Attributes:
        people: held_out_0 to held_out_(people - 1) are learnt from. seconds: that each speaks.
        steps: of the optimiser. clips: in a batch. frames: in a clip.
        rate: AdamW's largest learning rate; it rises over a tenth of the steps and falls as a cosine.
        decay: of the weights. sync_weight: of Eq. 2 beside Eq. 3.
        seed: of the network and of all that is drawn. threads: of torch, so that the same seed gives the same bytes.
    """

    people: int = 72
    seconds: float = 16.0
    steps: int = 1200
    clips: int = 8
    frames: int = 8
    rate: float = 2e-3
    decay: float = 0.01
    sync_weight: float = 0.03
    seed: int = 0
    threads: int = 1


@dataclass(frozen=True)
class Film:
    """One person's mouth as it is learnt from.

    Attributes:
        audio: (n,) float32, 16 kHz. crops: (T, 48, 48) uint8, grey.
    """

    audio: NDArray[np.float32]
    crops: NDArray[np.uint8]

    @classmethod
    def of(cls, mouth: Mouth) -> Film:
        """Cut out as the scorer of lip sync sees mouths."""
        warps = mouth_warps(mouth.landmarks)
        crops = [cut_mouth(frame, warp) for frame, warp in zip(mouth.frames, warps, strict=True)]
        return cls(mouth.audio, np.stack(crops))


def similarity(faces: Tensor, sounds: Tensor) -> Tensor:
    """sim(F, A), the cosine of two codes (B, D) each: (B,), -1 to 1 (SyncTalk++, Eq. 1)."""
    return functional.cosine_similarity(faces, sounds)


def sync_loss(similarities: Tensor, synchronized: Tensor) -> Tensor:
    """Binary cross-entropy of what belongs together and what does not (SyncTalk++, Eq. 2).

    Eq. 2 takes the logarithm of a cosine, which may be negative; it is brought to 0..1 first.

    Args:
        similarities: (B,), -1 to 1. synchronized: (B,), 1 or 0.
    """
    return functional.binary_cross_entropy((1 + similarities) / 2, synchronized)


def restoration_loss(frames: Tensor, restored: Tensor) -> Tensor:
    """L1 between frames and what was restored of them (SyncTalk++, Eq. 3)."""
    return functional.l1_loss(restored, frames)


@dataclass(frozen=True)
class Batch:
    """What one step learns from; B clips of T frames.

    Attributes:
        windows: (B T, BANDS, COLUMNS), the sound of each frame.
        references, frames: (B T, 1, 48, 48), 0 to 1.
        own, foreign: cepstra (B n, 1, 13, 20) of each window of five frames, n = T - 4: their own, and those of
            another time or person.
    """

    windows: Tensor
    references: Tensor
    frames: Tensor
    own: Tensor
    foreign: Tensor


def train(
    films: Sequence[Film], settings: Settings = Settings(), report: Callable[[str], Any] = lambda line: None
) -> FaceGenerator:
    """Trains encoders and decoder from scratch.

    Args:
        films: people to learn from.
        settings: of the training.
        report: called with a line of text from time to time.

    Returns:
        the generator, in evaluation mode; `convolutions` gives what ships of it.
    """
    before = set_own(settings.threads)
    try:
        with seeds.seeded_globally(settings.seed, torch.device("cpu")):
            generator = FaceGenerator().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return _fit(generator, films, settings, report)
    finally:
        set_own(before)


def _fit(
    generator: FaceGenerator, films: Sequence[Film], settings: Settings, report: Callable[[str], Any]
) -> FaceGenerator:
    scorer = Scorer.built_in().network
    optimiser = torch.optim.AdamW(generator.parameters(), settings.rate, weight_decay=settings.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.rate, settings.steps, pct_start=0.1)
    history: list[tuple[float, float]] = []
    with ThreadPoolExecutor(1) as ahead:
        waiting = ahead.submit(draw, films, settings, 0)
        for step in range(settings.steps):
            batch = waiting.result()
            waiting = ahead.submit(draw, films, settings, step + 1)
            restored = generator(batch.windows, batch.references)
            faces = scorer.embed_frames(fives(restored, settings.frames))
            pairs = torch.cat([similarity(faces, scorer.embed_audio(sounds)) for sounds in (batch.own, batch.foreign)])
            truth = torch.cat([torch.ones(len(faces)), torch.zeros(len(faces))])
            losses = restoration_loss(batch.frames, restored), sync_loss(pairs, truth)
            optimiser.zero_grad()
            (losses[0] + settings.sync_weight * losses[1]).backward()
            torch.nn.utils.clip_grad_norm_(generator.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            history.append((losses[0].item(), losses[1].item()))
            if (step + 1) % 100 == 0:
                means = np.mean(history[-100:], axis=0)
                report(f"step {step + 1} of {settings.steps}: L1 {255 * means[0]:.2f} levels, sync {means[1]:.3f}")
    return generator.eval().requires_grad_(False)


def fives(frames: Tensor, length: int) -> Tensor:
    """Restored frames (B T, 1, S, S) to the scorer's windows of five, (B (T - 4), 1, 5, S, S), 0 to 255."""
    clips = frames.view(-1, length, *frames.shape[2:])
    views = clips.unfold(1, FRAMES, 1)  # (B, T - 4, S, S, 5)
    return 255.0 * views.permute(0, 1, 4, 2, 3).flatten(0, 1)[:, None]


def draw(films: Sequence[Film], settings: Settings, step: int) -> Batch:
    """The batch of a step."""
    rng = np.random.default_rng([settings.seed, step, 0xA5])
    length = settings.frames
    chosen = rng.choice(len(films), settings.clips, replace=len(films) < settings.clips)
    firsts, parts = [], []
    for who in chosen:
        film = films[who]
        first = int(rng.integers(AROUND, len(film.crops) - length - AROUND - 1))
        samples = film.audio[(first - AROUND) * PER_FRAME : (first + length + AROUND + 1) * PER_FRAME]
        heard = recorded(samples, rng).astype(np.float32)
        crops = np.concatenate([film.crops[first : first + length], film.crops[rng.integers(len(film.crops))][None]])
        shown = torch.from_numpy(_relit(crops, rng)).float()[:, None] / 255
        parts.append((frame_windows(heard, AROUND, length), shown[-1:].expand(length, 1, -1, -1), shown[:-1]))
        firsts.append(first)
    windows, references, frames = (torch.cat(part) for part in zip(*parts, strict=True))
    own = [_cepstra(films[who], first, length) for who, first in zip(chosen, firsts, strict=True)]
    foreign = []
    for k, (who, first) in enumerate(zip(chosen, firsts, strict=True)):
        if rng.random() < 0.5:  # the same voice at another time
            late = int(rng.integers(3, 12))
            moved = first + late if first < late or rng.random() < 0.5 else first - late
            moved = moved if moved + length < len(films[who].crops) else first - late
            foreign.append(_cepstra(films[who], moved, length))
        else:
            foreign.append(own[k - 1])
    return Batch(windows, references, frames, torch.cat(own), torch.cat(foreign))


def frame_windows(samples: NDArray[np.float32], first: int, count: int) -> Tensor:
    """The encoder's input for `count` frames at 25 a second, from frame `first` of a sound on.

    Frame t is centred at sample 640 t + 320, a step of 20 ms.
    """
    steps = spectrogram_windows(samples, 2 * first + 1, 2 * (first + count))
    return steps[::2]


def _cepstra(film: Film, first: int, length: int) -> Tensor:
    samples = film.audio[first * PER_FRAME : (first + length + 1) * PER_FRAME]
    return stack_columns(mfcc(samples.astype(np.float64)), length - FRAMES + 1)


def _relit(crops: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A stretch as if filmed in another light, or in a mirror."""
    gamma, contrast, light = np.exp(rng.normal(0, 0.2)), np.exp(rng.normal(0, 0.15)), rng.normal(0, 12)
    curve = np.clip((255 * (np.arange(256) / 255) ** gamma - 128) * contrast + 128 + light, 0, 255).astype(np.uint8)
    found = curve[crops]
    return np.ascontiguousarray(found[:, :, ::-1]) if rng.random() < 0.5 else found


def convolutions(generator: FaceGenerator) -> SoundConvolutions:
    """What is kept: Conv(A), its norms folded into the convolutions."""
    normed, found = generator.sound, SoundConvolutions()
    for place, (convolution, norm) in enumerate(zip(normed.convolutions, normed.norms, strict=True)):
        assert isinstance(convolution, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        found.convolutions[place].load_state_dict(fuse_conv_bn_eval(convolution.eval(), norm.eval()).state_dict())
    return found.eval().requires_grad_(False)


def save(network: SoundConvolutions, path: Path, about: dict[str, Any]) -> None:
    """Writes the convolutions in 8 bits."""
    from safetensors.torch import save as to_bytes

    packed = {name: tensor.contiguous() for name, tensor in pack(network.state_dict()).items()}
    files.write_bytes(path, to_bytes(packed, {key: str(value) for key, value in about.items()}))
