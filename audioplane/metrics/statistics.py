"""Whether a difference is more than chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Difference:
    """A mean difference with its 95 % interval; `verdict` is "better", "worse" or "not distinguishable"."""

    mean: float
    low: float
    high: float
    verdict: str


def paired_difference(ours: NDArray, theirs: NDArray, block: int = 25, draws: int = 2000, seed: int = 0,
                      higher_is_better: bool = True) -> Difference:  # fmt: skip
    """Bootstrap of the mean of ours - theirs over frames, in blocks because neighbouring frames are alike.

    Args:
        ours, theirs: one value a frame, (T,), of the same frames.
        block: frames drawn together (a second at 25 fps).

    Raises:
        ValueError: lengths differ or there is less than one block.
    """
    if ours.shape != theirs.shape or ours.ndim != 1 or len(ours) < block:
        raise ValueError(
            f"ours, theirs: expected two series of one length >= {block}, got {ours.shape}, {theirs.shape}"
        )
    difference = np.asarray(ours, float) - np.asarray(theirs, float)
    generator = np.random.default_rng(seed)
    starts = generator.integers(0, len(difference) - block + 1, (draws, -(-len(difference) // block)))
    sums = np.concatenate([[0.0], np.cumsum(difference)])
    means = ((sums[starts + block] - sums[starts]) / block).mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    sign = 1 if higher_is_better else -1
    verdict = "not distinguishable" if low <= 0 <= high else ("better" if sign * low > 0 else "worse")
    return Difference(float(difference.mean()), float(low), float(high), verdict)
