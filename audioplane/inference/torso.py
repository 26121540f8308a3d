"""The torso behind a head that moves freely: one picture of it, continued under the head."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from audioplane.training.trainer import Trainer


def still_torso(trainer: Trainer, typical: int, views: int = 64) -> np.ndarray:
    """The torso of frame `typical` as it goes on under the head, for poses that are not its own.

    A torso alone ends in a cut neck and in the shadow of the jaw where its own frame's head begins, and another pose
    would look into both. Near the head the median of what other frames show there takes its place; what no frame
    shows goes on, column by column, in the colour it has a little below.
    """
    import cv2

    train, frame = trainer.subject.train, trainer.cache[typical]
    out, hidden = frame.behind.astype(np.float32), (frame.masks & 1) > 0
    rim = max(2, len(hidden) // 48)
    wide = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * rim + 1, 2 * rim + 1))
    near = cv2.dilate(hidden.astype(np.uint8), wide, iterations=2) > 0

    times = np.linspace(train.start, train.stop - 1, min(views, len(train))).astype(int)
    others = [trainer.cache[int(t)] for t in times]
    seen = np.stack([cv2.dilate(other.masks & 1, wide)[near] == 0 for other in others])
    colors = np.stack([other.behind[near] for other in others]).astype(np.float32)
    colors[~seen] = np.nan
    shown = seen.sum(axis=0) >= 3
    replaced = out[near]
    replaced[shown] = np.nanmedian(colors[:, shown], axis=0)
    out[near] = replaced
    known = ~near
    known[near] = shown

    background = cv2.resize(trainer.subject.background, frame.image.shape[1::-1], interpolation=cv2.INTER_AREA)
    _continue_upwards(out, known & (np.abs(out - background).max(axis=2) > 8), known, rim)
    # Towards the outer edge of the replaced band the frame itself fades in.
    share = cv2.GaussianBlur(cv2.erode(near.astype(np.float32), wide), (0, 0), rim / 2)[..., None]
    return np.clip(out * share + frame.behind * (1.0 - share) + 0.5, 0, 255).astype(np.uint8)


def _continue_upwards(image: np.ndarray, torso: np.ndarray, known: np.ndarray, rim: int) -> None:
    """Fills what is unknown above a torso's top edge with the colour of the column below it, in place.

    Args:
        image: (H, W, 3) float32. torso: (H, W) bool, known torso. known: (H, W) bool. rim: pixels that a colour is
            taken from; the neck goes on for eight of them.
    """
    import cv2

    filled = np.zeros(known.shape, np.uint8)
    for x in np.flatnonzero(torso.any(axis=0)):
        top = int(torso[:, x].argmax())
        rows = np.arange(max(0, top - 8 * rim), top)
        rows = rows[~known[rows, x]]
        if len(rows) and rows[-1] == top - 1:  # hidden right above, not the outline of a shoulder
            image[rows, x], filled[rows, x] = np.median(image[top : top + rim, x], axis=0), 1
    # Neighbouring columns flow into each other.
    share = cv2.GaussianBlur(filled.astype(np.float32), (0, 0), rim / 2)[..., None]
    smooth = cv2.GaussianBlur(image * filled[..., None], (0, 0), rim / 2) / np.maximum(share, 1e-3)
    image[filled > 0] = smooth[filled > 0]
