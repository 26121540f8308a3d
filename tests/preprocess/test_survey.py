"""Cuts, framing, silences, stretches."""

from __future__ import annotations

import numpy as np
import pytest

from audioplane.errors import UserError
from audioplane.preprocess.preparation import _longest
from audioplane.preprocess.survey import EVERY, Survey, crop, cuts, frame_count, silences


def test_cuts_are_jumps_and_not_shakes() -> None:
    change = np.abs(np.random.default_rng(0).normal(0.004, 0.002, 300))
    change[[50, 200]] = 0.05, 0.03
    assert cuts(change) == [50, 200]
    change[100:120] = 0.03  # a fast move lasts
    assert cuts(change) == [50, 200]
    assert cuts(np.zeros(50)) == []


@pytest.mark.parametrize(("width", "height"), [(512, 512), (1080, 1920), (360, 288), (1920, 1080)])
def test_the_crop_is_a_square_inside_the_picture_that_holds_the_face(width: int, height: int) -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        size = rng.uniform(0.1, 0.45) * min(width, height)
        x, y = rng.uniform(size / 2, width - size / 2), rng.uniform(size / 2, height - size / 2)
        left, top, side, same = crop(np.tile([x, y, size], (9, 1)), width, height)
        assert side == same <= min(width, height)
        assert 0 <= left <= width - side
        assert 0 <= top <= height - side
        assert left <= x - size / 2 + 1
        assert x + size / 2 <= left + side + 1
        assert top <= y - size / 2 + 1
        assert y + size / 2 <= top + side + 1


def test_a_well_framed_video_is_not_cropped() -> None:
    assert crop(np.tile([256, 292, 250.0], (5, 1)), 512, 512) == (0, 0, 512, 512)


def test_the_larger_of_two_faces_is_taken_even_where_it_is_missing_for_a_moment() -> None:
    faces = np.full((20, 4, 3), np.nan)
    faces[:, 0] = 100, 100, 80
    faces[:, 1] = 300, 90, 60
    faces[7, 0], faces[7, 1] = (300, 90, 60), np.nan
    seen = Survey(faces, np.zeros(20 * EVERY), np.zeros(20 * EVERY, bool))
    assert seen.others == pytest.approx(0.95)
    np.testing.assert_allclose(np.delete(seen.main, 7, 0), np.tile([100, 100, 80], (19, 1)))


def test_silences() -> None:
    rng = np.random.default_rng(2)
    voice = 0.1 * rng.standard_normal(16000 * 6)
    voice[16000 * 2 : 16000 * 4] *= 1e-4
    voice[16000 * 5 : 16000 * 5 + 8000] = 0
    assert silences(voice) == [(2.0, 4.0)]


def test_the_longest_stretch_bridges_short_gaps() -> None:
    there = np.array([1, 1, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1], bool)
    assert _longest(there) == (0, 7)
    assert _longest(~there) == (7, 12)
    assert _longest(np.ones(4, bool)) == (0, 4)


def test_frame_counts_do_not_lose_a_frame_to_rounding() -> None:
    assert frame_count(0.28) == 7
    assert frame_count(71.16) == 1779
    assert frame_count(3.0, 5.0) == 0


def two_people(samples: int = 20, hidden: int = 5) -> np.ndarray:
    """A smaller face left, a larger one right; in some samples only the left one is seen. S x MOST_FACES x 3."""
    rng, faces = np.random.default_rng(0), np.full((samples, 4, 3), np.nan)
    faces[:, 0] = rng.normal((400, 200, 120), 2, (samples, 3))
    faces[:, 1] = rng.normal((150, 210, 100), 2, (samples, 3))
    faces[:hidden, 0], faces[:hidden, 1] = faces[:hidden, 1], np.nan
    faces[7, 2] = [300, 60, 20]  # something small that is no face
    return faces


@pytest.mark.parametrize(
    ("choice", "x", "seen"),
    [("left", 150, 20), ("right", 400, 15), ("largest", 400, 20), ("1", 400, 15), ("2", 150, 20)],
)
def test_the_face_that_is_asked_for_is_taken(choice: str, x: float, seen: int) -> None:
    main = Survey(two_people(), np.zeros(160), np.zeros(160, bool), choice).main
    known = np.isfinite(main[:, 0])
    assert known.sum() == seen  # where another alone is seen, nobody is taken for the one that was asked for
    assert np.median(main[known, 0]) == pytest.approx(x, abs=5)
    assert choice == "largest" or np.abs(main[known, 0] - x).max() < 10


def test_a_face_that_is_never_there_is_refused() -> None:
    with pytest.raises(UserError, match="--face 4"):
        _ = Survey(two_people(), np.zeros(160), np.zeros(160, bool), "4").main
    alone = two_people()
    alone[:, 1:] = np.nan
    for choice in ("left", "right"):
        main = Survey(alone, np.zeros(160), np.zeros(160, bool), choice).main
        assert np.isfinite(main[5:, 0]).all()
