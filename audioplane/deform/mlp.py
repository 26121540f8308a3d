"""D1 and D2: from a Gaussian's features to its offsets and its dynamism (Audio-Plane, Eq. 11 and 12).

The features of every field here are F = S * gain, with S (N, W) free of audio and gain (W,) the audio's factor, or
[S, a] with the same a for all Gaussians. The first layers are linear, W1 (S * gain) = (W1 * gain) S and
W1 [S, a] = W1_S S + W1_a a, so the audio is folded into one small matrix and one bias: no audio-dependent (N, W)
array is ever made, and at inference S is computed once per head.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from audioplane.runtime import threads
from audioplane.runtime.contracts import expect
from audioplane.runtime.threads import flat

Modulation = tuple[Tensor | None, Tensor | None]
"""Gain and extra vector of a frame."""


def linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """A linear layer with torch's usual spread, drawn from our own generator."""
    layer = nn.Linear(inputs, outputs, device="meta").to_empty(device="cpu")
    with torch.no_grad():
        layer.weight.uniform_(-1.0, 1.0, generator=generator).mul_(inputs**-0.5)
        layer.bias.zero_()
    return layer


def has_bf16(device: torch.device | str = "cpu") -> bool:
    """Whether a device multiplies bfloat16 matrices faster than float32 ones."""
    if torch.device(device).type == "cuda":  # this one, not the current one, and not by emulation
        return torch.cuda.get_device_capability(device) >= (8, 0)
    check = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return check is not None and bool(check())


