"""A made speaker: do all the truths that were written agree with each other? (Phonetics: test_geometry.py.)"""

# ruff: noqa: RUF001 (IPA)

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from audioplane import synthetic
from audioplane.subject import FACE, HAIR, MOUTH, TORSO, Phoneme, Subject
from audioplane.subject.lips import lips_at_sounds
from audioplane.subject.masks import mouth_opening
from audioplane.subject.sync import mouth_sound_sync
from audioplane.synthetic.filming import project

BILABIAL = "pbm"


@pytest.fixture(scope="session")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """Twelve seconds, small."""
    return synthetic.make("adam", tmp_path_factory.mktemp("speakers") / "adam", size=96, seconds=12, progress=False)


@pytest.fixture(scope="session")
def long_haired(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return synthetic.make("elise", tmp_path_factory.mktemp("speakers") / "elise", size=96, seconds=3, progress=False)


@pytest.fixture(params=["subject", "long_haired"])
def each(request: pytest.FixtureRequest) -> Subject:
    """One after the other."""
    return request.getfixturevalue(request.param)


@cache
def shape(subject: Subject) -> np.ndarray:
    """The 68 landmarks in head coordinates: T x 68 x 3 metres."""
    index = subject.vertex_groups["landmarks"]
    vertices = [subject.vertices(t) for t in range(subject.num_frames)]
    return np.stack([v[index] for v in vertices if v is not None])


def gap(subject: Subject) -> np.ndarray:
    """Distance between the inner lips, T values in millimetres."""
    points = shape(subject)
    return 1000 * np.linalg.norm(points[:, [61, 62, 63]] - points[:, [67, 66, 65]], axis=-1).mean(1)


def sounds(subject: Subject, letters: str) -> list[Phoneme]:
    """Phonemes that begin with one of `letters` and last a frame or longer."""
    found = [p for p in subject.phonemes or [] if p.ipa and p.ipa[0] in letters and p.end - p.start >= 0.04]
    assert len(found) >= 3, f"the clip has too few of {letters}"
    return found


def at(subject: Subject, values: np.ndarray, start: float, end: float, how: str = "middle") -> float:
    """`values` in the middle of a time span, or their least or greatest over it."""
    times = (np.arange(subject.num_frames) + 0.5) / subject.fps
    if how == "middle":
        return float(np.interp((start + end) / 2, times, values))
    return float(getattr(np.interp(np.linspace(start, end, 9), times, values), how)())


def test_the_lips_meet_for_p_b_and_m(subject: Subject) -> None:
    closures = [at(subject, gap(subject), p.start, p.release or p.end, "min") for p in sounds(subject, BILABIAL)]
    open_vowels = [at(subject, gap(subject), p.start, p.end, "max") for p in sounds(subject, "aɑæɐʌ")]
    assert max(closures) < 1.5  # millimetres, over the whole width of the inner lips
    assert np.median(closures) < 0.15 * np.median(open_vowels)


def test_the_table_of_lips_says_the_same(subject: Subject) -> None:
    typical = lips_at_sounds(subject).groupby("kind")[["gap", "width"]].median()
    assert typical.gap["lips meet (p b m)"] < 1
    assert typical.gap["open (a …)"] > 6
    assert typical.width["rounded (u w ʃ …)"] < typical.width["spread (i e)"] - 4


def test_mouth_and_voice_are_in_step(subject: Subject) -> None:
    sync = mouth_sound_sync(mouth_opening(subject.landmarks), subject.audio)
    assert sync is not None
    assert abs(sync.lag) <= 1
    assert sync.correlation > 0.4


def test_landmarks_are_the_meshs_own_within_half_a_pixel(each: Subject) -> None:
    for t in range(0, each.num_frames, 7):
        seen = project(shape(each)[t], each.K, each.viewmats[t])
        assert np.linalg.norm(seen - each.landmarks[t], axis=1).max() < 0.5


def test_depth_and_landmarks_agree(each: Subject) -> None:
    """Where the skin faces the camera: nose, lips and chin."""
    bare = [28, 29, 30, 49, 50, 51, 52, 53, 55, 56, 57, 58, 59]
    errors = []
    for t in range(0, each.num_frames, 7):
        depth = each.depth(t)
        assert depth is not None
        points = np.column_stack([shape(each)[t, bare], np.ones(len(bare))])
        z = (points @ each.viewmats[t].T)[:, 2]
        x, y = each.landmarks[t, bare].astype(int).T
        errors.append(np.abs(depth[y, x] - z))
    assert np.median(errors) < 0.0015
    assert np.quantile(errors, 0.95) < 0.006  # a pixel is 4 mm wide here, and the nose is steep


def test_labels_cover_the_picture_with_what_belongs_there(each: Subject) -> None:
    for t in range(0, each.num_frames, 29):
        label = each.label(t)
        assert set(np.unique(label)) == {0, TORSO, HAIR, FACE, MOUTH}
        masks = (each.hair_mask(t), each.face_mask(t), each.mouth_mask(t), each.torso_mask(t))
        assert np.array_equal(np.sum(masks, 0), label > 0)
        x, y = np.nonzero(each.mouth_mask(t))[::-1]
        lips = each.landmarks[t, 48:60]
        assert np.abs(x.mean() + 0.5 - lips[:, 0].mean()) < 1.5
        assert lips[:, 1].min() - 2 < y.min()
        assert y.max() < lips[:, 1].max() + 2
        assert each.motion_mask(t)[each.mouth_mask(t)].all()
        x, y = each.landmarks[t, 27].astype(int)
        assert label[y, x] in (FACE, HAIR)


def test_the_picture_without_the_head_is_the_frame_beside_it(each: Subject) -> None:
    """Away from the head, its shadow on the torso and thin strands, both pictures are the same."""
    from audioplane.subject.masks import grow

    for t in (0, each.num_frames - 1):
        beside = ~grow(each.head_mask(t), 1.5)
        beside &= ~each.torso_mask(t)
        differ = (each.frame(t) != each.without_head(t)).any(2)
        assert differ[beside].mean() < 0.005
        assert differ[each.face_mask(t)].mean() > 0.9


def test_a_whole_check_finds_nothing(each: Subject) -> None:
    assert each.validate() == []


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path: Path) -> None:
    parts = [
        synthetic.make("adam", tmp_path / name, 48, 2.0, seed, False).manifest.parts
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    ]
    assert parts[0] == parts[1]
    assert parts[0]["frames.pack"] != parts[2]["frames.pack"]


