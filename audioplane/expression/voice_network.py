"""From voice features to 52 blendshapes: dilated convolutions over the frames of a voice.

It stands where SyncTalk++ (Sec. III-E) has EmoTalk.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioplane.subject import blendshapes

SOURCES = ("embedded", "captured")
"""Whose blendshapes it gives: those of embedded speakers, or of the captured one (mouth and jaw alone)."""


@dataclass(frozen=True)
class VoiceNetworkSettings:
    """Its size.

    Attributes:
        channels: C of the features. window: steps of 20 ms that belong to a frame.
        width: of its layers. dilations: of each layer's convolution, in frames. dropout: share of numbers, in training.
    """

    channels: int = 249
    window: int = 2
    width: int = 64
    dilations: tuple[int, ...] = (1, 2, 4, 8)
    dropout: float = 0.2

    @property
    def reach(self) -> int:
        """Frames that it sees to either side."""
        return sum(self.dilations)


class VoiceNetwork(nn.Module):
    """Blendshapes of each frame, in spreads from a speaker's mean.

    Args:
        settings: its size.
    """

    def __init__(self, settings: VoiceNetworkSettings = VoiceNetworkSettings()) -> None:
        super().__init__()
        self.settings, width = settings, settings.width
        self.into = nn.Linear(settings.window * settings.channels, width)
        self.source = nn.Embedding(len(SOURCES), width)
        self.convolutions = nn.ModuleList(nn.Conv1d(width, width, 3, dilation=d, padding=d) for d in settings.dilations)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in settings.dilations)
        self.out = nn.Linear(width, blendshapes.COUNT)

    def forward(self, windows: Tensor, source: Tensor) -> Tensor:
        """Blendshapes of voices.

        Args:
            windows: (B, T, window, C) features, 25 frames a second. source: (B,) int64, of `SOURCES`.

        Returns:
            (B, T, 52), in spreads from the source's mean.
        """

        def dropped(values: Tensor) -> Tensor:
            return functional.dropout(values, self.settings.dropout, self.training)

        states = self.into(dropped(windows.flatten(2))) + self.source(source)[:, None]
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            states = states + functional.gelu(convolution(dropped(norm(states)).transpose(1, 2)).transpose(1, 2))
        return self.out(states)

    @torch.no_grad()
    def whole(self, windows: Tensor, source: str = SOURCES[0]) -> Tensor:
        """`forward` of one voice: (T, window, C) to (T, 52)."""
        return self(windows[None], torch.tensor([SOURCES.index(source)]))[0]
