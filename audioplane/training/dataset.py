"""Frames for training, in random order, decoded ahead: the trainer never waits for a disk.

Which frame an iteration sees, and on which background, follows from the seed and the iteration alone, so a resumed
run needs no memory of a generator.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
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

REGIONS = {"hair": 16, "inner_mouth": 32}
"""Parts of the head that a method may look at, and their bits in `Frame.masks`."""
RING = 1  # pixels on either side of the head's outline that no random background is held against


@dataclass(frozen=True)
class Frame:
    """One frame, resized: all uint8.

    Attributes:
        index: t. image: (H, W, 3). behind: (H, W, 3), the subject without its head. masks: (H, W), bit 0 the head,
        bit 1 the moving region, bit 2 the ring around the head's outline, bit 3 eyes and brows, bit 4 hair, bit 5 what
        is between the lips.
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
        self._cameras: dict[torch.device, tuple[Tensor, Tensor]] = {}
        self._room = int(mib * 2**20 / (7 * self.width * self.height))

    def __getitem__(self, t: int) -> Frame:
        frame = self._kept.get(t)
        if frame is None:
            frame = self._decode(t)
            if len(self._kept) < self._room:
                self._kept[t] = frame
        return frame

    @contextlib.contextmanager
    def ahead(self, frames: Iterable[int]) -> Iterator[None]:
        """Meanwhile decodes `frames` on a thread of its own, while they fit; leaves what is not done by the end."""
        ended = threading.Event()

        def decode() -> None:
            for t in frames:
                if ended.is_set() or len(self._kept) >= self._room:
                    return
                self[t]

        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="ahead") as pool:
            done = pool.submit(decode)
            try:
                yield
            finally:
                ended.set()
        done.result()

    def cameras(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """`viewmats` (T, 4, 4) and `K` (3, 3) on a device, copied there once."""
        if device not in self._cameras:
            self._cameras[device] = self.viewmats.to(device), self.K.to(device)
        return self._cameras[device]

    def _decode(self, t: int) -> Frame:
        if self.larger is not None:
            large = self.larger[t]
            return self._shrink(
                t, large.image, large.behind, {bit: (large.masks >> bit) & 1 for bit in (0, 1, 3, 4, 5)}
            )
        subject = self.subject
        masks = {
            0: subject.head_mask(t),
            1: subject.narrow_motion_mask(t) if self.narrow else subject.motion_mask(t),
            3: subject.eyes_mask(t),
            4: subject.hair_mask(t),
            5: subject.inner_mouth_mask(t),
        }
        return self._shrink(t, subject.frame(t), subject.without_head(t), masks)

    def _shrink(self, t: int, image: np.ndarray, behind: np.ndarray, masks: Mapping[int, np.ndarray]) -> Frame:
        """A frame of this cache's size; `masks`: bit of `Frame.masks` -> mask."""
        import cv2

        size = (self.width, self.height)

        def shrink(picture: np.ndarray) -> np.ndarray:
            if picture.shape[1::-1] == size:
                return picture
            return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)

        shrunk = {bit: shrink(mask.astype(np.uint8) * 255) for bit, mask in masks.items()}
        soft = shrunk[0]
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * RING + 1, 2 * RING + 1))
        ring = (cv2.dilate(soft, disc) > 0) & (cv2.erode(soft, disc) < 255)
        bits = ring.astype(np.uint8) << 2
        for bit, mask in shrunk.items():
            bits |= (mask > 127).astype(np.uint8) << bit
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
    regions = {name: (masks & bit > 0).float() for name, bit in REGIONS.items()}
    return Sample(frame.index, target, behind, known, head, motion, eyes, regions, iteration)


def samples(
    cache: FrameCache,
    frames: range,
    config: ScheduleConfig,
    seed: int,
    start: int,
    stop: int,
    ahead: int = 4,
    choose: Callable[[int], int] | None = None,
    pinned: bool = False,
) -> Iterator[Sample]:
    """Samples of iterations [start, stop), decoded by a thread of their own `ahead` of their use.

    `choose`: the frame of an iteration, where they do not come in turn. `pinned`: in memory that a GPU copies from
    while the host goes on.
    """
    numbers = order(frames, seed, start) if choose is None else map(choose, range(start, stop))

    def load(t: int, iteration: int) -> Sample:
        sample = prepare(cache[t], iteration, seed, config.background)
        return sample.pinned() if pinned else sample

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


def landmark_points(subject: Subject, frames: range) -> Tensor:
    """Where the 68 landmarks are on the head: (68, 3) metres, the median over frames; NaN for those that no frame has.

    Depth is not known: each lies where its ray meets the plane through the head's origin that faces the camera.
    """
    marks = np.asarray(subject.landmarks[frames.start : frames.stop], np.float64)
    views = subject.viewmats[frames.start : frames.stop].astype(np.float64)
    rays = (
        np.concatenate([marks, np.ones((*marks.shape[:2], 1))], axis=2) @ np.linalg.inv(subject.K.astype(np.float64)).T
    )
    points = (rays * views[:, None, 2:3, 3] - views[:, None, :3, 3]) @ views[:, :3, :3]
    known = np.asarray(np.isfinite(points).all(axis=2))
    found = np.full(points.shape[1:], np.nan)
    for k in np.flatnonzero(known.any(axis=0)):
        found[k] = np.median(points[known[:, k], k], axis=0)
    return torch.from_numpy(found.astype(np.float32))


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
    region: str = "head",
) -> Tensor:
    """`count` random points of the box that most of `views` masks call `region` of the head: (count, 3) metres."""
    times = np.linspace(frames.start, frames.stop - 1, min(views, len(frames))).astype(int)
    mask_of = getattr(subject, f"{region}_mask")
    masks = [mask_of(int(t)) for t in times]
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
