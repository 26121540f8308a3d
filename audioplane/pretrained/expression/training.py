"""Trains the generator: first blendshapes from voices, then the VQ-VAE on blendshapes alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from audioplane.expression.codebook import perplexity, replace_dead, vq_loss
from audioplane.expression.voice_network import SOURCES, VoiceNetwork, VoiceNetworkSettings
from audioplane.expression.vq_vae import Range, VqVae, VqVaeSettings
from audioplane.pretrained.expression.data import Clip
from audioplane.runtime import seeds
from audioplane.subject import blendshapes

Report = Callable[[str], Any]
MOVES = 0.01  # spread of weights below which a shape of a source is not learned
FULL = 99.5  # percentile at which a shape is as far as a source goes
MOST_GAIN = 3.0
UNLIKE = 0.25  # spread of the logarithm of how far a person moves each shape, of the usual
EXAGGERATION = (1.2, 2.5)  # how many times as far as usual those go who exaggerate, all shapes
LEAST_R = 0.1  # correlation on unseen people below which a voice does not tell a shape
NOT_TOLD = tuple(name for name in blendshapes.NAMES if name.startswith(("eyeBlink", "eyeLook")))
"""Shapes that are not learned from voices: blinks and gaze have processes of their own (`motion`)."""


@dataclass(frozen=True)
class Settings:
    """Of one training.

    Attributes:
        people: held_out_0 to held_out_(people - 1) are learned from. seconds: that each speaks.
        voice_steps, vq_steps: of Adam. voice_batch, vq_batch: clips in a step. frames: of each.
        rate: Adam's largest learning rate; it rises over a tenth of the steps and falls as a cosine.
        decay: of the voice network's weights. beta: see `codebook.vq_loss`.
        exaggerated: share of the VQ-VAE's clips that come from somebody with another range than the person's.
        dead_after: steps without use after which an entry of the codebook is placed anew.
        seed: of the networks and of all that is drawn.
    """

    people: int = 72
    seconds: float = 16.0
    voice_steps: int = 800
    vq_steps: int = 900
    voice_batch: int = 16
    vq_batch: int = 24
    frames: int = 64
    rate: float = 2e-3
    decay: float = 0.02
    beta: float = 0.25
    exaggerated: float = 0.5
    dead_after: int = 50
    seed: int = 0


@dataclass(frozen=True)
class Targets:
    """How the blendshapes of the sources lie: mean and spread (2, 52), 0 of what is not learned; usual ranges."""

    mean: np.ndarray
    spread: np.ndarray
    ranges: tuple[Range, ...]


def targets_of(clips: Sequence[Clip]) -> Targets:
    """Statistics of the clips' blendshapes, a row a source."""
    mean, spread, ranges = [], [], []
    for source in SOURCES:
        own = [clip for clip in clips if clip.source == source]
        values = np.concatenate([clip.weights for clip in own]) if own else np.zeros((1, blendshapes.COUNT))
        wide = values.std(axis=0)
        if own:
            told = own[0].known & ~np.isin(blendshapes.NAMES, NOT_TOLD)
            wide = np.where((wide > MOVES) & told, wide, 0.0)
        mean.append(values.mean(axis=0))
        spread.append(wide)
        limits = (np.percentile(values, 100 - FULL, 0), np.median(values, 0), np.percentile(values, FULL, 0))
        ranges.append(Range(*(torch.from_numpy(limit[None].astype(np.float32)) for limit in limits)))
    return Targets(np.stack(mean), np.stack(spread), tuple(ranges))


