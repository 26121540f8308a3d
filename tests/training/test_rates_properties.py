"""Learning rates, and the pieces of a run: for any settings and any place in a stage."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioplane.config import preset
from audioplane.methods.types import Position, Stage
from audioplane.training.optimizers import cloud_rates
from audioplane.training.trainer import by_opening
from tests.strategies import few
from tests.tiny_run import trained

OPTIM = preset("demo").optim
STATIC, MOVING = Stage("static", 100, deforms=False), Stage("moving", 100)


@few
@given(st.sampled_from([STATIC, MOVING]), st.integers(0, 99), st.floats(0.01, 1), st.floats(0.1, 10))
def test_only_positions_are_learned_in_the_boxs_size(stage, iteration, half, factor):
    at = Position(stage, iteration)
    rates, larger = (cloud_rates(OPTIM, at, size) for size in (half, factor * half))
    assert larger.pop("means") == pytest.approx(factor * rates.pop("means"))
    assert larger == rates
    assert rates["sh0"] == pytest.approx(20 * rates["shN"])
    assert rates.keys() == {"quats", "scales", "opacities", "sh0", "shN"}
    faster = cloud_rates(replace(OPTIM, quats=factor * OPTIM.quats), at, half)
    assert faster["quats"] == pytest.approx(factor * rates["quats"])
    assert faster["scales"] == rates["scales"]


@few
@given(st.floats(0.01, 1), st.integers(0, 98))
def test_positions_slow_down_from_the_first_rate_to_the_last(half, iteration):
    means = [cloud_rates(OPTIM, Position(STATIC, t), half)["means"] for t in (0, iteration, iteration + 1, 100)]
    assert means[0] == pytest.approx(OPTIM.means * half)
    assert means[-1] == pytest.approx(OPTIM.means_last * half)
    assert means[1] / means[2] == pytest.approx((OPTIM.means / OPTIM.means_last) ** 0.01)
    moving = [cloud_rates(OPTIM, Position(MOVING, t), half) for t in (0, iteration, iteration + 1)]
    assert moving[0]["means"] == pytest.approx(OPTIM.means_last * half), "it goes on where the static stage ended"
    assert moving[0]["scales"] == pytest.approx(OPTIM.fine_share * OPTIM.scales)
    assert all(moving[2][name] <= moving[1][name] for name in moving[1])
    still = replace(OPTIM, means=0.0)
    assert cloud_rates(still, Position(STATIC, iteration), half)["means"] == 0


@few
@given(st.integers(0, 25))
def test_a_run_goes_on_in_pieces_of_one_stage_and_one_size(start):
    trainer = trained("audio_plane", "schedule.size=40", "schedule.early_size=20")
    assert any(stage.starts_small for stage in trainer.method.stages())
    trainer.iteration = start
    pieces = trainer._pieces()
    assert [t for a, b in pieces for t in range(a, b)] == list(range(start, trainer.method.iterations))
    for a, b in pieces:
        assert len({(trainer.method.position(t).stage.name, trainer.size(t)) for t in range(a, b)}) == 1
    sizes = {trainer.size(t) for t in range(trainer.method.iterations)}
    assert sizes == {20, 40}


@few
@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 9))
def test_frames_are_chosen_by_the_mouths_opening(low, high, iteration):
    trainer = trained("talking_gaussian")
    frames, (low, high) = by_opening(trainer.subject), sorted((low, high))
    stage = replace(next(stage for stage in trainer.method.stages() if stage.opening), opening=lambda _: (low, high))
    trainer.method.position = lambda _: Position(stage, 0)  # type: ignore[method-assign]
    choose = trainer._choose(0)
    assert choose is not None
    rank = frames.tolist().index(choose(iteration))
    lowest = int(low * (len(frames) - 1))
    assert lowest <= rank <= max(lowest, int(np.ceil(high * len(frames))) - 1)
    assert choose(iteration) == choose(iteration)
    openings = trainer.subject.opening[frames]  # type: ignore[attr-defined]
    assert (np.diff(openings) >= -1e-4).all()
    trainer.method.position = lambda _: Position(replace(stage, opening=None), 0)  # type: ignore[method-assign]
    assert trainer._choose(0) is None
