"""Frames for training, in random order, decoded ahead: the trainer never waits for a disk.

Which frame an iteration sees, and on which background, follows from the seed and the iteration alone, so a resumed
run needs no memory of a generator.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from audioplane.config import ScheduleConfig
from audioplane.methods.types import Sample
from audioplane.runtime import seeds

if TYPE_CHECKING:
    from audioplane.subject import Subject

RING = 1  # pixels on either side of the head's outline that no random background is held against


@dataclass(frozen=True)
class Frame:
    """One frame, resized: all uint8.

    Attributes:
        index: t. image: (H, W, 3). behind: (H, W, 3), the subject without its head. masks: (H, W), bit 0 the head,
        bit 1 the moving region, bit 2 the ring around the head's outline, bit 3 eyes and brows.
    """

    index: int
    image: np.ndarray
    behind: np.ndarray
    masks: np.ndarray


class FrameCache:
    """Decoded frames of a subject at one size, kept while they fit into `mib`.

    Args:
        subject: of the frames. size: width in pixels; 0 for the subject's own. mib: memory to use.
        larger: a cache of larger frames to shrink, which spares decoding them again.
        narrow: whether the moving region is the narrow one, see `subject.masks`.
    """

    def __init__(
        self, subject: Subject, size: int, mib: int, larger: FrameCache | None = None, narrow: bool = False
    ) -> None:
        self.subject, self.larger, self.narrow = subject, larger, narrow
        self.width = size or subject.width
        self.height = round(subject.height * self.width / subject.width)
        self.K = torch.from_numpy(subject.K.astype(np.float32)).clone()
        self.K[:2] *= self.width / subject.width
        self.viewmats = torch.from_numpy(subject.viewmats.astype(np.float32))
        self._kept: dict[int, Frame] = {}
        self._room = int(mib * 2**20 / (7 * self.width * self.height))

    def __getitem__(self, t: int) -> Frame:
        frame = self._kept.get(t)
        if frame is None:
            frame = self._decode(t)
            if len(self._kept) < self._room:
                self._kept[t] = frame
        return frame

    def _decode(self, t: int) -> Frame:
        if self.larger is not None:
            large = self.larger[t]
            bits = [(large.masks >> bit) & 1 for bit in (0, 1, 3)]
            return self._shrink(t, large.image, large.behind, *bits)
        subject = self.subject
        motion = subject.narrow_motion_mask(t) if self.narrow else subject.motion_mask(t)
        masks = (subject.head_mask(t), motion, subject.eyes_mask(t))
        return self._shrink(t, subject.frame(t), subject.without_head(t), *masks)

    def _shrink(
        self, t: int, image: np.ndarray, behind: np.ndarray, head: np.ndarray, motion: np.ndarray, eyes: np.ndarray
    ) -> Frame:
        import cv2

        size = (self.width, self.height)

        def shrink(picture: np.ndarray) -> np.ndarray:
            if picture.shape[1::-1] == size:
                return picture
            return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)

        soft = shrink(head.astype(np.uint8) * 255)
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * RING + 1, 2 * RING + 1))
        ring = (cv2.dilate(soft, disc) > 0) & (cv2.erode(soft, disc) < 255)
        moving, seeing = (shrink(mask.astype(np.uint8) * 255) > 127 for mask in (motion, eyes))
        bits = np.zeros(soft.shape, np.uint8)
        for bit, mask in enumerate((soft > 127, moving, ring, seeing)):
            bits |= mask.astype(np.uint8) << bit
        return Frame(t, shrink(image), shrink(behind), bits)


def order(frames: range, seed: int, start: int = 0) -> Iterator[int]:
    """Endless frame numbers from iteration `start`: every epoch another permutation of `frames`."""
    epoch, skip = divmod(start, len(frames))
    while True:
        shuffled = seeds.draws(seed, seeds.FRAMES, epoch).permutation(len(frames))
        for at in shuffled[skip:]:
            yield frames[int(at)]
        epoch, skip = epoch + 1, 0


def prepare(frame: Frame, iteration: int, seed: int, background: str) -> Sample:
    """The head of a frame over a background of choice.

    Args:
        frame: decoded.
        iteration, seed: which random colour, and whose turn it is with "mixed".
        background: "random", "subject" or "mixed".
    """
    image = torch.from_numpy(frame.image).float().div_(255.0)
    masks = torch.from_numpy(frame.masks)
    head, ring = (masks & 1).float(), (masks & 4) > 0
    if background == "subject" or (background == "mixed" and iteration % 2 == 0):
        behind = torch.from_numpy(frame.behind).float().div_(255.0)
        near = ((masks & 5) > 0)[..., None]
        known = torch.ones_like(ring)
        target = torch.where(near, image, behind)
    else:
        color = seeds.draws(seed, seeds.BACKGROUNDS, iteration).random(3, dtype=np.float32)
        behind, known = torch.from_numpy(color), ~ring
        target = torch.where(head[..., None] > 0, image, behind)
    motion, eyes = ((masks & bit > 0).float() for bit in (2, 8))
    return Sample(frame.index, target, behind, known, head, motion, eyes)


def samples(
    cache: FrameCache, frames: range, config: ScheduleConfig, seed: int, start: int, stop: int, ahead: int = 4
) -> Iterator[Sample]:
    """Samples of iterations [start, stop), decoded by a thread of their own `ahead` of their use."""
    numbers = order(frames, seed, start)

    def load(t: int, iteration: int) -> Sample:
        return prepare(cache[t], iteration, seed, config.background)

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="loader") as pool:
        waiting: list[Future[Sample]] = []
        try:
            for iteration in range(start, stop):
                while len(waiting) < ahead and iteration + len(waiting) < stop:
                    waiting.append(pool.submit(load, next(numbers), iteration + len(waiting)))
                yield waiting.pop(0).result()
        finally:
            for future in waiting:
                future.cancel()


def head_box(subject: Subject, frames: range, count: int = 24) -> tuple[tuple[float, float, float], float]:
    """The cube around the head: centre and half side in metres, from masks and cameras of `count` frames."""
    lows, highs = [], []
    for t in np.linspace(frames.start, frames.stop - 1, min(count, len(frames))).astype(int):
        rows, columns = np.nonzero(subject.head_mask(int(t)))
        if len(rows) == 0:
            continue
        view, K = subject.viewmats[t].astype(np.float64), subject.K.astype(np.float64)
        pixels = np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))])
        rays = np.linalg.inv(K) @ pixels
        points = view[:3, :3].T @ (rays * view[2, 3] - view[:3, 3:])  # on the plane through the head's origin
        lows.append(np.percentile(points[:2], 0.5, axis=1))
        highs.append(np.percentile(points[:2], 99.5, axis=1))
    low, high = np.min(lows, axis=0), np.max(highs, axis=0)
    half = float((high - low).max() / 2 * 1.1)
    x, y = (low + high) / 2
    return (float(x), float(y), 0.0), half


def points_in_box(center: tuple[float, float, float], half: float, count: int, generator: torch.Generator) -> Tensor:
    """`count` random points of a cube: (count, 3) metres. Audio-Plane, Sec. IV-A (journal)."""
    return (torch.rand(count, 3, generator=generator) * 2 - 1) * half + torch.tensor(center)


def points_inside(
    subject: Subject,
    frames: range,
    center: tuple[float, float, float],
    half: float,
    count: int,
    generator: torch.Generator,
    views: int = 16,
) -> Tensor:
    """`count` random points of the box that most of `views` masks call head: (count, 3) metres."""
    times = np.linspace(frames.start, frames.stop - 1, min(views, len(frames))).astype(int)
    masks = [subject.head_mask(int(t)) for t in times]
    K, found = subject.K.astype(np.float64), []
    for _ in range(60):
        candidates = (torch.rand(4 * count, 3, generator=generator) * 2 - 1) * half + torch.tensor(center)
        at, votes = candidates.double().numpy(), np.zeros(4 * count)
        for t, mask in zip(times, masks, strict=True):
            seen = (at @ subject.viewmats[t][:3, :3].T.astype(np.float64) + subject.viewmats[t][:3, 3]) @ K.T
            u, v = (np.floor(seen[:, :2] / np.maximum(seen[:, 2:], 1e-6))).astype(int).T
            inside = (u >= 0) & (v >= 0) & (u < mask.shape[1]) & (v < mask.shape[0]) & (seen[:, 2] > 0)
            votes += inside & mask[np.clip(v, 0, mask.shape[0] - 1), np.clip(u, 0, mask.shape[1] - 1)]
        found.append(candidates[torch.from_numpy(votes >= 0.8 * len(times))])
        if sum(map(len, found)) >= count:
            break
    points = torch.cat(found)[:count]
    if len(points) < count:  # masks that hardly overlap: the box itself
        missing = count - len(points)
        points = torch.cat([points, (torch.rand(missing, 3, generator=generator) - 0.5) * half + torch.tensor(center)])
    return points
