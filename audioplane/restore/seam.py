"""Where a head's cheeks and chin meet the torso: the band that is removed, and training pairs made by removing it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from audioplane.restore.settings import PIXELS, RestorerConfig
from audioplane.subject.masks import distance_to

CHEEKS = 0.5  # of a head's height, from its top, where cheeks begin: hair above keeps its edge
WHOLE = 0.25  # of the band's width, from the head, in which the torso that was there shows no more
CONTEXT = 32  # pixels of 512 around the band that the network sees
BLOCK = 16  # sides of what it sees are multiples of it, so that its kernels are prepared for few sizes


def pixels(distance: float, width: int) -> float:
    """A distance in a picture 512 wide, in one of another width; a pixel at least."""
    return max(1.0, distance * width / PIXELS)


def distances(head: np.ndarray, reach: float) -> np.ndarray:
    """How far from the head a pixel beside and below its cheeks and chin lies.

    Args:
        head: (H, W) bool, M of SyncTalk++, Eq. 28. reach: pixels by which the lower half of M is expanded.

    Returns:
        (H, W) float64 pixels within the band, up to `reach`; 0 elsewhere, and everywhere where there is no head.
    """
    rows, out = np.flatnonzero(head.any(axis=1)), np.zeros(head.shape)
    if not len(rows):
        return out
    first = int(rows[0] + CHEEKS * (rows[-1] + 1 - rows[0]))
    above = max(0, first - int(np.ceil(reach)))
    away = distance_to(head[above:])[first - above :]
    out[first:] = np.where(away <= reach, away, 0.0)
    return out


def band(head: np.ndarray, reach: float) -> np.ndarray:
    """What lies beside and below the cheeks and the chin: delta of SyncTalk++, Eq. 28; (H, W) bool, see `distances`."""
    return distances(head, reach) > 0


def share_of_fill(away: np.ndarray, reach: float) -> np.ndarray:
    """How much of what is painted shows: all of it next to the head, less and less towards the band's outer edge.

    Ours: SyncTalk++ (Sec. III-F) merges face and background "smoothly", and does not say how.

    Args:
        away: `distances`. reach: of the band.

    Returns:
        Of its shape, in [0, 1]; 0 outside of the band.
    """
    return np.clip((reach + 1 - away) / ((1 - WHOLE) * reach + 1), 0.0, 1.0) * (away > 0)


def box(mask: np.ndarray, margin: int) -> tuple[slice, slice]:
    """Rows and columns around a mask that is not empty, with a margin, in multiples of `BLOCK` where there is room."""
    found = []
    for axis, size in ((1, mask.shape[0]), (0, mask.shape[1])):
        at = np.flatnonzero(mask.any(axis=axis))
        low, high = max(int(at[0]) - margin, 0), min(int(at[-1]) + 1 + margin, size)
        length = min(-(-(high - low) // BLOCK) * BLOCK, size)
        low = min(low, size - length)
        found.append(slice(low, low + length))
    return found[0], found[1]


def seen_by_network(picture: np.ndarray, head: np.ndarray, gap: np.ndarray) -> Tensor:
    """Head and torso without what is between them, side by side with both masks: what SyncTalk++, Eq. 28 is given.

    The two pictures M F and (1 - M - delta) F of the paper share no pixel; here they are one picture, and the masks say
    which pixel is of which.

    Args:
        picture: (h, w, 3) float32 in [0, 1]. head, gap: (h, w) bool.

    Returns:
        (1, 5, h, w).
    """
    kept = np.where(gap[..., None], np.float32(0), picture)
    channels = np.concatenate([kept, head[..., None], gap[..., None]], axis=2, dtype=np.float32)
    return torch.from_numpy(channels.transpose(2, 0, 1).copy())[None]


@dataclass(frozen=True)
class Impaired:
    """A training pair, cut out around the gap.

    Attributes:
        seen: (1, 5, h, w), see `seen_by_network`. target: (h, w, 3) float32 in [0, 1], the true frame.
        gap: (h, w) bool, what was removed. kept: (h, w, 3), the picture that was not.
    """

    seen: Tensor
    target: Tensor
    gap: Tensor
    kept: Tensor


def impaired(frame: np.ndarray, head: np.ndarray, draw: np.random.Generator, config: RestorerConfig) -> Impaired | None:
    """A frame turned and moved a little, from which a band of random width is removed.

    SyncTalk++, Fig. 8: (1 - M - delta_ran) F and M F.

    Args:
        frame: (H, W, 3) uint8. head: (H, W) bool. draw: of angle, way, width, softness. config: how far these go.

    Returns:
        The pair; None where no band is left in the picture.
    """
    height, width = head.shape
    scale = width / PIXELS
    angle = draw.uniform(-config.rotation, config.rotation)
    way = draw.uniform(-config.shift, config.shift, 2) * width
    reach = pixels(draw.uniform(config.narrowest, config.widest), width)
    softness = draw.uniform(0.0, config.softness) * scale
    moved = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
    moved[:, 2] += way
    picture = cv2.warpAffine(frame, moved, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mask = cv2.warpAffine(head.view(np.uint8) * 255, moved, (width, height), borderMode=cv2.BORDER_REPLICATE) > 127
    gap = band(mask, reach)
    if not gap.any():
        return None
    place = box(gap, round(CONTEXT * scale))
    target, mask, gap = picture[place].astype(np.float32) / 255, mask[place], gap[place]
    kept = target
    if softness > 0.1:
        kept = np.where(mask[..., None], cv2.GaussianBlur(target, (0, 0), softness), target)
    seen = seen_by_network(kept, mask, gap)
    return Impaired(seen, torch.from_numpy(target), torch.from_numpy(gap), torch.from_numpy(kept))
