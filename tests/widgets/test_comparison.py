"""Heads beside the truth: the slider draws Fig. 6's picture of its moments."""

from __future__ import annotations

import pytest

from audioplane import plots
from audioplane.evaluation import inspection
from audioplane.inference.talking_head import TalkingHead
from audioplane.subject import Subject
from audioplane.widgets import method_scrubber


def test_the_slider_draws_the_truth_and_every_head(
    smoke: tuple[Subject, TalkingHead], monkeypatch: pytest.MonkeyPatch
) -> None:
    subject, head = smoke
    drawn: list[dict[str, int]] = []
    plain = plots.methods

    def noting(rows, mouths, titles):
        drawn.append({name: len(pictures) for name, pictures in rows.items()})
        assert (rows["truth"][1] == subject.frame(frame)).all()
        return plain(rows, mouths, titles)

    monkeypatch.setattr(plots, "methods", noting)
    frame = subject.test.start + len(subject.test) // 2
    widget = method_scrubber(subject, {"trained": head, "at rest": inspection.at_rest(head)})
    before, frame = widget.picture, subject.test.stop - 1
    widget.values = {"frame": frame}
    assert drawn == [{"truth": 3, "trained": 3, "at rest": 3}] * 2
    assert widget.picture != before
    assert f"Frame {frame}: mean error" in widget.caption
    assert "at rest" in widget.caption


def test_no_head_is_refused(smoke: tuple[Subject, TalkingHead]) -> None:
    with pytest.raises(ValueError, match="heads: expected one"):
        method_scrubber(smoke[0], {})
