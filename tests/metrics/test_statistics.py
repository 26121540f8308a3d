"""Intervals that hold the truth as often as they say, and verdicts that know which way is better."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.signal import lfilter

from audioplane.metrics.statistics import Difference, holm, over_frames, over_seeds, spread, t_interval

DRAWS = 300


def smooth(generator: np.random.Generator, shape: tuple[int, ...], alike: float) -> np.ndarray:
    """Unit noise whose neighbours along the last axis correlate by `alike`."""
    noise = generator.standard_normal((*shape[:-1], shape[-1] + 50)) * np.sqrt(1 - alike**2)
    return lfilter([1.0], [1.0, -alike], noise, axis=-1)[..., 50:]


def coverage(seeds: int, frames: int, shared: float, of_seeds: float, alike: float = 0.55) -> float:
    """How often the interval holds the true difference, which is 0.

    Args:
        shared: of a frame's variance, what all seeds have in common. of_seeds: standard deviation of a seed's level.
        alike: correlation of neighbouring frames; .55 in the median of the committed records.
    """
    generator, held = np.random.default_rng(0), 0
    for _ in range(DRAWS):
        common = np.sqrt(shared) * smooth(generator, (frames,), alike)
        own = np.sqrt(1 - shared) * smooth(generator, (seeds, frames), alike)
        ours = common + own + of_seeds * generator.standard_normal((seeds, 1))
        found = over_seeds(list(ours), list(np.zeros_like(ours)))
        held += found.low <= 0 <= found.high
    return held / DRAWS


@pytest.mark.parametrize("seeds", [1, 3, 5, 10])
@pytest.mark.parametrize("shared", [1.0, 0.4, 0.0])
def test_intervals_hold_the_truth_though_seeds_share_their_frames(seeds, shared):
    assert coverage(seeds, 200, shared, of_seeds=0.0) > 0.9


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("of_seeds", [0.15, 0.5])
def test_intervals_hold_the_truth_where_seeds_differ(seeds, of_seeds):
    assert coverage(seeds, 200, 0.4, of_seeds) > 0.9


@pytest.mark.parametrize(("frames", "alike", "least"), [(75, 0.55, 0.9), (200, 0.8, 0.89), (75, 0.8, 0.86)])
def test_intervals_of_short_clips_whose_frames_are_alike(frames, alike, least):
    assert coverage(3, frames, 1.0, 0.0, alike) > least


def test_intervals_are_not_wider_than_they_need_be():
    generator = np.random.default_rng(1)
    widths, means = [], []
    for _ in range(DRAWS):
        found = over_frames(smooth(generator, (200,), 0.55), np.zeros(200))
        widths.append(found.high - found.low)
        means.append(found.mean)
    assert np.mean(widths) < 1.35 * 2 * 1.96 * np.std(means)


def test_a_difference_is_told_from_noise_and_named_by_its_direction():
    generator = np.random.default_rng(2)
    base = generator.standard_normal(500).cumsum() * 0.05
    better = base + 0.3 + 0.1 * generator.standard_normal(500)
    same = base + 0.1 * generator.standard_normal(500)
    assert over_frames(better, base).verdict == "better"
    assert over_frames(better, base, higher_is_better=False).verdict == "worse"
    assert over_frames(same - same.mean() + base.mean(), base).verdict == "not distinguishable"
    found = over_frames(better, base)
    assert found.low < found.mean < found.high
    assert found.mean == pytest.approx(0.3, abs=0.02)


def test_seeds_that_disagree_make_a_difference_uncertain():
    generator = np.random.default_rng(0)
    base = [generator.standard_normal(200) * 0.1 for _ in range(6)]

    def against(offsets: list[float], **settings: bool) -> str:
        ours = [b + o for b, o in zip(base, offsets, strict=True)]
        return over_seeds(ours, base, **settings).verdict

    assert against([0.3, 0.31, 0.28, 0.3, 0.29, 0.33]) == "better"
    assert against([0.3, 0.31, 0.28, 0.3, 0.29, 0.33], higher_is_better=False) == "worse"
    assert against([0.9, -0.8, 0.5, -0.4, 0.3, 0.1]) == "not distinguishable"
    one = over_seeds([base[0] + 0.2], [base[0]])
    assert one.mean == pytest.approx(0.2)
    assert one.low == pytest.approx(one.high)
    with pytest.raises(ValueError, match="as many seeds"):
        over_seeds(base, base[:2])


def test_frames_without_a_value_are_left_out_of_all_seeds():
    generator = np.random.default_rng(0)
    ours = [generator.standard_normal(100) for _ in range(3)]
    theirs = [one - 0.5 + 0.1 * generator.standard_normal(100) for one in ours]
    kept = np.arange(100) != 7
    whole = over_seeds([one[kept] for one in ours], [one[kept] for one in theirs])
    ours[1][7] = np.nan
    assert over_seeds(ours, theirs) == whole
    with pytest.raises(ValueError, match="16 or more frames, got 15"):
        over_frames(np.r_[np.zeros(15), np.full(9, np.nan)], np.zeros(24))
    with pytest.raises(ValueError, match="infinity"):
        over_frames(np.r_[np.zeros(30), np.inf], np.zeros(31))


def test_clips_of_other_lengths_are_compared_by_their_means():
    generator = np.random.default_rng(0)
    ours, theirs = ([level + generator.standard_normal(n) for _ in range(4)] for level, n in ((1.0, 300), (0.0, 200)))
    found = over_seeds(ours, theirs, same_frames=False)
    assert found.verdict == "better"
    assert found.mean == pytest.approx(np.mean(ours) - np.mean(theirs))
    with pytest.raises(ValueError, match="one length"):
        over_seeds(ours, theirs)


def test_t_interval_is_that_of_scipy():
    a, b = np.array([30.1, 30.4, 30.2, 30.6]), np.array([30.0, 30.1, 30.2, 30.3])
    found, reference = t_interval(a, b), stats.ttest_rel(a, b)
    interval = reference.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-12)
    assert found.p == pytest.approx(reference.pvalue, rel=1e-12)
    with pytest.raises(ValueError, match="length >= 2"):
        t_interval([1.0], [2.0])


def test_holm_corrects_as_in_its_paper():
    """Holm (1979) by hand: .01 x 4, then the larger of it and .02 x 3, and so on; never above 1."""
    p = [0.02, 0.01, 0.04, 0.9]
    given = [Difference(1.0, 0.0, 2.0, one, "better") for one in p]
    assert [one.p for one in holm(given)] == pytest.approx([0.06, 0.04, 0.08, 0.9])
    assert [one.verdict for one in holm(given)] == ["not distinguishable", "better", *["not distinguishable"] * 2]
    assert holm([]) == []


def test_spread_of_seeds():
    found = spread([1.0, 2.0, 3.0])
    assert (found.mean, found.deviation, found.count) == (2.0, 1.0, 3)
    assert np.isnan(spread([5.0]).deviation)
    with pytest.raises(ValueError, match="finite"):
        spread([1.0, np.nan])
