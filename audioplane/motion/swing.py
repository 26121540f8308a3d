"""The swing of long hair: a damped pendulum that hangs from the moving head."""

from __future__ import annotations

import numpy as np

LENGTH = 0.12
"""Metres from where hair leaves the head to the middle of what hangs free."""

HANGS_AT = np.array([0.0, 0.10, 0.0])
"""The point of the head, metres in its coordinates, whose motion drives the hair."""

PERIOD, DAMPING = 0.62, 0.4
"""Seconds of a swing (a pendulum of 0.1 m has 0.63) and its damping, a share of the critical."""

FURTHEST = 0.018
"""Largest displacement of the hair, metres; shoulders and neck stop it."""


def swing(head: np.ndarray, rate: float) -> np.ndarray:
    """The displacement of hanging hair from its rest position beside the head.

    Args:
        head: (n, 6) rotation vectors (radians) and translations (metres) of the head.
        rate: samples a second; 50 or more.

    Returns:
        (n, 3) metres in head coordinates; what hangs free moves by this, what lies on the head not at all.
    """
    turn, shift = np.asarray(head[:, :3], float), np.asarray(head[:, 3:], float)
    carried = HANGS_AT + np.cross(turn, HANGS_AT) + shift  # angles are small: first order
    acceleration = np.gradient(np.gradient(carried, axis=0), axis=0) * rate**2
    stiffness, friction = (2 * np.pi / PERIOD) ** 2, 2 * DAMPING * 2 * np.pi / PERIOD
    # Down, seen from the head: where a lock at rest would hang.
    down = np.array([0.0, 1.0, 0.0])
    rest = -LENGTH * np.cross(turn, down)
    place, speed = rest[0].copy(), np.zeros(3)
    out = np.empty_like(rest)
    for n in range(len(out)):
        speed += (stiffness * (rest[n] - place) - friction * speed - acceleration[n]) / rate
        place = place + speed / rate
        out[n] = place
    out[:, 1] = 0.0  # strands do not stretch
    far = np.linalg.norm(out, axis=1, keepdims=True)
    return out * (FURTHEST * np.tanh(far / FURTHEST) / np.maximum(far, 1e-9))
