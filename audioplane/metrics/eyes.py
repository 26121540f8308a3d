"""What the eyes do: lid openings from landmarks, blinks as events, and how they compare with what they should do.

Series are over T frames, arrays or lists of numbers; a blink is a run of frames in which the lids are less than half as
far open as at rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

UPPER_LIDS, LOWER_LIDS = ((37, 38), (43, 44)), ((41, 40), (47, 46))  # iBUG numbers, image left eye first
NEAR = 2  # frames by which two blinks may miss each other and still be the same
SHUT = 0.5  # percentile of an opening over a clip at which the lids count as shut
LEAST_RANGE = 0.25  # of the opening at rest: lids that never move further are not seen to blink


def lid_opening(landmarks: NDArray) -> NDArray[np.float64]:
    """Mean distance of upper and lower lid over both eyes: (T,), of landmarks (T, 68, 2), in their unit.

    Raises:
        ValueError: another shape.
    """
    landmarks = np.asarray(landmarks)
    if landmarks.ndim != 3 or landmarks.shape[1:] != (68, 2):
        raise ValueError(f"landmarks: expected (T, 68, 2), received {landmarks.shape}")
    pairs = [(u, low) for eye in range(2) for u, low in zip(UPPER_LIDS[eye], LOWER_LIDS[eye], strict=True)]
    apart = [np.linalg.norm(landmarks[:, u] - landmarks[:, low], axis=1) for u, low in pairs]
    return np.mean(apart, axis=0).astype(np.float64)


def half_closed(opening: NDArray) -> float | None:
    """The opening half-way between rest and shut, of a series that shows both; None where it shows no blink."""
    opening = np.asarray(opening)
    known = opening[np.isfinite(opening)]
    if len(known) < 20:
        return None
    rest, shut = float(np.median(known)), float(np.percentile(known, SHUT))
    return (rest + shut) / 2 if rest - shut > LEAST_RANGE * abs(rest) else None


def events(opening: NDArray, threshold: float) -> list[tuple[int, int]]:
    """Runs of frames [start, stop) whose opening is below a threshold; NaN counts as open."""
    below = np.concatenate([[False], np.nan_to_num(np.asarray(opening), nan=np.inf) < threshold, [False]]).astype(
        np.int8
    )
    edges = np.flatnonzero(np.diff(below))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def blink_f1(found: list[tuple[int, int]], true: list[tuple[int, int]]) -> float | None:
    """Harmonic mean of precision and recall of blinks that fall together, within `NEAR` frames.

    Each blink is matched once, in the order of time.

    Returns:
        None where there is nothing to find and nothing was found.
    """
    if not found and not true:
        return None
    left, matched = list(true), 0
    for start, stop in found:
        near = next((k for k, (a, b) in enumerate(left) if start < b + NEAR and a < stop + NEAR), None)
        if near is not None:
            del left[near]
            matched += 1
    return 2 * matched / (len(found) + len(true))


@dataclass(frozen=True)
class Blinks:
    """How a clip blinks.

    Attributes:
        count: of blinks. rate: a minute. duration: median, seconds below half open. closure: median over the blinks of
            the farthest closure, 0 at rest and 1 shut.
    """

    count: int
    rate: float
    duration: float | None
    closure: float | None


def blink_statistics(closure: NDArray, fps: float, least: float = 0.5) -> Blinks:
    """Rate, duration and closure of the blinks of a clip.

    Adults blink 17 times a minute at rest and 26 in conversation (10.5 to 32.5), for .2 to .4 s in all, .1 to .2 of it
    more than half closed (Bentivoglio et al. 1997; Doughty 2001; Caffier et al. 2003).

    Args:
        closure: (T,) how far the lids are closed: 0 at rest, 1 shut. fps: frames a second. least: closure of a blink.
    """
    closure = np.asarray(closure)
    runs = events(1.0 - closure, 1.0 - least)
    seconds = len(closure) / fps
    if not runs:
        return Blinks(0, 0.0, None, None)
    lengths = [(b - a) / fps for a, b in runs]
    deepest = [float(closure[a:b].max()) for a, b in runs]
    return Blinks(len(runs), 60.0 * len(runs) / seconds, float(np.median(lengths)), float(np.median(deepest)))
