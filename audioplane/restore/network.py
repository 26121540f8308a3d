"""The U-Net: three levels, the finest at half the picture's size, 0.17 M parameters."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

CHANNELS = (24, 48, 64)
"""Of each level: a half, a quarter, an eighth of the picture's size."""
SEEN, SHOWN = 5, 3
MULTIPLE = 8  # pixels; sides are filled up to it


class Inpainter(nn.Module):
    """I(., theta) of SyncTalk++, Eq. 28; the paper says "lightweight U-Net" and no more.

    Args:
        generator: of the first weights.
    """

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        fine, middle, coarse = CHANNELS
        self.enter = _convolution(4 * SEEN, fine, generator)
        self.fine = _convolution(fine, fine, generator)
        self.down = _convolution(fine, middle, generator, 2)
        self.middle = _convolution(middle, middle, generator)
        self.deeper = _convolution(middle, coarse, generator, 2)
        self.coarse = _convolution(coarse, coarse, generator)
        self.up = _convolution(coarse + middle, middle, generator)
        self.upper = _convolution(middle + fine, fine, generator)
        self.leave = _convolution(fine, 4 * SHOWN, generator)

    def forward(self, seen: Tensor) -> Tensor:
        """What belongs into the gap, and everywhere else.

        Args:
            seen: (B, 5, h, w): colours in [0, 1], the head's mask, the gap's.

        Returns:
            (B, 3, h, w) colours, about [0, 1].
        """
        height, width = seen.shape[2:]
        seen = functional.pad(seen, (0, -width % MULTIPLE, 0, -height % MULTIPLE), mode="replicate")
        fine = _soft(self.fine(_soft(self.enter(functional.pixel_unshuffle(seen, 2)))))
        middle = _soft(self.middle(_soft(self.down(fine))))
        coarse = _soft(self.coarse(_soft(self.deeper(middle))))
        joined = _soft(self.up(torch.cat([_twice(coarse), middle], dim=1)))
        joined = _soft(self.upper(torch.cat([_twice(joined), fine], dim=1)))
        return functional.pixel_shuffle(self.leave(joined) + 0.5, 2)[:, :, :height, :width]


def _soft(values: Tensor) -> Tensor:
    return functional.leaky_relu(values, 0.1, inplace=True)


def _twice(values: Tensor) -> Tensor:
    return functional.interpolate(values, scale_factor=2.0, mode="nearest")


def _convolution(inputs: int, outputs: int, generator: torch.Generator, stride: int = 1) -> nn.Conv2d:
    layer = nn.utils.skip_init(nn.Conv2d, inputs, outputs, 3, stride, 1)  # torch's own first weights are drawn globally
    assert isinstance(layer, nn.Conv2d)
    assert layer.bias is not None
    nn.init.kaiming_normal_(layer.weight, 0.1, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer
