"""Whether a difference is more than chance.

Two things could have been otherwise: the seeds, and the sentences that were held out. All seeds are judged on the same
held-out frames, so the two are *crossed*: another seed would meet the same sentences, another sentence all seeds. The
variance of a mean difference is therefore the sum of two, each estimated on its own (`over_seeds`):

- **seeds**: the variance of the seeds' mean differences, divided by their number, with n - 1 degrees of freedom;
- **frames**: that of the mean of the series averaged over seeds. Neighbouring frames are alike, so it is read off the
  slowest cosines of the series (Lazarus, Lewis, Stock and Watson, "HAR Inference: Recommendations for Practice", 2018),
  as many as a quarter of the length to the power of 2/3, which are its degrees of freedom.

Degrees of freedom add up as Satterthwaite has it, and the interval is that of Student's t. `docs/measures.md` says how
often such intervals hold the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEVEL = 0.95
FEWEST_FRAMES = 16
BETTER, WORSE, OPEN = "better", "worse", "not distinguishable"


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
    """A mean difference.

    Attributes:
        mean: ours minus theirs. low, high: its 95 % interval.
        p: the chance of so large a difference where there is none; of `holm` if it was corrected.
        verdict: `BETTER`, `WORSE` or `OPEN`, by p.
        higher_is_better: of the measure.
    """

    mean: float
    low: float
    high: float
    p: float
    verdict: str
    higher_is_better: bool = True


@dataclass(frozen=True)
class _Variance:
    """Of a mean, and its degrees of freedom."""

    value: float
    freedom: float


def over_seeds(
    ours: Sequence[NDArray],
    theirs: Sequence[NDArray],
    higher_is_better: bool = True,
    same_frames: bool = True,
) -> Difference:
    """The mean of ours - theirs over seeds and frames, and how far other seeds and sentences might move it.

    With one seed the interval holds what other sentences would give, nothing of other seeds.

    Args:
        ours, theirs: for each seed one value a frame, (T,), in the same order of seeds; frames with NaN in any of them
            are left out.
        higher_is_better: of the measure.
        same_frames: whether frame t is the same in both; False for two clips, whose lengths may differ.

    Raises:
        ValueError: numbers of seeds or lengths differ, or fewer than `FEWEST_FRAMES` frames are known.
    """
    if len(ours) != len(theirs) or not len(ours):
        raise ValueError(f"ours, theirs: expected as many seeds, received {len(ours)} and {len(theirs)}")
    if same_frames:
        both = _known([*ours, *theirs])
        sides = [both[: len(ours)] - both[len(ours) :]]
    else:
        sides = [_known(ours), -_known(theirs)]
    each = np.sum([side.mean(axis=1) for side in sides], axis=0)  # (seeds,)
    parts = [_of_frames(side.mean(axis=0)) for side in sides]
    if len(each) > 1:
        parts.append(_Variance(float(each.var(ddof=1)) / len(each), len(each) - 1))
    return _judged(float(each.mean()), parts, higher_is_better)


def over_frames(ours: NDArray, theirs: NDArray, higher_is_better: bool = True) -> Difference:
    """The same for one pair of series (T,) of the same frames: what other sentences would give.

    Raises:
        ValueError: lengths differ, or fewer than `FEWEST_FRAMES` frames are known.
    """
    return over_seeds([ours], [theirs], higher_is_better)


def t_interval(ours: ArrayLike, theirs: ArrayLike, higher_is_better: bool = True) -> Difference:
    """The mean of ours - theirs, one number a seed, paired by seed: Student's t, without regard to frames.

    It says what other seeds would give on these very sentences.

    Args:
        ours, theirs: (seeds,), in the same order.
        higher_is_better: of the measure.

    Raises:
        ValueError: fewer than two seeds, or other numbers of them.
    """
    a, b = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if a.shape != b.shape or a.ndim != 1 or len(a) < 2 or not np.isfinite([a, b]).all():
        raise ValueError(f"ours, theirs: expected two finite series of one length >= 2, got {a.shape} and {b.shape}")
    each = a - b
    return _judged(
        float(each.mean()), [_Variance(float(each.var(ddof=1)) / len(each), len(each) - 1)], higher_is_better
    )


def holm(differences: Sequence[Difference]) -> list[Difference]:
    """Verdicts of several claims, so that the chance of a single wrong one among them is 5 %; intervals stay.

    Source: S. Holm, "A simple sequentially rejective multiple test procedure" (1979).
    """
    order = np.argsort([one.p for one in differences], kind="stable")
    corrected, largest = list(differences), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * differences[index].p))
        one = differences[index]
        corrected[index] = replace(one, p=largest, verdict=_verdict(one.mean, largest, one.higher_is_better))
    return corrected


def _known(series: Sequence[NDArray]) -> NDArray[np.float64]:
    """(seeds, T), of the frames that all of them know."""
    lengths = {np.shape(one) for one in series}
    if len(lengths) != 1 or len(next(iter(lengths))) != 1:
        raise ValueError(f"ours, theirs: expected series of one length, got {sorted(lengths)}")
    table = np.asarray(series, np.float64)
    if np.isinf(table).any():
        raise ValueError("ours, theirs: expected finite values or NaN, got infinity")
    table = table[:, np.isfinite(table).all(axis=0)]
    if table.shape[1] < FEWEST_FRAMES:
        raise ValueError(f"ours, theirs: expected {FEWEST_FRAMES} or more frames, got {table.shape[1]}")
    return table


def _of_frames(series: NDArray[np.float64]) -> _Variance:
    """The variance of the mean of a series (T,) whose neighbours are alike."""
    from scipy.fft import dct

    count = max(2, int(0.25 * len(series) ** (2 / 3)))
    slowest = np.asarray(dct(series, type=2, norm="ortho"))[1 : count + 1]
    return _Variance(float((slowest**2).mean()) / len(series), count)


def _judged(mean: float, parts: Sequence[_Variance], higher_is_better: bool) -> Difference:
    from scipy.stats import t

    total = sum(part.value for part in parts)
    if total <= 0.0:
        p = 0.0 if mean else 1.0
        return Difference(mean, mean, mean, p, _verdict(mean, p, higher_is_better), higher_is_better)
    freedom = total**2 / sum(part.value**2 / part.freedom for part in parts)
    half = float(t.ppf((1 + LEVEL) / 2, freedom)) * total**0.5
    p = float(2 * t.sf(abs(mean) / total**0.5, freedom))
    return Difference(mean, mean - half, mean + half, p, _verdict(mean, p, higher_is_better), higher_is_better)


def _verdict(mean: float, p: float, higher_is_better: bool) -> str:
    if p >= 1 - LEVEL:
        return OPEN
    return BETTER if (mean > 0) == higher_is_better else WORSE
