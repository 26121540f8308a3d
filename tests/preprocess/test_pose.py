"""Projection, bundle adjustment, flow and the head's path, against made-up heads whose truth is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from audioplane.preprocess import bundle, flow, trajectory
from audioplane.preprocess.bundle import Lens, Poses
from audioplane.preprocess.face_shape import GENERIC, STEADY, mean_shape, semantic_weights, similarity, to_head_axes
from audioplane.preprocess.pose_errors import compare

LENS = Lens(740.0, 128.0, 128.0)


def nodding(count: int, seed: int = 0, turn: float = 12.0) -> Poses:
    """A head that moves smoothly."""
    rng = np.random.default_rng(seed)
    time = np.arange(count) / 25
    waves = sum(
        rng.normal(size=(6, 1)) * np.sin(2 * np.pi * f * time + rng.uniform(0, 6, (6, 1))) for f in (0.2, 0.5, 0.9)
    )
    return Poses(
        Rotation.from_rotvec(np.radians(turn) * 0.4 * waves[:3].T).as_matrix(),
        np.array([0, 0, 1.1]) + 0.01 * waves[3:].T,
    )


def test_derivatives_are_those_of_the_projection() -> None:
    rng, poses = np.random.default_rng(0), nodding(3)
    points = rng.normal(0, 0.08, (5, 3))
    _, by_pose, by_point = bundle.derivatives(points, poses, LENS)
    for k in range(6):
        step = np.zeros((3, 6))
        step[:, k] = 1e-6
        change = bundle.project(points, poses.moved(step), LENS) - bundle.project(points, poses.moved(-step), LENS)
        np.testing.assert_allclose(by_pose[..., k], change / 2e-6, rtol=1e-4, atol=1e-3)
    for k in range(3):
        step = 1e-6 * np.eye(3)[k]
        change = bundle.project(points + step, poses, LENS) - bundle.project(points - step, poses, LENS)
        np.testing.assert_allclose(by_point[..., k], change / 2e-6, rtol=1e-4, atol=1e-3)


def test_adjustment_finds_shape_and_poses_from_a_wrong_shape() -> None:
    rng, truth = np.random.default_rng(1), nodding(120)
    shape = GENERIC + rng.normal(0, 0.004, GENERIC.shape)
    points = bundle.project(shape, truth, LENS) + rng.normal(0, 0.15, (120, 68, 2))
    ones = np.ones(68)
    first = bundle.fit_poses(points, GENERIC, ones, bundle.first_poses(points, GENERIC, ones, LENS), LENS)
    found, poses, left = bundle.adjust(points, GENERIC, ones, first, LENS)
    assert left == pytest.approx(0.15, rel=0.15)
    before, after = compare(first, truth), compare(poses, truth)
    assert after.degrees < 0.5 * before.degrees < 1
    s, R, t = similarity(found, shape)
    assert np.abs(s * found @ R.T + t - shape).mean() < 0.5 * np.abs(GENERIC - shape).mean()


def test_outliers_hardly_pull() -> None:
    rng, truth = np.random.default_rng(2), nodding(30)
    points = bundle.project(GENERIC, truth, LENS) + rng.normal(0, 0.1, (30, 68, 2))
    points[rng.random((30, 68)) < 0.1] += 15
    ones = np.ones(68)
    poses = bundle.fit_poses(points, GENERIC, ones, bundle.first_poses(points, GENERIC, ones, LENS), LENS, 12)
    assert compare(poses, truth).degrees < 0.3


def test_the_focal_length_is_found_where_it_can_be_seen() -> None:
    rng, truth = np.random.default_rng(3), nodding(80, turn=30)
    near = Poses(truth.R, truth.t * [1, 1, 0.4])
    points = bundle.project(GENERIC, near, Lens(1.2 * 256, 128, 128)) + rng.normal(0, 0.05, (80, 68, 2))
    lens, left = bundle.search_focal(points, GENERIC, np.ones(68), 256)
    assert lens.focal / 256 == pytest.approx(1.2)
    assert left[1.2] == min(left.values())


def test_a_first_shape_comes_from_depth_and_lies_in_head_coordinates() -> None:
    poses = nodding(40, turn=25)
    seen = GENERIC @ poses.R.transpose(0, 2, 1) + poses.t[:, None]
    points = seen * 700 + [100, 90, 0]
    points[5] = np.nan
    shape = mean_shape(points)
    s, R, t = to_head_axes(shape)
    np.testing.assert_allclose(s * shape @ R.T + t, GENERIC, atol=1e-4)


def test_semantic_weights_know_the_parts_of_the_face() -> None:
    weights = semantic_weights(GENERIC)
    assert (weights[48:] == 0).all()  # lips
    assert (weights[4:13] == 0).all()  # jaw
    assert (weights[17:27] == 0.1).all()  # brows
    assert (weights[[37, 38, 43, 44]] == 0.1).all()  # lids
    assert (weights[STEADY] == 1).all()


def test_the_band_solves_what_a_dense_solver_does() -> None:
    rng = np.random.default_rng(4)
    band = trajectory.Band(9, 3)
    dense = np.zeros((54, 54))
    for t in range(9):
        for d in range(min(3, 9 - t)):
            block = rng.normal(size=(6, 6))
            block = block @ block.T + 40 * np.eye(6) if d == 0 else block
            band.blocks[t, d] = block
            dense[6 * t : 6 * t + 6, 6 * (t + d) : 6 * (t + d) + 6] += block
            if d:
                dense[6 * (t + d) : 6 * (t + d) + 6, 6 * t : 6 * t + 6] += block.T
    band.rhs = rng.normal(size=(9, 6))
    np.testing.assert_allclose(band.solve().reshape(-1), np.linalg.solve(dense, band.rhs.reshape(-1)), atol=1e-8)


def path(points: np.ndarray, poses: Poses, breaks: list[int], tracks: flow.Tracks | None = None) -> Poses:
    count = len(points)
    return trajectory.solve(points, GENERIC, np.ones(68), poses, LENS, breaks, tracks, np.ones(count, bool))


def trembling(count: int, seed: int = 5) -> tuple[Poses, np.ndarray, Poses]:
    """The truth, landmarks with jitter, and the poses of each frame by itself."""
    rng, truth = np.random.default_rng(seed), nodding(count)
    noise = rng.normal(0, 0.4, (count, 68, 2)) + rng.normal(0, 0.4, (count, 1, 2))
    points = bundle.project(GENERIC, truth, LENS) + noise
    ones = np.ones(68)
    return truth, points, bundle.fit_poses(points, GENERIC, ones, bundle.first_poses(points, GENERIC, ones, LENS), LENS)


def test_inertia_smooths_without_lagging() -> None:
    truth, points, first = trembling(150)
    smooth = path(points, first, [])
    before, after = compare(first, truth), compare(smooth, truth)
    assert after.jitter[0] < 0.4 * before.jitter[0]
    assert after.degrees < before.degrees
    back = path(points[::-1], Poses(first.R[::-1], first.t[::-1]), [])  # time reversed: the same path
    np.testing.assert_allclose(back.t[::-1], smooth.t, atol=1e-7)


def test_inertia_stops_at_a_cut() -> None:
    truth, points, _ = trembling(60)
    jumped = Poses(truth.R, truth.t + np.where(np.arange(60) < 30, 0, 0.03)[:, None] * [1, 0, 0])
    points = points - bundle.project(GENERIC, truth, LENS) + bundle.project(GENERIC, jumped, LENS)
    first = bundle.fit_poses(points, GENERIC, np.ones(68), jumped, LENS)
    with_cut, without = path(points, first, [30]), path(points, first, [])
    error = [np.abs(p.t - jumped.t)[28:32, 0].mean() for p in (with_cut, without)]
    assert error[0] < 0.5 * error[1]


def test_frames_without_a_face_follow_from_their_neighbours() -> None:
    truth, points, first = trembling(60)
    seen = np.ones(60, bool)
    seen[20:26] = False
    points[~seen] = np.nan
    first.t[~seen], first.R[~seen] = first.t[19], first.R[19]
    poses = trajectory.solve(points, GENERIC, np.ones(68), first, LENS, [], None, seen)
    assert compare(poses, truth).degrees < 1.0
    assert np.abs(poses.t - truth.t)[20:26, :2].max() < 0.006


def wall(count: int, truth: Poses, size: int = 256) -> list[np.ndarray]:
    """A textured plane in front of the head, seen from true poses."""
    rng = np.random.default_rng(6)
    texture = cv2.GaussianBlur(rng.uniform(0, 255, (256, 256)).astype(np.float32), (0, 0), 2.0)
    texture = np.clip((texture - texture.mean()) * 5 + 128, 0, 255).astype(np.uint8)
    corners = np.array([[-0.1, -0.1, -0.08], [0.1, -0.1, -0.08], [0.1, 0.1, -0.08], [-0.1, 0.1, -0.08]])
    at = np.array([[0, 0], [256, 0], [256, 256], [0, 256]], np.float32) - 0.5
    frames = []
    for seen in bundle.project(corners, truth, LENS)[:count]:
        warp = cv2.getPerspectiveTransform(at, (seen - 0.5).astype(np.float32))
        frames.append(cv2.warpPerspective(texture, warp, (size, size))[..., None].repeat(3, 2))
    return frames


def test_points_followed_by_flow_steady_the_path() -> None:
    truth, points, first = trembling(60)
    flat = GENERIC.copy()
    flat[:, 2] = -0.08
    tracks = flow.track(wall(60, truth), flat, first, LENS, [], False, lambda done: None)
    known = np.isfinite(tracks.pixels[..., 0])
    assert known.sum() > 1000
    # what is followed moves as the wall does
    s, k = 1, int(np.flatnonzero(known[1, :, 8])[0])
    start = int(tracks.start[s])
    rays = np.append((tracks.pixels[s, k, 0] - 128) / LENS.focal, 1)
    normal = truth.R[start][:, 2]
    on_wall = truth.R[start] @ [0, 0, -0.08] + truth.t[start]
    place = truth.R[start].T @ (rays * (normal @ on_wall) / (normal @ rays) - truth.t[start])
    there = bundle.project(place[None], truth[[start + 8]], LENS)[0, 0]
    np.testing.assert_allclose(tracks.pixels[s, k, 8], there, atol=0.3)
    without, with_flow = (compare(path(points, first, [], t), truth) for t in (None, tracks))
    assert with_flow.jitter[1] < without.jitter[1]


def test_flow_stops_at_a_cut() -> None:
    truth, _, first = trembling(40)
    tracks = flow.track(wall(40, truth), GENERIC, first, LENS, [20], False, lambda done: None)
    for start, pixels in zip(tracks.start, tracks.pixels, strict=True):
        if start < 20:
            assert np.isnan(pixels[:, 20 - start :]).all()
