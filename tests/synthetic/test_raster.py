"""The z-buffer against a slow exact twin, closed forms, and its own promises."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import Delaunay

from audioplane.synthetic.raster import NEAR, SUBSAMPLE, Visibility, depth_map, project, rasterize, vertex_normals

INTRINSICS = np.array([[40.0, 0, 20.0], [0, 42.0, 18.0], [0, 0, 1]])


def draw(points, faces, width=40, height=36, supersample=1, two_sided=True, selection=None, coverage=None):
    faces = np.asarray(faces, np.int32)
    corners, inverse = np.zeros((len(points), 2), np.int64), np.zeros(len(points))
    project(np.asarray(points, np.float64), INTRINSICS, supersample, corners, inverse)
    seen = Visibility.empty(width, height, supersample)
    if selection is None:
        selection = np.arange(len(faces), dtype=np.int32)
    strands = np.zeros((len(points), 3), np.float32)
    if coverage is not None:
        strands[:] = np.column_stack(
            [np.asarray(points)[:, 0] * 300, np.asarray(points)[:, 1], np.full(len(points), coverage)]
        )
    rasterize(
        faces,
        selection,
        np.full(len(faces), two_sided),
        np.full(len(faces), coverage is not None),
        strands,
        corners,
        inverse,
        seen.triangle,
        seen.inverse_depth,
        seen.barycentric,
    )
    return seen


def slow_twin(points, faces, width=40, height=36, supersample=1):
    """Every triangle at every sample in Python integers; a tie moves the sample a hair right and down."""
    triangle = -np.ones((height * supersample, width * supersample), int)
    inverse = np.zeros(triangle.shape)
    bary = np.zeros((*triangle.shape, 2))
    scale = SUBSAMPLE * supersample
    for n, face in enumerate(faces):
        p = np.asarray(points)[list(face)]
        if (p[:, 2] < NEAR).any():
            continue
        xy = [
            (
                int(np.floor((INTRINSICS[0, 0] * x / z + INTRINSICS[0, 2]) * scale + 0.5)),
                int(np.floor((INTRINSICS[1, 1] * y / z + INTRINSICS[1, 2]) * scale + 0.5)),
            )
            for x, y, z in p
        ]
        area = (xy[1][0] - xy[0][0]) * (xy[2][1] - xy[0][1]) - (xy[1][1] - xy[0][1]) * (xy[2][0] - xy[0][0])
        if area == 0:
            continue
        sign = 1 if area > 0 else -1
        for i in range(triangle.shape[0]):
            for j in range(triangle.shape[1]):
                x, y = j * SUBSAMPLE + SUBSAMPLE // 2, i * SUBSAMPLE + SUBSAMPLE // 2
                weights, inside = [], True
                for a, b in ((1, 2), (2, 0), (0, 1)):
                    dx, dy = sign * (xy[b][0] - xy[a][0]), sign * (xy[b][1] - xy[a][1])
                    edge = dx * (y - xy[a][1]) - dy * (x - xy[a][0])
                    inside &= edge > 0 or (edge == 0 and (dy < 0 or (dy == 0 and dx > 0)))
                    weights.append(edge / abs(area))
                if not inside:
                    continue
                parts = np.array(weights) / p[:, 2]
                if np.float32(parts.sum()) > np.float32(inverse[i, j]):
                    triangle[i, j], inverse[i, j] = n, parts.sum()
                    bary[i, j] = parts[1:] / parts.sum()
    return triangle, inverse, bary


def sphere(rows=60, columns=90, radius=0.3, centre=(0.0, 0.0, 1.0)):
    """A ball of triangles wound outward in the camera's right-handed coordinates."""
    theta, phi = np.meshgrid(np.linspace(0, np.pi, rows), np.arange(columns) / columns * 2 * np.pi, indexing="ij")
    points = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1).reshape(-1, 3)
    a = (np.arange(rows - 1)[:, None] * columns + np.arange(columns)).ravel()
    b = (np.arange(rows - 1)[:, None] * columns + (np.arange(columns) + 1) % columns).ravel()
    faces = np.concatenate([np.stack([a, a + columns, b], 1), np.stack([b, a + columns, b + columns], 1)])
    return radius * points + centre, faces.astype(np.int32)


@pytest.mark.parametrize("supersample", [1, 2])
@pytest.mark.parametrize("seed", [0, 1])
def test_same_samples_depths_and_barycentrics_as_the_twin(seed, supersample):
    rng = np.random.default_rng(seed)
    points = rng.uniform([-0.6, -0.5, 0.6], [0.6, 0.5, 1.6], (24, 3))
    points[0, 2] = 0.01  # nearer than NEAR: its triangles are dropped
    faces = rng.permutation(24).reshape(8, 3)
    seen = draw(points, faces, supersample=supersample)
    triangle, inverse, bary = slow_twin(points, faces, supersample=supersample)
    assert (triangle >= 0).mean() > 0.1
    np.testing.assert_array_equal(seen.triangle, triangle)
    np.testing.assert_allclose(seen.inverse_depth, inverse, rtol=1e-6)
    np.testing.assert_allclose(seen.barycentric, bary, atol=1e-5)


