"""A first look over a whole video: where its face is, where it cuts, how it should be framed.

The crop is one square for the whole video, head and shoulders as in the paper's clips: the detector's face box (brows
to chin) spans half of it, a little below the middle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from audioplane.errors import UserError
from audioplane.media.reader import MediaReader
from audioplane.preprocess.landmarks import Landmarker
from audioplane.preprocess.settings import MOST_FACES
from audioplane.subject.format import FPS, SAMPLE_RATE

EVERY = 8  # frames from one search for faces to the next
FACE_SHARE = 0.48  # of the crop's side
FACE_HEIGHT = 0.57  # where the face's centre lies in the crop, from the top
SEARCHED = 1280  # longer side of pictures that faces are searched in
SECOND = 0.33  # share of a face's size that another one must have to matter
BESIDE = 1.5  # sizes of a face beyond which another one is another person
HOLE = 0.4  # seconds from one picture to the next that tell of lost ones


@dataclass(frozen=True)
class Survey:
    """What was seen.

    Attributes:
        faces: S x MOST_FACES x 3: x, y, size in pixels of the video, NaN where there are fewer; one row every `EVERY`
            frames, the largest first.
        choice: whom to take, as of `Settings.face`.
        change: T, mean difference of each frame to the one before, in [0, 1]; what a still camera sees of a head is
            below 0.02.
        repeated: T bool, frames that repeat the one before.
    """

    faces: np.ndarray
    change: np.ndarray
    repeated: np.ndarray
    choice: str = "largest"

    @cached_property
    def main(self) -> np.ndarray:
        """S x 3: the face that counts in each sample, near where the chosen one mostly is; NaN without one.

        Raises:
            UserError: there never are that many faces.
        """
        middle = np.nanmedian(self._chosen(), axis=0)
        away = np.linalg.norm(self.faces[:, :, :2] - middle[:2], axis=2) / middle[2]
        worth = np.nan_to_num(self.faces[:, :, 2] * np.exp(-0.5 * away**2), nan=-1.0)
        if self.choice != "largest":  # another person is not the chosen one, even where that one is not seen
            worth[~(away < BESIDE)] = -1.0
        found = self.faces[np.arange(len(self.faces)), worth.argmax(1)]
        return np.where(worth.max(1)[:, None] > 0, found, np.nan)

    def _chosen(self) -> np.ndarray:
        """n x 3: the chosen face in samples in which it can be told from others."""
        if self.choice == "largest":
            return self.faces[:, 0]
        if self.choice.isdigit():
            own = self.faces[:, int(self.choice) - 1]
        else:
            large = self.faces[:, :, 2] > SECOND * np.nanmax(self.faces[:, :, 2])
            place = np.where(large, self.faces[:, :, 0], np.nan)
            several = large.sum(1) > 1
            place = place[several] if several.any() else place[large.any(1)]
            rows = self.faces[several] if several.any() else self.faces[large.any(1)]
            which = np.nanargmin(place, 1) if self.choice == "left" else np.nanargmax(place, 1)
            own = rows[np.arange(len(rows)), which]
        own = own[np.isfinite(own[:, 0])]
        if not len(own):
            raise UserError(f"--face {self.choice}: there never are that many faces")
        return own

    @property
    def share(self) -> float:
        """Share of the samples that have the face."""
        return float(np.isfinite(self.main[:, 0]).mean())

    @property
    def others(self) -> float:
        """Share of the samples in which a second face has a third of the main one's size at least."""
        large = self.faces[:, :, 2] > SECOND * self.main[:, None, 2]
        return float((large.sum(1) > 1).mean())

    def expected(self, count: int) -> np.ndarray:
        """T x 3: x, y, size of the main face in every frame, between the samples by straight lines."""
        main, at = self.main, np.arange(len(self.faces)) * EVERY
        good = np.isfinite(main[:, 0])
        return np.stack([np.interp(np.arange(count), at[good], main[good, k]) for k in range(3)], 1)


