"""Where the error of a head lies: the share of each region, and the PSNR if that region were perfect."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from audioplane.metrics.image import decibel, squared_error
from audioplane.runtime.threads import in_parallel

if TYPE_CHECKING:
    from audioplane.evaluation.evaluate import Render
    from audioplane.subject import Subject

REGIONS = ("eyes and brows", "mouth", "outline", "hair", "rest of the skin")
OUTLINE = 3  # pixels on either side of the head's edge


@dataclass(frozen=True)
class Budget:
    """The error of a head over its pixels, frame by frame and pooled.

    Attributes:
        psnr: of all frames together, dB. shares: region -> its share of the squared error, in the order of `REGIONS`.
        without: region -> PSNR if it were perfect. pixels: region -> its share of the head's pixels.
    """

    psnr: float
    shares: dict[str, float]
    without: dict[str, float]
    pixels: dict[str, float]


def regions(subject: Subject, t: int) -> dict[str, NDArray[np.bool_]]:
    """The head's pixels in frame t, divided: each (H, W) bool, none in two regions, all of the head in one."""
    head = subject.head_mask(t)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * OUTLINE + 1, 2 * OUTLINE + 1))
    inner = cv2.erode(head.astype(np.uint8), disc, borderValue=1) > 0
    found, left = {}, head.copy()
    masks = (subject.eyes_mask(t), subject.motion_mask(t), ~inner, subject.hair_mask(t), left)
    for name, mask in zip(REGIONS, masks, strict=True):
        found[name] = left & mask
        left = left & ~mask
    return found


def error_budget(subject: Subject, render: Render, frames: Iterable[int] | None = None) -> Budget:
    """The budget of a head's pictures.

    Args:
        subject: the truth. render: frame number -> (H, W, 3) over the true torso (`heads.renderer`).
        frames: default the test split.

    Raises:
        ValueError: no frame shows a head.
    """

    def measure(t: int) -> NDArray[np.float64]:
        error = squared_error(render(t), subject.frame(t))
        own = regions(subject, t)
        return np.array([[error[own[name]].sum(), own[name].sum()] for name in REGIONS])

    sums = np.sum(list(in_parallel(measure, subject.test if frames is None else frames)), axis=0)
    error, count = sums[:, 0], sums[:, 1]
    if not count.sum():
        raise ValueError("frames: expected one that shows a head")
    whole = error.sum() / count.sum()
    part = error / max(error.sum(), 1e-30)
    return Budget(
        decibel(float(whole)),
        dict(zip(REGIONS, part.tolist(), strict=True)),
        {name: decibel(float(whole * (1.0 - share))) for name, share in zip(REGIONS, part, strict=True)},
        dict(zip(REGIONS, (count / count.sum()).tolist(), strict=True)),
    )
