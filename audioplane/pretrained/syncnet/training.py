"""Trains the built-in scorer: which of many sounds belongs to this mouth, and which of many mouths to this sound?

A batch holds a second of each of eight people. Codes lie on the unit sphere; the loss is the cross-entropy of finding
each window's own partner by cosine, both ways, (1) among the windows of the same second and (2) among all windows of
the batch, half each, with a learned temperature. The first asks for timing to the frame, the second for the sounds.
Pictures are moved, turned, scaled, mirrored, blurred, relit and made noisy; voices are given other rooms, microphones,
levels and noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import fftconvolve
from torch.nn import functional

from audioplane.metrics.syncnet.crops import MOUTH_PIXELS, cut_mouth, mouth_warps
from audioplane.metrics.syncnet.mfcc import SAMPLE_RATE, mfcc
from audioplane.metrics.syncnet.network import COLUMNS, COMPACT, FRAMES, SyncNet
from audioplane.pretrained.syncnet.data import Mouth
from audioplane.runtime import seeds
from audioplane.runtime.threads import set_own

PER_FRAME = SAMPLE_RATE // 25


@dataclass(frozen=True)
class Settings:
    """Of one training.

    Attributes:
        people: held_out_0 to held_out_(people - 1) are learnt from. seconds: that each speaks.
        steps: of the optimiser. clips: in a batch. windows: in a clip.
        rate: AdamW's largest learning rate; it rises over a tenth of the steps and falls as a cosine.
        decay: of the weights. seed: of the network and of all that is drawn. threads: of torch, so that the same
            seed gives the same bytes.
    """

    people: int = 72
    seconds: float = 16.0
    steps: int = 1200
    clips: int = 8
    windows: int = 24
    rate: float = 2e-3
    decay: float = 0.02
    seed: int = 0
    threads: int = 1


def stack_windows(frames: NDArray[np.uint8]) -> torch.Tensor:
    """Grey crops (T, S, S) to windows of five (T - 4, 1, 5, S, S), float32."""
    views = np.lib.stride_tricks.sliding_window_view(frames, FRAMES, axis=0)  # (T - 4, S, S, 5)
    return torch.from_numpy(np.array(views.transpose(0, 3, 1, 2)))[:, None].float()


def stack_columns(cepstra: NDArray, count: int) -> torch.Tensor:
    """Cepstra (columns, 13) to the windows of `count` frames: (count, 1, 13, 20), float32."""
    views = np.lib.stride_tricks.sliding_window_view(cepstra, COLUMNS, axis=0)  # (n, 13, 20)
    return torch.from_numpy(np.array(views[::4][:count], np.float32))[:, None]


def train(
    mouths: Sequence[Mouth], settings: Settings = Settings(), report: Callable[[str], Any] = lambda line: None
) -> SyncNet:
    """Trains the scorer from scratch.

    Args:
        mouths: people to learn from.
        settings: of the training.
        report: called with a line of text from time to time.

    Returns:
        the network, in evaluation mode.
    """
    before = set_own(settings.threads)
    try:
        with seeds.seeded_globally(settings.seed, torch.device("cpu")):
            network = SyncNet(COMPACT)
        return _fit(network, mouths, settings, report)
    finally:
        set_own(before)


def _fit(network: SyncNet, mouths: Sequence[Mouth], settings: Settings, report: Callable[[str], Any]) -> SyncNet:
    network.netcnnaud.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.netcnnlip.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    sharpness = torch.nn.Parameter(torch.tensor(math.log(10.0)))
    optimiser = torch.optim.AdamW(network.parameters(), settings.rate, weight_decay=settings.decay)
    optimiser.add_param_group({"params": [sharpness], "weight_decay": 0.0})
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.rate, settings.steps, pct_start=0.1)
    warps = [mouth_warps(mouth.landmarks, smooth=0.0) for mouth in mouths]
    history: list[tuple[float, float]] = []
    with ThreadPoolExecutor(1) as ahead:
        waiting = ahead.submit(_batch, mouths, warps, settings, 0)
        for step in range(settings.steps):
            visual, sounds = waiting.result()
            waiting = ahead.submit(_batch, mouths, warps, settings, step + 1)
            loss, hits = contrast(
                network.embed_frames(visual), network.embed_audio(sounds), sharpness.exp(), settings.windows
            )
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimiser.step()
            schedule.step()
            history.append((loss.item(), hits))
            if (step + 1) % 100 == 0:
                means = np.mean(history[-100:], axis=0)
                report(f"step {step + 1} of {settings.steps}: loss {means[0]:.3f}, own frame found {means[1]:.0%}")
    return network.eval().requires_grad_(False)


def contrast(
    visual: torch.Tensor, sounds: torch.Tensor, sharpness: torch.Tensor, windows: int
) -> tuple[torch.Tensor, float]:
    """The loss of a batch, and the share of windows whose own sound is found among those of the same second.

    Args:
        visual: (B, D) of length 1, B = clips x windows, clip by clip.
        sounds: (B, D) of length 1.
        sharpness: inverse temperature.
        windows: of a clip.
    """
    likeness = sharpness.clamp(max=100.0) * visual @ sounds.T
    own = torch.arange(len(likeness))
    among_all = functional.cross_entropy(likeness, own) + functional.cross_entropy(likeness.T, own)
    blocks = likeness.view(-1, windows, len(likeness) // windows, windows).diagonal(dim1=0, dim2=2).permute(2, 0, 1)
    inside = torch.arange(windows).repeat(len(blocks))
    in_clip = functional.cross_entropy(blocks.reshape(-1, windows), inside) + functional.cross_entropy(
        blocks.transpose(1, 2).reshape(-1, windows), inside
    )
    hits = (blocks.detach().argmax(dim=2) == torch.arange(windows)).float().mean()
    return 0.25 * (among_all + in_clip), float(hits)


def _batch(
    mouths: Sequence[Mouth], warps: Sequence[NDArray], settings: Settings, step: int
) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng([settings.seed, step])
    length = settings.windows + FRAMES - 1
    visual, sounds = [], []
    for who in rng.choice(len(mouths), settings.clips, replace=len(mouths) < settings.clips):
        mouth = mouths[who]
        first = int(rng.integers(0, len(mouth.frames) - length - 1))
        visual.append(stack_windows(_filmed(mouth, warps[who], first, length, rng)))
        samples = mouth.audio[first * PER_FRAME : (first + length + 1) * PER_FRAME]
        sounds.append(stack_columns(mfcc(recorded(samples, rng)), settings.windows))
    return torch.cat(visual), torch.cat(sounds)


def _filmed(mouth: Mouth, warps: NDArray, first: int, length: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Crops of a stretch as another camera would have them."""
    angle, scale = np.radians(rng.normal(0, 4)), np.exp(rng.normal(0, 0.08))
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    turn = np.array([[cosine, -sine, rng.normal(0, 3)], [sine, cosine, rng.normal(0, 4)]])
    tremble = rng.normal(0, rng.choice([0.0, 0.25, 0.5]), (length, 2))
    coarse = int(rng.integers(14, MOUTH_PIXELS + 1)) if rng.random() < 0.5 else MOUTH_PIXELS
    gamma, contrast, light = np.exp(rng.normal(0, 0.25)), np.exp(rng.normal(0, 0.2)), rng.normal(0, 20)
    curve = np.clip((255 * (np.arange(256) / 255) ** gamma - 128) * contrast + 128 + light, 0, 255).astype(np.uint8)
    noise, mirrored, blur = rng.choice([0.0, 2.0, 5.0]), rng.random() < 0.5, rng.random() * 0.8
    crops = np.empty((length, MOUTH_PIXELS, MOUTH_PIXELS), np.uint8)
    for k in range(length):
        turn_now = turn.copy()
        turn_now[:, 2] += tremble[k]
        crop = cut_mouth(mouth.frames[first + k], warps[first + k], turn_now)
        if coarse < MOUTH_PIXELS:
            small = cv2.resize(crop, (coarse, coarse), interpolation=cv2.INTER_AREA)
            crop = cv2.resize(small, (MOUTH_PIXELS, MOUTH_PIXELS), interpolation=cv2.INTER_LINEAR)
        elif blur > 0.3:
            crop = cv2.GaussianBlur(crop, (0, 0), blur)
        crops[k] = cv2.LUT(crop, curve)
    if noise:
        crops = np.clip(crops + rng.normal(0, noise, crops.shape), 0, 255).astype(np.uint8)
    return crops[:, :, ::-1] if mirrored else crops


