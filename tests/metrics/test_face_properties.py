"""What face measures must keep to whatever the face: invariances, bounds, slow twins."""

from __future__ import annotations

import itertools
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioplane.metrics.face import aue, closure, deformation, iou, lip_vertex_error, lmd
from audioplane.subject import Phoneme, blendshapes
from tests.strategies import arrays, few, generators, in_any_layout, rotation

frames = st.integers(1, 6)
faces = arrays(frames, 68, 2, high=100.0)
regions = st.sampled_from(["mouth", "face"])


def noisy(generator: np.random.Generator, truth: np.ndarray, size: float = 1.0) -> np.ndarray:
    return truth + size * generator.standard_normal(truth.shape)


@few
@given(faces, generators, regions)
def test_lmd_is_the_loops(truth, generator, region):
    landmarks, total, count, eyes = noisy(generator, truth), 0.0, 0, 0.0
    points = range(48, 68) if region == "mouth" else range(68)
    for t in range(len(truth)):
        eyes += np.hypot(*(truth[t, 36] - truth[t, 45])) / len(truth)
        middle = [sum(x[t, k] for k in points) / len(points) for x in (landmarks, truth)]
        for k in points:
            total += np.hypot(*((landmarks[t, k] - middle[0]) - (truth[t, k] - middle[1])))
            count += 1
    got = in_any_layout(lambda a, b: lmd(a, b, region), landmarks, truth)
    assert got == pytest.approx(100 * total / count / eyes)


@few
@given(faces, generators, regions, st.floats(0.1, 10))
def test_lmd_knows_neither_place_nor_size_nor_order(truth, generator, region, size):
    landmarks = noisy(generator, truth)
    expected = lmd(landmarks, truth, region)
    away = 50 * generator.standard_normal((2, len(truth), 1, 2))  # another way in each frame
    order = generator.permutation(len(truth))
    assert lmd(landmarks + away[0], truth + away[1], region) == pytest.approx(expected)
    assert lmd(size * landmarks, size * truth, region) == pytest.approx(expected)
    assert lmd(landmarks[order], truth[order], region) == pytest.approx(expected)
    assert lmd(landmarks.astype(np.float32), truth.astype(np.float32), region) == pytest.approx(expected, rel=1e-4)
    turn = rotation(generator, 2)
    assert lmd(landmarks @ turn, truth @ turn, region) == pytest.approx(expected)
    assert lmd(truth + 2 * (landmarks - truth), truth, region) == pytest.approx(2 * expected)


@few
@given(faces, generators, regions)
def test_frames_without_a_face_change_nothing(truth, generator, region):
    landmarks = noisy(generator, truth)
    holes = [np.concatenate([x, np.full((2, 68, 2), 3.0)]) for x in (landmarks, truth)]
    holes[0][-1, 5, 1], holes[1][-2, 60] = np.nan, np.nan
    assert lmd(*holes, region) == lmd(landmarks, truth, region)


@few
@given(arrays(frames, 52), generators, st.sampled_from(["lower", "upper", "all"]))
def test_aue_is_a_squared_distance(truth, generator, part):
    weights = noisy(generator, truth, 0.1)
    expected = in_any_layout(lambda a, b: aue(a, b, part), weights, truth)
    order = generator.permutation(len(truth))
    assert aue(truth, weights, part) == expected
    assert aue(weights[order], truth[order], part) == pytest.approx(expected)
    assert aue(truth + 3 * (weights - truth), truth, part) == pytest.approx(9 * expected)
    assert aue(weights.astype(np.float32), truth.astype(np.float32), part) == pytest.approx(expected, rel=1e-4)
    if len(truth) > 1:  # a mean over frames: that of two parts, by their lengths
        parts = aue(weights[:1], truth[:1], part) + (len(truth) - 1) * aue(weights[1:], truth[1:], part)
        assert parts / len(truth) == pytest.approx(expected)


@few
@given(st.sampled_from(blendshapes.NAMES), arrays(2, 52), st.floats(0.01, 1))
def test_each_shape_belongs_to_one_part(name, truth, change):
    weights = truth.copy()
    weights[:, blendshapes.index(name)] += change
    lower = name.startswith(("jaw", "mouth", "tongue", "cheekPuff"))
    assert aue(weights, truth) == pytest.approx(change**2 if lower else 0.0)
    assert aue(weights, truth, "upper") == pytest.approx(0.0 if lower else change**2)


sounds = [Phoneme("m", 0.2, 0.3), Phoneme("a", 0.4, 0.6), Phoneme("p", 0.8, 0.95, 0, 0.9), Phoneme("ɒ", 1.0, 1.2)]


@few
@given(arrays(40, high=5.0), arrays(6, high=5.0), st.floats(-20, 20))
def test_closure_goes_with_its_threshold_and_its_clock(opening, thresholds, later):
    found = [closure(opening, sounds, 25.0, threshold=x) for x in np.sort(thresholds)]
    assert all(a.closed <= b.closed and a.opened >= b.opened for a, b in itertools.pairwise(found))
    for one in found:
        assert 0 <= one.closed <= 1
        assert one.accuracy == pytest.approx((one.closed + one.opened) / 2)
        assert (one.bilabials, one.vowels) == (2, 2)
    moved = [Phoneme(p.ipa, p.start + later, p.end + later, 0, p.release and p.release + later) for p in sounds]
    assert closure(opening, moved, 25.0, later, thresholds.max()) == found[-1]
    assert in_any_layout(lambda x: closure(x, sounds, 25.0, threshold=thresholds.max()), opening) == found[-1]


