"""The still background, which lies behind every frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import cv2
import numpy as np

from audioplane.preprocess.masks import Pictures
from audioplane.subject.masks import BACKGROUND
from audioplane.subject.torso import RIM, disc

SAMPLES = 160  # frames that the background is taken from
FEW = 0.04  # share of them in which a pixel must have been background


def still_background(
    frames: Iterable[np.ndarray], labels: Pictures, progress: Callable[[int], object]
) -> tuple[np.ndarray, float]:
    """The median over time of what is not the person; painted in where the person always is.

    Args:
        frames: T pictures, H x W x 3 uint8. labels: T. progress: called with 1 a frame.

    Returns:
        H x W x 3 uint8, and the share of its pixels that were seen.
    """
    chosen = set(np.linspace(0, len(labels) - 1, min(SAMPLES, len(labels))).round().astype(int).tolist())
    pictures, free = [], []
    for t, frame in enumerate(frames):
        if t in chosen:
            person = (labels[t] != BACKGROUND).astype(np.uint8)
            pictures.append(frame)
            free.append(cv2.dilate(person, disc(RIM * len(person))) == 0)
        progress(1)
    free = np.stack(free)
    count = free.sum(0)
    result = np.empty_like(pictures[0])
    for rows in np.array_split(np.arange(len(result)), 16):
        stack = np.stack([picture[rows] for picture in pictures])
        stack[~free[:, rows]] = 255
        stack.sort(axis=0)  # what was not free is at the end
        middle = np.maximum(count[rows] - 1, 0) // 2
        result[rows] = np.take_along_axis(stack, middle[None, ..., None], 0)[0]
    seen = count >= max(FEW * len(free), 1)
    return _painted_in(result, ~seen), float(seen.mean())


def _painted_in(image: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Missing pixels smoothly from those around: from coarse to fine, each level where the finer knows nothing."""
    if not missing.any():
        return image
    if missing.all():
        return np.full_like(image, 128)
    colour, known = image.astype(np.float32) * ~missing[..., None], (~missing).astype(np.float32)
    levels = [(colour, known)]
    while min(levels[-1][1].shape) > 1 and (levels[-1][1] <= 0).any():
        size = tuple(max(1, (n + 1) // 2) for n in levels[-1][1].shape[::-1])
        levels.append(tuple(cv2.resize(x, size, interpolation=cv2.INTER_AREA) for x in levels[-1]))  # type: ignore[arg-type]
    colour, known = levels[-1]
    filled = colour / np.maximum(known[..., None], 1e-6)
    for colour, known in reversed(levels[:-1]):
        below = cv2.resize(filled, known.shape[::-1], interpolation=cv2.INTER_LINEAR)
        share = np.minimum(known, 1.0)[..., None]
        filled = colour + (1 - share) * below
    out = image.copy()
    out[missing] = np.clip(np.rint(filled[missing]), 0, 255).astype(np.uint8)
    return out