def test_neighbours_neither_gap_nor_overlap():
    rng = np.random.default_rng(3)
    # corners on whole and half samples too, so that many sample centres lie exactly on edges and corners
    grid = rng.integers(0, 72, (160, 2)) / 2.0
    grid = np.unique(np.vstack([grid, [[0, 0], [40, 0], [0, 36], [40, 36]]]), axis=0)
    grid = grid[grid[:, 1] <= 36]
    flat = np.column_stack([(grid - INTRINSICS[:2, 2]) / [40.0, 42.0], np.ones(len(grid))])
    faces = Delaunay(grid).simplices
    covered = np.zeros((36, 40), int)
    for face in faces:
        covered += draw(flat, face[None]).triangle >= 0
    assert covered.min() == 1
    assert covered.max() == 1


def test_order_of_triangles_does_not_matter():
    rng = np.random.default_rng(4)
    points, faces = rng.uniform([-0.5, -0.5, 0.6], [0.5, 0.5, 1.6], (60, 3)), np.arange(60).reshape(20, 3)
    one = draw(points, faces)
    two = draw(points, faces, selection=rng.permutation(20).astype(np.int32))
    np.testing.assert_array_equal(one.triangle, two.triangle)
    np.testing.assert_array_equal(one.barycentric, two.barycentric)


def test_a_tilted_plane_is_interpolated_in_perspective():
    # a quad whose corners project onto whole samples, so that snapping changes nothing
    screen = np.array([[0, 0], [40, 0], [40, 36], [0, 36]])
    z = np.array([0.8, 2.0, 2.0, 0.8])
    points = np.column_stack([(screen - INTRINSICS[:2, 2]) / [40.0, 42.0] * z[:, None], z])
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    seen = draw(points, faces)
    assert (seen.triangle >= 0).all()
    j, i = np.meshgrid(np.arange(40) + 0.5, np.arange(36) + 0.5)
    rays = np.stack([(j - 20.0) / 40.0, (i - 18.0) / 42.0, np.ones_like(j)], -1)
    normal = np.cross(points[1] - points[0], points[3] - points[0])
    hits = rays * (points[0] @ normal / (rays @ normal))[..., None]
    np.testing.assert_allclose(1 / seen.inverse_depth, hits[..., 2], rtol=1e-5)
    b = seen.barycentric.astype(float)
    corner = points[faces[seen.triangle]]
    ours = (
        corner[..., 0, :] * (1 - b.sum(-1))[..., None] + corner[..., 1, :] * b[..., :1] + corner[..., 2, :] * b[..., 1:]
    )
    np.testing.assert_allclose(ours, hits, atol=2e-5)


def test_a_ball_has_the_depth_of_a_ball_and_shows_only_its_front():
    points, faces = sphere()
    seen = draw(points, faces, supersample=2, two_sided=False)
    hit = seen.triangle >= 0
    i, j = np.nonzero(hit)
    rays = np.column_stack([((j + 0.5) / 2 - 20.0) / 40.0, ((i + 0.5) / 2 - 18.0) / 42.0, np.ones(len(i))])
    along, square = rays[:, 2], (rays**2).sum(1)
    disc = along**2 - square * (1.0 - 0.3**2)
    centre = disc > 0.01  # away from the silhouette, where facets matter
    depth = (along - np.sqrt(np.maximum(disc, 0))) / square
    assert centre.sum() > 1000
    np.testing.assert_allclose(1 / seen.inverse_depth[hit][centre], depth[centre], atol=2e-3)
    flipped = draw(points, faces[:, ::-1], supersample=2, two_sided=False)
    front = 1 / flipped.inverse_depth[flipped.triangle >= 0]
    assert front.min() > 0.905  # inside out: only what lies behind the tangent circle (1 - 0.3**2) is seen


def test_normals_of_a_ball_point_outward():
    points, faces = sphere()
    normals = np.empty_like(points)
    vertex_normals(points, faces, normals)
    inner = slice(90, -90)  # the poles are degenerate
    np.testing.assert_allclose(normals[inner], ((points - [0, 0, 1]) / 0.3)[inner], atol=1e-2)


def test_depth_map_keeps_the_nearest():
    points = np.array([[1, 1, 2.0], [9, 1, 2.0], [1, 9, 2.0], [0, 0, 3.0], [12, 0, 3.0], [0, 12, 3.0]])
    depth = np.full((10, 10), np.inf, np.float32)
    depth_map(points, np.array([[0, 1, 2], [3, 4, 5]], np.int32), np.array([0, 1], np.int32), depth)
    assert depth[2, 2] == 2.0
    assert depth[0, 0] == 3.0
    assert np.isinf(depth[9, 9])


def test_coverage_opens_holes():
    points, faces = (
        np.array([[-0.5, -0.5, 1], [0.5, -0.5, 1], [0.5, 0.5, 1], [-0.5, 0.5, 1]]),
        [[0, 1, 2], [0, 2, 3]],
    )
    shown = [(draw(points, faces, coverage=c).triangle >= 0).mean() for c in (0.0, 0.3, 0.5, 0.7, 1.01)]
    assert shown[0] == 0.0
    assert shown[-1] == 1.0
    assert 0.05 < shown[1] < shown[2] < shown[3] < 0.98
    assert 0.3 < shown[2] < 0.7
