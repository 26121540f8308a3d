"""D1 and D2: from a Gaussian's features to its offsets and its dynamism (Eq. 11 and 12).

The features of every field here are F = S * gain, with S (N, W) free of audio and gain (W,) the audio's factor, or
[S, a] with the same a for all Gaussians. The first layers are linear, W1 (S * gain) = (W1 * gain) S and
W1 [S, a] = W1_S S + W1_a a, so the audio is folded into one small matrix and one bias: no audio-dependent (N, W)
array is ever made, and at inference S is computed once per head.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """A linear layer with torch's usual spread, drawn from our own generator."""
    layer = nn.Linear(inputs, outputs, device="meta").to_empty(device="cpu")
    with torch.no_grad():
        layer.weight.uniform_(-1.0, 1.0, generator=generator).mul_(inputs**-0.5)
        layer.bias.zero_()
    return layer


def has_bf16() -> bool:
    """Whether this processor multiplies bfloat16 matrices faster than float32 ones."""
    check = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return torch.cuda.is_available() or (check is not None and bool(check()))


class Heads(nn.Module):
    """D1 (two layers and a zero-initialised last one) and D2 (one hidden layer, sigmoid), first layers side by side.

    Args:
        width: W, features of S.
        extra: size of the vector that is concatenated to every Gaussian's features; 0 for none.
        outputs: numbers a Gaussian's offset has.
        hidden: width of D1. dynamism_hidden: width of D2.
        generator: of the initial weights.
        bf16: multiply the first layer in bfloat16, where the processor has it.
    """

    def __init__(
        self, width: int, extra: int, outputs: int, hidden: int, dynamism_hidden: int, generator: torch.Generator,
        bf16: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.width, self.hidden = width, hidden
        self.bf16 = bf16 and has_bf16()
        self.first = linear(width + extra, hidden + dynamism_hidden, generator)
        self.second = linear(hidden, hidden, generator)
        self.offset = linear(hidden, outputs, generator)
        self.dynamism = linear(dynamism_hidden, 1, generator)
        # Offsets start at zero: the head is then the static head whatever d is. D2 starts at random: from zero its
        # hidden units would learn nothing until the last layer has left zero, and it ended as a constant.
        nn.init.zeros_(self.offset.weight)

    def forward(self, static: Tensor, gain: Tensor | None = None, extra: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Offsets and dynamism of each Gaussian.

        Paper: Eq. 11 and 12 (journal).

        Args:
            static: S, (N, W). gain: (W,) or None for 1. extra: (E,) or None.

        Returns:
            offsets (N, P), dynamism d (N, 1) in (0, 1).
        """
        weight, bias = self.fold(gain, extra)
        if self.bf16:
            hidden = functional.relu(functional.linear(static.bfloat16(), weight.bfloat16()).float() + bias)
        else:
            hidden = functional.relu(functional.linear(static, weight, bias))
        first, second = hidden.split([self.hidden, hidden.shape[1] - self.hidden], dim=1)
        return self.offset(functional.relu(self.second(first))), torch.sigmoid(self.dynamism(second))

    def fold(self, gain: Tensor | None, extra: Tensor | None) -> tuple[Tensor, Tensor]:
        """The first layer's weight (hidden, W) and bias with the audio in them."""
        weight, bias = self.first.weight, self.first.bias
        if extra is not None:
            bias = bias + weight[:, self.width :] @ extra
            weight = weight[:, : self.width]
        return weight if gain is None else weight * gain, bias