def train_voice(
    clips: Sequence[Clip],
    features: Sequence[np.ndarray],
    targets: Targets,
    settings: Settings,
    size: VoiceNetworkSettings | None = None,
    report: Report = lambda line: None,
) -> VoiceNetwork:
    """Blendshapes from voice features, by the mean squared error in spreads.

    Args:
        clips: to learn from. features: of each, (T, WINDOW, C). targets: of the clips.
        settings: of the training. size: of the network. report: is told how it goes.
    """
    size = size or VoiceNetworkSettings(channels=features[0].shape[2])
    with seeds.seeded_globally(settings.seed, torch.device("cpu")):
        network, rows = VoiceNetwork(size), [SOURCES.index(clip.source) for clip in clips]
        wide = np.maximum(targets.spread, 1e-6)
        wanted = [(clip.weights - targets.mean[row]) / wide[row] for clip, row in zip(clips, rows, strict=True)]
        learned = torch.from_numpy((targets.spread > 0).astype(np.float32))
        rng, total = np.random.default_rng([settings.seed, 0xE1]), 0.0
        # Sources alternate, whatever their length.
        of_source = [[k for k, row in enumerate(rows) if row == source] for source in sorted(set(rows))]
        for step, optimiser in _steps(network, settings.voice_steps, settings):
            chosen = [_choice(of_source[k % len(of_source)], clips, rng) for k in range(settings.voice_batch)]
            starts = [int(rng.integers(0, len(clips[k].weights) - settings.frames + 1)) for k in chosen]
            pieces = [(k, slice(start, start + settings.frames)) for k, start in zip(chosen, starts, strict=True)]
            seen = torch.from_numpy(np.stack([features[k][piece] for k, piece in pieces]))
            true = torch.from_numpy(np.stack([wanted[k][piece] for k, piece in pieces]).astype(np.float32))
            source = torch.tensor([rows[k] for k in chosen])
            weight = learned[source][:, None]
            loss = ((network(seen, source) - true).square() * weight).sum() / (weight.sum() * settings.frames)
            _update(network, optimiser, loss)
            total += float(loss.detach())
            if (step + 1) % 250 == 0:
                report(f"voice, step {step + 1} of {settings.voice_steps}: {total / 250:.3f}")
                total = 0.0
    return network.eval().requires_grad_(False)


def gains(network: VoiceNetwork, clips: Sequence[Clip], features: Sequence[np.ndarray], targets: Targets) -> np.ndarray:
    """Factors (2, 52) that give what is predicted for unseen clips the spread of what is true.

    They are 1 to `MOST_GAIN`; 0 where the correlation is below `LEAST_R`, and of what is not learned.
    """
    out = (targets.spread > 0).astype(np.float64)
    for row, source in enumerate(SOURCES):
        own = [k for k, clip in enumerate(clips) if clip.source == source]
        if not own:
            continue
        said = np.concatenate([network.whole(torch.from_numpy(features[k]), source).numpy() for k in own])
        true = np.concatenate([clips[k].weights for k in own]) / np.maximum(targets.spread[row], 1e-6)
        for k in np.flatnonzero(targets.spread[row]):
            is_told = true[:, k].std() > 0 and np.corrcoef(said[:, k], true[:, k])[0, 1] >= LEAST_R
            out[row, k] = np.clip(true[:, k].std() / said[:, k].std(), 1, MOST_GAIN) if is_told else 0.0
    return out


def train_vq_vae(
    clips: Sequence[Clip],
    targets: Targets,
    settings: Settings,
    size: VqVaeSettings | None = None,
    report: Report = lambda line: None,
) -> VqVae:
    """The VQ-VAE of blendshape coefficients (SyncTalk++, Eq. 27).

    Each clip is said by a person drawn for it, whose range differs from the usual one. Some come from another one, who
    exaggerates; B of the loss is then what the person would do.

    Args:
        clips: whose blendshapes are learned from. targets: of the clips. settings: of the training. size: of the
            network. report: is told how it goes.
    """
    size = size or VqVaeSettings()
    with seeds.seeded_globally(settings.seed + 1, torch.device("cpu")):
        network = VqVae(size)
        network.usual.copy_(_usual(targets))
        rng, draw = np.random.default_rng([settings.seed, 0xE2]), torch.Generator().manual_seed(settings.seed)
        shares, own = shares_of(clips, targets)
        uses, in_use, total, replaced = torch.zeros(size.entries, dtype=torch.long), 0.0, 0.0, 0
        for step, optimiser in _steps(network, settings.vq_steps, settings, 0.0):
            said, known = _batch(clips, shares, own, settings, rng)
            person = _people(targets, settings.vq_batch, rng)
            other = _people(targets, settings.vq_batch, rng, *EXAGGERATION)
            if step == 0:
                replace_dead(network.entries, uses, network.encode(person.place(said)).detach().flatten(0, 2), draw)
            foreign = torch.from_numpy(rng.random(settings.vq_batch) < settings.exaggerated)[:, None, None]
            given = torch.where(foreign, other.place(said), person.place(said)).clamp(0, 1)
            restored, latents, quantised, numbers = network(given, person)
            true = torch.where(known, person.place(said), restored.detach())
            scale = network.usual * 0.25  # about a spread: shapes that move little count as much
            loss = vq_loss(true / scale, restored / scale, latents, quantised, settings.beta)
            _update(network, optimiser, loss)
            uses += torch.bincount(numbers.flatten(), minlength=size.entries)
            total += float(loss.detach())
            if (step + 1) % settings.dead_after == 0:
                if step < 0.8 * settings.vq_steps:
                    replaced += replace_dead(network.entries, uses, latents.detach().flatten(0, 2), draw)
                in_use = perplexity(uses)
                uses.zero_()
            if (step + 1) % 250 == 0:
                used = f"perplexity {in_use:.0f} of {size.entries} entries, {replaced} replaced"
                report(f"VQ-VAE, step {step + 1} of {settings.vq_steps}: {total / 250:.3f}, {used}")
                total, replaced = 0.0, 0
    return network.eval().requires_grad_(False)


def shares_of(clips: Sequence[Clip], targets: Targets) -> tuple[list[Tensor], list[np.ndarray]]:
    """The clips' blendshapes as shares (T, 52) of their source's usual range; which are known, (52,) each."""
    rows = [SOURCES.index(clip.source) for clip in clips]
    found = [targets.ranges[row].shares(torch.from_numpy(clip.weights)) for clip, row in zip(clips, rows, strict=True)]
    return found, [clip.known & _moves(targets, row) for clip, row in zip(clips, rows, strict=True)]


def _moves(targets: Targets, row: int) -> np.ndarray:
    return (targets.ranges[row].high - targets.ranges[row].low)[0].numpy() > MOVES


def _usual(targets: Targets) -> Tensor:
    """How far each shape usually goes, (52,); .1 at least."""
    return targets.ranges[0].high[0].clamp_min(0.1)


def _batch(
    clips: Sequence[Clip],
    shares: Sequence[Tensor],
    known: Sequence[np.ndarray],
    settings: Settings,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """Pieces of clips (B, T, 52), and which of their shapes are known (B, 1, 52).

    What a captured clip lacks, eyes and brows, is that of an embedded one, and is not learned from.
    """
    pieces, facts = [], []
    embedded = [k for k, clip in enumerate(clips) if clip.source == SOURCES[0]]
    every = list(range(len(clips)))
    for _ in range(settings.vq_batch):
        k, other = _choice(every, clips, rng), _choice(embedded, clips, rng)
        start, beside = (int(rng.integers(0, len(shares[i]) - settings.frames + 1)) for i in (k, other))
        own = torch.from_numpy(known[k])
        one, two = shares[k][start : start + settings.frames], shares[other][beside : beside + settings.frames]
        upper = torch.tensor([name not in blendshapes.MOUTH for name in blendshapes.NAMES])
        pieces.append(torch.where(own, one, torch.where(upper, two, 0.0)))
        facts.append(own)
    return torch.stack(pieces), torch.stack(facts)[:, None]


def _people(targets: Targets, count: int, rng: np.random.Generator, least: float = 1.0, most: float = 1.0) -> Range:
    """Ranges of people, (count, 1, 52) each: each shape goes farther or less far than usual, and rests elsewhere.

    Args:
        targets: whose embedded range is the usual one. count: of people. rng: what is drawn from.
        least, most: of a factor for all shapes of one, beside each shape's own.
    """
    usual, size = targets.ranges[0], (count, 1, blendshapes.COUNT)
    gain = np.exp(rng.normal(0, UNLIKE, size) + rng.uniform(math.log(least), math.log(most), (count, 1, 1)))
    factor = torch.from_numpy(gain.astype(np.float32))
    return Range(usual.low * factor, usual.rest * factor, usual.high * factor)


def _choice(among: Sequence[int], clips: Sequence[Clip], rng: np.random.Generator) -> int:
    """One of some clips, by their length."""
    lengths = np.array([len(clips[k].weights) for k in among], float)
    return int(among[rng.choice(len(among), p=lengths / lengths.sum())])


def _steps(network: torch.nn.Module, count: int, settings: Settings, decay: float | None = None) -> Any:
    """Each step's number, with the optimiser at that step's rate."""
    own = settings.decay if decay is None else decay
    optimiser = torch.optim.AdamW(network.parameters(), settings.rate, weight_decay=own)
    for step in range(count):
        rise = min(1.0, (step + 1) / (0.1 * count))
        optimiser.param_groups[0]["lr"] = settings.rate * rise * (0.5 + 0.5 * math.cos(math.pi * step / count))
        yield step, optimiser


def _update(network: torch.nn.Module, optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimiser.step()
