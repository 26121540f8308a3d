"""The small functions that shape faces: smooth steps, unions, noise, edges of meshes, mouths from articulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioplane.subject import blendshapes
from audioplane.synthetic.articulation import Articulation
from audioplane.synthetic.face import canvas, skin
from audioplane.synthetic.face.jaw import adjacency
from audioplane.synthetic.face.lids import soft_max
from audioplane.synthetic.face.nose import smooth_union
from audioplane.synthetic.face.surface_noise import lattice_noise
from audioplane.synthetic.ict.fit import to_head
from audioplane.synthetic.visemes import mouth_shapes
from tests.strategies import arrays, few, in_any_layout, seeds

distances = arrays(2, st.integers(1, 30), low=-5.0, high=5.0)


@few
@given(arrays(st.integers(1, 30), low=-1.0, high=2.0), st.sampled_from([canvas.smoothstep, skin.smoothstep]))
def test_smooth_steps_go_from_nothing_to_all(t, step):
    got = in_any_layout(step, t)
    assert (got[t <= 0] == 0).all()
    assert (got[t >= 1] == 1).all()
    np.testing.assert_allclose(step(1 - t), 1 - got, atol=1e-12)
    assert (np.diff(step(np.sort(t))) >= 0).all()
    ends = step(np.array([1e-5, 1 - 1e-5]))
    assert ends == pytest.approx([0, 1], abs=1e-8), "flat at both ends"


@few
@given(distances, st.floats(0.1, 3))
def test_soft_maxima_and_unions_are_near_the_hard_ones(pair, width):
    a, b = pair
    greater = in_any_layout(lambda x, y: soft_max(x, y, width), a, b)
    assert (greater >= np.maximum(a, b) - 1e-12).all()
    assert (greater <= np.maximum(a, b) + width / 4 + 1e-12).all()
    np.testing.assert_allclose(soft_max(b, a, width), greater, atol=1e-9)
    apart = np.abs(a - b) > width
    np.testing.assert_allclose(greater[apart], np.maximum(a, b)[apart])
    union = in_any_layout(lambda x, y: smooth_union(x, y, width), a, b)
    np.testing.assert_allclose(union, -soft_max(-a, -b, width), atol=1e-9)
    np.testing.assert_allclose(smooth_union(a + 1, b + 1, width), union + 1, atol=1e-9)
    np.testing.assert_allclose(soft_max(a, a, width), a + width / 4, atol=1e-9)


@few
@given(arrays(st.integers(1, 20), st.sampled_from([1, 2, 3]), low=-20.0, high=20.0), seeds)
def test_noise_is_seeded_smooth_and_fixed_at_the_lattice(points, seed):
    got = in_any_layout(lambda x: lattice_noise(x, seed % 1000), points)
    assert np.abs(got).max() <= 1.01
    np.testing.assert_array_equal(lattice_noise(points[:1], seed % 1000), got[:1])
    step = 1e-5
    assert np.abs(lattice_noise(points + step, seed % 1000) - got).max() < 100 * step
    corners = np.floor(points)
    at = lattice_noise(corners, seed % 1000)
    near = lattice_noise(corners + 1e-3, seed % 1000)
    np.testing.assert_allclose(near, at, atol=1e-6)  # flat at the corners: the slope is 0 there


def test_noise_of_another_seed_is_another():
    points = np.random.default_rng(0).uniform(0, 50, (500, 3))
    first, other = lattice_noise(points, 1), lattice_noise(points, 2)
    assert abs(np.corrcoef(first, other)[0, 1]) < 0.2
    assert first.std() > 0.1
    assert abs(first.mean()) < 0.1


@few
@given(st.integers(3, 12), seeds)
def test_neighbours_are_those_of_some_face(size, seed):
    faces = np.array([np.random.default_rng([seed, k]).permutation(size)[:3] for k in range(5)])
    matrix = in_any_layout(lambda x: adjacency(x, size).toarray(), faces)
    np.testing.assert_array_equal(matrix, matrix.T)
    for a in range(size):
        for b in range(size):
            together = a != b and any(a in face and b in face for face in faces.tolist())
            assert matrix[a, b] == float(together)


@few
@given(arrays(st.integers(1, 9), 3, low=-9.0, high=9.0))
def test_the_kits_axes_are_turned_about_x(vectors):
    got = in_any_layout(to_head, vectors)
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), 10 * np.linalg.norm(vectors, axis=1))
    np.testing.assert_allclose(to_head(np.eye(3)), np.diag([10, -10, -10]))
    np.testing.assert_allclose(np.cross(to_head(np.eye(3))[0], to_head(np.eye(3))[1]), 10 * to_head(np.eye(3))[2])


def tracks(seed: int, count: int = 40) -> Articulation:
    """An articulation whose tracks wander in [0, 1]."""
    import dataclasses

    generator, given = np.random.default_rng(seed), {}
    for item in dataclasses.fields(Articulation):
        given[item.name] = 100.0 if item.name == "rate" else generator.random(count)
    return Articulation(**given)


@few
@given(seeds, st.floats(-1, 1))
def test_mouth_shapes_are_weights_of_the_mouth_alone(seed, asymmetry):
    times = np.linspace(0.0, 0.39, 17)
    articulation = tracks(seed)
    weights, extras = mouth_shapes(articulation, times, asymmetry)
    assert weights.shape == (17, blendshapes.COUNT)
    assert weights.dtype == np.float32
    assert 0 <= weights.min() <= weights.max() <= 1
    used = {blendshapes.NAMES[k] for k in np.flatnonzero(weights.any(axis=0))}
    assert used <= set(blendshapes.MOUTH)
    assert all(track.shape == (17,) and 0 <= track.min() <= track.max() <= 1 for track in extras.values())
    mirrored, _ = mouth_shapes(articulation, times, -asymmetry)
    for name in used:
        other = name.replace("Left", "*").replace("Right", "Left").replace("*", "Right")
        mine, theirs = weights[:, blendshapes.index(name)], mirrored[:, blendshapes.index(other)]
        np.testing.assert_allclose(mine, theirs, atol=1e-6)
    one, _ = mouth_shapes(articulation, times[3:4], asymmetry)
    np.testing.assert_allclose(one[0], weights[3], atol=1e-6)
    close, jaw = (weights[:, blendshapes.index(name)] for name in ("mouthClose", "jawOpen"))
    assert (close <= jaw + 1e-6).all(), "lips close no further than the jaw is open"
