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

from audioplane.metrics.image import Picture, as_float
from audioplane.runtime.threads import in_parallel

if TYPE_CHECKING:
    from audioplane.subject import Subject

NOSE_BASE, MOUTH = 33, slice(48, 68)  # iBUG numbers
UPPER_INNER, LOWER_INNER = [61, 62, 63], [67, 66, 65]
CROP = (20, 28)  # rows, columns of the crop that is read
BOX = (0.088, 0.068)  # width and height in metres of what it shows ...
BELOW = 0.030  # ... around a point so far below the base of the nose, in head coordinates


def correlation(a: NDArray, b: NDArray) -> float:
    """Pearson's correlation of two series (T,), over the frames that both know.

    Returns:
        NaN if one of them is constant, or fewer than three frames are known.

    Raises:
        ValueError: other shapes, or fewer than three values.
    """
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
    """Mean distance between inner lips, (T,), of mouth landmarks (T, 20, 2) or all landmarks (T, 68, 2)."""
    first = 48 if mouth.shape[1] == 20 else 0
    upper, lower = (mouth[:, [k - first for k in points]] for points in (UPPER_INNER, LOWER_INNER))
    return np.linalg.norm(upper - lower, axis=2).mean(axis=1).astype(np.float64)


@dataclass(frozen=True)
class MouthFrame:
    """Where the mouth region lies in each frame: crop centres (T, 2) pixels and pixels a metre (T,)."""

    centres: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def follow(cls, subject: Subject) -> MouthFrame:
        """The point below the nose that moves with the head alone, seen by each frame's camera.

        The base of the nose is triangulated from its landmark in all training frames (all, where none is for training):
        speech hardly moves it.
        """
        views, K = subject.viewmats.astype(np.float64), subject.K.astype(np.float64)
        rows, P = [], K @ views[:, :3]
        for t in subject.train or range(subject.num_frames):
            u, v = subject.landmarks[t, NOSE_BASE]
            if np.isfinite(u):
                rows += [u * P[t, 2] - P[t, 0], v * P[t, 2] - P[t, 1]]
        A = np.array(rows)
        point = np.linalg.lstsq(A[:, :3], -A[:, 3], rcond=None)[0] + [0.0, BELOW, 0.0]
        seen = np.einsum("tij,j->ti", P, np.append(point, 1.0))
        return cls(seen[:, :2] / seen[:, 2:], K[0, 0] / seen[:, 2])

    def crop(self, picture: Picture, t: int) -> NDArray[np.float64]:
        """The mouth region of frame t as a flat vector of CROP pixels."""
        width, height = BOX[0] * self.scale[t], BOX[1] * self.scale[t]
        left, top = self.centres[t] - [width / 2, height / 2]
        blur = max(width / CROP[1], 1.0) / 2
        # Only what the crop sees is smoothed: the box, the blur's reach around it, and no more of the picture.
        reach = int(np.ceil(4 * blur)) + 2
        rows = _around(top, top + height, reach, picture.shape[0])
        columns = _around(left, left + width, reach, picture.shape[1])
        smooth = cv2.GaussianBlur(as_float(picture[rows, columns]), (0, 0), blur)
        warp = np.array([[width / CROP[1], 0, left], [0, height / CROP[0], top]], np.float64)
        warp[:, 2] += [0.5 * width / CROP[1] - 0.5, 0.5 * height / CROP[0] - 0.5]  # between pixel centres
        warp[:, 2] -= [columns.start, rows.start]
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        crop = cv2.warpAffine(smooth, warp, (CROP[1], CROP[0]), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(crop, np.float64).ravel()

    def to_metres(self, landmarks: NDArray) -> NDArray[np.float64]:
        """Mouth landmarks (T, 68, 2) pixels -> (T, 20, 2) metres in the image plane from the crop's centre."""
        return (landmarks[:, MOUTH] - self.centres[:, None]) / self.scale[:, None, None]


def _around(low: float, high: float, reach: int, size: int) -> slice:
    """The pixels of a side of `size` within `reach` of [low, high], or of the end that this lies beyond."""
    start, stop = int(np.floor(low)) - reach, int(np.ceil(high)) + reach
    return slice(max(0, min(start, size - reach)), min(size, max(stop, reach)))


class MouthReader:
    """Reads mouth landmarks off pictures of one subject.

    Args:
        subject: whose training frames are learnt from.
        every: one in so many of them.
        strength: of the ridge penalty, as a share of the mean variance.
    """

    def __init__(self, subject: Subject, every: int = 3, strength: float = 0.01) -> None:
        self.place = MouthFrame.follow(subject)
        times = [t for t in subject.train[::every] if np.isfinite(subject.landmarks[t]).all()]
        if len(times) < 20:
            raise ValueError(f"subject: expected at least 20 training frames with landmarks, found {len(times)}")
        pixels = np.stack(list(in_parallel(lambda t: self.place.crop(subject.frame(t), t), times)))
        shapes = self.place.to_metres(subject.landmarks)[times].reshape(len(times), -1)
        self._mean_pixels, self._mean_shape = pixels.mean(0), shapes.mean(0)
        centred = pixels - self._mean_pixels
        gram = centred @ centred.T
        penalty = strength * np.trace(gram) / len(gram)
        duals = np.linalg.solve(gram + penalty * np.eye(len(gram)), shapes - self._mean_shape)
        self._weights = centred.T @ duals

    def __call__(self, picture: Picture, t: int) -> NDArray[np.float64]:
        """Mouth landmarks (20, 2) in metres that a picture of frame t's pose shows."""
        return ((self.place.crop(picture, t) - self._mean_pixels) @ self._weights + self._mean_shape).reshape(20, 2)

    def on(self, subject: Subject) -> MouthReader:
        """The same reader for another clip of the same person."""
        other = copy.copy(self)
        other.place = MouthFrame.follow(subject)
        return other

    def truth(self, subject: Subject) -> NDArray[np.float64]:
        """The true mouth landmarks of all frames in the same units: (T, 20, 2) metres."""
        return self.place.to_metres(subject.landmarks)
