"""How near a picture is to the truth, over the whole of it or over a region.

Pictures are (H, W, 3) float in [0, 1] (uint8 is taken as such), regions (H, W) bool; lists and tensors are taken too.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.floating] | NDArray[np.uint8]


def as_float(picture: Picture) -> NDArray[np.float64]:
    """uint8 0..255 or float [0, 1] -> float64 [0, 1].

    Raises:
        ValueError: another dtype, a value outside [0, 1], or NaN.
    """
    given: NDArray = np.asarray(picture)
    if given.dtype == np.uint8:
        return given.astype(np.float64) / 255.0
    if not np.issubdtype(given.dtype, np.floating):
        raise ValueError(f"picture: expected uint8 or float in [0, 1], received {given.dtype}")
    if given.size and not (given.min() >= -1e-6 and given.max() <= 1 + 1e-6):
        raise ValueError("picture: expected values in [0, 1], received some outside, or NaN")
    return given.astype(np.float64)


def _pair(picture: Picture, truth: Picture, region: NDArray[np.bool_] | None) -> tuple[NDArray, NDArray]:
    a, b = as_float(picture), as_float(truth)
    if a.shape != b.shape or a.ndim != 3 or not a.size:
        raise ValueError(f"picture, truth: expected one shape (H, W, C) with a pixel, received {a.shape} and {b.shape}")
    region = None if region is None else np.asarray(region)
    if region is not None and (region.shape != a.shape[:2] or not region.any()):
        raise ValueError(f"region: expected a mask {a.shape[:2]} with a pixel set, received {region.shape}")
    return a, b


def psnr(picture: Picture, truth: Picture, region: NDArray[np.bool_] | None = None) -> float:
    """Peak signal-to-noise ratio in dB, over the region's pixels only; infinite for equal pictures.

    Raises:
        ValueError: shapes differ, or the region is empty.
    """
    a, b = _pair(picture, truth, region)
    error = (a - b) ** 2 if region is None else ((a - b) ** 2)[region]
    return decibel(float(error.mean()))


def squared_error(picture: Picture, truth: Picture) -> NDArray[np.float64]:
    """The squared error of each pixel, the mean of the channels: (H, W).

    Raises:
        ValueError: shapes differ.
    """
    a, b = _pair(picture, truth, None)
    difference = a - b
    return np.einsum("ijc,ijc->ij", difference, difference) / a.shape[2]


def decibel(error: float) -> float:
    """PSNR of a mean squared error."""
    return math.inf if error == 0.0 else -10.0 * math.log10(error)


def ssim(picture: Picture, truth: Picture, region: NDArray[np.bool_] | None = None) -> float:
    """Structural similarity (Wang et al. 2004: 11 x 11 Gaussian window of sigma 1.5), averaged over the region.

    Without a region the mean is over whole windows, as scikit-image has it; with one it is over the region's pixels,
    so that what lies within five pixels of it counts a little too.

    Raises:
        ValueError: shapes differ, the region is empty, or without one the picture is smaller than a window.
    """
    a, b = _pair(picture, truth, region)
    if region is None and min(a.shape[:2]) < 11:
        raise ValueError(f"picture: expected 11 pixels a side or more, the size of a window, received {a.shape}")
    each = ssim_map(a, b)
    return float(each[5:-5, 5:-5].mean() if region is None else each[region].mean())


def ssim_map(picture: Picture, truth: Picture) -> NDArray[np.float64]:
    """SSIM around each pixel, the mean of the channels: (H, W). Borders are mirrored."""
    a, b = _pair(picture, truth, None)
    light, rest = _similarities(a, b)
    return _channels(light * rest).mean(axis=2)


def _similarities(a: NDArray, b: NDArray) -> tuple[NDArray, NDArray]:
    """SSIM's two factors around each pixel, (H, W, C): likeness of the means, likeness of contrast and structure."""

    def blur(x: NDArray) -> NDArray:
        return _channels(cv2.GaussianBlur(x, (11, 11), 1.5, borderType=cv2.BORDER_REFLECT))

    a, b = _channels(a), _channels(b)
    ma, mb = blur(a), blur(b)
    # The blur is linear: the sum of both variances takes one, their product another.
    spread, shared = blur(a * a + b * b) - ma * ma - mb * mb, blur(a * b) - ma * mb
    c1, c2 = 0.01**2, 0.03**2
    return (2 * ma * mb + c1) / (ma * ma + mb * mb + c1), (2 * shared + c2) / (spread + c2)


