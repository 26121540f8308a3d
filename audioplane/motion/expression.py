"""Brows, cheeks and a slowly varying smile.

Brow raises accompany some pitch accents and open some phrases (Cavé et al. 1996, ICSLP: 71 % of brow raises go with a
rise of F0, far fewer accents have one; Flecha-García 2010, Speech Communication 52: raises lead accents by about
0.06 s). All weights stay small: the speech is neutral.
"""

from __future__ import annotations

import numpy as np

from audioplane.motion.timing import Timing, bump, smooth_noise


def expression(timing: Timing, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Weights of brow, cheek, squint and smile shapes, each (n,) at the rate of the tracks; none below 0."""
    return {**brows(timing, rng), **_smile(timing, rng)}


def brows(timing: Timing, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """What `expression` begins with: weights of brows and wide eyes."""
    count = timing.count
    raised = np.zeros(count)
    for accent in timing.accents:
        if rng.random() < 0.12 + 0.28 * accent.strength:
            rise, hold, fall = rng.uniform(0.12, 0.2), rng.uniform(0.03, 0.2), rng.uniform(0.2, 0.4)
            height = float(rng.uniform(0.10, 0.38)) * (0.5 + 0.5 * accent.strength)
            _raise(raised, timing, height, accent.time - 0.06 - rise, rise, hold, fall)
    for start, _ in timing.phrases:
        if rng.random() < 0.2:
            _raise(raised, timing, rng.uniform(0.08, 0.25), start - 0.1, 0.25, 0.3, 0.6)
    slow = smooth_noise(count, 1.5, rng)
    inner = np.maximum(raised + 0.035 * (slow + 1), 0)
    side = 1 + 0.15 * float(rng.uniform(-1, 1)) + 0.05 * smooth_noise(count, 2.0, rng)  # one brow leads a little
    frown = 0.05 * np.maximum(smooth_noise(count, 1.8, rng), 0) * (1 - np.minimum(raised / 0.2, 1))
    return {
        "browInnerUp": inner,
        "browOuterUpLeft": 0.75 * raised * side,
        "browOuterUpRight": 0.75 * raised * (2 - side),
        "browDownLeft": frown,
        "browDownRight": frown,
        "eyeWideLeft": 0.3 * raised,
        "eyeWideRight": 0.3 * raised,
    }


def _raise(
    track: np.ndarray, timing: Timing, height: float, start: float, rise: float, hold: float, fall: float
) -> None:
    """Raises a track in place to a bump, see `timing.bump`, where it is not higher already."""
    inside, times = timing.stretch(start, start + rise + hold + fall)
    track[inside] = np.maximum(track[inside], height * bump(times, start, rise, hold, fall))


def _smile(timing: Timing, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Weights of cheeks, squint and smile."""
    smile = 0.035 + 0.03 * smooth_noise(timing.count, 2.5, rng)
    for start, end in timing.pauses:
        if end - start > 0.4 and rng.random() < 0.12:
            inside, times = timing.stretch(start - 0.1, start + 1.4)
            smile[inside] += rng.uniform(0.04, 0.10) * bump(times, start - 0.1, 0.4, 0.2, 0.8)
    smile = np.maximum(smile, 0)
    smile_side = 1 + 0.12 * float(rng.uniform(-1, 1))
    squint = np.maximum(0.03 + 0.02 * smooth_noise(timing.count, 2.0, rng) + 0.5 * smile, 0)
    return {
        "eyeSquintLeft": squint,
        "eyeSquintRight": squint,
        "cheekSquintLeft": 0.6 * smile * smile_side,
        "cheekSquintRight": 0.6 * smile * (2 - smile_side),
        "mouthSmileLeft": smile * smile_side,
        "mouthSmileRight": smile * (2 - smile_side),
    }
