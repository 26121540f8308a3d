"""Each picture of a widget is the static figure of its values, and says the numbers that the library says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from audioplane import plots
from audioplane.errors import UserError
from audioplane.evaluation import inspection
from audioplane.evaluation.resized import ResizedSubject
from audioplane.experiments import session
from audioplane.losses.terms import margin_loss
from audioplane.methods.audio_plane.paper import pipeline_trace, prototypes
from audioplane.widgets import plane_explorer, prototype_explorer, saliency_scrubber


def test_the_margin_says_what_the_loss_says(smoke: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    subject, head = smoke
    drawn: list[Any] = []
    draw = plots.saliency_panel
    monkeypatch.setattr(plots, "saliency_panel", lambda *parts: (drawn.append(parts), draw(*parts))[1])
    widget = saliency_scrubber(subject, head, range(200, 210))
    assert widget.values == {"frame": 200, "margin": head.config.method.margin}
    before = widget.picture
    widget.values = {"frame": 204, "margin": 0.05}
    frame, _, g, mask, margin, *_ = drawn[-1]
    np.testing.assert_array_equal(frame, subject.frame(204))
    assert margin == 0.05
    loss = margin_loss(torch.from_numpy(g), torch.from_numpy(1.0 * mask), 0.05)
    assert f"the loss is {loss:.4f}" in widget.caption
    assert widget.picture != before
    assert widget.answered == 1
    with pytest.raises(ValueError, match="neighbouring"):
        saliency_scrubber(subject, head, range(200, 900))


def test_a_subject_of_another_size_is_looked_at_in_the_heads(smoke: Any) -> None:
    subject, head = smoke
    large = ResizedSubject(subject, 2 * head.width)
    widget = saliency_scrubber(large, head, range(200, 210))
    own = saliency_scrubber(subject, head, range(200, 210))
    assert "the loss is" in widget.caption
    assert len(widget.picture) == pytest.approx(len(own.picture), rel=0.2)
    assert "Level 1" in prototype_explorer(large, head).caption
    codes = head.encode(subject.audio)
    assert session.draw(large, head, codes, 200).shape == (head.height, head.width, 3)
    assert next(session.beside_truth(large, head, range(200, 201))).shape == (head.height, 2 * head.width, 3)
    assert session.held_out(large, head)[0].head_psnr > 5
    trace = pipeline_trace.stages(large, head, 200)
    assert trace.picture.shape == trace.truth.shape == (head.height, head.width, 3)
    assert pipeline_trace.spoken(large, head, 8.0, 8.4, 2)["rows"]["head"][0].shape == (head.height, head.width, 3)
    assert pipeline_trace.at_margin(large, head, 200)["mask"].shape == (head.height, head.width)


def test_leading_attention_moves_the_face(smoke: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    subject, head = smoke
    faces: list[np.ndarray] = []
    draw = plots.prototypes
    monkeypatch.setattr(plots, "prototypes", lambda *parts: (faces.append(parts[5]), draw(*parts))[1])
    widget = prototype_explorer(subject, head)
    code = head.encode(subject.audio)[subject.test.start]
    plain = inspection.frame_picture(head, code, subject.viewmats[subject.test.start])
    assert (
        np.abs(
            faces[0] / 255 - plain.over(torch.from_numpy(subject.without_head(subject.test.start)) / 255).numpy()
        ).max()
        < 2 / 255
    )
    widget.values = {**widget.values, "level": 1, "row": 3, "amount": 1.0}
    assert "prototype 3" in widget.caption
    led = prototypes.steered(head, prototypes.plane_of(head).audio_code(code), 1, 3, 1.0)
    torch.testing.assert_close(led[1], prototypes.plane_of(head).prototypes[1][3])
    torch.testing.assert_close(led[0], prototypes.plane_of(head).audio_code(code)[0])


def test_an_unsteered_code_deforms_as_the_model_does(smoke: Any) -> None:
    subject, head = smoke
    audio = head.encode(subject.audio)[30]
    code = prototypes.plane_of(head).audio_code(audio)
    expected = next(head.method.each()).deform(head.condition(audio)).pack().detach()
    torch.testing.assert_close(prototypes.deform(head, code).pack(), expected)
    reaches = prototypes.reaches(head, 0)
    assert reaches.shape == (len(prototypes.plane_of(head).prototypes[0]), len(head.cloud))
    assert float(reaches.max()) > 0


def test_planes_are_those_of_the_level(smoke: Any) -> None:
    widget = plane_explorer(smoke[1])
    sides = [smoke[1].config.method.resolution * level for level in (1, 2)]
    assert f"{sides[0]} cells a side; {len(smoke[1].cloud)} Gaussians" in widget.caption
    first = widget.picture
    widget.values = {"level": 2, "what": "values", "dots": "none"}
    assert f"{sides[1]} cells a side; 0 Gaussians" in widget.caption
    assert widget.picture != first


def test_somebody_elses_head_is_refused(smoke: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    subject, head = smoke
    monkeypatch.setitem(head.about, "name", "eva")
    for widget in (saliency_scrubber, prototype_explorer):
        with pytest.raises(UserError, match="trained on 'eva', the subject is"):
            widget(subject, head)


def test_each_level_has_its_own_rows_in_one_order(smoke: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    subject, head = smoke
    orders: list[np.ndarray] = []
    draw = plots.prototypes
    monkeypatch.setattr(plots, "prototypes", lambda *parts: (orders.append(parts[0]["order"]), draw(*parts))[1])
    widget = prototype_explorer(subject, head)
    row = next(control for control in widget.controls if control["name"] == "row")
    sizes = [len(own) for own in prototypes.plane_of(head).prototypes]
    assert row["limits"] == {"by": "level", "high": {str(s): size - 1 for s, size in enumerate(sizes)}}
    widget.values = {**widget.values, "frame": subject.test.stop - 1}  # another window
    np.testing.assert_array_equal(orders[0], orders[1])
