"""Picture measures against piq, closed forms and adversarial pictures; the wiring of LPIPS, FID and BRISQUE."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from audioplane.metrics import image, perceptual
from audioplane.metrics.vision_backbones import lpips_network
from audioplane.runtime import weights

MEASURES = {"psnr": math.inf, "ssim": 1.0, "ms_ssim": 1.0, "haarpsi": 1.0, "gmsd": 0.0}


def smooth(channels: int = 3, side: int = 192, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).random((side, side + 16, channels))
    blurred = cv2.GaussianBlur(noise, (0, 0), 4).reshape(noise.shape)
    return (blurred - blurred.min()) / np.ptp(blurred)


def noisy(picture: np.ndarray, strength: float = 0.08) -> np.ndarray:
    return np.clip(picture + strength * np.random.default_rng(1).standard_normal(picture.shape), 0, 1)


def batch(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None]


@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize("change", [noisy, lambda p: np.roll(p, 2, axis=1), lambda p: 1 - p, lambda p: p * 0.6 + 0.2])
@pytest.mark.parametrize(
    ("name", "theirs"), [("ms_ssim", "multi_scale_ssim"), ("haarpsi", "haarpsi"), ("gmsd", "gmsd")]
)
def test_agrees_with_piq(channels, change, name, theirs):
    picture = smooth(channels)
    other = change(picture)
    expected = float(getattr(perceptual.import_piq(), theirs)(batch(other), batch(picture), data_range=1.0))
    assert getattr(image, name)(other, picture) == pytest.approx(expected, abs=2e-5)


def test_ms_ssim_agrees_with_its_definition():
    """From scratch: each scale by scipy's convolution over whole windows, as Wang et al. write it."""
    from scipy.signal import convolve2d

    at = np.arange(11) - 5
    kernel = np.exp(-(at[:, None] ** 2 + at**2) / (2 * 1.5**2))
    kernel /= kernel.sum()
    a, b = smooth(1)[..., 0], noisy(smooth(1))[..., 0]
    value = 1.0
    for level, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        if level:
            a, b = (x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2).mean((1, 3)) for x in (a, b))
        ma, mb, aa, bb, ab = (convolve2d(x, kernel, "valid") for x in (a, b, a * a, b * b, a * b))
        term = (2 * (ab - ma * mb) + 0.0009) / (aa - ma**2 + bb - mb**2 + 0.0009)
        if level == 4:
            term = term * (2 * ma * mb + 0.0001) / (ma**2 + mb**2 + 0.0001)
        value *= term.mean() ** weight
    assert image.ms_ssim(noisy(smooth(1)), smooth(1)) == pytest.approx(value, abs=1e-5)


@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize(("name", "ideal"), MEASURES.items())
def test_adversarial_pictures(name, ideal, channels):
    measure, picture = getattr(image, name), smooth(channels)
    sign = -1 if name == "gmsd" else 1
    assert measure(picture, picture) == pytest.approx(ideal, abs=1e-5)
    constant = np.full_like(picture, 0.3)
    assert measure(constant, constant) == pytest.approx(ideal, abs=1e-5)
    shifted = sign * measure(np.roll(picture, 1, axis=0), picture)
    further = sign * measure(np.roll(picture, 4, axis=0), picture)
    assert further < shifted < sign * ideal
    for other in (noisy(picture, 0.3), constant, 1 - picture):
        value = measure(other, picture)
        assert math.isfinite(value)
        if name != "gmsd" or other is not constant:
            assert measure(picture, other) == pytest.approx(value, abs=1e-5), "no side is preferred"
    # GMSD and HaarPSI compare magnitudes of edges, which an inverted picture keeps: never read them by themselves.
    inverted = measure(1 - picture, picture)
    assert abs(inverted - ideal) < 0.25 if name in ("gmsd", "haarpsi") else inverted < shifted
    in_bytes = np.round(255 * picture).astype(np.uint8)
    assert measure(in_bytes, in_bytes) == pytest.approx(ideal, abs=1e-5)


@pytest.mark.parametrize("name", ["ms_ssim", "haarpsi", "gmsd"])
def test_bad_shapes_are_refused(name):
    with pytest.raises(ValueError, match="expected one shape"):
        getattr(image, name)(smooth(), smooth()[:-1])


def test_small_pictures_are_refused():
    with pytest.raises(ValueError, match="161 pixels"):
        image.ms_ssim(smooth(side=160), smooth(side=160))
    with pytest.raises(ValueError, match="16 pixels"):
        image.haarpsi(smooth()[:15], smooth()[:15])


@pytest.mark.parametrize("backbone", ["alex", "squeeze"])
def test_lpips_wiring(backbone):
    torch.manual_seed(0)
    lpips = perceptual.Lpips(backbone, lpips_network(backbone, random_backbone=True))
    picture = smooth(side=64)
    assert lpips(picture, picture) == 0.0
    assert lpips(noisy(picture, 0.3), picture) > lpips(noisy(picture, 0.05), picture) > 0
    assert lpips(smooth(1, 64), smooth(1, 64)) == 0.0
    with pytest.raises(ValueError, match="32 x 32"):
        lpips(picture[:20], picture[:20])


def test_missing_weights_say_how_to_get_them(empty_home):
    picture = smooth(side=64)
    with pytest.raises(weights.MissingWeightsError, match="lpips-vgg"):
        perceptual.Lpips("vgg")
    with pytest.raises(weights.MissingWeightsError, match="brisque"):
        perceptual.brisque(picture)
    with pytest.raises(weights.MissingWeightsError, match="fid-inception"):
        perceptual.fid([picture] * 60, [picture] * 60)
    assert all(text.startswith("weights missing: audioplane fetch") for text in perceptual.available().values())


def test_brisque_runs_on_the_file_that_is_found(empty_home, monkeypatch):
    place = weights.REGISTRY["brisque"].candidates()[0]
    place.parent.mkdir(parents=True)
    torch.manual_seed(0)
    torch.save((torch.randn(50, 1), torch.randn(50, 36)), place)
    values = [perceptual.brisque(smooth(side=64)) for _ in range(2)]
    assert values[0] == values[1]
    assert math.isfinite(values[0])


def test_fid_of_alike_frames_is_that_of_their_features(monkeypatch):
    """A stand-in for the network: 200 features of 2,048, of frames of one clip."""
    perceptual.import_piq()
    from piq.feature_extractors import fid_inception

    generator = np.random.default_rng(0)
    slow = generator.standard_normal((200, 8)) @ generator.standard_normal((8, 2048))
    features = 0.3 + 0.02 * slow + 0.005 * generator.standard_normal((200, 2048))
    clip = torch.from_numpy(features.astype(np.float32))
    monkeypatch.setattr(weights, "require", lambda _: Path("none"))
    monkeypatch.setattr(fid_inception, "InceptionV3", torch.nn.Identity)
    monkeypatch.setattr(perceptual, "_inception", lambda _, pictures: clip + 0.01 * float(pictures[0].mean()))
    dark, light = ([np.full((4, 4, 3), level)] * 60 for level in (0.0, 1.0))
    assert f"{perceptual.fid(dark, dark):.2f}" == "0.00"
    assert perceptual.fid(light, dark) == pytest.approx(2048 * 0.01**2, rel=1e-4)
