"""The fitted surface: against shapes that are known, and against an embedded speaker's true depth."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from audioplane import synthetic
from audioplane.evaluation.shape import errors_of_surface
from audioplane.splat.gaussians import as_parameters, random_gaussians, splat
from audioplane.subject import Subject
from audioplane.surface import Surface, fit
from audioplane.surface.beside import beside, is_due, weight
from audioplane.surface.field import BAND, CELLS, distances, nodes, on_grid
from audioplane.surface.fit import outside, pixels_of, read, turned_with, warped, with_hair
from audioplane.surface.hold import LARGEST, OUTSIDE, SMALLEST, THICKNESS, Holder, axes
from audioplane.surface.landmarks import in_space
from audioplane.surface.mean_head import mean_head
from audioplane.surface.start import along, farthest, first_cloud, spacing, spread
from audioplane.training.dataset import head_box
from tests.tiny_subject import TinySubject

RADIUS = 0.08


@pytest.fixture(scope="module")
def adam(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return synthetic.make("adam", tmp_path_factory.mktemp("speakers") / "adam", size=128, seconds=4, progress=False)


@cache
def fitted(subject: Subject) -> Surface:
    surface = fit(subject, subject.train, *head_box(subject, subject.train))
    assert surface is not None
    return surface


def ball(count: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    out = np.random.default_rng(0).standard_normal((count, 3))
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    return RADIUS * out, out


def ball_surface() -> Surface:
    places = nodes((0.0, 0.0, 0.0), 0.12, 48)
    found = np.linalg.norm(places, axis=-1) - RADIUS
    return Surface.of_distances(found, (0.0, 0.0, 0.0), 0.12, np.full((68, 3), 5.0))


def test_distances_of_a_ball() -> None:
    points, normals = ball()
    places = np.random.default_rng(1).uniform(-0.11, 0.11, (500, 3))
    near = np.abs(np.linalg.norm(places, axis=1) - RADIUS) < 0.02
    found = distances(places, points, normals)
    true = np.linalg.norm(places, axis=1) - RADIUS
    assert np.abs(found - true)[near].max() < 1.5e-3
    assert (np.sign(found) == np.sign(true))[np.abs(true) > 2e-3].all()


def test_a_surface_tells_distance_and_way_out() -> None:
    surface = ball_surface()
    points = torch.from_numpy(np.random.default_rng(2).uniform(-0.1, 0.1, (200, 3))).float()
    points = points[points.norm(dim=1) > 0.02]
    distance, out = surface.look(points)
    torch.testing.assert_close(distance, points.norm(dim=1) - RADIUS, atol=5e-4, rtol=0)
    assert ((out * torch.nn.functional.normalize(points, dim=1)).sum(1) > 0.99).all()
    torch.testing.assert_close(
        surface.nearest(points).norm(dim=1), torch.full((len(points),), RADIUS), atol=5e-4, rtol=0
    )
    torch.testing.assert_close(
        surface.distance(torch.tensor([[0.5, 0.0, 0.0]])), torch.tensor([0.42]), atol=1e-3, rtol=0
    )


def test_a_grid_is_exact_near_the_surface() -> None:
    tell = lambda places: np.linalg.norm(places - [0.01, 0, 0], axis=-1) - RADIUS  # noqa: E731
    found, true = on_grid(tell, (0.0, 0.01, 0.0), 0.12), tell(nodes((0.0, 0.01, 0.0), 0.12))
    assert found.shape == (CELLS,) * 3
    assert np.abs(found - true)[np.abs(true) < 0.7 * BAND].max() == 0
    assert np.abs(found - true)[true > -0.8 * RADIUS].max() < 2e-3  # not where the distance has its kink: the centre


def test_the_mean_head_is_symmetric_and_faces_outward() -> None:
    head = mean_head()
    half = len(head.points) // 2
    assert np.array_equal(head.points[:half] * [-1, 1, 1], head.points[half:])
    assert np.abs(head.landmarks[36] * [-1, 1, 1] - head.landmarks[45]).max() < 2e-5
    assert (np.einsum("ij,ij->i", head.normals, head.points - [0, 0, -0.01]) > 0).mean() > 0.9
    np.testing.assert_allclose(np.linalg.norm(head.normals, axis=1), 1.0)


def test_the_file_is_what_its_maker_makes() -> None:
    from audioplane.surface.mean_head import FILE
    from audioplane.synthetic.mean_head import sample

    made = sample()
    with np.load(FILE) as file:
        assert {name: file[name].shape for name in file} == {name: array.shape for name, array in made.items()}
        assert all(np.abs(file[name].astype(int) - made[name]).max() <= 2 for name in file)


def test_normals_turn_with_a_map() -> None:
    points, normals = ball(50)
    turn = np.linalg.qr(np.random.default_rng(3).standard_normal((3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    found = turned_with(points, normals, lambda places: places @ turn.T)
    np.testing.assert_allclose(found, normals @ turn.T, atol=1e-6)
    stretched = turned_with(points, normals, lambda places: places * [2.0, 1.0, 1.0])
    expected = normals / [2.0, 1.0, 1.0]
    np.testing.assert_allclose(stretched, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-6)


def test_a_warp_that_only_scales_and_moves_is_exact() -> None:
    head = mean_head()
    moved, normals = warped(head.points, head.normals, head.landmarks, 1.2 * head.landmarks + [0.01, -0.02, 0.03])
    np.testing.assert_allclose(moved, 1.2 * head.points + [0.01, -0.02, 0.03], atol=1e-6)
    assert (np.einsum("ij,ij->i", normals, head.normals) > 0.9999).all()


def test_landmarks_are_found_in_space(adam: Subject) -> None:
    found = in_space(adam, adam.train, mean_head())
    assert found is not None
    assert adam.rest_vertices is not None
    true = adam.rest_vertices[adam.vertex_groups["landmarks"]]
    error = 1e3 * np.linalg.norm(found - true, axis=1)
    own = 1e3 * np.linalg.norm(mean_head().landmarks - true, axis=1)
    assert np.median(error) < 2.0 < np.median(own)


def test_too_few_landmarks_give_no_surface() -> None:
    subject = TinySubject()
    subject.landmarks[:] = np.nan
    assert in_space(subject, subject.train, mean_head()) is None  # type: ignore[arg-type]
    assert fit(subject, subject.train, (0.0, 0.0, 0.0), 0.1) is None  # type: ignore[arg-type]


def test_the_face_is_fitted_to_millimetres(adam: Subject) -> None:
    """Against the true depth, which nothing of the fit reads."""
    found = errors_of_surface(fitted(adam), adam, 40)
    assert found["median_mm"] < 2.5
    assert found["90_mm"] < 7.0


def test_nothing_lies_outside_of_the_outlines(adam: Subject) -> None:
    surface, t = fitted(adam), 10
    generator = torch.Generator().manual_seed(0)
    points = spread(surface, adam, adam.train, 800, generator).points.double().numpy()
    pixels, _ = pixels_of(points, adam, t)
    import cv2

    wide = cv2.dilate(adam.head_mask(t).astype(np.uint8), np.ones((7, 7), np.uint8))
    assert read(wide, pixels).mean() > 0.97
    places = nodes(surface.center, surface.half, 20)
    far = outside(places, adam, adam.train)
    assert far[0, 0, 0] > 0.02 > 0 > far[10, 10, 10]


def test_hair_reaches_the_outline(adam: Subject) -> None:
    head = mean_head()
    landmarks = in_space(adam, adam.train, head)
    assert landmarks is not None
    points, normals = warped(head.points, head.normals, head.landmarks, landmarks)
    grown, _ = with_hair(points, normals, adam, 10)
    top = np.nonzero(adam.head_mask(10).any(1))[0][0]
    before, after = (pixels_of(own, adam, 10)[0][:, 1].min() for own in (points, grown))
    assert abs(after - top) < min(2.0, abs(before - top))


def test_the_first_cloud_looks_like_the_speaker(adam: Subject) -> None:
    surface = fitted(adam)
    cloud = first_cloud(surface, adam, adam.train, 700, 9000, 1, torch.Generator().manual_seed(0))
    assert len(cloud) == 1400
    assert cloud.sh.shape == (1400, 4, 3)
    assert surface.distance(cloud.means).abs().max() < 1e-3
    assert torch.equal(
        cloud.means, first_cloud(surface, adam, adam.train, 700, 9000, 1, torch.Generator().manual_seed(0)).means
    )
    view, K = torch.from_numpy(adam.viewmats[10]), torch.from_numpy(adam.K)
    picture = splat(cloud, view, K, 128, 128)
    mask = adam.head_mask(10)
    assert picture.alpha[..., 0].numpy()[mask].mean() > 0.9
    wrong = np.abs(picture.over(torch.zeros(3)).numpy() - adam.frame(10) / 255)[mask]
    assert wrong.mean() < 0.08


def test_the_far_side_has_its_mirror_images_colours() -> None:
    """Of a ball that is red on the left and blue on the right, seen from before."""
    known = spread(ball_surface(), TinySubject(), range(75), 300, torch.Generator().manual_seed(1))  # type: ignore[arg-type]
    assert torch.isfinite(known.colours).all()
    assert (known.facing[known.points[:, 2] > 0.03] == 0).all()
    assert (spacing(known.points) > 0).all()


@pytest.mark.parametrize("count", [0, 1, 7, 40, 60])
def test_each_point_is_the_farthest_from_all_before_it(count: int) -> None:
    places = np.random.default_rng(0).standard_normal((40, 3))
    chosen = farthest(places, count)
    assert len(chosen) == len(set(chosen.tolist())) == min(count, 40)
    assert (chosen[:1] == 0).all()
    for n in range(1, len(chosen)):
        away = np.linalg.norm(places[:, None] - places[chosen[:n]], axis=2).min(axis=1)
        assert away[chosen[n]] == pytest.approx(away.max())
    assert len(farthest(places[:0], count)) == 0


def test_quaternions_turn_the_third_axis() -> None:
    _, normals = ball(40)
    ways = torch.from_numpy(np.concatenate([normals, [[0, 0, -1], [0, 0, 1]]])).float()
    torch.testing.assert_close(axes(along(ways))[:, :, 2], ways, atol=1e-5, rtol=0)


def test_a_held_cloud_is_near_flat_and_bounded() -> None:
    surface = ball_surface()
    points = torch.from_numpy(np.random.default_rng(4).uniform(-0.11, 0.11, (300, 3))).float()
    points = points[points.norm(dim=1) > 0.02]
    params = as_parameters(random_gaussians(points, 0.02, 0, torch.Generator().manual_seed(0)))
    holder = Holder(surface, torch.device("cpu"))
    for _ in range(60):
        holder(params)
    distance, out = surface.look(params["means"])
    assert distance.abs().max() < OUTSIDE + 1e-3
    scales = params["scales"].exp()
    assert scales.max() <= LARGEST * 1.0001
    assert scales.min() > SMALLEST * 0.5
    along_normal = ((axes(params["quats"]) * out[:, :, None]).sum(1) ** 2 * scales**2).sum(1).sqrt()
    assert along_normal.max() < 1.5 * THICKNESS
    before = {name: param.clone() for name, param in params.items()}
    holder(params)
    assert torch.equal(before["quats"], params["quats"])
    assert torch.equal(before["opacities"], params["opacities"])


def test_views_from_beside_ask_for_a_solid_head(adam: Subject) -> None:
    surface = fitted(adam)
    views = beside(surface, adam, adam.train, 0, torch.device("cpu"))
    cloud = first_cloud(surface, adam, adam.train, 1000, 9000, 0, torch.Generator().manual_seed(0))
    full = [views.term(lambda *camera: splat(cloud, *camera), 0, k) for k in range(6)]
    cloud.opacities = cloud.opacities - 4.0
    faint = [views.term(lambda *camera: splat(cloud, *camera), 0, k) for k in range(6)]
    assert all(b > 3 * a for a, b in zip(full, faint, strict=True))
    assert views.unseen.max() <= 1.01
    assert views.solid.mean() > 0.05
    assert is_due(True, 0)
    assert not is_due(True, 1)
    assert weight(0.0) > weight(1.0) > 0


def test_a_mesh_file_that_ships_is_small() -> None:
    import audioplane.surface.mean_head as module

    assert Path(module.FILE).stat().st_size < 40_000
