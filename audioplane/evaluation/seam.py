"""How far the seam under a head is from the truth: torso and neck within a band along the true head's lower outline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audioplane.restore.seam import band, pixels

WIDTH = 15.0  # pixels of 512 below and beside the true head; that of the band which SyncTalk++ restores


@dataclass(frozen=True)
class SeamError:
    """Over the band of the true head, in the frames that have one.

    Attributes:
        l1: mean absolute difference, levels of 255. psnr: dB, of the mean squared error over all frames.
        flicker: mean absolute difference between how the picture changes from frame to frame and how the truth does,
            levels; NaN without two frames of one band. frames: that were measured.
    """

    l1: float
    psnr: float
    flicker: float
    frames: int


def seam_band(head: np.ndarray) -> np.ndarray:
    """Where the seam is looked at: (H, W) bool beside and below a true head (H, W) bool."""
    return band(head, pixels(WIDTH, head.shape[1]))


def seam_error(pictures: list[np.ndarray], truths: list[np.ndarray], heads: list[np.ndarray]) -> SeamError:
    """Pictures against the truth, along the seam.

    Args:
        pictures, truths: (H, W, 3) uint8 each, in the order of the film. heads: (H, W) bool, of the truths.

    Raises:
        ValueError: they are not equally many, or no frame has a seam.
    """
    if not len(pictures) == len(truths) == len(heads):
        raise ValueError(f"expected as many pictures as truths, got {len(pictures)}, {len(truths)}, {len(heads)}")
    bands = [seam_band(head) for head in heads]
    apart = [np.asarray(p, np.float64) - t for p, t in zip(pictures, truths, strict=True)]
    values = [difference[own] for difference, own in zip(apart, bands, strict=True) if own.any()]
    if not values:
        raise ValueError("heads: expected one above a torso, found none")
    every = np.concatenate(values)
    steps = [
        np.abs(apart[k] - apart[k - 1])[both] for k in range(1, len(apart)) if (both := bands[k] & bands[k - 1]).any()
    ]
    mse = float(np.square(every).mean())
    return SeamError(
        l1=float(np.abs(every).mean()),
        psnr=float(10 * np.log10(255**2 / mse)) if mse else float("inf"),
        flicker=float(np.concatenate(steps).mean()) if steps else float("nan"),
        frames=len(values),
    )
