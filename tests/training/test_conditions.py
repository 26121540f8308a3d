"""What drives a frame: its own expression, and now and then another's, under which only the mouth is learned."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from audioplane.methods.types import UPPER_FACE
from audioplane.subject import blendshapes
from audioplane.subject.masks import mouth_opening
from audioplane.training.conditions import expression_track
from audioplane.training.dataset import samples
from audioplane.training.trainer import Trainer
from tests.tiny_run import tiny
from tests.tiny_subject import TinySubject


def trainer(*settings: str) -> Trainer:
    return Trainer(tiny("audio_plane", *settings), TinySubject())


def test_a_frame_has_its_own_expression_in_spreads_from_rest() -> None:
    run = trainer("method.expression=true")
    own, subject = run.conditions.own_range, run.subject
    assert own is not None
    found = run.conditions(run.method, 20).expression
    assert found is not None
    lid = UPPER_FACE.index("eyeBlinkLeft")
    closed = subject.blendshapes[20, blendshapes.index("eyeBlinkLeft")]
    assert float(found[lid]) == pytest.approx((closed - own.rest[lid]) / own.spread[lid], abs=1e-5)
    assert closed > 0.9
    assert trainer().conditions(run.method, 20).expression is None


def test_a_lost_face_has_the_usual_expression() -> None:
    subject = TinySubject()
    subject.landmarks[20] = np.nan
    track = expression_track(subject, UPPER_FACE)
    assert track[20, UPPER_FACE.index("eyeBlinkLeft")] < 0.1
    assert np.isfinite(track).all()


def test_a_share_of_the_iterations_has_another_expression_the_same_each_time() -> None:
    run = trainer("method.expression=true", "schedule.foreign_expression=0.3")
    found = [run.conditions.foreign_expression(k) for k in range(600)]
    given = [one for one in found if one is not None]
    assert 0.24 < len(given) / 600 < 0.36
    again = run.conditions.foreign_expression(next(k for k, one in enumerate(found) if one is not None))
    assert torch.equal(again, given[0])
    own = run.conditions.own_range
    assert own is not None
    low, high = own.standardise(own.low), own.standardise(own.high)
    assert all((low <= one.numpy()).all() and (one.numpy() <= high).all() for one in given)
    lids = torch.stack(given)[:, UPPER_FACE.index("eyeBlinkLeft")]
    assert float(lids.max()) > 0.9 * high[UPPER_FACE.index("eyeBlinkLeft")], "closed eyes are among them"
    assert trainer().conditions.foreign_expression(0) is None
    assert trainer("method.expression=true", "schedule.foreign_expression=0").conditions.foreign_expression(3) is None


def test_under_another_expression_only_the_mouth_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    run = trainer("method.expression=true", "schedule.foreign_expression=1")
    run.iteration = run.config.schedule.coarse
    seen = []
    losses = run.method.losses
    monkeypatch.setattr(
        run.method, "losses", lambda picture, sample, *rest: seen.append(sample) or losses(picture, sample, *rest)
    )
    for sample in samples(run.cache, run.subject.train, run.config.schedule, 0, 0, 2):
        run.step(sample)
        assert torch.equal(seen[-1].known, sample.known & (sample.motion > 0))
        assert 0 < int(seen[-1].known.sum()) < sample.known.numel() / 2


def test_closed_eyes_are_found_among_the_training_frames() -> None:
    run = trainer("method.expression=true")
    closed = run.conditions.closed_frames(run.method)
    assert {19, 20, 21} <= set(closed.tolist())
    assert {54, 55, 56} <= set(closed.tolist())
    assert len(closed) <= 16
    assert set(closed.tolist()) <= set(run.subject.train)
    blind = trainer()
    assert len(blind.conditions.closed_frames(blind.method)) == 0


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_frames_with_closed_eyes_come_as_often_as_is_said(share: float) -> None:
    run = trainer("method.expression=true", f"schedule.closed_eyes={share}")
    coarse = run.config.schedule.coarse
    assert run._choose(0) is None, "the static stage sees all frames in turn"
    choose = run._choose(coarse)
    assert choose is not None
    closed = set(run.conditions.closed_frames(run.method).tolist())
    chosen = [choose(iteration) for iteration in range(coarse, coarse + 1000)]
    assert chosen == [choose(iteration) for iteration in range(coarse, coarse + 1000)]
    usual = len(closed) / len(run.subject.train)
    assert np.mean([t in closed for t in chosen]) == pytest.approx(share + (1 - share) * usual, abs=0.05)
    assert set(chosen) <= set(run.subject.train)
    if share < 1.0:
        assert len(set(chosen)) == len(run.subject.train)


def test_frames_with_wide_lips_come_as_often_as_is_said_and_beside_closed_eyes() -> None:
    wide, closed = 0.3, 0.4
    run = trainer("method.expression=true", f"schedule.closed_eyes={closed}", f"schedule.wide_lips={wide}")
    coarse, train = run.config.schedule.coarse, run.subject.train
    assert run._choose(0) is None, "the static stage sees all frames in turn"
    choose = run._choose(coarse)
    assert choose is not None
    chosen = np.array([choose(iteration) for iteration in range(coarse, coarse + 2000)])
    opening = mouth_opening(run.subject.landmarks[train.start : train.stop])
    widest = np.argsort(opening)[-round(0.15 * len(train)) :] + train.start
    blinks = run.conditions.closed_frames(run.method)
    usual = np.mean([t in widest for t in train])
    among_blinks = np.mean([t in widest for t in blinks])
    expected = closed * among_blinks + (1 - closed) * (wide + (1 - wide) * usual)
    assert np.isin(chosen, widest).mean() == pytest.approx(expected, abs=0.05)
    assert len(set(chosen.tolist())) == len(train)


def test_wide_lips_are_not_asked_for_where_a_stage_has_its_own_openings_or_no_landmarks() -> None:
    runs = [
        Trainer(tiny("talking_gaussian", "schedule.closed_eyes=0", f"schedule.wide_lips={share}"), TinySubject())
        for share in (0.5, 0.0)
    ]
    first = 0
    for stage in runs[0].method.stages():
        often, usual = (run._choose(first) for run in runs)
        if stage.opening is not None and often is not None and usual is not None:
            assert [often(first + k) for k in range(50)] == [usual(first + k) for k in range(50)]
        first += stage.iterations
    faceless = TinySubject()
    faceless.landmarks[:] = np.nan
    run = Trainer(tiny("audio_plane", "schedule.wide_lips=0.5"), faceless)
    assert run._choose(run.config.schedule.coarse) is None


def test_closed_eyes_come_beside_a_window_of_mouth_openings_where_an_expression_drives() -> None:
    share, often, usual = (
        0.4,
        *(Trainer(tiny("talking_gaussian", f"schedule.closed_eyes={share}"), TinySubject()) for share in (0.4, 0.0)),
    )
    closed, shares, first = set(often.conditions.closed_frames(often.method).tolist()), {}, 0
    for stage in often.method.stages():
        pair = [run._choose(first) for run in (often, usual)]
        if pair[0] is not None and pair[1] is not None:
            shares[stage.name] = [
                np.mean([choose(first + k) in closed for k in range(1000)]) for choose in pair if choose
            ]
        first += stage.iterations
    more, before = shares["face motion"]
    assert more == pytest.approx(share + (1 - share) * before, abs=0.05)
    assert shares["mouth motion"][0] == shares["mouth motion"][1], "the inside of the mouth knows of no eyes"
    assert set(shares) == {"face motion", "mouth static", "mouth motion"}


def test_without_eyes_that_close_frames_come_in_turn() -> None:
    for settings in (("schedule.closed_eyes=0.5",), ("method.expression=true",)):
        run = trainer(*settings)
        assert run._choose(run.config.schedule.coarse) is None
    staring = TinySubject()
    assert staring.blendshapes is not None
    staring.blendshapes[:] = 0.0
    run = Trainer(tiny("audio_plane", "method.expression=true", "schedule.closed_eyes=0.5"), staring)
    assert run._choose(run.config.schedule.coarse) is None
