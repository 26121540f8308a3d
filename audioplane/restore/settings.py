"""Every choice of a restorer's training."""

from __future__ import annotations

from dataclasses import dataclass, fields

from audioplane.config import ours, paper
from audioplane.errors import UserError
from audioplane.runtime import limits

PIXELS = 512  # width of the pictures that the paper gives its distances for
WEIGHTS, GAPS = 606, 607
"""Purposes of `runtime.seeds`: the first weights; what each training pair is."""


@dataclass(frozen=True)
class RestorerConfig:
    """Of one subject's restorer. Distances are pixels of a picture 512 wide."""

    narrowest: float = paper("Sec. III-F", 10.0, "least width of the band that is removed in training", low=1, high=200)
    widest: float = paper("Sec. III-F", 30.0, "greatest width of that band", low=1, high=200)
    rendering: float = paper("Sec. III-F", 15.0, "width of the band at rendering", low=1, high=200)
    perceptual_weight: float = paper("Eq. 29", 1.0, "weight of the perceptual term beside L1", high=1000)
    perceptual: str = ours(
        "lpips-or-dssim",
        "lpips-alex, lpips-vgg (the paper says LPIPS), dssim, none; lpips-or-dssim takes lpips-alex if its weights are "
        "there, else dssim, and the restorer's file says which",
        "lpips-or-dssim",
        "lpips-alex",
        "lpips-vgg",
        "dssim",
        "none",
    )
    rotation: float = ours(8.0, "degrees by which frames are turned at most; the paper names none", high=180)
    shift: float = ours(0.03, "share of the width by which they are moved at most; not in the paper", high=0.5)
    softness: float = ours(1.5, "largest sigma by which the head is blurred, as rendered heads are", high=20)
    frames: int = ours(240, "training frames that are looked at, evenly spaced", low=1, high=100_000)
    steps: int = ours(400, "steps of Adam", low=1, high=10_000_000)
    batch: int = ours(4, "frames in a step", low=1, high=1024)
    rate: float = ours(3e-3, "learning rate at the beginning; it falls to none along a cosine", high=1)
    seed: int = ours(0, "of every random choice", high=2**63 - 1)

    def __post_init__(self) -> None:
        for one in fields(self):
            about, value = one.metadata["about"], getattr(self, one.name)
            if about.choices and value not in about.choices:
                raise UserError(f"{one.name} is one of {', '.join(about.choices)}, not '{value}'")
            if not about.choices:
                limits.between(one.name, value, about.low, about.high)
        limits.between("narrowest", self.narrowest, 1, self.widest)
