"""The scrubber shows the static figure of the frame it is at, and brings a picture where no kernel runs."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from audioplane.errors import UserError
from audioplane.plots import frame_panel
from audioplane.subject import Subject, SubjectWriter
from audioplane.subject.lips import lips_at_sounds
from audioplane.widgets import scrubber
from tests.subject_cases import make_case, write_case


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return Subject.open(write_case(tmp_path_factory.mktemp("scrubber") / "disc", make_case(frames=150)))


def pixels(jpeg: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(jpeg)), int)


def test_the_slider_draws_the_static_figure(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    draw = frame_panel.draw
    monkeypatch.setattr(frame_panel, "draw", lambda s, t: (drawn.append(t), draw(s, t))[1])
    box = scrubber.speaker_scrubber(subject, start=4)
    picture, controls, _ = box.children
    before = picture.value
    controls.children[0].value = 70
    assert pixels(picture.value).shape == pixels(before).shape
    assert np.abs(pixels(picture.value) - pixels(before)).mean() > 0.5
    assert pixels(picture.value)[2, 2].min() > 250
    box.keeper.dark = True
    assert pixels(picture.value)[2, 2].max() < 60
    assert drawn == [4, 70, 70]


def test_the_menu_jumps_to_the_middle_of_a_sound(subject: Subject) -> None:
    frame, sound = scrubber.speaker_scrubber(subject, start=0).children[1].children
    phonemes = subject.phonemes or []
    label, t = sound.options[1 + len(phonemes) // 2]
    sound.value = t
    assert frame.value == t
    assert frame_panel.phoneme_at(subject, t) in label


def test_a_page_without_a_kernel_shows_the_first_picture(subject: Subject) -> None:
    box = scrubber.speaker_scrubber(subject, start=9)
    bundle = box._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert base64.b64decode(bundle["image/jpeg"]) == box.children[0].value


def test_a_frame_that_is_not_there_is_refused(subject: Subject) -> None:
    with pytest.raises(ValueError, match="0 to 149; got 150"):
        scrubber.speaker_scrubber(subject, start=150)
    with pytest.raises(IndexError, match="frame -1"):
        frame_panel.draw(subject, -1)


def test_a_real_video_knows_less_and_is_drawn_all_the_same(tmp_path: Path) -> None:
    case = make_case(frames=30)
    with SubjectWriter(tmp_path / "bare", "bare", 48, 48, licence="", provenance={}) as writer:
        writer.set_background(case.background)
        for t in range(30):
            writer.add_frame(case.frames[t], case.labels[t], case.without_head[t])
        writer.set_audio(case.audio)
        writer.set_cameras(case.K, case.viewmats)
        writer.set_landmarks(case.landmarks)
    bare = Subject.open(tmp_path / "bare")
    assert len(scrubber.speaker_scrubber(bare).children[1].children[1].options) == 1
    with pytest.raises(UserError, match="only embedded speakers"):
        lips_at_sounds(bare)
