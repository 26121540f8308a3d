"""Head + torso + background, and head poses for a new voice."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from audioplane.runtime.compiled import compiled


@compiled(error_model="numpy")
def _composite(rgb, alpha, behind, out):
    """out = 255 rgb + (1 - alpha) behind, rounded; all flattened, three colours a pixel."""
    for i in range(alpha.shape[0]):
        rest = np.float32(1.0) - alpha[i]
        for c in range(3):
            value = np.float32(255.0) * rgb[3 * i + c] + rest * np.float32(behind[3 * i + c]) + np.float32(0.5)
            out[3 * i + c] = np.uint8(min(max(value, np.float32(0.0)), np.float32(255.0)))


def composite(rgb: np.ndarray, alpha: np.ndarray, behind: np.ndarray) -> np.ndarray:
    """The head over what is behind it.

    Args:
        rgb: (H, W, 3) float32, premultiplied by alpha. alpha: (H, W, 1) float32 in [0, 1].
        behind: (H, W, 3) uint8, torso and background. The head's own soft alpha is the only edge there is: nothing
            is cut out or blurred, so there is no seam to hide.

    Returns:
        (H, W, 3) uint8.

    Raises:
        ValueError: they are not of one size or of another type.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or alpha.shape not in (rgb.shape[:2], (*rgb.shape[:2], 1)):
        raise ValueError(f"rgb, alpha: expected (H, W, 3) and (H, W, 1), received {rgb.shape} and {alpha.shape}")
    if rgb.dtype != np.float32 or alpha.dtype != np.float32:
        raise ValueError(f"rgb, alpha: expected float32, received {rgb.dtype} and {alpha.dtype}")
    if rgb.shape != behind.shape:
        raise ValueError(f"behind: expected {rgb.shape} like the head's picture, received {behind.shape}")
    if behind.dtype != np.uint8:
        raise ValueError(f"behind: expected uint8 in [0, 255], received {behind.dtype}")
    out = np.empty(behind.shape, np.uint8)
    flat_rgb, flat_alpha, flat_behind = (np.ascontiguousarray(array).reshape(-1) for array in (rgb, alpha, behind))
    _composite(flat_rgb, flat_alpha, flat_behind, out.reshape(-1))
    return out


def composite_plain(rgb: Tensor, alpha: Tensor, behind: Tensor) -> Tensor:
    """`composite` in plain torch: the slow twin, any device."""
    mixed = 255.0 * rgb + (1.0 - alpha) * behind.to(rgb) + 0.5
    return mixed.clamp(0.0, 255.0).to(torch.uint8)
