"""What the wrappers of compiled kernels check before a kernel indexes memory: kernels themselves look at nothing.

Every kernel's docstring states the shapes it takes; the one function that calls it holds them to that here. Arrays come
from files and from callers, and one that is too short would be read beyond its end.
"""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import Tensor

CHECK = os.environ.get("AUDIOPLANE_CHECK", "0") not in ("", "0")
"""Whether kernels are compiled with bounds checks (`AUDIOPLANE_CHECK=1`): slow, to look for faults."""

Shape = tuple["int | None", ...]
"""Wanted sizes; None for any."""


def expect(name: str, value: Any, shape: Shape, dtype: torch.dtype = torch.float32) -> Tensor:
    """Returns a CPU tensor that a kernel may index.

    Args:
        name: what the message calls it.
        value: a tensor of that shape and type on the CPU.
        shape: of the tensor; None where any size will do.
        dtype: of the tensor.

    Raises:
        ValueError: it is something else; says what was expected and what came.
    """
    wanted = "(" + ", ".join("*" if size is None else str(size) for size in shape) + ")"
    if not isinstance(value, Tensor):
        raise ValueError(f"{name}: expected a {_name(dtype)} tensor of shape {wanted}, received {_kind(value)}")
    if value.device.type != "cpu":
        raise ValueError(f"{name}: expected a tensor on the CPU, received one on {value.device}")
    if value.dtype != dtype:
        raise ValueError(f"{name}: expected {_name(dtype)}, received {_name(value.dtype)}")
    if value.layout != torch.strided:
        raise ValueError(f"{name}: expected a dense tensor, received a sparse one")
    if len(shape) != value.dim() or any(s not in (None, v) for s, v in zip(shape, value.shape, strict=True)):
        raise ValueError(f"{name}: expected shape {wanted}, received {tuple(value.shape)}")
    return value


def indices(name: str, values: Any, stop: int) -> None:
    """Holds an integer array or tensor to [0, stop).

    Raises:
        ValueError: an entry is outside; names it.
    """
    if not len(values):
        return
    lowest, highest = int(values.min()), int(values.max())
    if lowest < 0 or highest >= stop:
        raise ValueError(f"{name}: expected indices in [0, {stop}), received {lowest} to {highest}")


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _kind(value: Any) -> str:
    return type(value).__name__
