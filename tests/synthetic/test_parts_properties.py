"""Meshes, colours, cameras and sparse numbers of the embedded speakers that are made without kernels."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from audioplane.synthetic.face.parts import Part, closed, join, sheet_faces, vertex_normals
from audioplane.synthetic.filming import project, rigid
from audioplane.synthetic.filming import rotation as rotation_of
from audioplane.synthetic.lights import BLUR, shadow_frame, windows
from audioplane.synthetic.materials import linear_to_srgb, srgb_to_linear
from tests.strategies import arrays, few, generators, in_any_layout, rotation

grids = st.tuples(st.integers(2, 6), st.integers(2, 6))


@few
@given(arrays(st.integers(1, 20), 3))
def test_colours_come_back_from_linear_light(colours):
    light = in_any_layout(srgb_to_linear, colours)
    np.testing.assert_allclose(in_any_layout(linear_to_srgb, light), colours, atol=1e-6)
    assert (light <= colours + 1e-9).all(), "mid tones are darker in linear light"
    order = np.argsort(colours[:, 0])
    assert (np.diff(light[order, 0]) >= 0).all()
    np.testing.assert_allclose(srgb_to_linear(np.array([0.0, 1.0])), [0.0, 1.0], atol=1e-12)
    np.testing.assert_allclose(srgb_to_linear(np.array([0.04045 - 1e-9, 0.04045 + 1e-9])), 0.04045 / 12.92, rtol=1e-4)


@few
@given(arrays(st.integers(1, 5), 6, low=-1.0, high=1.0))
def test_rigid_motions_keep_distances(poses):
    matrices = in_any_layout(rigid, poses)
    np.testing.assert_array_equal(matrices[:, 3], np.tile([0, 0, 0, 1], (len(poses), 1)))
    turns = matrices[:, :3, :3]
    np.testing.assert_allclose(turns @ turns.transpose(0, 2, 1), np.tile(np.eye(3), (len(poses), 1, 1)), atol=1e-9)
    np.testing.assert_allclose(turns, Rotation.from_rotvec(poses[:, :3]).as_matrix(), atol=1e-9)
    np.testing.assert_array_equal(matrices[:, :3, 3], poses[:, 3:])
    np.testing.assert_allclose(rotation_of(-poses[:, :3]), turns.transpose(0, 2, 1), atol=1e-9)
    np.testing.assert_allclose(rotation_of(np.zeros((1, 3)))[0], np.eye(3))


@few
@given(arrays(st.integers(1, 9), 3, low=-0.2, high=0.2), arrays(1, 6, low=-0.3, high=0.3))
def test_projection_is_the_pinholes(points, pose):
    view, K = rigid(pose)[0], np.array([[500.0, 0, 100], [0, 500, 90], [0, 0, 1]])
    view[2, 3] += 2.0
    got = in_any_layout(lambda x: project(x, K, view), points)
    for place, point in zip(got, points, strict=True):
        x, y, z = K @ (view[:3, :3] @ point + view[:3, 3])
        np.testing.assert_allclose(place, [x / z, y / z], rtol=1e-9)


@few
@given(grids)
def test_a_sheet_has_two_triangles_a_cell_wound_one_way(size):
    rows, columns = size
    index = np.arange(rows * columns).reshape(rows, columns)
    faces = sheet_faces(index)
    assert len(faces) == 2 * (rows - 1) * (columns - 1)
    x, y = np.meshgrid(np.arange(columns), np.arange(rows))
    points = np.stack([x.ravel(), y.ravel(), 0 * x.ravel()], 1).astype(float)
    a, b, c = (points[faces[:, k]] for k in range(3))
    area = np.cross(b - a, c - a)[:, 2] / 2
    assert len(set(np.sign(area))) == 1
    np.testing.assert_allclose(np.abs(area).sum(), (rows - 1) * (columns - 1))
    flipped = sheet_faces(index, flip=True)
    np.testing.assert_array_equal(flipped[:, ::-1], faces)
    round_ones = sheet_faces(closed(index))
    assert len(round_ones) == 2 * (rows - 1) * columns or columns == 2
    pole = index.copy()
    pole[0] = 0  # all of a row in one point: a fan
    assert len(sheet_faces(pole)) == len(faces) - (columns - 1)


@few
@given(grids)
def test_closing_repeats_the_first_column(size):
    index = np.arange(size[0] * size[1]).reshape(size)
    got = in_any_layout(closed, index)
    np.testing.assert_array_equal(got[:, :-1], index)
    np.testing.assert_array_equal(got[:, -1], index[:, 0])


def ball(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points of a sphere and outward triangles (a convex hull)."""
    from scipy.spatial import ConvexHull

    points = generator.standard_normal((40, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    faces = ConvexHull(points).simplices.copy()
    a, b, c = (points[faces[:, k]] for k in range(3))
    inward = (np.cross(b - a, c - a) * a).sum(1) < 0
    faces[inward] = faces[inward][:, ::-1]
    return points, faces


@few
@given(generators)
def test_normals_of_a_ball_point_outward(generator):
    points, faces = ball(generator)
    got = in_any_layout(vertex_normals, points, faces)
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1)
    assert ((got * points).sum(1) > 0).all()
    turn = rotation(generator)
    np.testing.assert_allclose(vertex_normals(3 * points @ turn + 5, faces), got @ turn, atol=1e-9)
    np.testing.assert_allclose(vertex_normals(points, faces[:, ::-1]), -got, atol=1e-12)
    np.testing.assert_allclose(vertex_normals(points, np.roll(faces, 1, axis=1)), got, atol=1e-12)
    alone = vertex_normals(np.vstack([points, [[9.0, 9, 9]]]), faces)
    assert (alone[-1] == 0).all(), "a vertex without a face has none"


@few
@given(generators, st.integers(1, 4))
def test_joined_parts_keep_their_faces_and_groups(generator, count):
    parts = {}
    for k in range(count):
        points, faces = ball(generator)
        parts[f"part{k}"] = Part(points, faces, k, 1 + k % 4, groups={f"own{k}": np.array([0, 3])}, roughness=0.1 * k)
    whole = join(parts)
    assert len(whole.vertices) == 40 * count
    assert len(whole.faces) == sum(len(part.faces) for part in parts.values())
    at = 0
    for k, (name, part) in enumerate(parts.items()):
        np.testing.assert_array_equal(whole.vertices[whole.groups[name]], part.vertices)
        np.testing.assert_array_equal(whole.vertices[whole.groups[f"own{k}"]], part.vertices[[0, 3]])
        mine = slice(at, at + len(part.faces))
        np.testing.assert_array_equal(whole.vertices[whole.faces[mine]], part.vertices[part.faces])
        assert (whole.material[mine] == k).all()
        np.testing.assert_allclose(whole.roughness[whole.groups[name]], 0.1 * k)
        at += len(part.faces)


# Shadows


@few
@given(generators, st.floats(0.2, 3))
def test_a_shadow_frame_sees_the_whole_sphere_at_its_scale(generator, radius):
    direction = generator.standard_normal(3)
    direction /= np.linalg.norm(direction)
    centre = generator.standard_normal(3)
    frame = shadow_frame(direction, centre, radius, 64)
    inside = generator.standard_normal((30, 3))
    inside *= radius * generator.random((30, 1)) / np.linalg.norm(inside, axis=1, keepdims=True)
    places = np.column_stack([inside + centre, np.ones(30)]) @ frame.rows.T
    assert (places[:, :2] >= -1e-6).all()
    assert (places[:, :2] <= 64 + 1e-6).all()
    np.testing.assert_allclose(frame.rows[:, :3] @ centre + frame.rows[:, 3], [32, 32, 0], atol=1e-6)
    nearer = frame.rows @ np.append(centre + direction, 1)  # towards the light
    np.testing.assert_allclose(nearer, [32, 32, -1], atol=1e-6)
    axes = frame.rows[:2, :3] * (2 * radius / 64)
    np.testing.assert_allclose(axes @ axes.T, np.eye(2), atol=1e-9)


@few
@given(arrays(st.integers(BLUR + 2, 20), st.integers(BLUR + 2, 20), dtype=np.float32))
def test_windows_hold_the_least_and_greatest_depth_right_and_down(depth):
    whole, least, greatest = in_any_layout(windows, depth)
    np.testing.assert_array_equal(whole, depth)
    for y, x in ((0, 0), (2, 3), (depth.shape[0] - 1, depth.shape[1] - 1)):
        around = depth[y : y + BLUR + 1, x : x + BLUR + 1]
        assert least[y, x] == around.min()
        assert greatest[y, x] == around.max()
