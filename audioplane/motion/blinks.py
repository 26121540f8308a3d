"""Blinks: when, and how the lids move.

Rates: 17 a minute at rest, 26 in conversation, 4.5 while reading (Bentivoglio et al. 1997, Movement Disorders 12);
10.5 to 32.5 a minute in conversation (Doughty 2001, Optometry and Vision Science 78). Intervals are skewed to the
right, close to log-normal. Blinks like to fall in pauses of speech (Nakano & Kitazawa 2010, Exp. Brain Research 205).
A blink takes 0.2 to 0.35 s; lids close in about 0.08 s and open in twice that (Evinger et al. 1991).
"""

from __future__ import annotations

import numpy as np

from audioplane.motion.timing import Timing, ease

MEAN_INTERVAL = 3.1  # seconds
SPREAD = 0.55  # standard deviation of the interval's logarithm
SHORTEST_INTERVAL = 0.7


def blink_times(timing: Timing, rng: np.random.Generator) -> list[float]:
    """Times at which the lids start to close: log-normal intervals, half of them moved to a near pause."""
    location = np.log(MEAN_INTERVAL) - 0.5 * SPREAD**2
    starts = np.array([a for a, b in timing.pauses if b - a > 0.25 and a > 0])
    moments: list[float] = []
    clock = float(rng.uniform(0.3, MEAN_INTERVAL))
    while clock < timing.seconds - 0.4:
        moment = clock
        if len(starts) and rng.random() < 0.5:
            nearest = float(starts[np.argmin(np.abs(starts - clock))]) + float(rng.normal(0.05, 0.06))
            if abs(nearest - clock) < 0.6:
                moment = nearest
        if moment > 0 and (not moments or moment - moments[-1] > SHORTEST_INTERVAL):
            moments.append(moment)
        clock = max(clock, moment) + max(SHORTEST_INTERVAL, float(rng.lognormal(location, SPREAD)))
    return moments


def blinks(timing: Timing, rng: np.random.Generator) -> np.ndarray:
    """How far the lids are closed, (n, 2) for left and right, 0..1, at the rate of the tracks.

    The lids stay shut for at least 0.042 s, so that at 25 frames/s each blink shows closed eyes once.
    """
    times = timing.times
    lids = np.zeros((timing.count, 2))
    for moment in blink_times(timing, rng):
        close, hold = float(rng.uniform(0.07, 0.10)), 0.042 + float(rng.exponential(0.012))
        open_again = close * float(rng.uniform(1.7, 2.4))
        depth = 1.0 if rng.random() < 0.9 else float(rng.uniform(0.6, 0.9))  # some are not complete
        inside = slice(*np.searchsorted(times, [moment, moment + close + hold + open_again + 0.01]))
        since = times[inside] - moment
        track = depth * ease(since / close) * (1 - ease((since - close - hold) / open_again) ** 0.8)
        lids[inside, 0] = np.maximum(lids[inside, 0], track)
        lids[inside, 1] = np.maximum(lids[inside, 1], track * float(rng.uniform(0.97, 1.0)))
    return lids
