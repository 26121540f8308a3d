"""Gaze: fixations on the listener, small saccades around them, now and then a look away.

Speakers look at a listener for about 40 to 60 % of the time and away mostly at the start of an utterance (Kendon 1967;
Argyle & Cook 1976); before a camera much more. A saccade of A degrees lasts about 2.2 A + 21 ms (Carpenter 1988). While
the eyes rest on a point they turn against the head.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from audioplane.motion.timing import Timing, ease, smooth_noise

LOOK_DEGREES = 30.0  # what an eyeLook shape at weight 1 turns


def gaze(timing: Timing, head_degrees: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Direction of the eyes relative to the head in degrees, (n, 2): to the image right, and up.

    Args:
        timing: of the speech.
        head_degrees: (n, 2) yaw (to the image right) and pitch (up) of the head, which the eyes make good for.
        rng: source of chance.
    """
    times = timing.times
    target = np.zeros((timing.count, 2))
    at = np.zeros(2)
    clock, away_until = 0.0, -1.0
    moves: list[tuple[float, float, np.ndarray, np.ndarray]] = []
    phrase_starts = np.array([a for a, _ in timing.phrases])
    while True:
        clock += float(np.clip(rng.lognormal(np.log(0.85), 0.55), 0.2, 4.0))
        if clock > timing.seconds:
            break
        near_start = bool(len(phrase_starts)) and bool(np.any(np.abs(phrase_starts - clock) < 0.3))
        if clock > away_until and rng.random() < (0.28 if near_start else 0.07):
            angle = float(rng.uniform(0, 2 * np.pi))
            reach = float(rng.uniform(5, 11))
            aim = np.array([reach * np.cos(angle), 0.6 * reach * np.sin(angle)])
            away_until = clock + float(rng.uniform(0.5, 1.3))
            clock_next = away_until
        else:
            aim = rng.normal(0, [1.3, 0.9])  # between a listener's eyes and mouth
            clock_next = clock
        duration = 0.021 + 0.0022 * float(np.linalg.norm(aim - at))
        moves.append((clock, duration, at, aim))
        at, clock = aim, clock_next
    for (start, duration, before, after), (end, *_) in pairwise([*moves, (np.inf, 0.0, at, at)]):
        moving = slice(*np.searchsorted(times, [start, end]))
        target[moving] = before + (after - before) * ease((times[moving] - start) / duration)[:, None]
    target -= head_degrees  # in place: hours of speech are millions of numbers
    for axis in target.T:
        axis += 0.12 * smooth_noise(timing.count, 0.25, rng)
    return np.clip(target, -24, 24, out=target)


def look_shapes(degrees: np.ndarray) -> dict[str, np.ndarray]:
    """Weights of the eyeLook shapes for gaze directions (T, 2): image right, up."""
    to_left = np.maximum(degrees[:, 0], 0) / LOOK_DEGREES  # image right is the person's left
    to_right = np.maximum(-degrees[:, 0], 0) / LOOK_DEGREES
    up, down = np.maximum(degrees[:, 1], 0) / LOOK_DEGREES, np.maximum(-degrees[:, 1], 0) / LOOK_DEGREES
    return {
        "eyeLookOutLeft": to_left,
        "eyeLookInRight": to_left,
        "eyeLookInLeft": to_right,
        "eyeLookOutRight": to_right,
        "eyeLookUpLeft": up,
        "eyeLookUpRight": up,
        "eyeLookDownLeft": down,
        "eyeLookDownRight": down,
    }
