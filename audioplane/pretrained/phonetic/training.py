"""Trains the two phonetic networks on speech sounds and mouth movements.

A batch holds some seconds of each of many voices, augmented anew every time. The loss is the cross-entropy of the
sound of every step and the squared error of every track, weighted by `WEIGHTS`. The two networks learn in a process
each, with one thread, so that the same settings give the same bytes.

Real people come later, if there are any (`recordings.py`): for the last part of the steps they are a share of each
batch. Their lips, where they were filmed, are learnt as they were measured; the labels of sounds and tracks are the
network's own predictions, at that time, for the recording without augmentation, where it is sure.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from audioplane.audio.augmentation import augment_spectrogram, mask_spectrogram
from audioplane.audio.mel import ACTIVE_DB, RANGE_DB
from audioplane.audio.phonetic import BANDS, EMBEDDING, TRACKS, USUAL_STEPS, VARIANTS, PhoneticNetwork
from audioplane.pretrained.phonetic.data import Clip
from audioplane.pretrained.phonetic.films import LIPS
from audioplane.pretrained.phonetic.recordings import Recording, RecordingPool
from audioplane.runtime import files, seeds
from audioplane.runtime.eight_bits import pack

WEIGHTS = {"aperture": 3.0, "jaw": 1.5, "closure": 1.5}
"""Of the tracks' errors; all others count once."""

STRIDE = 50  # steps a second


@dataclass(frozen=True)
class Settings:
    """Of one training.

    Attributes:
        clips: of `seconds` each, to learn from. seconds: of a clip.
        steps: of the optimiser. batch: pieces in each. piece: seconds of one.
        rate: AdamW's largest learning rate; it rises over a tenth of the steps and falls as a cosine.
        decay: of the weights. tracks, lips: weight of the tracks' and of real lips' errors beside the sounds'.
        synthetic_only: share of the steps before real people join. real: pieces of each batch that are theirs then.
        seed: of the networks and of every random choice.
    """

    clips: int = 600
    seconds: float = 24.0
    steps: int = 3600
    batch: int = 16
    piece: float = 6.0
    rate: float = 2e-3
    decay: float = 0.03
    tracks: float = 2.0
    lips: float = 1.0
    synthetic_only: float = 0.6
    real: int = 6
    seed: int = 0


@dataclass(frozen=True)
class Corpus:
    """All clips in one piece of memory: (clips, n, bands), (clips, n), (clips, n, tracks)."""

    mel: Tensor
    classes: Tensor
    tracks: Tensor

    @classmethod
    def of(cls, clips: Sequence[Clip]) -> Corpus:
        return cls(
            torch.from_numpy(np.stack([clip.mel for clip in clips])),
            torch.from_numpy(np.stack([clip.classes for clip in clips])),
            torch.from_numpy(np.stack([clip.tracks for clip in clips])),
        )

    def usual(self) -> Tensor:
        """The average voice: mean below the loudest step, and spread, of its active steps, (2, bands)."""
        mel = self.mel.float()
        loud = mel.mean(dim=2)
        active = loud > loud.amax(dim=1, keepdim=True) - ACTIVE_DB
        relative = mel - loud.amax(dim=1)[:, None, None]
        means = torch.stack([own[kept].mean(dim=0) for own, kept in zip(relative, active, strict=True)])
        spreads = torch.stack([own[kept].std(dim=0) for own, kept in zip(relative, active, strict=True)])
        return torch.stack([means.mean(dim=0), spreads.mean(dim=0)])


def standardised(mel: Tensor, usual: Tensor | None) -> Tensor:
    """`mel.standardise` of each clip of (B, T, bands), or with `usual` as `phonetic.RunningStandardiser` does."""
    loud = mel.mean(dim=2)
    if usual is None:
        mel = torch.maximum(mel, mel.amax(dim=(1, 2), keepdim=True) - RANGE_DB)
        active = (loud > loud.amax(dim=1, keepdim=True) - ACTIVE_DB).float()[:, :, None]
        count = active.sum(dim=1, keepdim=True)
        mean = (active * mel).sum(dim=1, keepdim=True) / count
        spread = ((active * (mel - mean).square()).sum(dim=1, keepdim=True) / count).sqrt()
        return (mel - mean) / spread.clamp_min(2.0)
    loudest = loud.cummax(dim=1).values[:, :, None]
    mel = torch.maximum(mel, mel.amax(dim=2).cummax(dim=1).values[:, :, None] - RANGE_DB)
    active = (loud[:, :, None] > loudest - ACTIVE_DB).float()
    count = USUAL_STEPS + active.cumsum(dim=1)
    own = usual[0] + loudest
    mean = (USUAL_STEPS * own + (active * mel).cumsum(dim=1)) / count
    square = (USUAL_STEPS * (own**2 + usual[1] ** 2) + (active * mel**2).cumsum(dim=1)) / count
    return (mel - mean) / (square - mean**2).clamp_min(4.0).sqrt()


@dataclass(frozen=True)
class Errors:
    """Of a batch: cross-entropy of the sounds, weighted squared errors of tracks and lips, share of right steps."""

    sounds: Tensor
    tracks: Tensor
    lips: Tensor
    right: Tensor


def errors(
    network: PhoneticNetwork, readout: nn.Linear, mel: Tensor, classes: Tensor, tracks: Tensor, lips: Tensor
) -> Errors:
    """Of standardised log-mel (B, T, bands); classes -1 and lips NaN are not known, `readout` reads the latter."""
    code, logits, moved = network(mel)
    weights = torch.tensor([WEIGHTS.get(name, 1.0) for name in TRACKS])
    sounds = functional.cross_entropy(
        logits.float().flatten(0, 1), classes.flatten(), ignore_index=-1, label_smoothing=0.05
    )
    away = ((moved.float() - tracks).square() * weights).mean() / weights.mean()
    seen = lips.isfinite()
    missed = ((readout(code).float() - lips.nan_to_num(0.0)).square() * seen).sum() / seen.sum().clamp_min(1)
    known = classes >= 0
    right = ((logits.detach().argmax(dim=2) == classes) & known).sum() / known.sum()
    return Errors(sounds, away, missed, right)


