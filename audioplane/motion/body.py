"""Head, torso and breath.

Head motion in speech: a few degrees, nearly all of it below 2 Hz, larger and faster while speaking than in silence,
with nods at emphasised syllables (Hadar et al. 1983, Language and Speech 26 and Human Movement Science 2: slow motion
below 1.8 Hz, ordinary 1.8 to 3.7 Hz; Munhall et al. 2004, Psychological Science 15; Yehia et al. 2002). Breathing in
speech: a quick breath at a pause, a long breath out over the phrase (Winkworth et al. 1995; breath groups of 2 to 8 s).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter1d

from audioplane.motion.timing import TRACK_RATE, Timing, bump, ease, smooth_noise

TURNS = ("speech", "wide")
"""How far a head turns: as speakers do before a camera (about 4 degrees), or looking around as well."""

WIDE = np.array([12.0, 25.0])  # degrees of pitch and yaw that a head that looks around reaches
NECK = np.array([0.0, 0.09, 0.015])  # the point about which the head turns, head coordinates, metres


@dataclass(frozen=True)
class Body:
    """Tracks at `TRACK_RATE`.

    Attributes:
        head: (n, 6) rotation vector (radians; x = nod down, y = turn to the image left, z = tilt to the image right,
            clockwise as seen) and translation (metres) of the head about its rest.
        torso: (n, 6) the same for the torso; small.
        breath: (n,) filling of the lungs, 0..1.
    """

    head: np.ndarray
    torso: np.ndarray
    breath: np.ndarray


def body(timing: Timing, rng: np.random.Generator) -> Body:
    """Motion of head and torso that goes with the speech."""
    count, times = timing.count, timing.times
    breath = _breath(timing, rng)
    speaking = timing.speaking()
    slow = np.stack([smooth_noise(count, 0.9, rng) for _ in range(3)], axis=1) * [1.3, 1.9, 1.0]
    beat = np.stack([smooth_noise(count, 0.22, rng) for _ in range(3)], axis=1) * [0.55, 0.50, 0.40]
    degrees = slow + beat * (0.25 + 0.75 * speaking)[:, None]
    for accent in timing.accents:
        if rng.random() < 0.20 + 0.35 * accent.strength:
            rise, fall = rng.uniform(0.16, 0.26), rng.uniform(0.25, 0.45)
            depth = float(rng.uniform(0.8, 2.6)) * (0.4 + 0.6 * accent.strength)
            nod = depth * bump(times, accent.time - rise, rise, 0.02, fall)
            degrees += nod[:, None] * [1.0, rng.normal(0, 0.15), rng.normal(0, 0.2)]
    for start, _ in timing.phrases:
        if rng.random() < 0.3:  # a new posture with a new phrase
            step = rng.normal(0, [0.5, 1.3, 0.9])
            degrees += bump(times, start - 0.3, rng.uniform(0.4, 0.7), rng.uniform(1, 3), 0.9)[:, None] * step
    degrees -= degrees.mean(axis=0)
    angles = np.radians(6.5 * np.tanh(degrees / 6.5))
    shift = np.stack([smooth_noise(count, 1.4, rng) for _ in range(3)], axis=1) * [0.0016, 0.0010, 0.0020]
    shift += _turn_about_neck(angles)
    lean = np.stack([smooth_noise(count, 2.2, rng) for _ in range(3)], axis=1)
    torso = np.concatenate([np.radians([0.25, 0.35, 0.25]) * lean, [0.0012, 0.0004, 0.0015] * lean[:, ::-1]], axis=1)
    torso[:, 4] -= 0.0015 * (breath - 0.5)  # the chest rises (y is down)
    shift[:, 1] -= 0.0005 * (breath - 0.5)
    shift += 0.6 * torso[:, 3:]
    return Body(np.concatenate([angles, shift], axis=1), torso, breath)


def turned_widely(moves: Body, rng: np.random.Generator) -> Body:
    """The same motion by one who looks around: slow turns to `WIDE`, yaw and pitch apart, there and back in 4 s or so.

    Yaw and pitch are sines whose speed wanders, so that every direction is reached for about as long.
    """
    times = np.arange(len(moves.head)) / TRACK_RATE
    angles = np.zeros((len(times), 3))
    for axis, period in ((0, 5.3), (1, 8.6)):
        wander = 0.6 * smooth_noise(len(times), 2.5, rng)
        phase = 2 * np.pi * (times / period + rng.random()) + wander
        angles[:, axis] = np.radians(WIDE[axis]) * np.sin(phase)
    head = moves.head.copy()
    about_neck = _turn_about_neck(head[:, :3])
    head[:, :3] += angles
    head[:, 3:] += _turn_about_neck(head[:, :3]) - about_neck
    return replace(moves, head=head)


def _turn_about_neck(angles: np.ndarray) -> np.ndarray:
    """Translation of the head's origin when it turns about the neck: p - R p, for (n, 3) rotation vectors."""
    theta = np.linalg.norm(angles, axis=1, keepdims=True)
    sinc = np.sinc(theta / np.pi)
    versine = 0.5 * np.sinc(theta / (2 * np.pi)) ** 2
    cross = np.cross(angles, NECK)
    return -(sinc * cross + versine * np.cross(angles, cross))


def _breath(timing: Timing, rng: np.random.Generator) -> np.ndarray:
    """Fills in 0.3 to 0.5 s at a pause, when the last breath is 2.5 s old; empties with the phrase."""
    level = np.zeros(timing.count)
    times = timing.times
    moments, last = [], -10.0
    for start, end in timing.pauses:
        if end - start >= 0.28 and max(start, 0) - last > 2.5:
            last = float(np.clip(end - 0.45, 0.0, timing.seconds))
            moments.append(last)
    now = 0.45
    for i, moment in enumerate(moments):
        until = moments[i + 1] if i + 1 < len(moments) else timing.seconds + 1.0
        full = float(rng.uniform(0.75, 1.0))
        into = times >= moment
        inhaled = now + (full - now) * ease((times - moment) / 0.42)
        left = float(np.clip(full - 0.17 * (until - moment - 0.42), 0.1, full))
        spent = (full - left) * np.clip((times - moment - 0.42) / max(until - moment - 0.42, 0.1), 0, 1)
        level[into] = (inhaled - spent)[into]
        if i == 0:
            level[~into] = now
        now = left
    if not moments:
        level[:] = now
    return np.clip(gaussian_filter1d(level, 0.08 * TRACK_RATE, mode="nearest"), 0, 1)
