"""Every measure against a reference; `docs/measures.md` says which, and this test holds the page to it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from audioplane.metrics import face, image, mouth, perceptual, registry, sync
from audioplane.subject import blendshapes
from tests.reference import implementations as reference

SIZES = ((192, 176), (193, 176), (192, 177), (193, 177), (175, 181))
PAGE = Path(__file__).parents[2] / "docs" / "measures.md"


def pictures(size: tuple[int, int], seed: int = 0) -> tuple[NDArray, NDArray]:
    """A smooth picture in colour, and the same with blur, noise and another brightness."""
    generator = np.random.default_rng(seed)
    true = cv2.GaussianBlur(generator.random((*size, 3)), (0, 0), 3)
    true = (true - true.min()) / np.ptp(true)
    degraded = 0.9 * cv2.GaussianBlur(true, (0, 0), 1.5) + 0.05 + 0.03 * generator.standard_normal(true.shape)
    return np.clip(degraded, 0, 1), true


def over_pictures(ours: Callable[..., float], theirs: Callable[..., float]) -> float:
    return max(abs(ours(*pictures(size)) - theirs(*pictures(size))) for size in SIZES)


def grey(measure: Callable[..., float], luminance: bool) -> Callable[..., float]:
    """A measure of one channel: on luminance, or the mean over channels."""

    def on(a: NDArray, b: NDArray) -> float:
        if luminance:
            return measure(reference.luminance(a), reference.luminance(b))
        return float(np.mean([measure(a[..., k], b[..., k]) for k in range(3)]))

    return on


def skimage_ssim(a: NDArray, b: NDArray) -> float:
    how = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return structural_similarity(a, b, channel_axis=2, data_range=1.0, **how)


def of_fid() -> float:
    """Many features of few dimensions, few features of many, of other numbers, shifted and scaled."""
    generator, worst = np.random.default_rng(0), 0.0
    for shape, theirs in (((200, 24), reference.frechet), ((60, 96), reference.frechet_of_few)):
        mixed = generator.standard_normal((shape[1], shape[1])) / shape[1] ** 0.5
        a = generator.standard_normal(shape) @ mixed
        b = 1.2 * generator.standard_normal((shape[0] + 7, shape[1])) @ mixed + 0.3
        worst = max(worst, abs(perceptual.frechet_distance(a, b) - theirs(a, b)))
    return worst


def of_sync() -> float:
    generator = np.random.default_rng(0)
    sights, sounds = generator.standard_normal((2, 60, 32)).astype(np.float32)
    found = sync.score(sync.shift_distances(sights, sounds))
    curve = reference.sync_curve(sights, sounds)
    mine = [*found.curve, found.distance, found.confidence, found.at_zero]
    theirs = [*curve, curve.min(), np.median(curve) - curve.min(), curve[15]]
    assert found.offset == 15 - curve.argmin()
    return float(np.abs(np.subtract(mine, theirs)).max())


def of_opening() -> float:
    generator = np.random.default_rng(0)
    a, b = generator.standard_normal((2, 100))
    lips = generator.standard_normal((100, 68, 2))
    by_hand = np.mean([np.hypot(*(lips[:, up] - lips[:, down]).T) for up, down in ((61, 67), (62, 66), (63, 65))], 0)
    return max(
        abs(mouth.correlation(a, b) - stats.pearsonr(a, b).statistic),
        float(np.abs(mouth.opening(lips) - by_hand).max()),
    )


def of_landmarks() -> float:
    """Known answers: lips stretched by a tenth of the eyes' distance, and a face that is only moved."""
    true = np.random.default_rng(0).random((5, 68, 2)) * 100
    true[:, 36], true[:, 45] = (20, 40), (80, 40)
    moved, stretched = true + np.array([5.0, -3.0]), true.copy()
    stretched[:, 48:68:2, 0] += 6.0
    stretched[:, 49:68:2, 0] -= 6.0
    return max(abs(face.lmd(moved, true)), abs(face.lmd(moved, true, "face")), abs(face.lmd(stretched, true) - 10.0))


