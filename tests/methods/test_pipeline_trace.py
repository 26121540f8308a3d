"""What the figures of a live model show: every stage of one moment, counts, crops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from audioplane import plots
from audioplane.evaluation import inspection
from audioplane.inference.talking_head import TalkingHead
from audioplane.methods.audio_plane.paper import pipeline_trace
from audioplane.splat.gaussians import Gaussians
from audioplane.subject import Phoneme
from audioplane.subject.masks import lips_mask
from audioplane.training.trainer import Trainer
from tests.tiny_run import TINY
from tests.tiny_subject import TinySubject


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> tuple[TinySubject, TalkingHead]:
    subject = TinySubject()
    subject.phonemes = [Phoneme("a", 0.4 * k, 0.4 * k + 0.3) for k in range(9)]  # type: ignore[attr-defined]
    trainer = Trainer(TINY.replace(schedule__coarse=40, schedule__fine=40), subject)  # type: ignore[arg-type]
    trainer.run()
    path = tmp_path_factory.mktemp("run") / "head.safetensors"
    TalkingHead.export(trainer, path)
    return subject, TalkingHead.load(path, sparse=False)


def test_stages_are_those_of_the_model(spoken):
    subject, head = spoken
    t = 80
    s = pipeline_trace.stages(subject, head, t)
    code = head.encode(subject.audio)[t]
    np.testing.assert_array_equal(s.code, code.numpy())
    assert s.weights.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(s.weights @ s.prototypes, s.audio_code[0], atol=1e-5)
    np.testing.assert_array_equal(s.picture, head.render(code, subject.viewmats[t], subject.without_head(t)))
    assert s.sound == "a"
    assert s.canonical.shape == s.deformed.shape == (2 * subject.height, 2 * subject.width, 3)
    assert np.isfinite(s.dynamism).any()
    assert np.isnan(s.dynamism[0, 0]), "no head in the corner"
    left, right, top, bottom = s.box
    rows, columns = np.nonzero(subject.head_mask(t))
    assert left <= columns.min()
    assert right >= columns.max() + 1
    assert top <= rows.min()
    assert bottom >= rows.max() + 1
    figure = plots.pipeline(s)
    titles = " ".join(axes.get_title() for axes in figure.axes) + " ".join(text.get_text() for text in figure.texts)
    for number in ("1, 3, 4", "2", "5, 13", "6, 8, 10", "7", "9", "11", "12, 14", "15", "16, 17"):
        assert f"Eq. {number}" in titles


def test_density_counts_each_gaussian_in_the_picture_once(spoken):
    subject, head = spoken
    view = subject.viewmats[0]
    at = pipeline_trace.centres(head, head.cloud, view)
    within = (at >= 0).all(1) & (at[:, 0] < head.width) & (at[:, 1] < head.height)
    for cell in (1, 3, 8):
        counts = pipeline_trace.density(head, head.cloud, view, cell)
        assert counts.shape == (-(-head.height // cell), -(-head.width // cell))
        assert counts.sum() == within.sum() > 0
    pixels = pipeline_trace.density(head, head.cloud, view)
    blocks = pixels.reshape(head.height // 8, 8, head.width // 8, 8).sum((1, 3))
    np.testing.assert_array_equal(blocks, pipeline_trace.density(head, head.cloud, view, 8))
    beside = Gaussians(**{name: tensor.clone() for name, tensor in head.cloud.items()})
    beside.means = beside.means + torch.tensor([9.0, 0.0, 0.0])
    assert pipeline_trace.density(head, beside, view).sum() == 0
    beside.means = head.cloud.means - torch.tensor([0.0, 0.0, 9.0])
    assert np.isnan(pipeline_trace.centres(head, beside, view)).all(), "behind the camera"


def test_a_gaussian_falls_where_it_is_drawn(spoken):
    subject, head = spoken
    one = Gaussians(**{name: tensor[:1].clone() for name, tensor in head.cloud.items()})
    one.means = torch.tensor([[0.03, -0.05, 0.0]])
    (at,) = pipeline_trace.centres(head, one, subject.viewmats[5])
    drawn = inspection.splat_values(head, torch.ones(1, 1), subject.viewmats[5], one)
    picture = 1 - pipeline_trace.as_points(head, one, subject.viewmats[5], zoom=1).mean(-1)
    rows, columns = np.indices(picture.shape) + 0.5
    weights = picture / picture.sum()
    assert (weights * columns).sum() == pytest.approx(at[0], abs=0.5)
    assert (weights * rows).sum() == pytest.approx(at[1], abs=0.5)
    assert drawn.shape == (head.height, head.width, 1)


def test_margin_columns_and_the_overview_are_drawn(spoken):
    subject, head = spoken
    column = pipeline_trace.at_margin(subject, head, 80)
    assert column["head"].shape == (subject.height, subject.width, 3)
    assert column["head"][0, 0] == pytest.approx(1.0), "white where there is no head"
    figure = plots.margin_heads({0.1: column, 0.2: column})
    assert [axes.get_title() for axes in figure.axes[:2]] == ["margin 0.1", "margin 0.2"]
    parts = pipeline_trace.spoken(subject, head, 0.5, 2.0, count=3)
    assert parts["times"] == sorted(parts["times"])
    assert all(0.5 <= time <= 2.0 for time in parts["times"])
    assert {len(row) for row in parts["rows"].values()} == {3}
    labels = [axes.get_ylabel() for axes in plots.overview(**parts).axes]
    assert {"voice", "head", "Gaussians", "dynamism"} <= set(labels)


def test_lips_are_a_region_of_the_mouth(spoken):
    subject, _ = spoken
    t = int(subject.opening.argmax())
    lips = lips_mask(subject, t)
    assert lips.any()
    assert (lips & subject.motion_mask(t)).sum() > 0.9 * lips.sum()
