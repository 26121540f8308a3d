"""A frame without its head: torso and background, the neck painted upward under the head."""

from __future__ import annotations

import math

import cv2
import numpy as np

from audioplane.subject.masks import HAIR, TORSO

RIM = 0.012  # reach, in sides of the picture, around people that is not trusted
BRIGHTER = 50  # levels by which a column's colour may exceed the inner neck's
NECK = 0.22  # how far the neck is drawn up under the head, in heights of the head


def without_head(frame: np.ndarray, label: np.ndarray, background: np.ndarray) -> np.ndarray:
    """A frame without its head: the still background, and the neck drawn upward under the head.

    Args:
        frame: H x W x 3 uint8. label: H x W. background: H x W x 3 uint8.
    """
    size = len(frame)
    head = label >= HAIR
    if not head.any():
        return frame
    hidden = cv2.dilate(head.astype(np.uint8), disc(RIM * size)) > 0
    torso = (label == TORSO) & ~hidden
    out = np.ascontiguousarray(cv2.copyTo(background, hidden.view(np.uint8), frame.copy()))
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
    # softened before it is cut to what is hidden: the neck begins without a seam where the seen one ends
    blur = size / 200
    part = _around(hidden & painted, (lowest - height)[painted].min(), math.ceil(4 * blur) + 2)
    rows, columns = (np.arange(edge.start, edge.stop) for edge in part)
    share = np.clip((rows[:, None] - (lowest - height)[columns]) / (0.25 * reach + 1), 0, 1) * painted[columns]
    share = cv2.GaussianBlur(share.astype(np.float32), (0, 0), blur) * hidden[part]
    blended = out[part] + share[..., None] * (smooth[:, columns] - out[part])
    out[part] = np.rint(blended).clip(0, 255).astype(np.uint8)
    return out


def _around(mask: np.ndarray, top: float, margin: int) -> tuple[slice, slice]:
    """Rows from `top` to the mask's last and its columns (it is not empty), and a margin around, within the picture."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    height, width = mask.shape
    return (
        slice(max(int(top) - margin, 0), min(int(rows[-1]) + margin + 1, height)),
        slice(max(int(columns[0]) - margin, 0), min(int(columns[-1]) + margin + 1, width)),
    )


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


def disc(radius: float) -> np.ndarray:
    """A round brush for dilation, of a radius in pixels (1 at least)."""
    side = 2 * max(round(radius), 1) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
