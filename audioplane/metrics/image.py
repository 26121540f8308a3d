"""How near a picture is to the truth, over the whole of it or over a region.

Pictures are (H, W, 3) float in [0, 1] (uint8 is taken as such), regions (H, W) bool.
"""

from __future__ import annotations

import math

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

    scikit-image's implementation; with a region, its per-pixel map is averaged there, so that what lies within five
    pixels of the region counts a little too.

    Raises:
        ValueError: shapes differ, or the region is empty.
    """
    from skimage.metrics import structural_similarity

    a, b = _pair(picture, truth, region)
    mean, each = structural_similarity(  # pyright: ignore[reportAssignmentType]
        a, b, channel_axis=2, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    return float(mean if region is None else each[region].mean())
