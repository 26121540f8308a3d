"""Slips of the sound against the picture within a clip.

A frame that was dropped or shown twice, or a cut between two recordings, moves the sound against the picture from there
on: by too little to see, but a head trained on one side of it is a frame off on the other. The opening of the lips is
predicted from phonetic features by ridge regression on the clip itself; each stretch of some seconds is predicted by
what was fitted on all the others, and the lag at which that fits best says by how much the picture comes after the
sound there. This finds only differences within the clip; the lag of the whole clip is found by `lag`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from audioplane.audio.mel import SAMPLE_RATE, STEP
from audioplane.metrics.mouth import correlation

FPS = 25
STRETCH = 100  # frames that are read together
WINDOW = 17  # steps of 20 ms around a frame that are heard
MOST = 1200  # frames that are learnt from
PENALTY = 3.0  # of the ridge, in mean squares of a feature
REACH, CLEAR = 5, 0.4  # frames that are searched, and the correlation that a stretch must have to count
LEAST, SURE = 0.5, 5.0  # frames that a slip must measure, and its size over its standard error
QUIET = 0.6  # seconds around a slip in which the quietest moment is sought


@dataclass(frozen=True)
class Slip:
    """From `frame` on the picture comes `frames` later after the sound than before it (negative: earlier)."""

    frame: int
    frames: float


def find(opening: NDArray, samples: NDArray[np.float32]) -> tuple[Slip, ...]:
    """The slips of a clip, in order.

    Args:
        opening: (T,) of the mouth, any unit; NaN where unknown. samples: (n,) 16 kHz.
    """
    known = opening[np.isfinite(opening)]
    if len(known) < 6 * STRETCH or known.std() < 1e-9 or not np.abs(samples).max(initial=0.0) > 0:
        return ()
    from audioplane.audio.phonetic import extract

    steps, count = extract(samples)[0].features, len(opening)
    later = np.zeros(count)  # frames by which the picture comes after the sound, as far as it is known
    edges = jumps(_lags(steps, opening, later))
    if not edges:
        return ()
    for _ in range(2):  # again with the sound where it was found to be: what is learnt then is sharper
        lags = _lags(steps, opening, later)
        parts = pairwise([0, *edges, len(lags)])
        for a, b in parts:
            own = slice(a * STRETCH, b * STRETCH if b < len(lags) else count)
            later[own] += np.nanmean(lags[a:b]) if np.isfinite(lags[a:b]).any() else 0.0
    levels = [later[0], *(later[edge * STRETCH] for edge in edges)]
    return tuple(
        Slip(_where(steps, opening, later, edge * STRETCH, before, after), round(float(after - before), 3))
        for edge, (before, after) in zip(edges, pairwise(levels), strict=True)
    )


def _windows(steps: NDArray, moments: NDArray) -> NDArray:
    """What is heard around some moments, in frames: (m, WINDOW x C)."""
    places = ((moments + 0.5) * (SAMPLE_RATE / STEP) / FPS)[:, None] + np.arange(WINDOW) - WINDOW // 2
    places = np.clip(places, 0, len(steps) - 1)
    first = np.minimum(places.astype(int), len(steps) - 2)
    share = (places - first).astype(np.float32)[:, :, None]
    return ((1 - share) * steps[first] + share * steps[first + 1]).reshape(len(moments), -1)


def _lags(steps: NDArray, opening: NDArray, later: NDArray) -> NDArray:
    """By how many frames more the picture comes after the sound in each stretch, as all others tell; NaN unclear."""
    starts = np.arange(0, len(opening) - STRETCH // 2, STRETCH)
    return np.array([_lag(steps, opening, later, range(*own)) for own in pairwise([*starts, len(opening)])])


def _lag(steps: NDArray, opening: NDArray, later: NDArray, own: range) -> float:
    """The same of one stretch; between frames by a parabola."""
    truth = opening[own.start : own.stop]
    known = np.isfinite(truth)
    read = _learn(steps, opening, later, own)
    if known.sum() < STRETCH // 3 or read is None:
        return np.nan
    around = np.arange(own.start - REACH, own.stop + REACH)
    reading = read(around - later[np.clip(around, own.start, own.stop - 1)])
    values = np.array(
        [
            correlation(reading[REACH - lag : len(reading) - REACH - lag][known], truth[known])
            for lag in range(-REACH, REACH + 1)
        ]
    )
    best = int(values.argmax())
    if not values[best] > CLEAR or best in (0, 2 * REACH):
        return np.nan
    left, middle, right = values[best - 1 : best + 2]
    return best - REACH + 0.5 * (left - right) / min(left - 2 * middle + right, -1e-9)


def _learn(steps: NDArray, opening: NDArray, later: NDArray, without: range) -> Callable[[NDArray], NDArray] | None:
    """Reads the opening at moments in the sound, in frames; learnt on all frames but some, None if few are left."""
    known = np.isfinite(opening)
    known[max(0, without.start - WINDOW) : without.stop + WINDOW] = False
    learnt = np.flatnonzero(known)
    learnt = learnt[:: -(-len(learnt) // MOST)] if len(learnt) else learnt
    if len(learnt) < STRETCH:
        return None
    heard = _windows(steps, learnt - later[learnt])
    mean, spread = heard.mean(axis=0), heard.std(axis=0) + 1e-3
    rows = (heard - mean) / spread
    products = (rows @ rows.T).astype(np.float64) + PENALTY * rows.shape[1] * np.eye(len(rows))
    level = opening[learnt].mean()
    weights = rows.T @ np.linalg.solve(products, opening[learnt] - level)
    return lambda moments: (_windows(steps, moments) - mean) / spread @ weights + level


def jumps(lags: NDArray, offset: int = 0) -> list[int]:
    """Where a series jumps and stays: the index of the first value after each jump, in order.

    It is split where that explains most, if it does beyond chance, and so is each side again. How far chance goes is
    told by neighbours' differences, which a few jumps leave alone.

    Args:
        lags: NaN unknown. offset: of its first value's index.
    """
    clear = np.flatnonzero(np.isfinite(lags))
    if len(clear) < 6:
        return []
    noise = max(float(np.median(np.abs(np.diff(lags[clear])))) / 0.954, 0.1)  # no lag is told to less than .1 frames
    return _split(lags, noise, offset)


def _split(lags: NDArray, noise: float, offset: int) -> list[int]:
    best, sure = 0, SURE
    for edge in range(2, len(lags) - 1):
        before, after = (side[np.isfinite(side)] for side in (lags[:edge], lags[edge:]))
        if min(len(before), len(after)) >= 2:
            size = abs(after.mean() - before.mean())
            weight = size / (noise * np.sqrt(1 / len(before) + 1 / len(after)))
            if size > LEAST and weight > sure:
                best, sure = edge, weight
    if not best:
        return []
    return [*_split(lags[:best], noise, offset), best + offset, *_split(lags[best:], noise, offset + best)]


def _where(steps: NDArray, opening: NDArray, later: NDArray, frame: int, before: float, after: float) -> int:
    """The frame near one up to which the lag before fits better, and from which the one after does."""
    own = range(max(0, frame - 3 * STRETCH // 2), min(len(opening), frame + 3 * STRETCH // 2))
    read = _learn(steps, opening, later, own)
    if read is None:
        return frame
    frames = np.arange(own.start, own.stop)
    early, late = ((opening[frames] - read(frames - lag)) ** 2 for lag in (before, after))
    return own.start + int(np.argmax(np.concatenate([[0.0], np.cumsum(np.nan_to_num(late - early))])))


def quietest(samples: NDArray[np.float32], frame: int) -> int:
    """The quietest frame near one: a cut there is not heard. The frame itself where there is no sound any more."""
    reach, size = round(QUIET * FPS), SAMPLE_RATE // FPS
    first = max(frame - reach, 1)
    own = samples[first * size : (frame + reach) * size]
    power = (own[: len(own) // size * size].reshape(-1, size).astype(np.float64) ** 2).mean(axis=1)
    if not len(power):
        return frame
    power = np.convolve(np.pad(power, 1, mode="edge"), np.ones(2), "valid")[: len(power)]  # both sides of its start
    return first + int(power.argmin())


def shifts(found: Sequence[Slip], frames: int) -> list[tuple[int, float]]:
    """By how many frames the sound is to be put later from each frame on: (frame, frames), in the mean over all 0."""
    edges = [0, *(slip.frame for slip in found)]
    lags = np.cumsum([0.0, *(slip.frames for slip in found)])
    shares = np.diff([*edges, frames]) / frames
    return [(edge, float(lag)) for edge, lag in zip(edges, lags - shares @ lags, strict=True)]