class DeformationMLP(nn.Module):
    """D1 (two layers and a zero-initialised last one) and D2 (one hidden layer, sigmoid), first layers side by side.

    Args:
        width: W, features of S.
        extra: size of the vector that is concatenated to every Gaussian's features; 0 for none.
        outputs: numbers a Gaussian's offset has.
        hidden: width of D1. dynamism_hidden: width of D2.
        generator: of the initial weights.
        bf16: multiply matrices in bfloat16, where the processor has it.
    """

    def __init__(
        self,
        width: int,
        extra: int,
        outputs: int,
        hidden: int,
        dynamism_hidden: int,
        generator: torch.Generator,
        bf16: bool = False,
    ) -> None:
        super().__init__()
        self.width, self.extra, self.hidden = width, extra, hidden
        self.asks_bf16 = bf16
        self.first = linear(width + extra, hidden + dynamism_hidden, generator)
        self.second = linear(hidden, hidden, generator)
        self.offset = linear(hidden, outputs, generator)
        self.dynamism = linear(dynamism_hidden, 1, generator)
        # Offsets start at zero: the head is then the static head whatever d is. D2 starts at random: from zero its
        # hidden units would learn nothing until the last layer has left zero, and it ended as a constant.
        nn.init.zeros_(self.offset.weight)

    @property
    def bf16(self) -> bool:
        """Whether matrices are multiplied in bfloat16 where the weights lie now."""
        return self.asks_bf16 and has_bf16(self.first.weight.device)

    def forward(
        self,
        static: Tensor,
        gain: Tensor | None = None,
        extra: Tensor | None = None,
        seen_by_d2: Modulation | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Offsets and dynamism of each Gaussian.

        Audio-Plane, Eq. 11 and 12 (journal).

        Args:
            static: S, (N, W), float32 or bfloat16. gain: (W,) or None for 1. extra: (E,) or None for zeros.
            seen_by_d2: gain and extra of the same values in which D2's gradient ends; None: it goes where D1's goes.

        Returns:
            offsets (N, P), dynamism d (N, 1) in (0, 1).
        """
        weight, bias = self.fold(gain, extra)
        if seen_by_d2 is not None:
            own, d2, split = (weight, bias), self.fold(*seen_by_d2), self.hidden
            weight, bias = (torch.cat([a[:split], b[split:]]) for a, b in zip(own, d2, strict=True))
        if self.bf16:
            static, weight = static.bfloat16(), weight.bfloat16()
        widths = (self.hidden, self.dynamism.in_features)
        if static.device.type != "cpu" or bias.dtype != torch.float32 or any(width % 8 for width in widths):
            return self.plain(static, weight, bias)
        layers = (self.second.weight, self.second.bias, self.offset.weight, self.offset.bias)
        return _Layers.apply(static, weight, bias, *layers, self.dynamism.weight, self.dynamism.bias)  # type: ignore[no-any-return]

    def plain(self, static: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """`forward` after folding, in plain torch: the slow twin, any device and type.

        D1's matrices are multiplied in the type of `static` and what lies between is rounded to it, as on the CPU.
        """
        hidden = functional.relu(functional.linear(static, weight).to(bias.dtype) + bias)
        first, second = hidden.split([self.hidden, hidden.shape[1] - self.hidden], dim=1)
        hidden = functional.relu(product(first.to(static.dtype), self.second)).to(static.dtype)
        return product(hidden, self.offset), torch.sigmoid(self.dynamism(second))

    def fold(self, gain: Tensor | None, extra: Tensor | None) -> tuple[Tensor, Tensor]:
        """The first layer's weight (hidden, W) and bias with the audio in them."""
        weight, bias = self.first.weight, self.first.bias
        if extra is not None:
            bias = bias + weight[:, self.width :] @ extra
        if self.extra:
            weight = weight[:, : self.width]
        return weight if gain is None else weight * gain, bias


def product(rows: Tensor, layer: nn.Linear) -> Tensor:
    """A layer of rows: its matrix in their type, its bias in its own.

    Args:
        rows: (N, inputs), of the layer's type or bfloat16. layer: whose product is asked for.

    Returns:
        (N, outputs), of the layer's type.
    """
    if rows.dtype == layer.weight.dtype:
        return layer(rows)  # type: ignore[no-any-return]
    return functional.linear(rows, layer.weight.to(rows.dtype)).to(layer.bias.dtype) + layer.bias


class _Layers(torch.autograd.Function):
    """D1 and D2 of folded first layers, on the CPU: matrix products by torch, all between them in one pass each way."""

    @staticmethod
    def forward(
        ctx: Any,
        static: Tensor,
        weight: Tensor,
        bias: Tensor,
        weight2: Tensor,
        bias2: Tensor,
        weight3: Tensor,
        bias3: Tensor,
        weight_d: Tensor,
        bias_d: Tensor,
    ) -> tuple[Tensor, Tensor]:
        from audioplane.deform import mlp_kernels as kernels

        count, wide, narrow = len(static), len(weight2), weight_d.shape[1]
        expect("static", static, (None, weight.shape[-1]), static.dtype)
        for name, tensor, shape in (
            ("the first layers' bias", bias, (wide + narrow,)),
            ("the second layer's weight", weight2, (wide, wide)),
            ("the second layer's bias", bias2, (wide,)),
            ("the offsets' weight", weight3, (len(bias3), wide)),
            ("the dynamism's weight", weight_d, (1, narrow)),
            ("the dynamism's bias", bias_d, (1,)),
        ):
            expect(name, tensor, shape)
        expect("the first layers' weight", weight, (wide + narrow, static.shape[1]), static.dtype)
        weight2, weight3, chunks = (
            weight2.to(static),
            weight3.to(static),
            threads.split(count, 2 * torch.get_num_threads()),
        )
        first, second = static.new_empty(count, wide), static.new_empty(count, narrow)
        hidden, dynamism = static.new_empty(count, wide), bias.new_empty(count, 1)
        mixed = functional.linear(static, weight)
        threads.run(
            kernels.gate,
            chunks,
            flat(mixed),
            flat(bias),
            wide,
            narrow,
            flat(weight_d),
            np.float32(bias_d.item()),
            flat(first),
            flat(second),
            flat(dynamism),
        )
        mixed = functional.linear(first, weight2)
        threads.run(kernels.rectify, chunks, flat(mixed), flat(bias2), wide, flat(hidden))
        ctx.save_for_backward(static, weight, weight2, weight3, weight_d, first, second, dynamism, hidden)
        return functional.linear(hidden, weight3).to(bias3) + bias3, dynamism

    @staticmethod
    def backward(ctx: Any, v_offsets: Tensor, v_dynamism: Tensor) -> tuple[Any, ...]:  # type: ignore[override]
        from audioplane.deform import mlp_kernels as kernels

        static, weight, weight2, weight3, weight_d, first, second, dynamism, hidden = ctx.saved_tensors
        count, wide, narrow = len(static), first.shape[1], second.shape[1]
        blocks = -(-count // kernels.BLOCK)
        chunks = threads.split(blocks, 2 * torch.get_num_threads())

        v_out = v_offsets.to(static).contiguous()
        v_hidden, sums = v_out @ weight3, dynamism.new_empty(blocks, wide)
        threads.run(kernels.rectify_backward, chunks, flat(hidden), wide, flat(v_hidden), flat(sums))
        v_bias2, v_weight2 = sums.sum(dim=0), v_hidden.t() @ first

        v_first, v_mixed = v_hidden @ weight2, static.new_empty(count, wide + narrow)
        sums = dynamism.new_empty(blocks, wide + 2 * narrow + 8)
        threads.run(
            kernels.gate_backward,
            chunks,
            flat(first),
            flat(second),
            flat(dynamism),
            flat(weight_d),
            wide,
            narrow,
            flat(v_first),
            flat(v_dynamism),
            flat(v_mixed),
            flat(sums),
        )
        v_bias, v_weight_d, v_bias_d, _ = sums.sum(dim=0).split([wide + narrow, narrow, 1, 7])
        v_weight3, v_bias3 = (v_out.t() @ hidden).to(v_bias), v_offsets.sum(dim=0)
        return (
            v_mixed @ weight,
            v_mixed.t() @ static,
            v_bias,
            v_weight2.to(v_bias),
            v_bias2,
            v_weight3,
            v_bias3,
            v_weight_d[None],
            v_bias_d,
        )
