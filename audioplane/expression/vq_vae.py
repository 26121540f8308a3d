"""The VQ-VAE of blendshape coefficients: what others' coefficients are in one person's range.

Its codebook knows how faces move, in shares of a person's own range: 1 is as far as the person goes, -1 as far the
other way, 0 the rest pose. Only the last step of the decoder knows the person.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioplane.expression.codebook import nearest, straight_through
from audioplane.subject import blendshapes

PIECE = 1000  # frames that are encoded at once


@dataclass(frozen=True)
class VqVaeSettings:
    """Its size.

    Attributes:
        width: of the transformer. heads: of its attention. layers: of encoder and decoder, each.
        span: frames that one layer sees to either side.
        entries: N, of the codebook. parts: latent vectors of a frame, which share the codebook. size: C, of each.
    """

    width: int = 64
    heads: int = 4
    layers: int = 2
    span: int = 8
    entries: int = 256
    parts: int = 8
    size: int = 8


@dataclass(frozen=True)
class Range:
    """How far 52 blendshapes go.

    Attributes:
        low, rest, high: (..., 1, 52) weights.
    """

    low: Tensor
    rest: Tensor
    high: Tensor

    def place(self, shares: Tensor) -> Tensor:
        """Shares (..., T, 52), -1 to 1, as weights."""
        up, down = shares.clamp_min(0), (-shares).clamp_min(0)
        return self.rest + up * (self.high - self.rest) - down * (self.rest - self.low)

    def shares(self, weights: Tensor) -> Tensor:
        """Weights (..., T, 52) as shares, -1 to 1; 0 of what does not move."""
        change = weights - self.rest
        room = torch.where(change > 0, self.high - self.rest, self.rest - self.low)
        return torch.where(room > 1e-6, change / room.clamp_min(1e-6), 0.0).clamp(-1, 1)


class Layer(nn.Module):
    """A transformer layer whose attention sees `span` frames to either side, with a bias by how far they are."""

    def __init__(self, settings: VqVaeSettings) -> None:
        super().__init__()
        width = settings.width
        self.heads, self.span = settings.heads, settings.span
        self.mixing, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.distance = nn.Parameter(torch.zeros(self.heads, 2 * self.span + 1))
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.steps = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, states: Tensor) -> Tensor:
        query, key, value = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in self.mixing(self.first(states)).chunk(3, 2)
        )
        mixed = functional.scaled_dot_product_attention(query, key, value, self._bias(states.shape[1]))
        states = states + self.out(mixed.transpose(1, 2).flatten(2))
        return states + self.steps(self.second(states))

    def _bias(self, count: int) -> Tensor:
        place = torch.arange(count)
        away = place[None] - place[:, None]
        near = self.distance[:, (away + self.span).clamp(0, 2 * self.span)]
        return near.masked_fill(away.abs() > self.span, -torch.inf)


class VqVae(nn.Module):
    """Encoder E, codebook Z and decoder D of SyncTalk++, Sec. III-E.

    Args:
        settings: its size.
    """

    usual: Tensor

    def __init__(self, settings: VqVaeSettings = VqVaeSettings()) -> None:
        super().__init__()
        self.settings, latent = settings, settings.parts * settings.size
        own = torch.default_generator  # as torch's layers draw their first weights
        self.register_buffer("usual", torch.ones(blendshapes.COUNT))
        self.into, self.to_latents = nn.Linear(blendshapes.COUNT, settings.width), nn.Linear(settings.width, latent)
        self.encoder = nn.ModuleList(Layer(settings) for _ in range(settings.layers))
        self.entries = nn.Parameter(torch.randn(settings.entries, settings.size, generator=own))
        self.from_latents = nn.Linear(latent, settings.width)
        self.decoder = nn.ModuleList(Layer(settings) for _ in range(settings.layers))
        self.out = nn.Linear(settings.width, blendshapes.COUNT)
        nn.init.normal_(self.out.weight, std=0.02, generator=own)  # shares start where tanh has a slope

    def encode(self, weights: Tensor) -> Tensor:
        """Z_e = E(B): weights (B, T, 52) to (B, T, parts, C)."""
        states = self.into(weights / self.usual)
        for layer in self.encoder:
            states = layer(states)
        return self.to_latents(states).unflatten(2, (self.settings.parts, self.settings.size))

    def decode(self, quantised: Tensor) -> Tensor:
        """Shares (B, T, 52), -1 to 1, of entries (B, T, parts, C)."""
        states = self.from_latents(quantised.flatten(2))
        for layer in self.decoder:
            states = layer(states)
        return torch.tanh(self.out(states))

    def forward(self, weights: Tensor, own: Range) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """B~ = D(Q(E(B))) (SyncTalk++, Eq. 26), with what its loss needs.

        Args:
            weights: (B, T, 52) coefficients B. own: range of the person whose B~ is wanted.

        Returns:
            B~ (B, T, 52); Z_e and Z_q (B, T, parts, C); the entries' numbers (B, T, parts).
        """
        latents = self.encode(weights)
        numbers = nearest(latents, self.entries)
        quantised = self.entries[numbers]
        return own.place(self.decode(straight_through(latents, quantised))), latents, quantised, numbers

    @torch.no_grad()
    def shares(self, weights: Tensor) -> Tensor:
        """Coefficients of anybody as shares of any person's range, whatever their length.

        Pieces with margins as wide as the network sees give what the whole would.

        Args:
            weights: (T, 52).

        Returns:
            (T, 52), -1 to 1.
        """
        margin, found = 2 * self.settings.layers * self.settings.span, []
        for start in range(0, len(weights), PIECE):
            first = max(0, start - margin)
            part = weights[None, first : start + PIECE + margin]
            entries = self.entries[nearest(self.encode(part), self.entries)]
            found.append(self.decode(entries)[0, start - first :][:PIECE])
        return torch.cat(found) if found else weights.new_zeros(0, blendshapes.COUNT)