def train(
    corpus: Corpus,
    variant: str,
    settings: Settings = Settings(),
    report: Callable[[str], Any] = lambda line: None,
    recordings: Sequence[Recording] = (),
) -> PhoneticNetwork:
    """Trains one network from scratch.

    Args:
        corpus: to learn from.
        variant: "centred" or "causal".
        settings: of the training.
        report: called with a line of text from time to time.
        recordings: of real people, to learn from in the last part.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    with seeds.seeded_globally(settings.seed, torch.device("cpu")):
        network = PhoneticNetwork(variant)
        readout = nn.Linear(EMBEDDING, len(LIPS))  # for training only: heads learn their own person's lips
    network.usual.copy_(corpus.usual())
    learnt = [*network.parameters(), *(readout.parameters() if recordings else ())]
    optimiser = torch.optim.AdamW(learnt, settings.rate, weight_decay=settings.decay, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.rate, settings.steps, pct_start=0.1)
    started, history = time.monotonic(), []
    people: RecordingPool | None = None
    for step in range(settings.steps):
        if recordings and step == round(settings.synthetic_only * settings.steps):
            people = RecordingPool.of(recordings, network, _length(corpus, settings), report)
        mel, classes, tracks, lips = _batch(corpus, people, settings, generator)
        mel = augment_spectrogram(mel, 1.0, generator)
        mel = mask_spectrogram(standardised(mel, network.usual if variant == "causal" else None), generator)
        with torch.autocast("cpu", torch.bfloat16):
            found = errors(network, readout, mel, classes, tracks, lips)
        optimiser.zero_grad(set_to_none=True)
        (found.sounds + settings.tracks * found.tracks + settings.lips * found.lips).backward()
        torch.nn.utils.clip_grad_norm_(learnt, 1.0)
        optimiser.step()
        schedule.step()
        history.append((found.sounds.item(), found.tracks.item(), found.lips.item(), found.right.item()))
        if (step + 1) % 100 == 0 or step + 1 == settings.steps:
            means = np.mean(history[-100:], axis=0)
            report(
                f"{variant}: step {step + 1} of {settings.steps}, {time.monotonic() - started:.0f} s: sounds "
                f"{means[0]:.3f}, tracks {means[1]:.3f}, lips {means[2]:.3f}, right {means[3]:.1%}"
            )
    return network.eval().requires_grad_(False)


def _length(corpus: Corpus, settings: Settings) -> int:
    return min(round(settings.piece * STRIDE), corpus.classes.shape[1])


def _batch(
    corpus: Corpus, people: RecordingPool | None, settings: Settings, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Pieces of synthesized voices, then those of people: mel, classes, tracks, lips."""
    clips, count = corpus.classes.shape
    length, theirs = _length(corpus, settings), settings.real if people else 0
    who = torch.randint(0, clips, (settings.batch - theirs,), generator=generator)
    at = torch.randint(0, count - length + 1, (len(who), 1), generator=generator) + torch.arange(length)
    who = who[:, None]
    mel, classes, tracks = corpus.mel[who, at].float(), corpus.classes[who, at].long(), corpus.tracks[who, at].float()
    lips = torch.full((len(who), length, len(LIPS)), torch.nan)
    if not people:
        return mel, classes, tracks, lips
    real = people.draw(theirs, length, generator)
    mel, classes, tracks, lips = (torch.cat(both) for both in zip((mel, classes, tracks, lips), real, strict=True))
    return mel, classes, tracks, lips


def _taught(task: tuple[Corpus, str, Settings, bool, Sequence[Recording]]) -> dict[str, np.ndarray]:
    corpus, variant, settings, loud, recordings = task
    torch.set_num_threads(1)
    network = train(corpus, variant, settings, _say if loud else (lambda line: None), recordings)
    return {name: tensor.numpy() for name, tensor in network.state_dict().items()}  # a tensor dies with its process


def _say(line: str) -> None:
    print(line, flush=True)


def train_both(
    corpus: Corpus, settings: Settings = Settings(), loud: bool = True, recordings: Sequence[Recording] = ()
) -> dict[str, dict[str, Tensor]]:
    """The weights of both networks, trained in parallel, a process and a thread each."""
    with multiprocessing.get_context("spawn").Pool(len(VARIANTS), maxtasksperchild=1) as pool:
        found = pool.map(_taught, [(corpus, variant, settings, loud, recordings) for variant in VARIANTS], chunksize=1)
    return {
        variant: {name: torch.from_numpy(values) for name, values in own.items()}
        for variant, own in zip(VARIANTS, found, strict=True)
    }


def save(weights: dict[str, dict[str, Tensor]], path: Path, about: dict[str, str]) -> None:
    """Writes both networks to one .safetensors, the centred one in half precision, the causal one in 8 bits.

    Never half of a file.
    """
    from safetensors.torch import save as to_bytes

    tensors: dict[str, Tensor] = {}
    for variant, own in weights.items():
        usual = own["usual"]
        packed = pack({f"{variant}/{name}": t for name, t in own.items() if name != "usual"}, in_half=("centred/",))
        tensors |= {name: tensor.contiguous() for name, tensor in packed.items()} | {f"{variant}/usual": usual}
    files.write_bytes(path, to_bytes(tensors, {"kind": "phonetic", "bands": str(BANDS), **about}))