def survey(
    source: MediaReader, finder: Landmarker, start: float, count: int, progress: Callable[[int], object]
) -> Survey:
    """Looks at all frames, and for faces in every eighth.

    Raises:
        UserError: no face is found.
    """
    rows, change, repeated = [], np.zeros(count, np.float32), np.zeros(count, bool)
    before, last = None, None
    for t, image in enumerate(source.pictures(start, count)):
        small = cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        if before is not None:
            change[t] = np.abs(small - before).mean()
            repeated[t] = image is last or bool(change[t] == 0)
        before, last = small, image
        if t % EVERY == 0:
            rows.append(_faces(image, finder))
        progress(1)
    faces = np.stack(rows)
    if not np.isfinite(faces).any():
        raise UserError(f"{source.path}: no face was found in it; a face should fill a sixth of the picture's height")
    return Survey(faces, change, repeated)


def _faces(image: np.ndarray, finder: Landmarker) -> np.ndarray:
    shrink = min(1.0, SEARCHED / max(image.shape[:2]))
    if shrink < 1:
        image = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    row = np.full((MOST_FACES, 3), np.nan)
    for k, box in enumerate(finder.detect(image, 0.6)[:MOST_FACES]):
        row[k] = np.array([box.x, box.y, box.size]) / shrink
    return row


def cuts(change: np.ndarray) -> list[int]:
    """Frames that do not go on from the one before: jumps of the picture far beyond what is usual around them."""
    found: list[int] = []
    for t in range(1, len(change)):
        around = np.concatenate([change[max(t - 20, 1) : t], change[t + 1 : t + 21]])
        around = around[around > 0]
        if not len(around):
            continue
        usual = max(float(np.percentile(around, 90)), 0.002)
        if change[t] > max(4.0 * usual, 0.015) and (not found or t - found[-1] > 2):
            found.append(t)
    return found


def crop(main: np.ndarray, width: int, height: int) -> tuple[int, int, int, int]:
    """The square (left, top, side, side) that holds the face in all samples.

    Args:
        main: S x 3: x, y, size, NaN in samples without a face. width, height: of the pictures.
    """
    known = main[np.isfinite(main[:, 0])]
    low, high = np.percentile(known[:, :2], 2, axis=0), np.percentile(known[:, :2], 98, axis=0)
    face = float(np.median(known[:, 2]))
    side = face / FACE_SHARE + 0.5 * float((high - low).max())
    most = min(width, height)
    side = most if side > 0.85 * most else round(side)
    x, y = (low + high) / 2
    left = round(min(max(x - side / 2, 0), width - side))
    top = round(min(max(y - FACE_HEIGHT * side, 0), height - side))
    return left, top, side, side


def silences(samples: np.ndarray, least: float = 1.5) -> list[tuple[float, float]]:
    """Stretches of at least `least` seconds in which nobody speaks: (start, end) in seconds."""
    step = SAMPLE_RATE // 50
    blocks = samples[: len(samples) // step * step].reshape(-1, step)
    if not len(blocks):
        return []
    level = 20 * np.log10(np.sqrt((blocks**2).mean(1)) + 1e-7)
    speech = np.percentile(level, 95)
    quiet = np.append(np.insert((level < max(speech - 30, -70)).astype(int), 0, 0), 0)
    edges = np.flatnonzero(np.diff(quiet))
    pairs = [(a / 50, b / 50) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    return [(float(a), float(b)) for a, b in pairs if b - a >= least]


def holes(times: np.ndarray, start: float, end: float) -> list[tuple[float, float]]:
    """(from, to) in seconds, within start to end, of stretches without a new picture, which no camera makes.

    Args:
        times: of the pictures, seconds after the first.
    """
    inside = times[(times >= start) & (times <= end)]
    wide = np.flatnonzero(np.diff(inside) > HOLE)
    return [(round(float(inside[k]), 2), round(float(inside[k + 1]), 2)) for k in wide]


def frame_count(end: float, start: float = 0.0) -> int:
    """Frames at 25 a second between two times."""
    return max(int((end - start) * FPS + 1e-6), 0)