def _channels(x: NDArray) -> NDArray:
    """(H, W, C), also where OpenCV has dropped an only channel."""
    return x[..., None] if x.ndim == 2 else x


def ms_ssim(picture: Picture, truth: Picture) -> float:
    """Multi-scale SSIM (Wang et al. 2003): five scales, weights of the paper, whole windows only, mean of the channels.

    Scales are halved by 2 x 2 means, with an odd last row or column once more, as the authors' imfilter(...,
    'symmetric') has it; a negative mean of contrast and structure counts as 0.

    Raises:
        ValueError: shapes differ, or a side is shorter than `MS_SSIM_SIDE`.
    """
    a, b = (x.astype(np.float32) for x in _pair(picture, truth, None))
    if min(a.shape[:2]) < MS_SSIM_SIDE:
        raise ValueError(f"picture: MS-SSIM needs sides of {MS_SSIM_SIDE} pixels or more, received {a.shape[:2]}")
    weights = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
    value = np.ones(a.shape[2])
    for level, weight in enumerate(weights):
        if level:
            a, b = _halved(a, "edge"), _halved(b, "edge")
        light, rest = (x[5:-5, 5:-5] for x in _similarities(a, b))
        last = level == len(weights) - 1
        value *= np.maximum((light * rest if last else rest).mean(axis=(0, 1)), 0.0) ** weight
    return float(value.mean())


MS_SSIM_SIDE, HAARPSI_SIDE = 161, 16


