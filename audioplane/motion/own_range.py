"""A person's own range of expression: the rest pose, how far each blendshape goes, and which go together.

Captured weights differ from face to face: what one tracker calls .6 is a closed eye of one person and a squint of
another. So a head is driven in spreads from its person's rest pose, and what comes from elsewhere (a seeded process, a
capture of another face) is brought into the range that was seen while learning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audioplane.subject import blendshapes, flame

SMALLEST_SPREAD = 0.02  # of a weight: what stays below is the tracker's noise, and is not made larger
FULL = 99.5  # percentile at which a shape is as far as the person goes
LEAST_GAIN_RANGE = 0.25  # a foreign capture whose shape moves less than this is not stretched to the full range
CONTROLS = ("blink", "gaze_x", "gaze_y", "brows")
"""What can be steered: closed eyes, gaze to the image right and up, raised brows."""
TITLES = {
    "blink": "closed eyes",
    "gaze_x": "gaze, left to right",
    "gaze_y": "gaze, down to up",
    "brows": "brows, down to up",
}
"""For people."""


@dataclass(frozen=True)
class OwnRange:
    """Statistics of E captured blendshapes of one person.

    Attributes:
        names: of the blendshapes, E. rest, low, high, spread: (E,) weights: median, lowest, highest, standard
            deviation (`SMALLEST_SPREAD` or more).
        up, down: (C, E) change of all weights when one of `CONTROLS` goes to the person's own end, and to the other
            end (zeros for blink).
        reach: (C, 2) how far the readings of the controls go to either end, in weights; see `readings`.
    """

    names: tuple[str, ...]
    rest: np.ndarray
    low: np.ndarray
    high: np.ndarray
    spread: np.ndarray
    up: np.ndarray
    down: np.ndarray
    reach: np.ndarray

    @classmethod
    def fit(cls, track: np.ndarray, names: Sequence[str]) -> OwnRange:
        """The range of a captured track (T, E) of blendshapes by name."""
        track = np.asarray(track, np.float64)
        rest = np.median(track, axis=0)
        spread = np.maximum(track.std(axis=0), SMALLEST_SPREAD)
        low, high = track.min(axis=0), track.max(axis=0)
        up, down, reach = _controls(track - rest, names)
        return cls(tuple(names), rest, low, high, spread, up, down, reach)

    @property
    def is_captured(self) -> bool:
        """Whether anything was captured: a Subject without blendshapes has the same zeros in every frame."""
        return bool((self.high > self.low).any())

    def standardise(self, weights: np.ndarray) -> np.ndarray:
        """Weights (..., E) as a method takes them: within what was seen, in spreads from the rest pose."""
        return ((self.clip(np.asarray(weights)) - self.rest) / self.spread).astype(np.float32)

    def closure(self, weights: np.ndarray) -> np.ndarray:
        """How far the eyes are closed in each row of weights (T, E): (T,), 1 as far as the person closes them."""
        return readings(np.asarray(weights, np.float64) - self.rest, self.names)[:, 0] / max(
            float(self.reach[0, 0]), 1e-6
        )

    def clip(self, weights: np.ndarray) -> np.ndarray:
        """Weights (..., E) within what was seen."""
        return np.clip(weights, self.low, self.high)

    def steered(self, shares: np.ndarray) -> np.ndarray:
        """Weights of controls.

        Args:
            shares: (T, C), of `CONTROLS`, -1 to 1: shares of the way to the person's own ends.

        Returns:
            (T, E) weights, the rest pose for zeros.
        """
        change = np.maximum(shares, 0) @ self.up + np.maximum(-shares, 0) @ self.down
        return self.clip(self.rest + change)

    def adopt(self, weights: np.ndarray, names: Sequence[str] = blendshapes.NAMES) -> np.ndarray:
        """A capture of another face, or by another tracker, in this person's range.

        Each shape's median becomes the own rest pose, and how far it goes the own farthest. A shape that the other
        face hardly moves is not stretched; one that it does not tell rests.

        Args:
            weights: (T, ...) in [0, 1]. names: of its columns.

        Returns:
            (T, E).
        """
        places = {name: k for k, name in enumerate(names)}
        meant = [name if name in places else flame.ALIKE.get(name, name) for name in self.names]
        given = np.asarray(weights, np.float64)
        found = np.stack([given[:, places[name]] if name in places else np.zeros(len(given)) for name in meant], 1)
        rest = np.median(found, axis=0)
        far = np.maximum(np.percentile(found, FULL, axis=0) - rest, LEAST_GAIN_RANGE)
        return self.clip(self.rest + (found - rest) * (self.high - self.rest) / far)


def readings(change: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """`CONTROLS` read off weights.

    Args:
        change: (T, E) weights less the rest pose.

    Returns:
        (T, C); what none of the names tells is 0.
    """
    names = [flame.ALIKE.get(name, name) for name in names]

    def mean(*chosen: str) -> np.ndarray:
        found = [change[:, names.index(name)] for name in chosen if name in names]
        return np.mean(found, axis=0) if found else np.zeros(len(change))

    look = {way: mean(f"eyeLook{way}Left", f"eyeLook{way}Right") for way in ("Up", "Down")}
    right = mean("eyeLookOutLeft", "eyeLookInRight")  # the image right is the person's left
    left = mean("eyeLookInLeft", "eyeLookOutRight")
    raised = mean("browInnerUp", "browOuterUpLeft", "browOuterUpRight")
    lowered = mean("browDownLeft", "browDownRight")
    blink = mean("eyeBlinkLeft", "eyeBlinkRight")
    return np.stack([blink, right - left, look["Up"] - look["Down"], raised - lowered], axis=1)


def _controls(change: np.ndarray, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`up`, `down` and `reach` of (T, E) weights less the rest pose.

    One after the other, each from what the former leave: a tracker sees eyes look down while they close, and that
    belongs to the blink.
    """
    rest, count = change, len(CONTROLS)
    up, down, reach = np.zeros((count, change.shape[1])), np.zeros((count, change.shape[1])), np.zeros((count, 2))
    for c in range(count):
        reading = readings(rest, names)[:, c]
        for side, (sign, ends) in enumerate(((1, up), (-1, down))):
            if c == 0 and side:
                continue
            part = np.maximum(sign * reading, 0)
            far = float(np.percentile(part, FULL))
            reach[c, side] = far
            away = part - part.mean()
            if far > 1e-6 and away @ part > 1e-12:  # what never changes says nothing of what goes with it
                ends[c] = far * (away @ rest) / (away @ part)
        shares = np.stack([np.maximum(reading, 0), np.maximum(-reading, 0)], axis=1) / np.maximum(reach[c], 1e-6)
        if c == 0:
            shares[:, 1] = 0
        rest = rest - shares @ np.stack([up[c], down[c]])
    return up, down, reach
