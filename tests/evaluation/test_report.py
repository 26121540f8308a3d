"""What is said of faces in two films: other sizes, lost faces and short films, with made-up landmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from audioplane.evaluation import report
from audioplane.media import videos
from audioplane.media.writer import write_video
from tests.tiny_subject import TinySubject


@pytest.fixture
def films(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """pair(frames, lost): a speaking ball, and the same at half its size, followed by what it knows of itself."""
    subject = TinySubject(frames=90, size=96)
    shapes = np.random.default_rng(0).random((90, 52))

    def pair(frames: int, lost: tuple[int, ...] = ()) -> videos.Pair:
        shown, sound = [subject.frame(t) for t in range(frames)], subject.audio[: 640 * frames]
        small = [cv2.resize(frame, (48, 48), interpolation=cv2.INTER_AREA) for frame in shown]
        write_video(tmp_path / "pred.mp4", small, 25, sound)
        write_video(tmp_path / "ref.mp4", shown, 25, sound)

        def follow(film: videos.Film) -> tuple[np.ndarray, np.ndarray]:
            marks, own = subject.landmarks[:frames] * film.width / 96, shapes[:frames].copy()
            if film.path.stem == "pred":
                marks[list(lost)], own[list(lost)] = np.nan, 0.0
            return marks, own

        monkeypatch.setattr(report, "follow", follow)
        return videos.pair(tmp_path / "pred.mp4", tmp_path / "ref.mp4", resize=True)

    return pair


def test_faces_are_compared_in_the_true_films_pixels_where_both_have_one(films):
    found = report.faces_of_films(films(60, lost=(3, 4, 59)))
    assert found["lmd_mouth"] == pytest.approx(0.0, abs=1e-4)
    assert found["lmd_face"] == pytest.approx(0.0, abs=1e-4)
    assert found["aue_lower"] == found["aue_upper"] == 0.0, "a lost face is no error of its expression"
    assert (found["frames"], found["frames_with_both_faces"]) == (60, 57)
    scores = found["sync"]["audioplane-sync"]
    assert scores["clip_seconds"] == pytest.approx(2.4)
    assert {"render", "truth"} <= set(scores)
    assert np.isfinite(scores["render"]["distance"])


def test_a_short_film_has_landmarks_but_no_sync(films):
    found = report.faces_of_films(films(30))
    assert found["lmd_mouth"] == pytest.approx(0.0, abs=1e-4)
    assert "2 s" in found["sync"]["missing"]


def test_films_without_a_common_face_say_so(films):
    assert "no frame" in report.faces_of_films(films(30, lost=tuple(range(30))))["missing"]