def _halved(x: NDArray, beyond: str) -> NDArray:
    """Means of 2 x 2 pixels, (H, W, C) -> (ceil(H / 2), ceil(W / 2), C).

    Args:
        x: picture.
        beyond: what an odd last row or column is paired with: "constant" (zeros) or "edge" (itself).
    """
    rows, columns = x.shape[0] % 2, x.shape[1] % 2
    if rows or columns:
        x = np.pad(x, ((0, rows), (0, columns), (0, 0)), mode=beyond)  # type: ignore[call-overload]
    return _channels(cv2.resize(x, (x.shape[1] // 2, x.shape[0] // 2), interpolation=cv2.INTER_AREA))


def _luma(x: NDArray) -> NDArray[np.float32]:
    """Y of YIQ in 0 to 255, (H, W); a single channel is taken as it is."""
    weights = np.array([[0.299, 0.587, 0.114]], np.float32)
    scaled = (x * 255.0).astype(np.float32)
    return np.asarray(cv2.transform(scaled, weights) if x.shape[2] == 3 else scaled[..., 0], np.float32)


def gmsd(picture: Picture, truth: Picture) -> float:
    """Gradient magnitude similarity deviation (Xue et al. 2014), on luminance halved by 2 x 2 means; 0 is equal.

    Prewitt gradients, T = 170 for values to 255; beyond an odd last row or column lie zeros, as in the authors' conv2.
    It sees where edges differ, hardly how much overall.

    Raises:
        ValueError: shapes differ.
    """
    a, b = (_halved(_luma(x)[..., None], "constant")[..., 0] for x in _pair(picture, truth, None))
    ga, gb = _gradient(a), _gradient(b)
    return float(((2 * ga * gb + 170.0) / (ga * ga + gb * gb + 170.0)).std())


def _gradient(x: NDArray) -> NDArray:
    """Magnitude of Prewitt's gradient; zeros lie beyond the border."""
    step, mean = np.array([1, 0, -1], np.float32), np.full(3, 1 / 3, np.float32)
    across = cv2.sepFilter2D(x, cv2.CV_32F, step, mean, borderType=cv2.BORDER_CONSTANT)
    down = cv2.sepFilter2D(x, cv2.CV_32F, mean, step, borderType=cv2.BORDER_CONSTANT)
    return np.sqrt(across * across + down * down)


def haarpsi(picture: Picture, truth: Picture) -> float:
    """Haar wavelet perceptual similarity index (Reisenhofer et al. 2018), C = 30, alpha = 4.2; 1 is equal.

    Luminance and, of three channels, chroma; halved by 2 x 2 means, with zeros beyond an odd last row or column as in
    the authors' code; three scales of Haar wavelets, of which the coarsest weighs and the finer two are compared.

    Raises:
        ValueError: shapes differ, or a side is shorter than 16.
    """
    a, b = _pair(picture, truth, None)
    if min(a.shape[:2]) < HAARPSI_SIDE:
        raise ValueError(f"picture: HaarPSI needs sides of {HAARPSI_SIDE} pixels or more, received {a.shape[:2]}")
    (ya, *ca), (yb, *cb) = (_yiq_halved(x) for x in (a, b))
    total, weight_sum, weights = 0.0, 0.0, []

    def alike(x: NDArray, y: NDArray) -> NDArray:
        return (2 * x * y + 30.0) / (x * x + y * y + 30.0)

    def add(likeness: NDArray, weight: NDArray) -> None:
        nonlocal total, weight_sum
        total += float((weight / (1 + np.exp(-4.2 * likeness))).sum(dtype=np.float64))
        weight_sum += float(weight.sum(dtype=np.float64))

    for across in (False, True):
        fine_a, mid_a, coarse_a = (_haar(ya, k, across) for k in (2, 4, 8))
        fine_b, mid_b, coarse_b = (_haar(yb, k, across) for k in (2, 4, 8))
        weights.append(np.maximum(coarse_a, coarse_b))
        add((alike(fine_a, fine_b) + alike(mid_a, mid_b)) / 2, weights[-1])
    if ca:
        means = [
            [
                np.abs(
                    cv2.boxFilter(_cornered(x), -1, (2, 2), anchor=(0, 0), borderType=cv2.BORDER_CONSTANT)[
                        : len(ya), : ya.shape[1]
                    ]
                )
                for x in both
            ]
            for both in (ca, cb)
        ]
        add((alike(means[0][0], means[1][0]) + alike(means[0][1], means[1][1])) / 2, (weights[0] + weights[1]) / 2)
    share = total / weight_sum if weight_sum > 0 else 1 / (1 + math.exp(-4.2))
    return min((math.log(share / (1 - share)) / 4.2) ** 2, 1.0)  # not above it by rounding


def _yiq_halved(x: NDArray) -> list[NDArray]:
    """Y, I, Q, or the only channel, in 0 to 255 and halved, each (H / 2, W / 2) float32."""
    matrix = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]], np.float32)
    scaled = (x * 255.0).astype(np.float32)
    planes = _halved(cv2.transform(scaled, matrix) if x.shape[2] == 3 else scaled, "constant")
    return [np.ascontiguousarray(planes[..., k]) for k in range(planes.shape[2])]


def _cornered(x: NDArray) -> NDArray:
    """One row and column of zeros more, below and right."""
    return np.pad(x, ((0, 1), (0, 1)))


def _haar(x: NDArray, size: int, across: bool) -> NDArray:
    """Magnitude of a Haar wavelet's coefficients of `size` pixels; zeros lie beyond the border."""
    step = np.full(size, 1 / size, np.float32)
    step[size // 2 :] *= -1
    ones = np.ones(size, np.float32)
    kernels = (step, ones) if across else (ones, step)
    anchor = (size // 2 - 1, size // 2 - 1)
    return np.abs(cv2.sepFilter2D(x, cv2.CV_32F, *kernels, anchor=anchor, borderType=cv2.BORDER_CONSTANT))
