"""Eyes and brows that go with a voice: blinks, gaze and brows from the seeded processes, in a person's own range."""

from __future__ import annotations

import zlib
from collections.abc import Collection

import numpy as np

from audioplane.motion.blinks import blinks
from audioplane.motion.expression import brows
from audioplane.motion.gaze import LOOK_DEGREES, gaze
from audioplane.motion.own_range import CONTROLS, OwnRange, readings
from audioplane.motion.timing import PIECE, Timing, sample, timing_of_sound

USUAL = {"gaze_x": (0.30, 0.30), "gaze_y": (0.19, 0.19), "brows": (0.30, 0.12)}
"""How far the processes go to either end (99.5th percentile over minutes of speech), in weights: the person's own ends
lie there."""


def natural_expression(
    own: OwnRange,
    audio: np.ndarray,
    count: int,
    fps: float,
    seed: int = 0,
    head: np.ndarray | None = None,
    without: Collection[str] = (),
) -> np.ndarray:
    """Blinks, gaze and brows for a voice.

    Args:
        own: range of the person. audio: (n,) 16 kHz mono; blinks like its pauses, brows its accents.
        count: frames wanted. fps: frames a second; frame t shows second (t + 0.5) / fps. seed: of the processes.
        head: (count, 2) degrees of the head's yaw (to the image right) and pitch (up), which the eyes make good for;
            None for a still head.
        without: of `CONTROLS`, what keeps at rest.

    Returns:
        (count, E) weights of `own.names`.
    """
    times = (np.arange(count) + 0.5) / fps
    timing = timing_of_sound(audio, count / fps)
    shares = sample(_shares(timing, seed, _at_track_rate(head, times, timing)), times)
    shares[:, [CONTROLS.index(name) for name in without]] = 0.0
    return own.steered(shares)


def _shares(timing: Timing, seed: int, head: np.ndarray) -> np.ndarray:
    """Shares of `CONTROLS` at the rate of the tracks: (n, C)."""
    raised = _raised_brows(timing, seed)
    looking = gaze(timing, head, _generator(seed, "gaze")) / LOOK_DEGREES
    closed = blinks(timing, _generator(seed, "blinks")).mean(axis=1)
    found = {"gaze_x": looking[:, 0], "gaze_y": looking[:, 1], "brows": raised - np.median(raised)}
    shares = {"blink": closed}
    for name, track in found.items():
        ahead, back = USUAL[name]
        shares[name] = np.clip(np.where(track > 0, track / ahead, track / back), -1, 1)
    return np.stack([shares[name] for name in CONTROLS], axis=1)


def _raised_brows(timing: Timing, seed: int) -> np.ndarray:
    """How far the brows are raised, (n,); of hours of sound, nothing else is kept."""
    weights = brows(timing, _generator(seed, "expression"))
    names = [name for name in weights if name.startswith("brow")]
    found = np.empty(timing.count)
    for start in range(0, timing.count, PIECE):
        own = slice(start, start + PIECE)
        shapes = np.stack([weights[name][own] for name in names], axis=1)
        found[own] = readings(shapes, names)[:, CONTROLS.index("brows")]
    return found


def _at_track_rate(head: np.ndarray | None, times: np.ndarray, timing: Timing) -> np.ndarray:
    """Yaw and pitch (count, 2) at `times`, or None, at the rate of the tracks."""
    if head is None or not len(times):
        return np.zeros((timing.count, 2))
    return np.stack([np.interp(timing.times, times, angle) for angle in np.asarray(head).T], axis=1)


def _generator(seed: int, process: str) -> np.random.Generator:
    """One stream a process, so that a change in one leaves the others as they are."""
    return np.random.default_rng([seed, zlib.crc32(process.encode())])
