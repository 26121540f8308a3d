"""Long hair hangs, lags behind the head and comes to rest."""

from __future__ import annotations

import numpy as np
import pytest

from audioplane.motion.swing import FURTHEST, LENGTH, PERIOD, swing
from audioplane.synthetic import cast

RATE = 200.0


def test_hair_of_a_still_head_is_still() -> None:
    assert np.abs(swing(np.tile([0, 0, 0, 0.01, 0.02, 0.03], (400, 1)), RATE)).max() < 1e-12


def test_hair_of_a_tilted_head_hangs_down() -> None:
    """A tilt about the axis to the back moves the hair aside by its length times the angle, a nod to front or back."""
    for axis, moved, sign in ((2, 0, 1.0), (0, 2, -1.0)):
        head = np.zeros((1200, 6))
        head[200:, axis] = 0.03
        last = swing(head, RATE)[-1]
        assert last[moved] == pytest.approx(sign * LENGTH * 0.03, rel=0.05)
        assert np.abs(np.delete(last, moved)).max() < 1e-6


def test_hair_lags_and_swings_on_with_its_own_period() -> None:
    """Let go aside, with the damping it has, it crosses its rest half a damped period apart."""
    head = np.zeros((1000, 6))
    head[:, 3] = 0.01 / (1 + np.exp(-(np.arange(1000) - 200) / 6.0))  # a quick step to the image's right
    x = swing(head, RATE)[:, 0]
    assert x[195:205].min() < -1e-3  # it stays behind
    crossings = np.flatnonzero(np.diff(np.sign(x[210:500])))
    damped = PERIOD / np.sqrt(1 - 0.4**2)
    assert np.diff(crossings[:2])[0] / RATE == pytest.approx(damped / 2, rel=0.05)
    assert np.abs(x[-100:]).max() < 1e-5


def test_it_never_goes_beyond_its_reach() -> None:
    head = np.random.default_rng(0).normal(0, 0.3, (500, 6))
    assert np.linalg.norm(swing(head, RATE), axis=1).max() < FURTHEST + 1e-9


@pytest.mark.parametrize(("name", "sways"), [("adam", False), ("elise", True), ("frida", True)])
def test_only_hanging_hair_sways(name: str, sways: bool) -> None:
    stage = cast.bring_together(name, 64, 2, 0, None)
    moved = np.flatnonzero(stage.actor.sway)
    assert (len(moved) > 0) == sways
    hair = np.unique(stage.actor.faces[stage.actor.labels == 2])
    assert np.isin(moved, hair).all()
    assert 0.0005 < np.abs(stage.play.hair_swing).max() <= FURTHEST
