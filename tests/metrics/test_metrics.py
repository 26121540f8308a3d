"""Measures against closed forms, independent implementations and adversarial inputs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from audioplane.metrics.image import psnr, ssim
from audioplane.metrics.mouth import best_lag, correlation, opening


@pytest.fixture
def picture() -> np.ndarray:
    smooth = np.random.default_rng(0).random((8, 9, 3))
    return np.kron(smooth, np.ones((6, 6, 1)))


def test_psnr_in_closed_form(picture):
    assert psnr(picture, picture) == math.inf
    assert psnr(np.full_like(picture, 0.6), np.full_like(picture, 0.5)) == pytest.approx(20.0)
    assert psnr(np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)) == 0.0


def test_a_region_counts_alone(picture):
    worse = picture.copy()
    worse[:10] = 1 - worse[:10]
    region = np.zeros(picture.shape[:2], bool)
    region[20:] = True
    assert psnr(worse, picture, region) == math.inf
    assert ssim(worse, picture, region) == pytest.approx(1.0)
    assert psnr(worse, picture, ~region) < psnr(worse, picture) < 20


def test_ssim_agrees_with_scikit_image(picture):
    noisy = np.clip(picture + 0.1 * np.random.default_rng(1).standard_normal(picture.shape), 0, 1)
    mean, each = structural_similarity(
        noisy,
        picture,
        channel_axis=2,
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    region = np.zeros(picture.shape[:2], bool)
    region[8:30, 10:40] = True
    assert ssim(noisy, picture) == pytest.approx(mean, abs=1e-6)
    assert ssim(noisy, picture, region) == pytest.approx(each[region].mean(), abs=1e-6)
    assert ssim(picture, picture) == pytest.approx(1.0, abs=1e-12)
    assert ssim(1 - picture, picture) < 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: (p, p[:-1], None), "expected one shape"),
        (lambda p: (p[..., 0], p[..., 0], None), "expected one shape"),
        (lambda p: (p, p, np.zeros(p.shape[:2], bool)), "region: expected a mask"),
        (lambda p: (p * 2, p, None), r"expected values in \[0, 1\]"),
        (lambda p: (p * np.nan, p, None), r"expected values in \[0, 1\]"),
        (lambda p: (p.astype(int), p, None), "expected uint8 or float"),
    ],
)
def test_bad_pictures_are_refused(picture, change, message):
    with pytest.raises(ValueError, match=message):
        psnr(*change(picture))


def test_lag_and_correlation():
    truth = np.random.default_rng(0).standard_normal(200)
    assert correlation(truth, 3 - 2 * truth) == pytest.approx(-1.0)
    assert math.isnan(correlation(truth, np.ones(200)))
    for lag in (-4, 0, 7):
        assert best_lag(np.roll(truth, lag), truth) == lag
    with pytest.raises(ValueError, match="one length"):
        correlation(truth, truth[1:])


def test_a_mouth_that_rests_has_no_lag():
    truth = np.random.default_rng(0).standard_normal(60)
    assert best_lag(np.ones(60), truth) is None
    assert best_lag(np.full(60, np.nan), truth) is None
    assert best_lag(truth[:2], truth[:2]) is None


def test_frames_that_one_side_does_not_know_are_left_out():
    truth = np.random.default_rng(0).standard_normal(200)
    late = np.roll(truth, 3)
    late[[4, 50, 51]] = np.nan
    truth[120] = np.nan
    assert best_lag(late, truth) == 3
    known = np.isfinite(late) & np.isfinite(truth)
    assert correlation(late, truth) == pytest.approx(np.corrcoef(late[known], truth[known])[0, 1], rel=1e-12)
    assert math.isnan(correlation(np.r_[1.0, 2.0, np.nan, np.nan], np.arange(4.0)))


def test_opening_is_the_distance_of_the_inner_lips():
    mouth = np.zeros((1, 68, 2))
    mouth[0, [61, 62, 63], 1], mouth[0, [67, 66, 65], 1] = -1.0, [1.0, 2.0, 3.0]
    assert opening(mouth) == pytest.approx(3.0)
    assert opening(mouth[:, 48:]) == pytest.approx(3.0)