def of_expressions() -> float:
    lower = np.isin(blendshapes.NAMES, blendshapes.MOUTH)
    true = np.zeros((4, 52))
    wrong = np.where(lower, 0.5, 0.1) * np.ones((4, 1))
    return max(
        abs(face.aue(wrong, true) - 0.25 * lower.sum()),
        abs(face.aue(wrong, true, "upper") - 0.01 * (~lower).sum()),
    )


DIFFERENCES: dict[str, Callable[[], float]] = {
    "psnr": lambda: over_pictures(image.psnr, lambda a, b: peak_signal_noise_ratio(b, a, data_range=1.0)),
    "ssim": lambda: over_pictures(image.ssim, skimage_ssim),
    "ms_ssim": lambda: over_pictures(image.ms_ssim, grey(reference.ms_ssim, luminance=False)),
    "gmsd": lambda: over_pictures(image.gmsd, grey(reference.gmsd, luminance=True)),
    "haarpsi": lambda: over_pictures(image.haarpsi, reference.haarpsi),
    "fid": of_fid,
    "lse_d": of_sync,
    "opening_correlation": of_opening,
    "lmd_mouth": of_landmarks,
    "aue_lower": of_expressions,
}


def rows() -> dict[str, list[str]]:
    """The page's tables: name of a measure -> the cells of its row."""
    found = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        for name in re.findall(r"`(\w+)`", cells[0]):
            if name in registry.METRICS and line.startswith("|"):
                found[name] = cells
    return found


@pytest.mark.parametrize("name", DIFFERENCES)
def test_no_measure_is_further_from_its_reference_than_the_page_says(name):
    stated = re.search(r"[\d.]+e-\d+", rows()[name][3])
    assert stated, f"the page gives no largest difference of {name}"
    difference = DIFFERENCES[name]()
    assert difference <= float(stated[0]), f"{difference:.2g}"


def test_the_page_has_every_measure_with_its_unit_and_direction():
    known = rows()
    assert set(known) == set(registry.METRICS)
    for name, cells in known.items():
        metric = registry.find(name)
        assert metric.arrow in cells[1], name
        assert not (metric.sign == 0 and {"↑", "↓"} & set(cells[1])), name
        assert metric.unit in cells[1], name


def test_fid_of_a_clip_with_itself_is_nothing_and_of_alike_frames_is_exact():
    """Frames of one clip: 200 features of 2,048 that hardly differ. An iterated root stops far too early there."""
    generator = np.random.default_rng(0)
    slow = generator.standard_normal((200, 8)) @ generator.standard_normal((8, 2048))
    clip = (0.3 + 0.02 * slow + 0.005 * generator.standard_normal((200, 2048))).astype(np.float32)
    assert f"{perceptual.frechet_distance(clip, clip):.2f}" == "0.00"
    assert perceptual.frechet_distance(clip, clip[::-1]) < 1e-9
    shifted = clip + np.float32(0.01)
    assert perceptual.frechet_distance(shifted, clip) == pytest.approx(2048 * 0.01**2, rel=1e-4)
    scaled = clip.mean(0) + 1.1 * (clip - clip.mean(0))
    assert perceptual.frechet_distance(scaled, clip) == pytest.approx(0.1**2 * clip.var(0, ddof=1).sum(), rel=1e-4)


@pytest.mark.parametrize("name", ["gmsd", "haarpsi"])
@pytest.mark.parametrize("size", SIZES)
def test_piq_agrees_at_every_size(name, size):
    import torch

    piq, (a, b) = perceptual.import_piq(), pictures(size)
    batches = (torch.from_numpy(x.transpose(2, 0, 1).copy())[None] for x in (a, b))
    expected = float(getattr(piq, name)(*batches, data_range=1.0))
    # piq adds zeros on both sides where one side is odd, and leaves those in the way of an even one out
    assert getattr(image, name)(a, b) == pytest.approx(expected, abs=2e-5)
