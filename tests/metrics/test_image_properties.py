"""What picture measures must keep to whatever the pictures."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioplane.metrics.image import (
    as_float,
    decibel,
    gmsd,
    haarpsi,
    ms_ssim,
    psnr,
    squared_error,
    ssim,
    ssim_map,
)
from tests.strategies import arrays, few, fewer, generators, in_any_layout, seeds

sides = st.integers(11, 24)
pictures = arrays(sides, sides, st.sampled_from([1, 3, 4]))
MEASURES = {"psnr": psnr, "ssim": ssim, "gmsd": gmsd, "haarpsi": haarpsi}


def worse(generator: np.random.Generator, picture: np.ndarray, strength: float = 0.1) -> np.ndarray:
    return np.clip(picture + strength * generator.standard_normal(picture.shape), 0, 1)


def smooth(seed: int, side: int, channels: int = 3) -> np.ndarray:
    """A picture with edges of some pixels, as pictures have them."""
    coarse = np.random.default_rng(seed).random((side // 6 + 1, side // 6 + 1, channels))
    return np.kron(coarse, np.ones((6, 6, 1)))[:side, :side]


@few
@given(pictures, generators)
def test_psnr_and_ssim_know_neither_direction_nor_order(truth, generator):
    picture = worse(generator, truth)
    channels = generator.permutation(truth.shape[2])
    for measure in (psnr, ssim):
        expected = in_any_layout(measure, picture, truth)
        assert measure(truth, picture) == pytest.approx(expected)
        for change in (np.flipud, np.fliplr, lambda x: x.swapaxes(0, 1), lambda x: x[..., channels]):
            assert measure(change(picture), change(truth)) == pytest.approx(expected, rel=1e-9)
        half = [x.astype(np.float32) for x in (picture, truth)]
        assert measure(*half) == pytest.approx(expected, rel=1e-4)


@few
@given(pictures, generators)
def test_a_regions_error_and_the_rests_make_the_whole(truth, generator):
    picture, region = worse(generator, truth), generator.random(truth.shape[:2]) < 0.4
    region[0, 0], region[-1, -1] = True, False
    inside, outside, whole = (10 ** (-psnr(picture, truth, r) / 10) for r in (region, ~region, None))
    share = region.mean()
    assert share * inside + (1 - share) * outside == pytest.approx(whole)
    values = ssim_map(picture, truth)
    assert ssim(picture, truth, region) == pytest.approx(values[region].mean())
    assert psnr(picture, truth, np.ones_like(region)) == pytest.approx(psnr(picture, truth))


@few
@given(pictures, generators)
def test_squared_error_is_the_mean_of_the_channels(truth, generator):
    picture = worse(generator, truth)
    each = in_any_layout(squared_error, picture, truth)
    assert each.shape == truth.shape[:2]
    for y, x in ((0, 0), (-1, 3), (5, -1)):
        assert each[y, x] == pytest.approx(np.mean([(a - b) ** 2 for a, b in zip(picture[y, x], truth[y, x])]))  # noqa: B905
    assert decibel(float(each.mean())) == pytest.approx(psnr(picture, truth))


@few
@given(st.floats(1e-9, 1), st.floats(1.01, 100))
def test_decibels_fall_with_the_error(error, factor):
    assert decibel(error) - decibel(error * factor) == pytest.approx(10 * math.log10(factor))
    assert decibel(0.0) == math.inf


@few
@given(generators, sides, st.sampled_from(sorted(MEASURES)))
def test_bytes_and_floats_are_one_picture(generator, side, name):
    side = max(side, 16)
    a, b = generator.integers(0, 256, (2, side, side, 3), np.uint8)
    assert MEASURES[name](a, b) == pytest.approx(MEASURES[name](a / 255.0, b / 255.0))
    np.testing.assert_array_equal(as_float(a), a / 255.0)
    np.testing.assert_array_equal(np.round(as_float(a) * 255), a)


@few
@given(seeds, st.integers(16, 40), st.sampled_from(sorted(MEASURES)))
def test_of_equal_pictures_nothing_is_better(seed, side, name):
    truth, measure = smooth(seed, side), MEASURES[name]
    best = {"psnr": math.inf, "ssim": 1.0, "gmsd": 0.0, "haarpsi": 1.0}[name]
    assert measure(truth, truth) == pytest.approx(best, abs=1e-6)
    found = [measure(worse(np.random.default_rng(1), truth, strength), truth) for strength in (0.02, 0.1, 0.4)]
    towards = 1 if name == "gmsd" else -1  # gmsd is an error
    assert towards * found[0] < towards * found[1] < towards * found[2]
    assert all(towards * value > towards * best for value in found)
    assert all(measure(truth, worse(np.random.default_rng(1), truth, 0.1)) == pytest.approx(found[1]) for _ in "a")


@few
@given(pictures, generators)
def test_similarities_stay_in_their_bounds(truth, generator):
    picture = generator.random(truth.shape)
    values = in_any_layout(ssim_map, picture, truth)
    assert values.shape == truth.shape[:2]
    assert np.abs(values).max() <= 1 + 1e-9
    np.testing.assert_allclose(ssim_map(truth, truth), 1.0)
    if truth.shape[2] != 4:
        assert 0 <= in_any_layout(gmsd, picture, truth) <= 0.5
    if min(truth.shape[:2]) >= 16 and truth.shape[2] != 4:
        assert 0 <= in_any_layout(haarpsi, picture, truth) <= 1


@few
@given(st.floats(0, 1), st.floats(0, 1))
def test_ssim_of_flat_pictures_is_its_first_factor(a, b):
    flat = [np.full((12, 13, 3), x) for x in (a, b)]
    assert ssim(*flat) == pytest.approx((2 * a * b + 1e-4) / (a * a + b * b + 1e-4), abs=1e-6)


@few
@given(seeds, st.integers(0, 3), st.integers(0, 3))
def test_ssim_is_local(seed, down, right):
    """What changes in one corner is seen within the window's reach and nowhere else."""
    truth = smooth(seed, 32)
    picture = truth.copy()
    picture[down, right] = 1 - picture[down, right]
    changed = np.abs(ssim_map(picture, truth) - 1) > 1e-9
    rows, columns = np.nonzero(changed)
    assert changed[down, right]
    assert rows.max() <= down + 5
    assert columns.max() <= right + 5


