"""Data augmentation of speech: other vocal tracts, rooms, microphones and noises, simulated on the spectrogram.

Working on the spectrogram rather than on samples, a batch costs milliseconds. Log-mel in dB (B, T, bands) goes in and
comes out; times and labels stay as they are.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

DB = 10.0 / torch.log(torch.tensor(10.0)).item()  # decibels of a natural logarithm of power


class Draw:
    """Random numbers from one generator."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator

    def uniform(self, low: float, high: float, *size: int) -> Tensor:
        return low + (high - low) * torch.rand(*size, generator=self.generator)

    def normal(self, *size: int) -> Tensor:
        return torch.randn(*size, generator=self.generator)

    def happens(self, share: float, batch: int) -> Tensor:
        """(batch, 1, 1) of bool."""
        return torch.rand(batch, 1, 1, generator=self.generator) < share


def augment_spectrogram(mel: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Speech as other people, rooms and recorders would give it.

    Args:
        mel: (B, T, bands) log-mel, dB.
        strength: 1 is what the phonetic network is trained with; 0 changes nothing.
        generator: source of the random changes.

    Returns:
        (B, T, bands) log-mel, dB.
    """
    if strength == 0.0:
        return mel
    draw = Draw(generator)
    batch, _, bands = mel.shape
    mel = stretch(mel, (1.0 + 0.09 * strength * draw.normal(batch)).clamp(0.78, 1.28))
    power = torch.exp(mel / DB)
    power = _echo(power, draw)
    power = power * torch.exp(_curve(draw.normal(batch, 6) * 5.0 * strength, bands)[:, None] / DB)
    power = power + _noise(power, draw, strength) + _babble(power, draw)
    mel = DB * power.clamp_min(1e-12).log()
    mel = _cut_bands(mel, draw)
    mel = mel - mel.amax(dim=(1, 2), keepdim=True)
    return torch.maximum(mel, draw.uniform(-95.0, -45.0, batch, 1, 1))  # the noise floor of a recorder


def stretch(mel: Tensor, factor: Tensor) -> Tensor:
    """Stretches the frequency axis of (B, T, bands) by `factor` (B,): a longer or shorter vocal tract."""
    bands = mel.shape[-1]
    at = (torch.arange(bands) * factor[:, None]).clamp(0, bands - 1)
    left = at.long().clamp_max(bands - 2)
    part = (at - left)[:, None].to(mel.dtype)
    index = left[:, None].expand(mel.shape)
    return mel.gather(-1, index) * (1 - part) + mel.gather(-1, index + 1) * part


def mask_spectrogram(mel: Tensor, generator: torch.Generator) -> Tensor:
    """Sets a few frequency bands and a few short times of standardised log-mel (B, T, bands) to zero (SpecAugment)."""
    draw = Draw(generator)
    batch, steps, bands = mel.shape
    hidden = torch.zeros(batch, steps, bands, dtype=torch.bool)
    for axis, most, count in ((bands, 8, 2), (steps, 5, steps // 60)):
        for _ in range(count):
            start, width = draw.uniform(0, axis, batch, 1), draw.uniform(0, most, batch, 1)
            places = torch.arange(axis)[None]
            hit = (places >= start) & (places < start + width)
            hidden |= hit[:, None, :] if axis == bands else hit[:, :, None]
    return mel.masked_fill(hidden, 0.0)


def _curve(knots: Tensor, bands: int) -> Tensor:
    """Smooth curves (B, bands) through `knots` (B, k)."""
    return functional.interpolate(knots[:, None], bands, mode="linear", align_corners=True)[:, 0]


def _echo(power: Tensor, draw: Draw) -> Tensor:
    """Reverberation, band by band, in one clip of four."""
    batch = len(power)
    fall = torch.exp(-1.0 / draw.uniform(1.0, 9.0, batch, 1))  # a step
    tail = fall ** torch.arange(1, 24) * draw.uniform(0.02, 0.25, batch, 1)
    tail = tail * draw.happens(0.25, batch)[:, :, 0]
    kernel = torch.cat([torch.ones(batch, 1), tail], dim=1).flip(1)  # (B, 24)
    padded = functional.pad(power, (0, 0, 23, 0)).permute(2, 0, 1)  # (bands, B, T + 23)
    return functional.conv1d(padded, kernel[:, None], groups=batch).permute(1, 2, 0)


def _noise(power: Tensor, draw: Draw, strength: float) -> Tensor:
    """Coloured noise of varying loudness, and in some clips sustained tones as in music."""
    batch, steps, bands = power.shape
    level = power.mean(dim=(1, 2), keepdim=True)
    colour = torch.exp(
        (_curve(draw.normal(batch, 5) * 6.0, bands) + torch.linspace(1, -1, bands) * draw.uniform(-2, 14, batch, 1))[
            :, None
        ]
        / DB
    )
    colour = colour / colour.mean(dim=2, keepdim=True)
    grain = (draw.normal(batch, steps, bands) ** 2 + draw.normal(batch, steps, bands) ** 2 + 0.3) / 2.3
    sway = torch.exp(_curve(draw.normal(batch, max(2, steps // 25)) * draw.uniform(0, 5, batch, 1), steps) / DB)
    ratio = draw.uniform(2.0, 50.0, batch, 1, 1) / max(strength, 0.2)
    noise = colour * grain * sway[:, :, None] * 10 ** (-ratio / 10)
    notes = max(2, steps // 15)
    held = (draw.uniform(0, 1, batch, notes, bands) < 0.12).float() * torch.exp(draw.normal(batch, notes, bands))
    held = held.repeat_interleave(-(-steps // notes), dim=1)[:, :steps]
    held = held * torch.exp(torch.linspace(1, -2, bands)) / held.mean(dim=(1, 2), keepdim=True).clamp_min(1e-3)
    music = held * 10 ** (-draw.uniform(5.0, 25.0, batch, 1, 1) / 10) * draw.happens(0.15, batch)
    return level * (noise * draw.happens(0.8, batch) + music)


def _babble(power: Tensor, draw: Draw) -> Tensor:
    """Another speaker of the batch in the background, in one clip of six."""
    other = power.roll(1, dims=0)
    other = other / other.mean(dim=(1, 2), keepdim=True) * power.mean(dim=(1, 2), keepdim=True)
    return other * 10 ** (-draw.uniform(8.0, 25.0, len(power), 1, 1) / 10) * draw.happens(0.16, len(power))


def _cut_bands(mel: Tensor, draw: Draw) -> Tensor:
    """Limited bandwidth as of telephones and old recordings, in one clip of four."""
    batch, _, bands = mel.shape
    places = torch.arange(bands)
    high = draw.uniform(0.62, 1.0, batch, 1) * bands
    low = draw.uniform(0.0, 0.09, batch, 1) * bands
    lost = ((places > high) | (places < low))[:, None] & draw.happens(0.25, batch)
    return mel - 50.0 * lost