def recorded(samples: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float64]:
    """A stretch of voice through another room, microphone and level."""
    voice = samples.astype(np.float64)
    if rng.random() < 0.4:  # a room: a decaying tail
        tail = rng.normal(0, 1, int(SAMPLE_RATE * 0.25)) * np.exp(
            -np.arange(int(SAMPLE_RATE * 0.25)) / SAMPLE_RATE * rng.uniform(12, 50)
        )
        tail *= rng.uniform(0.1, 0.6) / max(np.sqrt((tail**2).sum()), 1e-9)
        voice = voice + fftconvolve(voice, tail)[: len(voice)]
    spectrum = np.fft.rfft(voice)
    places = np.linspace(0, 1, len(spectrum))
    decibels = np.interp(places, [0, 0.03, 0.1, 0.25, 0.5, 1.0], rng.normal(0, 5, 6))
    voice = np.fft.irfft(spectrum * 10 ** (decibels / 20), len(voice))
    level = np.sqrt((voice**2).mean()) + 1e-5
    hiss = rng.normal(0, 1, len(voice))
    colour = np.fft.rfft(hiss) / np.maximum(places, 0.01) ** rng.uniform(0, 0.7)
    hiss = np.fft.irfft(colour, len(voice))
    hiss *= level * 10 ** (-rng.uniform(3, 55) / 20) / hiss.std()
    voice = (voice + hiss) * 10 ** (rng.uniform(-18, 8) / 20)
    return np.clip(voice, -1.0, 1.0)
