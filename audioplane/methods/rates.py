"""Learning rates over a stage."""

from __future__ import annotations

from collections.abc import Callable

from audioplane.methods.types import Position


def decayed(rate: float, last_share: float) -> Callable[[Position], float]:
    """A rate that decays over a stage to `last_share` of itself."""
    return lambda at: rate * fading(at.done, last_share)


def warmed(rate: float, last_share: float) -> Callable[[Position], float]:
    """As `decayed`, rising over the first hundred iterations."""
    return lambda at: rate * fading(at.done, last_share) * min(1.0, (at.iteration + 1) / 100)


def fading(done: float, last_share: float) -> float:
    """What is left of a rate: from 1 geometrically to `last_share`, in a straight line where that is 0."""
    return last_share**done if last_share > 0 else 1.0 - done
