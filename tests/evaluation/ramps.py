"""Frames that are known by their mean."""

from __future__ import annotations

import numpy as np


def film(count: int, side: int = 48, step: float = 3.0) -> list[np.ndarray]:
    """A ramp that grows lighter by `step` a frame: each frame is known by its mean."""
    ramp = np.linspace(20, 60, side)[:, None] + np.linspace(0, 40, side)
    return [np.repeat(np.round(ramp + step * t)[..., None], 3, axis=2).astype(np.uint8) for t in range(count)]