def test_the_same_performance_from_another_camera(tmp_path: Path) -> None:
    """The head turned before a still camera, and the camera turned about a still head, show the same geometry."""
    from audioplane.inference.poses import yaw_and_pitch

    ahead, beside = (
        synthetic.make("adam", tmp_path / name, size=64, seconds=2, progress=False, around=around)
        for name, around in (("ahead", (0.0, 0.0)), ("beside", (20.0, -5.0)))
    )
    np.testing.assert_array_equal(ahead.audio, beside.audio)
    np.testing.assert_allclose(ahead.vertices(5), beside.vertices(5), atol=2e-4)
    turned = yaw_and_pitch(beside.viewmats, ahead.viewmats)
    own = yaw_and_pitch(ahead.viewmats, ahead.viewmats)
    assert np.abs((turned - own).mean(0) - [20.0, -5.0]).max() < 0.5
    index = beside.vertex_groups["landmarks"]
    vertices = beside.vertices(5)
    assert vertices is not None
    seen = project(vertices[index].astype(np.float64), beside.K.astype(np.float64), beside.viewmats[5].astype(float))
    assert np.abs(seen - beside.landmarks[5]).max() < 0.1


def test_a_head_that_looks_around(tmp_path: Path) -> None:
    from audioplane.inference.poses import filmed_range
    from audioplane.synthetic.performance import perform
    from audioplane.synthetic.specs import SPEAKERS

    shy, wide = (perform(SPEAKERS["adam"], 40.0, turns=turns) for turns in ("speech", "wide"))
    np.testing.assert_array_equal(shy.audio, wide.audio)
    yaw, pitch = np.degrees(wide.head_pose[:, 1]), np.degrees(wide.head_pose[:, 0])
    assert 22 < np.abs(yaw).max() < 34
    assert 10 < np.abs(pitch).max() < 20
    assert np.abs(np.degrees(shy.head_pose[:, 1])).max() < 9
    test = slice(wide.train_frames, None)
    assert np.ptp(yaw[test]) > 35, "the held-out part turns too"
    made = synthetic.make("adam", tmp_path / "wide", size=48, seconds=4, progress=False, turns="wide")
    assert np.ptp(filmed_range(made.viewmats)[0]) > 15
