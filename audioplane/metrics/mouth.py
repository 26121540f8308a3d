"""What the lips do in a picture, read off it, and how it goes with what they should do.

A landmark network would be a download; these measures need none. `MouthReader` learns on the subject's own training
frames, whose landmarks are known, to read the mouth's landmarks from the pixels around it (ridge regression on a small
crop that follows the head). It then reads true and rendered frames alike. What it makes of the true held-out frames is
the ceiling of every number it gives, and is reported with it.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from audioplane.metrics.eyes import half_closed, lid_opening
from audioplane.metrics.image import Picture, as_float
from audioplane.runtime.threads import in_parallel

if TYPE_CHECKING:
    from audioplane.subject import Subject

NOSE_BRIDGE, NOSE_BASE, MOUTH = 27, 33, slice(48, 68)  # iBUG numbers
UPPER_INNER, LOWER_INNER = [61, 62, 63], [67, 66, 65]
CROP = (20, 28)  # rows, columns of the crop that is read
BOX = (0.088, 0.068)  # width and height in metres of what it shows ...
BELOW = 0.030  # ... around a point so far below the base of the nose, in head coordinates
EYES_CROP, EYES_BOX = (16, 40), (0.115, 0.046)  # the same of both eyes, around the bridge of the nose


def correlation(a: NDArray, b: NDArray) -> float:
    """Pearson's correlation of two series (T,), over the frames that both know.

    Returns:
        NaN if one of them is constant, or fewer than three frames are known.

    Raises:
        ValueError: other shapes, or fewer than three values.
    """
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.ndim != 1 or len(a) < 3:
        raise ValueError(f"a, b: expected two series of one length >= 3, received {a.shape} and {b.shape}")
    known = np.isfinite(a) & np.isfinite(b)
    a, b = a[known], b[known]
    if len(a) < 3 or _constant(a) or _constant(b):
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def _constant(series: NDArray) -> bool:
    """Whether it changes by no more than rounding does."""
    return float(np.ptp(series)) <= 1e-9 * float(np.abs(series).max())


def best_lag(series: NDArray, truth: NDArray, most: int = 10) -> int | None:
    """Frames by which `series` comes after `truth`, at the largest correlation within +-`most`.

    Args:
        series, truth: (T,); NaN where unknown.
        most: largest lag.

    Returns:
        None where no lag has a correlation: a mouth that rests, or is hardly ever seen.
    """
    found: dict[int, float] = {}
    for lag in range(-most, most + 1):
        late, early = series[max(lag, 0) :], truth[max(-lag, 0) :]
        n = min(len(late), len(early))
        value = correlation(late[:n], early[:n]) if n >= 3 else float("nan")
        if np.isfinite(value):
            found[lag] = value
    return max(found, key=lambda lag: found[lag]) if found else None


def opening(mouth: NDArray) -> NDArray:
    """Mean distance between inner lips, (T,), of mouth landmarks (T, 20, 2) or all landmarks (T, 68, 2).

    Raises:
        ValueError: another shape.
    """
    mouth = np.asarray(mouth)
    if mouth.ndim != 3 or mouth.shape[1:] not in ((20, 2), (68, 2)):
        raise ValueError(f"mouth: expected (T, 20, 2) or (T, 68, 2), received {mouth.shape}")
    first = 48 if mouth.shape[1] == 20 else 0
    upper, lower = (mouth[:, [k - first for k in points]] for points in (UPPER_INNER, LOWER_INNER))
    return np.linalg.norm(upper - lower, axis=2).mean(axis=1).astype(np.float64)


@dataclass(frozen=True)
class MouthFrame:
    """Where a region lies in each frame: crop centres (T, 2) pixels and pixels a metre (T,).

    Attributes:
        box: width and height in metres of what a crop shows. size: its rows and columns.
    """

    centres: NDArray[np.float64]
    scale: NDArray[np.float64]
    box: tuple[float, float] = BOX
    size: tuple[int, int] = CROP

    @classmethod
    def follow(cls, subject: Subject) -> MouthFrame:
        """The mouth: a point below the base of the nose, which speech hardly moves."""
        return cls(*cls._seen(subject, NOSE_BASE, BELOW))

    @classmethod
    def follow_eyes(cls, subject: Subject) -> MouthFrame:
        """Both eyes, around the bridge of the nose."""
        return cls(*cls._seen(subject, NOSE_BRIDGE, 0.0), EYES_BOX, EYES_CROP)

    @staticmethod
    def _seen(subject: Subject, mark: int, below: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Centres and scale of a point that moves with the head alone, `below` a landmark, seen by each frame's camera.

        The landmark is triangulated over all training frames (all, where none is for training).
        """
        views, K = subject.viewmats.astype(np.float64), subject.K.astype(np.float64)
        rows, P = [], K @ views[:, :3]
        for t in subject.train or range(subject.num_frames):
            u, v = subject.landmarks[t, mark]
            if np.isfinite(u):
                rows += [u * P[t, 2] - P[t, 0], v * P[t, 2] - P[t, 1]]
        A = np.array(rows)
        point = np.linalg.lstsq(A[:, :3], -A[:, 3], rcond=None)[0] + [0.0, below, 0.0]
        seen = np.einsum("tij,j->ti", P, np.append(point, 1.0))
        return seen[:, :2] / seen[:, 2:], K[0, 0] / seen[:, 2]

    def crop(self, picture: Picture, t: int) -> NDArray[np.float64]:
        """The region of frame t as a flat vector of `size` pixels."""
        (rows_out, columns_out), (width, height) = self.size, self.scale[t] * np.asarray(self.box)
        left, top = self.centres[t] - [width / 2, height / 2]
        blur = max(width / columns_out, 1.0) / 2
        # Only what the crop sees is smoothed: the box, the blur's reach around it, and no more of the picture.
        reach = int(np.ceil(4 * blur)) + 2
        rows = _around(top, top + height, reach, picture.shape[0])
        columns = _around(left, left + width, reach, picture.shape[1])
        smooth = cv2.GaussianBlur(as_float(picture[rows, columns]), (0, 0), blur)
        warp = np.array([[width / columns_out, 0, left], [0, height / rows_out, top]], np.float64)
        warp[:, 2] += [0.5 * width / columns_out - 0.5, 0.5 * height / rows_out - 0.5]  # between pixel centres
        warp[:, 2] -= [columns.start, rows.start]
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        shape = (columns_out, rows_out)
        crop = cv2.warpAffine(smooth, warp, shape, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(crop, np.float64).ravel()

    def to_metres(self, landmarks: NDArray) -> NDArray[np.float64]:
        """Mouth landmarks (T, 68, 2) pixels -> (T, 20, 2) metres in the image plane from the crop's centre."""
        return (landmarks[:, MOUTH] - self.centres[:, None]) / self.scale[:, None, None]


def _around(low: float, high: float, reach: int, size: int) -> slice:
    """The pixels of a side of `size` within `reach` of [low, high], or of the end that this lies beyond."""
    start, stop = int(np.floor(low)) - reach, int(np.ceil(high)) + reach
    return slice(max(0, min(start, size - reach)), min(size, max(stop, reach)))


class Ridge:
    """Ridge regression by its dual, for many more pixels than pictures.

    Args:
        pixels: (n, P). targets: (n, K). strength: of the penalty, as a share of the mean variance.
    """

    def __init__(self, pixels: NDArray, targets: NDArray, strength: float) -> None:
        self._mean_pixels, self._mean = pixels.mean(0), targets.mean(0)
        centred = pixels - self._mean_pixels
        gram = centred @ centred.T
        penalty = strength * np.trace(gram) / len(gram)
        self._weights = centred.T @ np.linalg.solve(gram + penalty * np.eye(len(gram)), targets - self._mean)

    def __call__(self, pixels: NDArray) -> NDArray[np.float64]:
        """(..., P) -> (..., K)."""
        return (pixels - self._mean_pixels) @ self._weights + self._mean


class EyeReader:
    """Reads how far the lids are apart off pictures of one subject, as `MouthReader` reads the lips.

    Attributes:
        true_threshold, threshold: opening in metres at which the lids are half closed, by the landmarks and as it is
            read; None where the training frames show no blink.
    """

    def __init__(self, subject: Subject, place: MouthFrame, times: list[int], pixels: NDArray, strength: float) -> None:
        self.place = place
        opening = self.truth(subject)[times]
        self._ridge = Ridge(pixels, opening[:, None], strength)
        self.true_threshold = half_closed(opening)
        self.threshold = half_closed(self._ridge(pixels)[:, 0])

    def __call__(self, picture: Picture, t: int) -> float:
        """The opening in metres that a picture of frame t's pose shows."""
        return float(self._ridge(self.place.crop(picture, t))[0])

    def truth(self, subject: Subject) -> NDArray[np.float64]:
        """The true opening of all frames, by their landmarks: (T,) metres."""
        return lid_opening(subject.landmarks) / self.place.scale


class MouthReader:
    """Reads mouth landmarks off pictures of one subject.

    Args:
        subject: whose training frames are learnt from.
        every: one in so many of them.
        strength: of the ridge penalty, as a share of the mean variance.

    Attributes:
        eyes: the same for the lids, learnt from the same frames.
    """

    def __init__(self, subject: Subject, every: int = 3, strength: float = 0.01) -> None:
        self.place = MouthFrame.follow(subject)
        times = [t for t in subject.train[::every] if np.isfinite(subject.landmarks[t]).all()]
        if len(times) < 20:
            raise ValueError(f"subject: expected at least 20 training frames with landmarks, found {len(times)}")
        around_eyes = MouthFrame.follow_eyes(subject)

        def crops(t: int) -> tuple[NDArray, NDArray]:
            frame = subject.frame(t)
            return self.place.crop(frame, t), around_eyes.crop(frame, t)

        mouths, eyes = (np.stack(found) for found in zip(*in_parallel(crops, times), strict=True))
        shapes = self.place.to_metres(subject.landmarks)[times].reshape(len(times), -1)
        self._ridge = Ridge(mouths, shapes, strength)
        self.eyes = EyeReader(subject, around_eyes, times, eyes, strength)

    def __call__(self, picture: Picture, t: int) -> NDArray[np.float64]:
        """Mouth landmarks (20, 2) in metres that a picture of frame t's pose shows."""
        return self._ridge(self.place.crop(picture, t)).reshape(20, 2)

    def on(self, subject: Subject) -> MouthReader:
        """The same reader for another clip of the same person."""
        other = copy.copy(self)
        other.place, other.eyes = MouthFrame.follow(subject), copy.copy(self.eyes)
        other.eyes.place = MouthFrame.follow_eyes(subject)
        return other

    def truth(self, subject: Subject) -> NDArray[np.float64]:
        """The true mouth landmarks of all frames in the same units: (T, 20, 2) metres."""
        return self.place.to_metres(subject.landmarks)
