"""Weights in 8 bits: a quarter of the bytes of single precision, and nothing of a file is executed."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

SCALE = ".scale"  # after the name of a tensor in 8 bits: what each of its rows is multiplied by


def pack(plain: Mapping[str, Tensor], in_half: tuple[str, ...] = ()) -> dict[str, Tensor]:
    """Matrices as 8-bit numbers and a scale for each row; vectors and scales in half precision.

    Args:
        plain: tensors by name.
        in_half: beginnings of the names of matrices that stay in half precision.
    """
    packed: dict[str, Tensor] = {}
    for name, tensor in plain.items():
        if tensor.ndim == 1 or name.startswith(in_half):
            packed[name] = tensor.half()
            continue
        scale = (tensor.flatten(1).abs().amax(dim=1) / 127).half()
        rows = scale.float().view(-1, *[1] * (tensor.ndim - 1))
        packed[name] = (tensor / rows).round().clamp(-127, 127).to(torch.int8)
        packed[name + SCALE] = scale
    return packed


def unpack(packed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `pack`, up to rounding; other tensors stay as they are.

    Raises:
        ValueError: scales of another shape.
    """
    found = {}
    for name, tensor in packed.items():
        if name + SCALE in packed:
            scale = packed[name + SCALE].float()
            if scale.shape != tensor.shape[:1]:  # a row for every number would be made of one row
                raise ValueError(f"{name} of shape {tuple(tensor.shape)} has scales of shape {tuple(scale.shape)}")
            found[name] = tensor.float() * scale.view(-1, *[1] * (tensor.ndim - 1))
        elif not name.endswith(SCALE):
            found[name] = tensor
    return found
