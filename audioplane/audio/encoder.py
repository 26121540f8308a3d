"""The audio encoder: feature windows -> codes -> a learnable temporal filter -> a (Audio-Plane, Sec. III-C)."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioplane.audio.front_ends import LIVE
from audioplane.audio.opening import OpeningMap
from audioplane.config import AudioConfig
from audioplane.deform.mlp import linear


class Windows(Protocol):
    """Feature windows (T, window, C): a tensor, or what computes the windows of frames when they are asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, frames: Tensor, /) -> Tensor: ...


class Convolution(nn.Module):
    """Three neighbouring steps to one, over (B, steps, C): a matrix product, which beats the library here by far."""

    def __init__(self, inputs: int, outputs: int, stride: int, generator: torch.Generator) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.empty(outputs, 3 * inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        nn.init.kaiming_normal_(self.weight, generator=generator)

    def forward(self, steps: Tensor) -> Tensor:
        padded = functional.pad(steps, (0, 0, 1, 1))
        last = padded.shape[1] - 3
        groups = [padded[:, tap : tap + last + 1 : self.stride] for tap in range(3)]
        return functional.linear(torch.cat(groups, dim=2), self.weight, self.bias)


class Dropout(nn.Module):
    """Drops a share of the numbers while `generator` is set, and only then: no global generator, no mode to forget."""

    generator: torch.Generator | None = None

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, values: Tensor) -> Tensor:
        if self.generator is None or self.share == 0.0:
            return values
        kept = torch.empty_like(values).bernoulli_(1.0 - self.share, generator=self.generator)
        return values * kept / (1.0 - self.share)


class AudioEncoder(nn.Module):
    """Windows of neighbouring frames to the code of the frame in their middle.

    Args:
        config: sizes.
        channels: C of the features.
        generator: of the initial weights.

    Attributes:
        neighbours: frames that the temporal filter sees, each frame itself among them.
        before: how many of them lie before the frame; of a live voice all others.
        opening: what codes of unseen speech lack, see `OpeningMap`; not part of `forward`.
    """

    shift: Tensor
    spread: Tensor

    def __init__(self, config: AudioConfig, channels: int, generator: torch.Generator) -> None:
        super().__init__()
        self.neighbours, self.channels = config.filter, channels
        self.before = config.filter - 1 if config.features == LIVE else config.filter // 2
        layers, steps, width = [], config.window, channels
        while steps > 1:
            layers += [Convolution(width, config.channels, 2, generator), nn.LeakyReLU(0.02), Dropout(config.dropout)]
            steps, width = (steps + 1) // 2, config.channels
        self.window = nn.Sequential(*layers)
        self.code = linear(width, config.code, generator)
        self.attend = nn.Sequential(
            Convolution(config.code, 16, 1, generator), nn.LeakyReLU(0.02), Convolution(16, 1, 1, generator)
        )
        nn.init.zeros_(
            self.attend[2].get_parameter("weight")
        )  # at first a bell around the frame; a flat mean would blur the lips
        places = torch.arange(config.filter) - self.before
        self.place = nn.Parameter(-0.5 * places.float() ** 2)
        self.register_buffer("shift", torch.zeros(config.code))
        self.register_buffer("spread", torch.ones(config.code))
        self.opening = OpeningMap(config.code)

    def forward(self, windows: Tensor) -> Tensor:
        """a of every frame that has all its neighbours.

        Audio-Plane, Sec. III-C (journal), "two-stage smoothing".

        Args:
            windows: (..., T, window, C) of consecutive frames.

        Returns:
            (..., T - filter + 1, code), standardised over the training frames; entry i belongs to frame
            i + before.
        """
        return (self.filter(self.encode(windows)) - self.shift) / self.spread

    def encode(self, windows: Tensor) -> Tensor:
        """One code a window: (..., T, window, C) -> (..., T, code)."""
        lead = windows.shape[:-2]
        hidden = self.window(windows.reshape(-1, *windows.shape[-2:]))
        return self.code(hidden[:, 0]).view(*lead, -1)

    def filter(self, codes: Tensor) -> Tensor:
        """The temporal filter: attention over each frame's neighbours; (..., T, code)."""
        groups = codes.unfold(-2, self.neighbours, 1)  # (..., T', code, filter)
        scores = self.attend(groups.reshape(-1, *groups.shape[-2:]).transpose(1, 2))[:, :, 0] + self.place
        weights = scores.softmax(dim=-1).view(*groups.shape[:-2], 1, self.neighbours)
        return (groups * weights).sum(dim=-1)

    def all_codes(self, windows: Tensor | Windows, piece: int = 512) -> Tensor:
        """a of every frame (T, code) of a whole voice; the ends are continued by their first and last frame."""
        count, before = len(windows), self.before
        found = []
        for start in range(0, count, piece):
            frames = torch.arange(start, min(start + piece, count) + self.neighbours - 1) - before
            found.append(self(windows[frames.clamp(0, count - 1)].to(self.shift.device)))
        return torch.cat(found)

    def drop_by(self, generator: torch.Generator | None) -> None:
        """Switches dropout on with a generator, off with None."""
        for module in self.modules():
            if isinstance(module, Dropout):
                module.generator = generator

    @torch.no_grad()
    def standardise_over(self, windows: Tensor) -> None:
        """Fixes shift and spread so that a has mean 0 and spread 1 over these frames."""
        self.shift.zero_()
        self.spread.fill_(1.0)
        codes = self.all_codes(windows)
        self.shift.copy_(codes.mean(dim=0))
        self.spread.copy_(codes.std(dim=0).clamp_min(1e-3))


def pad(windows: Tensor, before: int, after: int) -> Tensor:
    """Windows with the margins that the temporal filter needs: entry t .. t + before + after are those of frame t."""
    return torch.cat(
        [
            windows[:1].expand(before, *windows.shape[1:]),
            windows,
            windows[-1:].expand(after, *windows.shape[1:]),
        ]
    )


def _warp(windows: Tensor, factor: Tensor) -> Tensor:
    """Stretches the frequency axis (B, T, window, C) by `factor` (B,): a longer or shorter vocal tract."""
    bands = windows.shape[-1]
    at = (torch.arange(bands) * factor[:, None]).clamp(0, bands - 1)
    left = at.long().clamp_max(bands - 2)
    part = (at - left)[:, None, None]
    index = left[:, None, None].expand(*windows.shape)
    return windows.gather(-1, index) * (1 - part) + windows.gather(-1, index + 1) * part


def augment_windows(windows: Tensor, strength: float, generator: torch.Generator, spectral: bool) -> Tensor:
    """Data augmentation of segments (B, T, window, C): as other voices, rooms and recordings would give them.

    Args:
        windows: standardised features.
        strength: 0 changes nothing.
        generator: source of the random changes.
        spectral: whether C is a frequency axis (log-mel), so that it may be stretched and tilted.
    """
    if strength == 0.0:
        return windows
    batch, bands = len(windows), windows.shape[-1]
    draw = lambda *size: torch.randn(*size, generator=generator)  # noqa: E731
    if spectral:
        windows = _warp(windows, 1.0 + 0.07 * strength * draw(batch))
        tilt = torch.linspace(-1.0, 1.0, bands) * draw(batch, 1) * 0.3 * strength
        windows = windows + (tilt + 0.3 * strength * draw(batch, 1))[:, None, None]
        start = torch.randint(0, bands, (batch, 1), generator=generator)
        band = (torch.arange(bands) >= start) & (torch.arange(bands) < start + int(6 * strength))
        windows = windows.masked_fill(band[:, None, None], 0.0)
    return windows + 0.15 * strength * torch.randn(windows.shape, generator=generator)


def smoothness(codes: Tensor) -> Tensor:
    """Mean squared acceleration of codes (..., T, D)."""
    return (codes[..., 2:, :] - 2 * codes[..., 1:-1, :] + codes[..., :-2, :]).square().mean()


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """Pearson correlation over the first dimension."""
    a, b = a - a.mean(dim=0), b - b.mean(dim=0)
    return (a * b).sum(dim=0) / (a.norm(dim=0) * b.norm(dim=0)).clamp_min(1e-9)
