"""How good a capture of eyes and brows is, as far as it tells by itself: noise, blinks, and whether the lids agree.

On an embedded speaker, whose weights are known, docs/inputs.md says how near the capture is to the truth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audioplane.metrics.eyes import blink_statistics, lid_opening
from audioplane.metrics.mouth import best_lag, correlation
from audioplane.subject import blendshapes
from audioplane.subject.format import FPS
from audioplane.subject.masks import face_height

BLINKS = ("eyeBlinkLeft", "eyeBlinkRight")
LEAST_CLOSURE = 0.2  # of a weight between rest and shut: below it no blink was seen
SHUT = 99.5  # percentile of the closure at which the eyes count as shut
MOST_LAG = 5  # frames among which the lids' lag is sought
TO_SPREAD = 1.4826  # of the median absolute value of normal noise


@dataclass(frozen=True)
class CaptureQuality:
    """What a capture says of itself.

    Attributes:
        noise: of the weights that tell of blinks, standard deviation from frame to frame, without what moves.
        range: from rest to shut, in weights. blinks: how many. rate: a minute. seconds: median time of a blink below
            half open; None without blinks.
        lids_correlation: of closed eyes with the lids' distance by landmarks, 1 where they agree; None where unknown.
        lids_lag: frames by which the weights come after the lids at the best correlation.
    """

    noise: float
    range: float
    blinks: int
    rate: float
    seconds: float | None
    lids_correlation: float | None
    lids_lag: int | None

    def troubles(self) -> list[str]:
        """What may hurt; each one sentence."""
        if not self.blinks:
            return ["no blink was captured: the head will not learn to close its eyes"]
        if self.noise > 0.25 * self.range:
            return ["the capture of the eyes is noisy: lids will tremble; film larger, sharper and in more light"]
        if self.lids_correlation is not None and self.lids_correlation < 0.5:
            return ["captured blinks and the lids in the picture hardly agree: glasses, hair or shadow may hide them"]
        return []

    def line(self) -> str:
        """In one line."""
        took = "" if self.seconds is None else f" of {self.seconds:.2f} s"
        agree = ""
        if self.lids_correlation is not None:
            agree = f"; with the lids r = {self.lids_correlation:.2f}, lag {self.lids_lag:+d} frames"
        return (
            f"{self.blinks} blinks{took} ({self.rate:.0f} a minute), noise {self.noise:.3f} of {self.range:.2f}{agree}"
        )


def capture_quality(weights: np.ndarray, landmarks: np.ndarray, seen: np.ndarray) -> CaptureQuality:
    """Judges captured blendshapes.

    Args:
        weights: (T, 52) at 25 frames a second. landmarks: (T, 68, 2) of the same frames, NaN without a face.
        seen: (T,) bool, frames with a face.

    Raises:
        ValueError: no frame has one.
    """
    if not np.any(seen):
        raise ValueError(f"seen: expected a frame with a face, received {len(seen)} frames without")
    closed = weights[:, [blendshapes.index(name) for name in BLINKS]].mean(axis=1).astype(np.float64)
    closed[~seen] = np.nan
    shut_lids = -lid_opening(landmarks) / face_height(landmarks)
    rest, shut = np.nanpercentile(closed, [50.0, SHUT])
    bent = (closed[1:-1] - (closed[:-2] + closed[2:]) / 2) / np.sqrt(1.5)
    blinks = blink_statistics(np.nan_to_num((closed - rest) / max(shut - rest, LEAST_CLOSURE)), FPS)
    r, lag = float("nan"), None
    if len(closed) > MOST_LAG + 3:
        r, lag = correlation(closed, shut_lids), best_lag(closed, shut_lids, MOST_LAG)
    known = lag is not None and bool(np.isfinite(r))
    return CaptureQuality(
        noise=TO_SPREAD * float(np.nanmedian(np.abs(bent))) if np.isfinite(bent).any() else 0.0,
        range=float(shut - rest),
        blinks=blinks.count if shut - rest >= LEAST_CLOSURE else 0,
        rate=blinks.rate if shut - rest >= LEAST_CLOSURE else 0.0,
        seconds=blinks.duration if shut - rest >= LEAST_CLOSURE else None,
        lids_correlation=r if known else None,
        lids_lag=lag if known else None,
    )
