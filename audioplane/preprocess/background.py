"""What lies behind: the still background, and every frame without its head."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import cv2
import numpy as np

from audioplane.preprocess.masks import Pictures
from audioplane.subject.masks import BACKGROUND, HAIR, TORSO

SAMPLES = 160  # frames that the background is taken from
FEW = 0.04  # share of them in which a pixel must have been background
RIM = 0.012  # reach, in sides of the picture, around people that is not trusted
BRIGHTER = 50  # levels by which a column's colour may exceed the inner neck's
NECK = 0.22  # how far the neck is drawn up under the head, in heights of the head


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
            free.append(cv2.dilate(person, _disc(RIM * len(person))) == 0)
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


def without_head(frame: np.ndarray, label: np.ndarray, background: np.ndarray) -> np.ndarray:
    """A frame without its head: the still background, and the neck drawn upward under the head.

    Args:
        frame: H x W x 3 uint8. label: H x W. background: H x W x 3 uint8.
    """
    size = len(frame)
    head = label >= HAIR
    if not head.any():
        return frame
    hidden = cv2.dilate(head.astype(np.uint8), _disc(RIM * size)) > 0
    torso = (label == TORSO) & ~hidden
    out = np.where(hidden[..., None], background, frame)
    rows = np.nonzero(head.any(1))[0]
    reach = int(NECK * (rows[-1] - rows[0] + 1))
    # in each column: the first torso pixel below the head's lowest one
    lowest = np.where(hidden.any(0), size - 1 - hidden[::-1].argmax(0), -1)
    below = np.minimum(lowest + 1, size - 1)
    columns = np.arange(size)
    neck = (lowest >= 0) & torso[below, columns]
    if not neck.any():
        return out
    thick = max(2, size // 64)
    picked = np.minimum(below[None] + np.arange(thick)[:, None], size - 1)
    weight = torso[picked, columns].astype(np.float32)
    colour = (frame[picked, columns] * weight[..., None]).sum(0) / np.maximum(weight.sum(0), 1)[:, None]
    at = np.flatnonzero(neck)
    painted = neck | ((lowest == size - 1) & (columns > at[0]) & (columns < at[-1]))  # or a chin beyond the edge
    width = max(float(painted.sum()) / 2, 1.0)
    middle = float(columns[painted].mean())
    smooth = cv2.GaussianBlur(_skin(colour, neck, np.abs(columns - middle) < width / 2)[None], (0, 0), size / 90)
    # the neck narrows and ends upward: columns near its middle reach highest
    height = reach * np.sqrt(np.clip(1 - ((columns - middle) / width) ** 2, 0, 1))
    y = np.arange(size)[:, None]
    # softened before it is cut to what is hidden: the neck begins without a seam where the seen one ends
    share = np.clip((y - (lowest - height)[None]) / (0.25 * reach + 1), 0, 1) * painted[None]
    share = cv2.GaussianBlur(share.astype(np.float32), (0, 0), size / 200) * hidden
    return np.rint(out + share[..., None] * (smooth - out)).clip(0, 255).astype(np.uint8)


def _skin(colour: np.ndarray, neck: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """A colour for every column, W x 3 float32; of another where it is much brighter than the inner neck, as collars.

    Args:
        colour: W x 3, of what is seen under the head. neck, inner: W bool, columns with torso and those in its middle.
    """
    usual = np.median(colour[neck & inner], axis=0) if (neck & inner).any() else np.median(colour[neck], axis=0)
    alike = neck & ((colour - usual).max(1) < BRIGHTER)
    at = np.flatnonzero(alike if alike.any() else neck)
    every = np.arange(len(colour))
    return np.stack([np.interp(every, at, colour[at, k]) for k in range(3)], 1).astype(np.float32)


def _disc(radius: float) -> np.ndarray:
    side = 2 * max(round(radius), 1) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
