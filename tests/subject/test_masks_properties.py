"""Masks, sound and torso of a subject: geometry by slow twins, invariances, known lags."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioplane.metrics.mouth import opening
from audioplane.subject.masks import (
    FACE,
    HAIR,
    MOTION_REACH,
    MOUTH,
    TORSO,
    face_height,
    fill_hull,
    grow,
    motion_mask,
    mouth_opening,
)
from audioplane.subject.motion import MotionBasis
from audioplane.subject.sounds import CLASSES, SILENCE, frames_by_opening, mean_by_sound, variance_explained
from audioplane.subject.sync import MAX_LAG, loudness, mouth_sound_sync
from audioplane.subject.torso import disc, without_head
from tests.strategies import arrays, few, fewer, generators, in_any_layout, rotation, seeds

faces = arrays(st.integers(1, 6), 68, 2, low=10.0, high=90.0)


@few
@given(faces, generators, st.floats(0.2, 5))
def test_heights_and_openings_are_lengths(landmarks, generator, size):
    turn, away = rotation(generator, 2), generator.random(2)
    height, mouth = in_any_layout(face_height, landmarks), in_any_layout(mouth_opening, landmarks)
    moved = size * landmarks @ turn + away
    assert face_height(moved) == pytest.approx(size * height)
    np.testing.assert_allclose(mouth_opening(moved), mouth)
    np.testing.assert_allclose(mouth * height, opening(landmarks))
    spans = [np.hypot(*(points[27] - points[8])) for points in landmarks]
    assert height == pytest.approx(np.median(spans))
    holes = np.concatenate([landmarks, np.full((2, 68, 2), np.nan)])
    assert face_height(holes) == pytest.approx(height)
    assert np.isnan(face_height(np.full((2, 68, 2), np.nan)))


def inside(points: np.ndarray, x: float, y: float) -> bool:
    """Whether a place lies in the convex hull: on no line through two points are all others on the other side."""
    for k in range(len(points)):
        for m in range(len(points)):
            along = points[m] - points[k]
            side = along[0] * (points[:, 1] - points[k, 1]) - along[1] * (points[:, 0] - points[k, 0])
            own = along[0] * (y - points[k, 1]) - along[1] * (x - points[k, 0])
            if (side >= -1e-9).all() and own < -1e-9:
                return False
    return True


@few
@given(arrays(st.integers(3, 8), 2, low=-3.0, high=15.0, dtype=np.float32))
def test_a_hull_holds_the_pixels_whose_centres_lie_in_it(points):
    got = in_any_layout(lambda x: fill_hull(x, 11, 13), points)
    wanted = np.array([[inside(points.astype(float), x + 0.5, y + 0.5) for x in range(13)] for y in range(11)])
    assert (got != wanted).sum() <= 1, "but for rounding on an edge"
    np.testing.assert_array_equal(fill_hull(points[::-1], 11, 13), got)
    np.testing.assert_array_equal(fill_hull(points + np.float32([1, 0]), 11, 14)[:, 1:], got)


@few
@given(generators, st.floats(0, 6))
def test_growing_reaches_as_far_as_its_radius(generator, radius):
    mask = generator.random((14, 17)) < 0.04
    got = in_any_layout(lambda x: grow(x, radius), mask)
    rows, columns = np.nonzero(mask)
    for y in range(14):
        for x in range(17):
            distance = np.hypot(rows - y, columns - x).min(initial=np.inf)
            if abs(distance - radius) > 1e-3:
                assert got[y, x] == (mask[y, x] if radius < 0.5 else distance <= radius)
    assert (got | ~mask).all(), "nothing is lost"
    assert (grow(mask, radius + 1) | ~got).all(), "more radius, more mask"


@few
@given(generators, st.booleans())
def test_the_moving_region_is_head_around_the_mouth(generator, known):
    label = np.zeros((60, 60), np.uint8)
    label[5:55, 10:50] = FACE
    label[5:15, 10:50] = HAIR
    label[38:42, 25:35] = MOUTH
    landmarks = np.full((68, 2), 30.0)
    landmarks[48:60] = np.stack([30 + 6 * np.cos(np.arange(12)), 40 + 3 * np.sin(np.arange(12))], 1)
    landmarks[6:11] = np.stack([np.linspace(20, 40, 5), np.full(5, 52.0)], 1)
    height = float(generator.uniform(10, 60))
    got = motion_mask(label, landmarks if known else None, height)
    assert not (got & (label < HAIR)).any()
    assert got[label == MOUTH].all()
    assert got[50, 30] == known or MOTION_REACH * height > 8, "the chin counts where it is known"
    wider = motion_mask(label, landmarks if known else None, 1.5 * height)
    assert (wider | ~got).all()
    lost = landmarks.copy()
    lost[3] = np.nan
    np.testing.assert_array_equal(motion_mask(label, lost, height), motion_mask(label, None, height))


# Sound


@few
@given(generators, st.integers(2, 30), st.floats(0.1, 0.9))
def test_loudness_is_decibels_above_the_floor(generator, frames, gain):
    audio = 0.5 * generator.standard_normal(frames * 640)
    got = in_any_layout(lambda x: loudness(x, frames), audio)
    assert got.shape == (frames,)
    assert 0 <= got.min() <= got.max() <= 45 + 1e-9
    np.testing.assert_allclose(loudness(gain * audio, frames), got, atol=1e-5)  # relative to its own loudest
    np.testing.assert_allclose(loudness(np.concatenate([audio, audio]), frames), got)
    short = loudness(audio[: 640 * (frames - 1)], frames)
    np.testing.assert_allclose(short[: frames - 2], got[: frames - 2], atol=3.0)
    assert loudness(np.zeros(640 * frames), frames).max() == 0


@fewer
@given(generators, st.integers(-MAX_LAG + 2, MAX_LAG - 2), st.floats(0.1, 9))
def test_a_picture_that_comes_late_is_seen(generator, lag, size):
    from scipy.ndimage import gaussian_filter1d

    frames = 300
    mouth = gaussian_filter1d(generator.standard_normal(frames + 60), 2.0)
    mouth = (mouth - mouth.min()) / np.ptp(mouth)
    loud = np.interp(np.arange(frames * 640) / 640, np.arange(frames) + 0.5, 10 ** (1.5 * mouth[30 : 30 + frames] - 2))
    voice = loud * generator.standard_normal(frames * 640)
    shown = size * mouth[30 - lag : 30 - lag + frames] + 3
    found = mouth_sound_sync(shown, voice)
    assert found is not None
    assert found.lag == pytest.approx(lag, abs=0.5)
    assert -1 <= found.at_zero <= found.correlation + 1e-12 <= 1 + 1e-9
    assert found.correlation > 0.6
    holes = shown.copy()
    holes[generator.choice(frames, 20, replace=False)] = np.nan
    again = mouth_sound_sync(holes, voice)
    assert again is not None
    assert again.lag == pytest.approx(found.lag, abs=0.5)


def test_a_clip_that_says_nothing_has_no_lag():
    voice, mouth = np.random.default_rng(0).standard_normal(640 * 80), np.random.default_rng(1).random(80)
    assert mouth_sound_sync(np.ones(80), voice) is None
    assert mouth_sound_sync(mouth, np.zeros(640 * 80)) is None
    assert mouth_sound_sync(np.full(80, np.nan), voice) is None
    assert mouth_sound_sync(mouth[: 4 * MAX_LAG - 1], voice) is None


# Classes of sound

NAMES = [*CLASSES, SILENCE]


@few
@given(arrays(st.integers(2, 30), 3), seeds)
def test_means_by_sound_are_the_loops_and_explain_a_share(values, seed):
    spoken = [NAMES[k] for k in np.random.default_rng(seed).integers(0, 4, len(values))]
    names, means = in_any_layout(lambda x: mean_by_sound(x, spoken), values)
    assert names == [name for name in NAMES if name in spoken]
    for name, mean in zip(names, means, strict=True):
        rows = [row for row, own in zip(values, spoken, strict=True) if own == name]
        np.testing.assert_allclose(mean, sum(rows) / len(rows))
    share = variance_explained(values, spoken)
    assert -1e-9 <= share <= 1 + 1e-9
    assert variance_explained(5 * values + 2, spoken) == pytest.approx(share)
    pure = np.array([[float(NAMES.index(name))] for name in spoken])
    assert variance_explained(pure, spoken) == pytest.approx(1.0 if len(set(spoken)) > 1 else 0.0)
    assert variance_explained(values, [SILENCE] * len(values)) == pytest.approx(0.0)


@few
@given(arrays(st.integers(4, 30)), st.integers(1, 4))
def test_frames_by_opening_go_from_shut_to_open(mouth, count):
    start = len(mouth) // 3
    found = frames_by_opening(mouth, range(start, len(mouth)), count)
    assert len(found) == count
    assert all(start <= t < len(mouth) for t in found)
    assert list(mouth[found]) == sorted(mouth[found])
    assert mouth[found[0]] == mouth[start:].min()
    if count > 1:
        assert mouth[found[-1]] == mouth[start:].max()


# Motion in little space


@fewer
@given(generators, st.integers(1, 40), st.integers(1, 4), st.integers(1, 9))
def test_every_vertex_of_every_frame_is_within_the_tolerance(generator, frames, ways, batch):
    rest = generator.random((7, 3)).astype(np.float32)
    shapes = 0.01 * generator.standard_normal((ways, 7, 3))
    moved = [rest + np.tensordot(generator.standard_normal(ways), shapes, 1) for _ in range(frames)]
    basis = MotionBasis(rest, batch=batch)
    for one in moved:
        basis.add(one)
    axes, weights = basis.finish()
    assert weights.shape == (frames, len(axes))
    assert len(axes) <= ways
    again = rest + np.tensordot(weights, axes, 1)
    assert np.linalg.norm(again - np.array(moved), axis=2).max() < 5e-5
    flat = axes.reshape(len(axes), -1)
    np.testing.assert_allclose(flat @ flat.T, np.eye(len(axes)), atol=1e-4)


# The torso


@pytest.mark.parametrize("radius", [0.0, 0.4, 1.0, 2.6, 7.0])
def test_a_disc_is_round(radius):
    brush = disc(radius)
    side = 2 * max(round(radius), 1) + 1
    assert brush.shape == (side, side)
    np.testing.assert_array_equal(brush, brush[::-1])
    np.testing.assert_array_equal(brush, brush[:, ::-1])
    assert brush[side // 2].all()


@few
@given(generators, st.integers(0, 255))
def test_without_a_head_only_what_hides_behind_it_changes(generator, light):
    frame = generator.integers(0, 256, (64, 64, 3), np.uint8)
    behind, label = np.full((64, 64, 3), light, np.uint8), np.zeros((64, 64), np.uint8)
    label[44:, 16:48] = TORSO
    assert without_head(frame, label, behind) is frame
    label[12:44, 24:40] = FACE
    got = in_any_layout(lambda *x: without_head(*x), frame, label, behind)
    away = np.ones((64, 64), bool)
    away[10:46, 22:42] = False
    np.testing.assert_array_equal(got[away], frame[away])
    above = np.zeros((64, 64), bool)
    above[12:30, 24:40] = True  # above what the neck is drawn over
    np.testing.assert_array_equal(got[above], behind[above])
