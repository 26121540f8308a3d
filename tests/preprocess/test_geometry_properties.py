"""Poses, projection and their derivatives, jitter, cuts, crops, silences and holes: for any camera and clip."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from audioplane.preprocess import bundle
from audioplane.preprocess.bundle import Lens, Poses
from audioplane.preprocess.lag import TREND, without_trend
from audioplane.preprocess.masks import above_jaw
from audioplane.preprocess.pose_errors import compare, rms_jitter
from audioplane.preprocess.slopes import normal_matrices, slopes
from audioplane.preprocess.survey import crop, cuts, frame_count, holes, silences
from audioplane.preprocess.verdict import BRIEF, beyond, spans
from tests.strategies import arrays, few, fewer, generators, in_any_layout

LENS = Lens(600.0, 128.0, 120.0)


def some_poses(generator: np.random.Generator, count: int, turn: float = 0.4) -> Poses:
    R = Rotation.from_rotvec(turn * generator.standard_normal((count, 3))).as_matrix()
    return Poses(R, np.array([0, 0, 0.8]) + 0.03 * generator.standard_normal((count, 3)))


def some_shape(generator: np.random.Generator, count: int = 20) -> np.ndarray:
    return 0.06 * generator.standard_normal((count, 3))


@few
@given(generators, st.integers(1, 5))
def test_poses_and_matrices_are_inverses_and_steps_add_up(generator, count):
    poses = some_poses(generator, count)
    back = Poses.of(poses.matrices())
    np.testing.assert_allclose(back.R, poses.R)
    np.testing.assert_allclose(back.t, poses.t)
    steps = 0.1 * generator.standard_normal((count, 6))
    moved = poses.moved(steps)
    np.testing.assert_allclose(moved.R @ moved.R.transpose(0, 2, 1), np.tile(np.eye(3), (count, 1, 1)), atol=1e-12)
    again = moved.moved(-steps)
    np.testing.assert_allclose(again.R, poses.R, atol=1e-12)
    np.testing.assert_allclose(again.t, poses.t, atol=1e-12)
    assert len(poses[:1]) == 1


@few
@given(generators, st.integers(1, 4), st.floats(0.2, 5))
def test_projection_is_that_of_the_matrix(generator, count, size):
    poses, points = some_poses(generator, count), some_shape(generator)
    got = in_any_layout(lambda x: bundle.project(x, poses, LENS), points)
    for t in range(count):
        for n in (0, -1):
            x, y, z = LENS.K @ (poses.R[t] @ points[n] + poses.t[t])
            np.testing.assert_allclose(got[t, n], [x / z, y / z])
    larger = Poses(poses.R, size * poses.t)
    np.testing.assert_allclose(bundle.project(size * points, larger, LENS), got)  # size and distance cannot be told
    each = np.repeat(points[None], count, 0)
    np.testing.assert_allclose(bundle.project(each, poses, LENS), got)


@few
@given(generators, st.integers(1, 3))
def test_derivatives_are_the_differences(generator, count):
    poses, points, step = some_poses(generator, count), some_shape(generator, 5), 1e-6
    pixels, by_pose, by_point = bundle.derivatives(points, poses, LENS)
    np.testing.assert_allclose(pixels, bundle.project(points, poses, LENS))
    for k in range(6):
        change = np.zeros((count, 6))
        change[:, k] = step
        ahead = bundle.project(points, poses.moved(change), LENS)
        behind = bundle.project(points, poses.moved(-change), LENS)
        np.testing.assert_allclose(by_pose[..., k], (ahead - behind) / (2 * step), rtol=1e-4, atol=1e-3)
    for k in range(3):
        axis = step * np.eye(3)[k]
        ahead, behind = (bundle.project(points + sign * axis, poses, LENS) for sign in (1, -1))
        np.testing.assert_allclose(by_point[..., k], (ahead - behind) / (2 * step), rtol=1e-4, atol=1e-3)


@few
@given(generators)
def test_normal_equations_are_the_sums(generator):
    w, J, r = generator.random((2, 4)), generator.standard_normal((2, 4, 2, 6)), generator.standard_normal((2, 4, 2))
    A, b = in_any_layout(bundle.normal, w, J, r)
    for t in range(2):
        wanted = sum(w[t, n] * J[t, n].T @ J[t, n] for n in range(4))
        np.testing.assert_allclose(A[t], wanted)
        np.testing.assert_allclose(b[t], sum(w[t, n] * J[t, n].T @ r[t, n] for n in range(4)))


@few
@given(generators, st.floats(0.1, 9))
def test_far_residuals_pull_no_more_than_near_ones(generator, sigma):
    residuals = sigma * 3 * generator.standard_normal((5, 30, 2))
    weights = in_any_layout(lambda x: bundle.robust(x, sigma), residuals)
    size = np.linalg.norm(residuals, axis=-1)
    assert 0 < weights.min() <= weights.max() <= 1
    assert (weights[size <= bundle.HUBER * sigma] == 1).all()
    assert (weights * size <= bundle.HUBER * sigma + 1e-9).all()
    spread = bundle.spread(np.random.default_rng(0).normal(0, sigma, (40, 50, 2)), np.ones(50))
    assert spread == pytest.approx(sigma, rel=0.05)
    outliers = sigma * np.random.default_rng(1).standard_normal((40, 50, 2))
    outliers[:, 0] += 1e4
    assert bundle.spread(outliers, np.r_[0.0, np.ones(49)]) == pytest.approx(sigma, rel=0.05)


@fewer
@given(generators)
def test_poses_are_found_again_from_their_points(generator):
    poses, shape = some_poses(generator, 4, 0.25), some_shape(generator)
    points, weights = bundle.project(shape, poses, LENS), np.ones(20)
    first = bundle.first_poses(points, shape, weights, LENS)
    np.testing.assert_allclose(first.R, poses.R, atol=1e-3)
    start = poses.moved(0.02 * generator.standard_normal((4, 6)))
    found = bundle.fit_poses(points, shape, weights, start, LENS, 15)
    np.testing.assert_allclose(found.R, poses.R, atol=1e-4)
    np.testing.assert_allclose(found.t, poses.t, atol=1e-4)
    wild = points.copy()
    wild[:, 3] += 60.0  # one point that a landmarker lost
    robust = bundle.fit_poses(wild, shape, weights, start, LENS, 25)
    turn = Rotation.from_matrix(robust.R @ poses.R.transpose(0, 2, 1)).magnitude()
    assert np.degrees(turn).max() < 2.0


@fewer
@given(generators, st.floats(0.5, 2))
def test_errors_of_poses_do_not_count_axes_unit_and_origin(generator, size):
    truth = some_poses(generator, 12)
    axes, origin = Rotation.from_rotvec(generator.standard_normal(3)).as_matrix(), 0.01 * generator.standard_normal(3)
    same = Poses(truth.R @ axes, size * (truth.t + truth.R @ origin))
    found = compare(same, truth)
    assert np.abs(found.turn).max() < 1e-3
    assert np.abs(found.move).max() < 1e-3
    worse = Poses(same.R, same.t + 0.001 * generator.standard_normal(same.t.shape))
    assert np.abs(compare(worse, truth).move).max() > 0.05


@few
@given(arrays(st.integers(4, 20), 3), st.floats(0.1, 9))
def test_jitter_is_the_second_difference(series, size):
    got = in_any_layout(rms_jitter, series)
    assert got == pytest.approx(np.sqrt((np.diff(series, 2, axis=0) ** 2).sum(1).mean()))
    line = np.arange(len(series))[:, None] * np.array([1.0, -2, 0.5]) + 3
    assert rms_jitter(size * series + line) == pytest.approx(size * got)
    jump = series.copy()
    jump[2:] += 100.0
    assert rms_jitter(jump) > 10
    if len(series) > 5:
        assert rms_jitter(jump, (2,)) < 3.5


# Pictures that change with the pose


@fewer
@given(generators)
def test_the_normal_matrix_is_that_of_the_slopes(generator):
    poses, lens = some_poses(generator, 2), Lens(12.0, 4.0, 4.0)
    picture, weight = generator.random((2, 8, 8, 3)), generator.random((2, 8, 8))
    depth = 0.7 + 0.1 * generator.random((2, 8, 8))
    weight[:, 0] = 0.0
    J = slopes(picture, depth, poses, lens)
    assert J.shape == (2, 8, 8, 3, 6)
    wanted = np.einsum("bij,bijck,bijcm->bkm", weight, J, J)
    got = normal_matrices(picture, depth, weight, poses, lens)
    np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-3 * np.abs(wanted).max())
    np.testing.assert_allclose(got, got.transpose(0, 2, 1))
    assert np.linalg.eigvalsh(got).min() > -1e-3 * np.abs(wanted).max()
    np.testing.assert_array_equal(slopes(np.ones_like(picture), depth, poses, lens), 0)
    for wrong in ({"depth": depth[:, 1:]}, {"weight": weight[:1]}, {"poses": poses[:1]}):
        with pytest.raises(ValueError, match="depth"):
            normal_matrices(
                **{"picture": picture, "depth": depth, "weight": weight, "poses": poses, "lens": lens, **wrong}
            )


# Films


@few
@given(arrays(st.integers(30, 120), low=0.001, high=0.004), st.integers(5, 24))
def test_a_cut_is_a_jump_far_beyond_what_is_usual(change, at):
    assert cuts(change) == []
    change[at] = 0.5
    assert in_any_layout(cuts, change) == [at]
    assert cuts(np.zeros_like(change)) == []


@few
@given(generators, st.integers(100, 800), st.integers(100, 800), st.floats(10, 60))
def test_a_crop_is_a_square_in_the_picture_that_holds_the_face(generator, width, height, face):
    main = np.column_stack(
        [generator.uniform(0.4, 0.6, 9) * width, generator.uniform(0.4, 0.6, 9) * height, np.full(9, face)]
    )
    left, top, side, other = in_any_layout(lambda x: crop(x, width, height), main)
    assert side == other <= min(width, height)
    assert 0 <= left <= width - side
    assert 0 <= top <= height - side
    x, y = np.median(main[:, :2], axis=0)
    assert left <= x <= left + side
    assert top <= y <= top + side
    holes_in = np.vstack([main, np.full((3, 3), np.nan)])
    assert crop(holes_in, width, height) == (left, top, side, other)


@few
@given(generators, st.integers(1, 4), st.floats(0.01, 0.9))
def test_silences_are_found_at_any_level(generator, seconds, gain):
    speech = [0.3 * generator.standard_normal(16_000 * 2) for _ in range(2)]
    clip = np.concatenate([speech[0], np.zeros(16_000 * seconds), speech[1]])
    found = silences(gain * clip)
    assert found == ([(2.0, 2.0 + seconds)] if seconds >= 2 else [])
    assert silences(gain * clip, least=0.5) == [(2.0, 2.0 + seconds)]
    assert silences(np.zeros(0)) == []
    assert silences(speech[0]) == []


@few
@given(st.floats(0, 100), st.integers(0, 2000))
def test_frames_are_counted_as_they_last(start, count):
    assert frame_count(start + count / 25, start) == count
    assert frame_count(start + (count + 0.5) / 25, start) == count
    assert frame_count(start, start + 1) == 0


@few
@given(st.integers(20, 100), st.integers(1, 10), st.floats(2.0, 5.0))
def test_a_hole_is_where_no_picture_comes(count, at, wide):
    times = np.arange(count) / 25
    times[at + 1 :] += wide
    found = holes(times, 0.0, float(times[-1]))
    assert found == [(round(at / 25, 2), round(float(times[at + 1]), 2))]
    assert holes(times, float(times[at + 1]), float(times[-1])) == []
    assert holes(np.arange(count) / 25, 0.0, count / 25) == []


@few
@given(arrays(st.integers(1, 9), 68, 2, low=5.0, high=95.0), generators)
def test_faces_beyond_the_picture_are_seen(landmarks, generator):
    assert not in_any_layout(lambda x: beyond(x, 100), landmarks).any()
    outside = landmarks.copy()
    t = int(generator.integers(len(outside)))
    outside[t, int(generator.integers(68)), int(generator.integers(2))] = generator.choice([-40.0, 140.0])
    np.testing.assert_array_equal(beyond(outside, 100), np.arange(len(outside)) == t)
    assert not beyond(np.full((2, 68, 2), np.nan), 100).any()


@few
@given(arrays(st.integers(1, 60)), st.floats(0, 50))
def test_spans_are_the_runs_that_are_not_brief(chance, start):
    frames = chance < 0.7
    found = spans(frames, start)
    covered = np.zeros(len(frames), bool)
    for a, b in found:
        first, last = round((a - start) * 25), round((b - start) * 25)
        assert last - first >= BRIEF
        assert frames[first:last].all()
        assert first == 0 or not frames[first - 1]
        assert last == len(frames) or not frames[last]
        covered[first:last] = True
    lengths = np.diff(np.flatnonzero(np.diff(np.r_[0, (frames & ~covered).astype(int), 0])))[::2]
    assert (lengths < BRIEF).all(), "what is left out is brief"


# Series and masks


@few
@given(arrays(st.integers(TREND, 3 * TREND), low=-2.0, high=2.0), st.floats(-9, 9))
def test_without_trend_a_level_is_gone_and_fast_changes_stay(series, level):
    got = in_any_layout(without_trend, series)
    assert got.shape == series.shape
    np.testing.assert_allclose(without_trend(series + level), got, atol=1e-9)
    np.testing.assert_allclose(without_trend(-2 * series), -2 * got, atol=1e-9)
    np.testing.assert_allclose(without_trend(np.full_like(series, level)), 0, atol=1e-9)
    line = np.arange(len(series)) * 0.1
    inside = slice(TREND, -TREND) if len(series) > 2 * TREND else slice(0, 0)
    np.testing.assert_allclose(without_trend(series + line)[inside], got[inside], atol=1e-9)


def test_above_the_jaw_is_the_face_and_below_it_the_neck():
    angles = np.linspace(np.pi, 0, 17)
    points = np.full((68, 2), 50.0)
    points[:17] = np.stack([50 + 25 * np.cos(angles), 45 + 30 * np.sin(angles)], 1)  # from ear to ear under the chin
    points[27:36] = np.stack([np.full(9, 50.0), np.linspace(40, 55, 9)], 1)
    points[36:48, 0] = np.r_[np.linspace(38, 45, 6), np.linspace(55, 62, 6)]
    points[36:48, 1] = 42.0
    mask = above_jaw(points, 100)
    assert mask[50, 50]
    assert mask[10, 50]
    assert not mask[85, 50]
    assert not mask[95].any()
    moved = above_jaw(points + np.array([3, -4]), 100)
    np.testing.assert_array_equal(moved[10:80, 10:90], mask[14:84, 7:87])
