"""Whether a difference is more than chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Spread:
    """Of one method over seeds: mean and standard deviation (n - 1; NaN for a single one), and how many."""

    mean: float
    deviation: float
    count: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} ± {self.deviation:.3f} (n = {self.count})"


def spread(values: ArrayLike) -> Spread:
    """Mean and standard deviation.

    Raises:
        ValueError: none, or not a series of finite numbers.
    """
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or not len(array) or not np.isfinite(array).all():
        raise ValueError(f"values: expected a series of finite numbers, received shape {array.shape}")
    return Spread(float(array.mean()), float(array.std(ddof=1)) if len(array) > 1 else float("nan"), len(array))


@dataclass(frozen=True)
class Difference:
    """A mean difference with its 95 % interval; `verdict` is "better", "worse" or "not distinguishable"."""

    mean: float
    low: float
    high: float
    verdict: str


def paired_over_seeds(
    ours: Sequence[NDArray],
    theirs: Sequence[NDArray],
    block: int = 25,
    draws: int = 2000,
    seed: int = 0,
    higher_is_better: bool = True,
) -> Difference:
    """Bootstrap of the mean of ours - theirs over seeds and, within each, over blocks of frames.

    Seeds are drawn anew with replacement, then frames of those drawn: the interval holds what another seed and other
    sentences would give. With fewer than five seeds it is too narrow: a few draws cannot show how seeds spread.

    Args:
        ours, theirs: for each seed one value a frame, (T,), of the same frames and in the same order of seeds.

    Raises:
        ValueError: numbers of seeds or lengths differ, or there is less than one block.
    """
    if len(ours) != len(theirs) or not len(ours):
        raise ValueError(f"ours, theirs: expected as many seeds, received {len(ours)} and {len(theirs)}")
    generator = np.random.default_rng(seed)
    each = np.stack([_block_means(a, b, block, draws, generator) for a, b in zip(ours, theirs, strict=True)])
    chosen = generator.integers(0, len(each), (len(each), draws))
    means = np.take_along_axis(each, chosen, axis=0).mean(axis=0)
    mean = float(np.mean([np.mean(a) - np.mean(b) for a, b in zip(ours, theirs, strict=True)]))
    return _judged(mean, means, higher_is_better)


def unpaired_over_seeds(
    ours: Sequence[NDArray],
    theirs: Sequence[NDArray],
    block: int = 25,
    draws: int = 2000,
    seed: int = 0,
    higher_is_better: bool = True,
) -> Difference:
    """The same for series of different clips, whose frames have nothing in common: each side is drawn by itself.

    Args:
        ours, theirs: for each seed one value a frame; lengths may differ.

    Raises:
        ValueError: no seed, or a series shorter than one block.
    """
    if not len(ours) or not len(theirs):
        raise ValueError(f"ours, theirs: expected a seed each, received {len(ours)} and {len(theirs)}")
    generator = np.random.default_rng(seed)
    sides = []
    for side in (ours, theirs):
        each = np.stack([_block_means(one, np.zeros(len(one)), block, draws, generator) for one in side])
        chosen = generator.integers(0, len(each), (len(each), draws))
        sides.append(np.take_along_axis(each, chosen, axis=0).mean(axis=0))
    mean = float(np.mean([np.mean(a) for a in ours]) - np.mean([np.mean(b) for b in theirs]))
    return _judged(mean, sides[0] - sides[1], higher_is_better)


def paired_difference(
    ours: NDArray, theirs: NDArray, block: int = 25, draws: int = 2000, seed: int = 0, higher_is_better: bool = True
) -> Difference:
    """Bootstrap of the mean of ours - theirs over frames, in blocks because neighbouring frames are alike.

    Args:
        ours, theirs: one value a frame, (T,), of the same frames.
        block: frames drawn together (a second at 25 fps).

    Raises:
        ValueError: lengths differ or there is less than one block.
    """
    means = _block_means(ours, theirs, block, draws, np.random.default_rng(seed))
    return _judged(float(np.mean(ours) - np.mean(theirs)), means, higher_is_better)


def _block_means(ours: NDArray, theirs: NDArray, block: int, draws: int, generator: np.random.Generator) -> NDArray:
    """(draws,) means of ours - theirs over blocks of neighbouring frames, drawn with replacement."""
    if ours.shape != theirs.shape or ours.ndim != 1 or len(ours) < block:
        raise ValueError(
            f"ours, theirs: expected two series of one length >= {block}, got {ours.shape}, {theirs.shape}"
        )
    difference = np.asarray(ours, float) - np.asarray(theirs, float)
    starts = generator.integers(0, len(difference) - block + 1, (draws, -(-len(difference) // block)))
    sums = np.concatenate([[0.0], np.cumsum(difference)])
    return ((sums[starts + block] - sums[starts]) / block).mean(1)


def _judged(mean: float, means: NDArray, higher_is_better: bool) -> Difference:
    low, high = np.quantile(means, [0.025, 0.975])
    sign = 1 if higher_is_better else -1
    verdict = "not distinguishable" if low <= 0 <= high else ("better" if sign * low > 0 else "worse")
    return Difference(mean, float(low), float(high), verdict)
