"""What an iteration came to, read from the device when somebody asks: a GPU is not waited for in between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

LOOK_EVERY = 10
"""Iterations between two looks of those who follow every iteration (a progress bar's mean PSNR)."""


@dataclass(frozen=True)
class Numbers:
    """The measured numbers of an iteration.

    Attributes:
        terms: the loss, under "loss", and its parts. psnr: of the head, dB.
    """

    terms: Mapping[str, float]
    psnr: float


class Unread:
    """`Numbers` that still lie on the device: they are copied once, all together, when the first is asked for.

    Args:
        terms: name -> (), float32. error: mean squared error of the head, ().
    """

    def __init__(self, terms: Mapping[str, Tensor], error: Tensor) -> None:
        self._names = tuple(terms)
        self._values = torch.stack([*(value.detach() for value in terms.values()), error.detach()])

    @cached_property
    def _read(self) -> list[float]:
        return [float(value) for value in self._values.cpu().numpy()]

    @property
    def terms(self) -> Mapping[str, float]:
        return dict(zip(self._names, self._read, strict=False))

    @property
    def psnr(self) -> float:
        return -10.0 * float(np.log10(max(self._read[-1], 1e-10)))


@dataclass(frozen=True)
class Report:
    """What one iteration came to.

    Attributes:
        iteration: from 0. total: of the run. stage: its name. numbers: what was measured; asking for them waits for the
            device. gaussians: N, over all branches.
    """

    iteration: int
    total: int
    stage: str
    numbers: Numbers | Unread
    gaussians: int

    @property
    def terms(self) -> Mapping[str, float]:
        """The loss, under "loss", and its parts."""
        return self.numbers.terms

    @property
    def psnr(self) -> float:
        """Of the head, dB."""
        return self.numbers.psnr
