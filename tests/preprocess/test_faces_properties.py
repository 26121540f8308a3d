"""Faces found, their shape, path and lens, masks drawn to edges, backgrounds, cuts in the sound: for any clip."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioplane.preprocess import bundle, lag
from audioplane.preprocess.background import still_background
from audioplane.preprocess.bundle import Lens, Poses
from audioplane.preprocess.capture import capture_quality
from audioplane.preprocess.face_mesh import LEFT_EYE_OUTER, RIGHT_EYE_OUTER, box_around, merged
from audioplane.preprocess.face_shape import GENERIC, mean_shape, semantic_weights, similarity, to_head_axes
from audioplane.preprocess.landmarks import OF_MESH, ibug
from audioplane.preprocess.masks import Pictures, to_edges
from audioplane.preprocess.slips import quietest
from audioplane.preprocess.trajectory import solve
from audioplane.subject import blendshapes
from audioplane.subject.masks import BACKGROUND, FACE
from tests.preprocess.test_geometry_properties import some_poses, some_shape
from tests.strategies import arrays, few, fewer, generators, in_any_layout, rotation, seeds

LENS = Lens(600.0, 128.0, 120.0)


# Found faces


def some_boxes(generator: np.random.Generator, count: int) -> np.ndarray:
    """(count, 16): squares of side 1 to 3 in a field of 8, each with six points."""
    return np.concatenate(
        [8 * generator.random((count, 2)), 1 + 2 * generator.random((count, 2)), generator.random((count, 12))], axis=1
    )


@few
@given(generators, st.integers(0, 12), st.floats(0.5, 20))
def test_detections_of_one_face_are_averaged_and_none_is_lost(generator, count, size):
    boxes, scores = some_boxes(generator, count), generator.random(count) + 0.1
    found = in_any_layout(merged, boxes, scores)
    assert len(found) <= count
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)
    for box, score in found:
        assert score in scores
        assert ((box >= boxes.min(0) - 1e-9) & (box <= boxes.max(0) + 1e-9)).all()
    order = generator.permutation(count)
    for one, other in zip(merged(boxes[order], scores[order]), found, strict=True):
        np.testing.assert_allclose(one[0], other[0])
    for one, other in zip(merged(size * boxes, scores), found, strict=True):
        np.testing.assert_allclose(one[0], size * other[0])
    if count:
        twice = merged(np.repeat(boxes[:1], 3, 0), scores[:1].repeat(3))
        assert len(twice) == 1
        np.testing.assert_allclose(twice[0][0], boxes[0])
    apart = boxes + 100.0 * np.arange(count)[:, None] * np.eye(1, 16)
    assert len(merged(apart, scores)) == count


@few
@given(generators, st.integers(1, 5), st.sampled_from([0.0, -1.0]))
def test_boxes_without_area_are_faces_of_their_own(generator, count, width):
    boxes = some_boxes(generator, count)
    boxes[:, 2] = width
    found = merged(boxes, generator.random(count) + 0.1)
    assert len(found) == count
    assert sorted(box[0] for box, _ in found) == pytest.approx(sorted(boxes[:, 0]))


@few
@given(generators, st.floats(-3, 3), st.floats(0.3, 4), st.floats(-50, 50))
def test_a_box_turns_grows_and_moves_with_its_face(generator, turn, size, shift):
    points = 50 * generator.standard_normal((478, 3))
    points[LEFT_EYE_OUTER, :2], points[RIGHT_EYE_OUTER, :2] = (30, 3), (-28, -2)
    box = in_any_layout(box_around, points)
    R = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    moved = points.copy()
    moved[:, :2] = size * points[:, :2] @ R.T + shift
    other = box_around(moved)
    np.testing.assert_allclose([other.x, other.y], size * R @ [box.x, box.y] + shift, atol=1e-6)
    np.testing.assert_allclose(other.size, size * box.size)
    np.testing.assert_allclose(np.exp(1j * (other.angle - box.angle - turn)), 1, atol=1e-9)


@few
@given(arrays(2, 478, 3))
def test_ibugs_points_are_those_of_the_mesh(points):
    chosen = in_any_layout(ibug, points)
    assert chosen.shape == (2, 68, 3)
    assert np.array_equal(chosen[1], points[1][OF_MESH])
    assert np.array_equal(ibug(chosen), chosen)


# Shape of a face


@few
@given(arrays(3, 20, 3, low=-0.12, high=0.12))
def test_what_follows_the_skull_is_the_same_on_both_sides(points):
    found = in_any_layout(semantic_weights, points)
    assert set(np.unique(found)) <= {0.0, 0.1, 1.0}
    assert np.array_equal(semantic_weights(points * [-1, 1, 1]), found)
    assert np.array_equal(semantic_weights(points * [1, 1, -3]), found)
    assert np.array_equal(semantic_weights(points[1, 4]), found[1, 4])
    jaw, nose, brow = semantic_weights(GENERIC[[8, 30, 19]])
    assert (jaw, nose, brow) == (0.0, 1.0, 0.1)


@few
@given(generators, st.integers(1, 6))
def test_a_mean_shape_is_that_of_a_rigid_face_however_it_stands(generator, count):
    shape = GENERIC[: 20 + count]
    frames = [
        s * shape @ rotation(generator).T + generator.standard_normal(3) for s in generator.uniform(0.5, 2, count)
    ]
    lost = np.full((1, *shape.shape), np.nan)
    found = in_any_layout(mean_shape, np.concatenate([lost, np.stack(frames)]))
    s, R, t = similarity(found, shape)
    np.testing.assert_allclose(s * found @ R.T + t, shape, atol=1e-9)
    with pytest.raises(ValueError, match="a frame in which all are known"):
        mean_shape(lost)


@few
@given(generators, st.floats(0.2, 5))
def test_head_axes_are_found_whatever_the_axes_before(generator, size):
    landmarks = GENERIC + 0.002 * generator.standard_normal((68, 3))
    s, R, t = in_any_layout(to_head_axes, landmarks)
    turn, shift = rotation(generator), generator.standard_normal(3)
    s2, R2, t2 = to_head_axes(size * landmarks @ turn.T + shift)
    moved = s2 * (size * landmarks @ turn.T + shift) @ R2.T + t2
    np.testing.assert_allclose(moved, s * landmarks @ R.T + t, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(moved[45] - moved[36]), np.linalg.norm(GENERIC[45] - GENERIC[36]))


# Path and lens


@fewer
@given(generators, st.integers(8, 14))
def test_shape_and_poses_are_found_from_what_they_project_to(generator, count):
    shape, poses = some_shape(generator, 12), some_poses(generator, count, 0.2)
    points, weights = bundle.project(shape, poses, LENS), generator.uniform(0.3, 1, 12)
    start = poses.moved(0.01 * generator.standard_normal((count, 6)))
    guess = shape + 0.001 * generator.standard_normal(shape.shape)
    found, ways, left = bundle.adjust(points, guess, weights, start, LENS)
    assert left < 0.05
    before = np.abs(bundle.project(guess, start, LENS) - points).max()
    assert np.abs(bundle.project(found, ways, LENS) - points).max() < 0.1 * before
    order, turn = generator.permutation(12), generator.permutation(count)
    again, others, _ = bundle.adjust(points[turn][:, order], guess[order], weights[order], start[turn], LENS)
    np.testing.assert_allclose(again, found[order], atol=1e-7)
    np.testing.assert_allclose(others.t, ways.t[turn], atol=1e-6)


@fewer
@given(generators, st.sampled_from([1.6, 2.5, 4.0]), st.sampled_from([128, 512]))
def test_the_focal_length_is_found_and_goes_with_the_pictures_size(generator, share, size):
    shape = some_shape(generator, 24)
    lens = Lens(share * size, size / 2, size / 2)
    poses = some_poses(generator, 30, 0.35)
    poses = Poses(poses.R, poses.t * [1, 1, 0.35 * share])
    points = bundle.project(shape, poses, lens)
    found, left = bundle.search_focal(points, shape, np.ones(24), size)
    assert min(left, key=lambda one: left[one]) == share
    assert (found.x, found.y) == (size / 2, size / 2)
    double, _ = bundle.search_focal(2 * points, shape, np.ones(24), 2 * size)
    assert double.focal == pytest.approx(2 * found.focal)


@fewer
@given(generators, st.integers(6, 12))
def test_a_path_is_found_from_its_points_and_backwards_in_time_too(generator, count):
    shape, weights = some_shape(generator), generator.uniform(0.3, 1, 20)
    speed = np.concatenate([0.01 * generator.standard_normal((1, 3)), 0.002 * generator.standard_normal((1, 3))], 1)
    true = some_poses(generator, 1)[np.zeros(count, int)].moved(np.arange(count)[:, None] * speed)
    points, seen = bundle.project(shape, true, LENS), np.ones(count, bool)
    start = true.moved(0.003 * generator.standard_normal((count, 6)))
    found = solve(points, shape, weights, start, LENS, [], None, seen, 6)
    assert np.abs(bundle.project(shape, found, LENS) - points).max() < 0.02
    back = solve(points[::-1], shape, weights, start[::-1], LENS, [], None, seen, 6)  # type: ignore[index]
    np.testing.assert_allclose(back.t[::-1], found.t, atol=1e-5)
    hidden = seen.copy()
    hidden[count // 2] = False
    filled = solve(np.where(hidden[:, None, None], points, np.nan), shape, weights, start, LENS, [], None, hidden, 6)
    np.testing.assert_allclose(filled.t[count // 2], true.t[count // 2], atol=2e-3)


# Captures


@few
@given(generators, st.integers(1, 5), st.floats(0.5, 3), st.floats(-100, 100), st.floats(0.6, 1.1))
def test_a_capture_is_judged_by_its_blinks_wherever_the_face_is(generator, blinks, size, shift, strength):
    count = 40 + 40 * blinks
    closed = np.exp(-(((np.arange(count)[:, None] - 40 - 40 * np.arange(blinks)) / 2.0) ** 2)).sum(axis=1)
    weights = np.zeros((count, blendshapes.COUNT))
    for name in ("eyeBlinkLeft", "eyeBlinkRight"):
        weights[:, blendshapes.index(name)] = 0.1 + 0.7 * closed
    landmarks = np.tile(300 * GENERIC[:, :2], (count, 1, 1))
    for upper, lower in (((37, 38), (41, 40)), ((43, 44), (47, 46))):
        middle = (landmarks[:, upper] + landmarks[:, lower]) / 2
        for lid in (upper, lower):
            landmarks[:, lid] = middle + (1 - closed)[:, None, None] * (landmarks[:, lid] - middle)
    seen = np.ones(count, bool)
    found = in_any_layout(lambda w, x: capture_quality(w, x, seen), weights, landmarks)
    assert found.blinks == blinks
    assert 0.5 < found.range <= 0.7 + 1e-6
    assert found.lids_correlation == pytest.approx(1, abs=1e-6)
    assert found.lids_lag == 0
    assert found.troubles() == []
    moved = capture_quality(weights, size * landmarks + shift, seen)
    assert replace(moved, lids_correlation=found.lids_correlation) == found
    assert moved.lids_correlation == pytest.approx(found.lids_correlation)
    stronger = capture_quality(strength * weights, landmarks, seen)
    assert stronger.range == pytest.approx(strength * found.range)
    assert stronger.noise == pytest.approx(strength * found.noise)
    assert stronger.blinks == blinks
    late = capture_quality(np.roll(weights, 2, axis=0), landmarks, seen)
    assert late.lids_lag == 2
    noisy = weights + 0.3 * generator.standard_normal(weights.shape)
    assert capture_quality(noisy, landmarks, seen).noise > found.noise
    with pytest.raises(ValueError, match="seen: expected a frame with a face"):
        capture_quality(weights, landmarks, ~seen)


# Masks and backgrounds


@few
@given(generators, st.integers(12, 40), st.floats(-2, 2))
def test_a_guided_mask_is_linear_and_flips_with_the_picture(generator, side, factor):
    frame = generator.integers(0, 256, (side, side, 3)).astype(np.uint8)
    a, b = generator.random((2, side, side)).astype(np.float32)
    found = in_any_layout(lambda x: to_edges(x, frame, 0.05), a)
    mixed = to_edges(a + np.float32(factor) * b, frame, 0.05)
    np.testing.assert_allclose(mixed, found + factor * to_edges(b, frame, 0.05), atol=1e-4)
    np.testing.assert_allclose(to_edges(np.full_like(a, 0.4), frame, 0.05), 0.4, atol=1e-4)
    flipped = to_edges(a[:, ::-1], np.ascontiguousarray(frame[:, ::-1]), 0.05)
    np.testing.assert_allclose(flipped, found[:, ::-1], atol=1e-4)
    assert np.array_equal(to_edges(a.astype(np.float64), frame, 0.05), found)


def test_a_mask_moves_to_the_edge_of_the_picture():
    frame = np.zeros((60, 60, 3), np.uint8)
    frame[:, 30:] = 255
    share = np.zeros((60, 60), np.float32)
    share[:, 27:] = 1.0  # three pixels beside
    found = to_edges(share, frame, 0.2)[20:40] > 0.5
    assert (np.abs(found.sum(axis=1) - 30) <= 1).all()


@fewer
@given(generators, st.integers(6, 12), st.integers(24, 40))
def test_the_background_is_what_stood_still_behind_a_person_who_moved(generator, count, side):
    truth = generator.integers(0, 256, (side, side, 3)).astype(np.uint8)
    frames, labels = [], []
    for t in range(count):
        label, frame = np.full((side, side), BACKGROUND, np.uint8), truth.copy()
        at = (t * side // count) // 2 * 2
        label[:, at : at + 4] = FACE
        frame[label == FACE] = generator.integers(0, 256, 3)
        frames.append(frame)
        labels.append(label)
    told = []
    found, share = still_background(frames, Pictures.of(labels), told.append)
    assert np.array_equal(found, truth)
    assert share == 1.0
    assert told == [1] * count
    other, _ = still_background(frames[::-1], Pictures.of(labels[::-1]), told.append)
    assert np.array_equal(other, found)
    always = [np.where(np.arange(side) < side // 2, FACE, label).astype(np.uint8) for label in labels]
    painted, seen = still_background(frames, Pictures.of(always), told.append)
    assert seen < 1
    free = slice(side // 2 + 6, None)
    assert np.array_equal(painted[:, free], truth[:, free])


# Sound


@few
@given(seeds, st.integers(20, 60), st.floats(0.01, 3))
def test_the_quietest_moment_is_found_at_any_level(seed, frame, gain):
    sound = (0.2 * np.random.default_rng(seed).standard_normal(80 * 640)).astype(np.float32)
    silent = frame + int(seed % 20) - 10
    sound[(silent - 1) * 640 : (silent + 1) * 640] = 0
    assert in_any_layout(lambda x: quietest(x, frame), sound) == silent
    assert quietest((gain * sound).astype(np.float32), frame) == silent
    assert quietest(sound[: 640 * max(frame - 16, 0)], frame) == frame, "beyond the sound's end"
    assert quietest(sound[:300], 0) == 0


@fewer
@given(generators, st.integers(-8, 8))
def test_a_lag_is_steady_where_both_halves_have_it(generator, late):
    count = 500
    loud = np.repeat(generator.random(count // 4), 4) ** 2
    sound = (np.repeat(loud, 640) * generator.standard_normal(640 * count)).astype(np.float32)
    mouth = lag.loudness(sound, count)
    moved = np.roll(mouth, late)
    whole = lag.compare(moved, mouth)
    assert whole is not None
    best = int(whole.heights.argmax())
    assert whole.lags[best] == late
    mirrored = lag.compare(mouth, moved)
    assert mirrored is not None
    assert mirrored.lags[mirrored.heights.argmax()] == -late
    found = lag.Lag(late, float(whole.values[best]), float(whole.heights[best]), True, "loudness")
    assert lag.is_steady(found, moved, sound, 3.0)
    assert lag.is_steady(found, 5 * moved + 2, sound, 3.0)
    spliced = np.concatenate([moved[: count // 2], np.roll(mouth, late + 12)[count // 2 :]])
    assert not lag.is_steady(found, spliced, sound, 3.0)
    assert not lag.is_steady(found._replace(clear=False), spliced, sound, 3.0)
