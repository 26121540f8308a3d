"""How every random choice of a run follows from its seed: one formula for each kind of generator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

POINTS, CLOUD, WEIGHTS, PRETRAINING, SIDES = 1, 2, 3, 4, 5
"""Purposes of `generator`: where Gaussians start, how they look, networks, the encoder's pre-training, sides of the
surface."""
FRAMES, BACKGROUNDS, EXPRESSIONS, BESIDE = 101, 202, 303, 404
"""Purposes of `draws`: the order of the frames of an epoch; background, expression and view from beside of an
iteration."""


def generator(seed: int, purpose: int) -> torch.Generator:
    """Of tensors that are drawn once a run."""
    import torch

    return torch.Generator().manual_seed(seed * 7919 + purpose)


def draws(seed: int, purpose: int, index: int) -> np.random.Generator:
    """Of what is drawn anew at each index (an epoch, an iteration), whatever was drawn before."""
    return np.random.default_rng((seed, purpose, index))


def at_step(seed: int, step: int) -> int:
    """A seed for code of others that draws from torch's global generator at a step."""
    return seed * 1_000_003 + step


@contextmanager
def seeded_globally(seed: int, device: torch.device) -> Iterator[None]:
    """Seeds torch's global generators of the CPU and of a device for a while; afterwards they are as they were.

    `torch.manual_seed` would seed those of all GPUs, and `fork_rng` gives back none that it is not told of.
    """
    import torch

    gpus = [torch.cuda.current_device() if device.index is None else device.index] if device.type == "cuda" else []
    before, before_on = torch.get_rng_state(), {gpu: torch.cuda.get_rng_state(gpu) for gpu in gpus}
    try:
        torch.random.default_generator.manual_seed(seed)  # type: ignore[attr-defined]
        for gpu in gpus:
            kept = torch.cuda.current_device()
            torch.cuda.set_device(gpu)
            torch.cuda.manual_seed(seed)
            torch.cuda.set_device(kept)
        yield
    finally:
        torch.set_rng_state(before)
        for gpu, state in before_on.items():
            torch.cuda.set_rng_state(state, gpu)