@few
@given(arrays(40, high=5.0), generators)
def test_closure_sees_no_other_moment(opening, generator):
    changed = opening.copy()
    changed[32:] = generator.random(8)  # from second 1.3 on, where nothing is said
    assert closure(changed, sounds, 25.0) == closure(opening, sounds, 25.0)
    silent = [*sounds, Phoneme("t", 0.65, 0.7), Phoneme("", 0.7, 0.72), Phoneme("i", 1.21, 1.3)]
    assert closure(opening, silent, 25.0) == closure(opening, sounds, 25.0)


meshes = arrays(frames, st.integers(1, 9), 3, low=-0.1, high=0.1)


@few
@given(meshes, generators)
def test_lip_vertex_error_is_rigid_and_the_loops(truth, generator):
    vertices = noisy(generator, truth, 0.01)
    expected = in_any_layout(lip_vertex_error, vertices, truth)
    largest = [
        max(float(np.sqrt(((a - b) ** 2).sum())) for a, b in zip(*one, strict=True))
        for one in zip(vertices, truth, strict=True)
    ]
    assert expected == pytest.approx(1000 * sum(largest) / len(largest))
    turn, away, order = rotation(generator), generator.random(3), generator.permutation(truth.shape[1])
    assert lip_vertex_error(vertices @ turn + away, truth @ turn + away) == pytest.approx(expected)
    assert lip_vertex_error(vertices[:, order], truth[:, order]) == pytest.approx(expected)
    assert lip_vertex_error(truth, vertices) == pytest.approx(expected)
    third = noisy(generator, truth, 0.01)
    assert expected <= lip_vertex_error(vertices, third) + lip_vertex_error(third, truth) + 1e-9


def skin(generator: np.random.Generator) -> tuple[np.ndarray, ...]:
    """(points, weights, vertices, lips) of a sheet that moves by some millimetres."""
    rest = generator.uniform(-0.02, 0.02, (60, 3)) * [1, 1, 0.1]
    vertices = rest + 0.004 * np.sin(generator.uniform(0, 6, (8, 1, 1))) * generator.standard_normal(3)
    points = vertices + 0.001 * generator.standard_normal((8, 1, 3))
    return points, generator.uniform(0.1, 1, 60), vertices, np.arange(12)


@few
@given(generators, st.floats(0.1, 9))
def test_deformation_is_of_the_motion_alone(generator, heavier):
    points, weights, vertices, lips = skin(generator)
    found = deformation(points, weights, vertices, lips)
    order, mesh, turn = generator.permutation(60), generator.permutation(60), rotation(generator)
    away = generator.random(3)
    shuffled = deformation(points[:, order], heavier * weights[order], vertices[:, mesh], np.argsort(mesh)[lips])
    assert astuple(shuffled) == pytest.approx(astuple(found))
    turned = deformation(points @ turn + away, weights, vertices @ turn + away, lips)
    assert (turned.error, turned.lips, turned.standing_still) == pytest.approx(
        (found.error, found.lips, found.standing_still)
    )
    assert (turned.gaussians, turned.covered) == (found.gaussians, found.covered)


@few
@given(generators, st.floats(0, 2))
def test_deformation_is_bounded_by_its_parts(generator, share):
    points, weights, vertices, lips = skin(generator)
    found = deformation(points, weights, vertices, lips)
    for whole, across, along in (
        (found.error, found.across, found.along),
        (found.standing_still, found.across_still, found.along_still),
    ):
        assert max(across, along) <= whole + 1e-9
        assert whole <= across + along + 1e-9
    still = vertices.mean(axis=0)
    part = deformation(still + share * (vertices - still), weights, vertices, lips)
    assert part.lips_gain == pytest.approx(share, abs=1e-6)
    assert part.error == pytest.approx(abs(1 - share) * found.standing_still, abs=1e-6)


def test_deformation_leaves_inputs_alone():
    inputs = skin(np.random.default_rng(5))
    in_any_layout(lambda *x: astuple(deformation(*x)), *inputs)


masks = arrays(3, 5, 6).map(lambda x: x > 0.5)


@few
@given(masks, st.permutations(range(5)))
def test_iou_is_of_sets(three, order):
    a, b, c = three
    sets = [{tuple(at) for at in np.argwhere(one)} for one in three]
    found = in_any_layout(iou, a, b)
    assert found == pytest.approx(len(sets[0] & sets[1]) / len(sets[0] | sets[1]) if sets[0] | sets[1] else 1.0)
    assert iou(b, a) == found
    assert iou(a[order], b[order]) == found
    assert 1 - iou(a, c) <= (1 - found) + (1 - iou(b, c)) + 1e-12, "Jaccard's distance is a metric"
    assert iou(a.astype(np.float32), b) == found


@few
@given(arrays(5, 6), arrays(5, 6), st.floats(0.05, 0.95))
def test_iou_of_maps_is_that_of_what_lies_over_the_threshold(a, b, threshold):
    assert iou(a, b, threshold) == iou(a >= threshold, b >= threshold)
    assert iou(a, a, threshold) == 1.0


def test_iou_of_nothing_at_all():
    assert iou(np.zeros((0, 4)), np.zeros((0, 4))) == 1.0
