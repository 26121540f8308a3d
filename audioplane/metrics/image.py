"""How near a picture is to the truth, over the whole of it or over a region.

Pictures are (H, W, 3) float in [0, 1] (uint8 is taken as such), regions (H, W) bool.
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
    if picture.dtype == np.uint8:
        return picture.astype(np.float64) / 255.0
    if not np.issubdtype(picture.dtype, np.floating):
        raise ValueError(f"picture: expected uint8 or float in [0, 1], received {picture.dtype}")
    if picture.size and not (picture.min() >= -1e-6 and picture.max() <= 1 + 1e-6):
        raise ValueError("picture: expected values in [0, 1], received some outside, or NaN")
    return picture.astype(np.float64)


def _pair(picture: Picture, truth: Picture, region: NDArray[np.bool_] | None) -> tuple[NDArray, NDArray]:
    if picture.shape != truth.shape or picture.ndim != 3:
        raise ValueError(f"picture, truth: expected one shape (H, W, C), received {picture.shape} and {truth.shape}")
    if region is not None and (region.shape != picture.shape[:2] or not region.any()):
        raise ValueError(f"region: expected a mask {picture.shape[:2]} with a pixel set, received {region.shape}")
    return as_float(picture), as_float(truth)


def psnr(picture: Picture, truth: Picture, region: NDArray[np.bool_] | None = None) -> float:
    """Peak signal-to-noise ratio in dB, over the region's pixels only; infinite for equal pictures.

    Raises:
        ValueError: shapes differ, or the region is empty.
    """
    a, b = _pair(picture, truth, region)
    error = (a - b) ** 2 if region is None else ((a - b) ** 2)[region]
    mean = float(error.mean())
    return math.inf if mean == 0.0 else -10.0 * math.log10(mean)


def ssim(picture: Picture, truth: Picture, region: NDArray[np.bool_] | None = None) -> float:
    """Structural similarity (Wang et al. 2004: 11 x 11 Gaussian window of sigma 1.5), averaged over the region.

    Without a region the mean is over whole windows, as scikit-image has it; with one it is over the region's pixels,
    so that what lies within five pixels of it counts a little too.

    Raises:
        ValueError: shapes differ, or the region is empty.
    """
    each = ssim_map(*_pair(picture, truth, region))
    return float(each[5:-5, 5:-5].mean() if region is None else each[region].mean())


def ssim_map(picture: Picture, truth: Picture) -> NDArray[np.float64]:
    """SSIM around each pixel, the mean of the channels: (H, W). Borders are mirrored."""
    a, b = _pair(picture, truth, None)

    def blur(x: NDArray) -> NDArray:
        return cv2.GaussianBlur(x, (11, 11), 1.5, borderType=cv2.BORDER_REFLECT)

    ma, mb = blur(a), blur(b)
    aa, bb, ab = blur(a * a) - ma * ma, blur(b * b) - mb * mb, blur(a * b) - ma * mb
    c1, c2 = 0.01**2, 0.03**2
    return ((2 * ma * mb + c1) * (2 * ab + c2) / ((ma * ma + mb * mb + c1) * (aa + bb + c2))).mean(axis=2)