@fewer
@given(seeds, st.sampled_from([161, 162, 175]))
def test_ms_ssim_is_symmetric_bounded_and_one_for_equals(seed, side):
    truth = smooth(seed, side)
    assert ms_ssim(truth, truth) == pytest.approx(1.0, abs=1e-6)
    found = [ms_ssim(worse(np.random.default_rng(0), truth, x), truth) for x in (0.02, 0.1, 0.4)]
    assert 1 > found[0] > found[1] > found[2] >= 0
    picture = worse(np.random.default_rng(2), truth)
    assert ms_ssim(truth, picture) == pytest.approx(ms_ssim(picture, truth), rel=1e-6)
    assert ms_ssim(np.flipud(picture), np.flipud(truth)) == pytest.approx(ms_ssim(picture, truth), rel=1e-2)
    assert 0 <= ms_ssim(1 - truth, truth) < 0.5


@pytest.mark.parametrize(
    ("measure", "side", "word"),
    [(ssim, 10, "11 pixels"), (ms_ssim, 160, "161 pixels"), (haarpsi, 15, "16 pixels")],
)
def test_pictures_smaller_than_the_window_are_refused(measure, side, word):
    for shape in ((side, 200, 3), (200, side, 3)):
        with pytest.raises(ValueError, match=word):
            measure(np.zeros(shape), np.zeros(shape))
    assert math.isfinite(measure(*np.random.default_rng(0).random((2, side + 1, side + 1, 3))))
