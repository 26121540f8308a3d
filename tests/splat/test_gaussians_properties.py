"""Clouds and what is drawn of them: inverses, invariances and bounds, for any cloud and camera."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from audioplane.splat import rasterization, reference
from audioplane.splat.gaussians import (
    SH0,
    Box,
    Gaussians,
    Picture,
    as_parameters,
    displacement,
    drawn,
    drawn_plain,
    from_parameters,
    layered,
    morton_order,
    random_gaussians,
    splat,
    splat_batch,
    splat_layers,
)
from audioplane.splat.harmonics import evaluate
from audioplane.splat.ply import upright
from audioplane.splat.projection import Lens, project
from audioplane.splat.tiles import intersect
from audioplane.splat.toy_scene import RADIUS, look_from, psnr
from tests.splat.scenes import scene
from tests.strategies import few, fewer, generators, rotation, seeds, torch_generators

counts, degrees = st.integers(1, 12), st.integers(0, 3)


def cloud(generator: torch.Generator, count: int, degree: int) -> Gaussians:
    made = random_gaussians(torch.rand(count, 3, generator=generator) * 0.3 - 0.15, 0.05, degree, generator)
    made.sh += 0.3 * torch.randn(made.sh.shape, generator=generator)
    return made


VIEW = torch.eye(4)
VIEW[2, 3] = 1.0
CAMERA = (VIEW, torch.tensor([[30.0, 0, 10], [0, 30, 9], [0, 0, 1]]), 20, 18)


# The cloud


@few
@given(torch_generators, counts, degrees)
def test_ways_to_keep_a_cloud_are_inverses(generator, count, degree):
    made = cloud(generator, count, degree)
    rows = made.pack()
    assert rows.shape == (count, 11 + 3 * (degree + 1) ** 2)
    for other in (Gaussians.unpack(rows), from_parameters(as_parameters(made)), Gaussians.joined([made])):
        assert other.sh_degree == degree
        assert all(torch.equal(a, b) for (_, a), (_, b) in zip(made.items(), other.items(), strict=True))
    twice = Gaussians.joined([made, made])
    assert len(twice) == 2 * count
    assert torch.equal(twice.pack(), torch.cat([rows, rows]))
    assert torch.equal(made.moved(torch.zeros_like(rows)).pack(), rows)
    step = torch.randn(rows.shape, generator=generator)
    torch.testing.assert_close(made.moved(step).moved(-step).pack(), rows, atol=1e-5, rtol=1e-5)


@few
@given(torch_generators, st.floats(-1, 1), st.floats(0.01, 5))
def test_a_box_maps_to_the_unit_cube_and_keeps_directions(generator, x, half):
    box = Box((x, -x, 0.5), half)
    points = torch.rand(9, 3, generator=generator, dtype=torch.float64)
    metres = (points - 0.5) * 2 * half + torch.tensor(box.center, dtype=torch.float64)
    torch.testing.assert_close(box.normalise(metres), points)
    torch.testing.assert_close(box.normalise(metres.float()), points.float(), atol=1e-4, rtol=1e-4)


@few
@given(torch_generators, counts)
def test_morton_order_is_a_permutation_that_keeps_neighbours(generator, count):
    points = torch.rand(count, 3, generator=generator)
    order = morton_order(points)
    assert sorted(order.tolist()) == list(range(count))
    assert torch.equal(points[order][morton_order(points[order])], points[order]), "sorted is sorted"
    half = (points[order] >= 0.5).int()
    octant = half[:, 0] + 2 * half[:, 1] + 4 * half[:, 2]
    assert bool((octant.diff() >= 0).all()), "octants come one after the other, z outermost"
    beyond = 4.0 * points - 1.5
    assert torch.equal(morton_order(beyond), morton_order(beyond.clamp(0.0, 1.0))), "what lies outside is at the edge"


@fewer
@given(torch_generators, counts, st.integers(1, 4), st.integers(0, 2))
def test_a_batch_of_pictures_is_each_alone(generator, count, batch, degree):
    clouds = [
        random_gaussians(torch.rand(count, 3, generator=generator), 0.05, degree, generator) for _ in range(batch)
    ]
    views = torch.eye(4).repeat(batch, 1, 1)
    views[:, 2, 3] = 2.0 + torch.rand(batch, generator=generator)
    K = torch.tensor([[30.0, 0, 12], [0, 30.0, 10], [0, 0, 1]])
    together = splat_batch(clouds, views, K, 24, 20)
    for k in range(batch):
        alone = splat(clouds[k], views[k], K, 24, 20)
        assert torch.equal(together.channels[k], alone.channels)
        assert torch.equal(together.alpha[k], alone.alpha)


@few
@given(torch_generators, counts)
def test_displacement_is_linear(generator, count):
    offsets, weight = torch.randn(count, 14, generator=generator), torch.rand(count, 1, generator=generator)
    units = torch.rand(14, generator=generator)
    expected = displacement(offsets, weight, units)
    torch.testing.assert_close(displacement(2 * offsets, weight, units), 2 * expected)
    torch.testing.assert_close(displacement(offsets, None, units), displacement(offsets, torch.ones(count, 1), units))
    for n in (0, count - 1):
        for k in (0, 13):
            assert float(expected[n, k]) == pytest.approx(float(offsets[n, k] * weight[n, 0] * units[k]), rel=1e-5)


@few
@given(torch_generators, counts, degrees, st.floats(0.001, 1))
def test_random_gaussians_are_gray_round_and_where_they_were_put(generator, count, degree, spacing):
    points = torch.rand(count, 3, generator=generator)
    made = random_gaussians(points, spacing, degree, generator)
    assert torch.equal(made.means, points)
    assert made.means.data_ptr() != points.data_ptr()
    assert made.sh.shape == (count, (degree + 1) ** 2, 3)
    assert float(made.sh[:, 1:].abs().sum()) == 0
    assert torch.equal(made.opacities, torch.full((count,), -1.0)), "a quarter opaque"
    ratio = made.scales.exp() / spacing
    assert 0.5 < float(ratio.min()) <= float(ratio.max()) < 2.0
    assert made.is_finite()
    assert float(made.quats.norm(dim=1).min()) > 0


@few
@given(torch_generators, counts, st.floats(0.2, 5))
def test_normals_are_the_thinnest_axes_and_look_away_from_the_middle(generator, count, size):
    made = cloud(generator, count, 0)
    normals = made.normals()
    sigma = reference.covariance(made.quats.double(), made.scales.double().exp())
    thinnest = made.scales.double().exp().amin(dim=1).square()
    torch.testing.assert_close(sigma @ normals.double()[..., None], (thinnest[:, None] * normals)[..., None])
    torch.testing.assert_close(normals.norm(dim=1), torch.ones(count))
    assert ((normals * made.means).sum(dim=1) >= 0).all()
    other = Gaussians(made.means, -size * made.quats, made.scales, made.opacities, made.sh)
    torch.testing.assert_close(other.normals(), normals)


@few
@given(torch_generators, counts, degrees)
def test_half_a_turn_about_x_is_seen_the_same_by_a_camera_that_turns_too(generator, count, degree):
    made = cloud(generator, count, degree)
    turned, half = upright(made), torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    torch.testing.assert_close(turned.means, made.means @ half.T)
    own, others = (reference.covariance(one.quats, one.scales.exp()) for one in (made, turned))
    torch.testing.assert_close(others, half @ own @ half.T)
    view = VIEW.clone()
    view[:3, :3] = half
    torch.testing.assert_close(turned.colors(view), made.colors(VIEW), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(upright(turned).sh, made.sh)


@few
@given(torch_generators, st.integers(1, 4))
def test_layers_lie_on_each_other_whatever_is_behind(generator, count):
    alphas = torch.rand(count, 3, 4, 1, generator=generator)
    layers = [Picture(alpha * torch.rand(3, 4, 3, generator=generator), alpha, {}) for alpha in alphas]
    whole = layered({str(k): layer for k, layer in enumerate(layers)})
    behind = torch.rand(3, 4, 3, generator=generator)
    expected = behind
    for layer in reversed(layers):
        expected = layer.over(expected)
    torch.testing.assert_close(whole.over(behind), expected)
    torch.testing.assert_close(1 - whole.alpha, (1 - alphas).prod(dim=0))


@few
@given(torch_generators, st.lists(counts, min_size=1, max_size=4), degrees)
def test_layers_drawn_in_one_pass_are_those_drawn_alone(generator, sizes, degree):
    """Values and gradients, though depths of the layers overlap. None is so opaque that it would end a pixel."""
    clouds = {str(k): cloud(generator, size, degree) for k, size in enumerate(sizes)}
    weights = torch.rand(18, 20, 4, generator=generator)

    def outcome(draw):
        leaves = {name: Gaussians(**{key: t.clone().requires_grad_() for key, t in made.items()})
                  for name, made in clouds.items()}  # fmt: skip
        picture = draw(leaves)
        both = torch.cat([picture.rgb, picture.alpha], dim=-1)
        (both * weights).sum().backward()
        return both.detach(), [t.grad for made in leaves.values() for _, t in made.items()]

    once, gradients = outcome(lambda leaves: splat_layers(leaves, *CAMERA))
    alone, expected = outcome(lambda leaves: layered({name: splat(made, *CAMERA) for name, made in leaves.items()}))
    torch.testing.assert_close(once, alone, atol=2e-4, rtol=0)
    for own, other in zip(gradients, expected, strict=True):
        torch.testing.assert_close(own, other, atol=5e-3 * float(other.abs().max()) + 1e-4, rtol=0)


def test_a_near_layer_lies_behind_a_far_one():
    """The order of the layers counts, not that of the depths."""
    made = cloud(torch.Generator().manual_seed(0), 2, 0)
    made.opacities[:], made.scales[:], made.means[:, :2] = 9.0, -1.0, 0.0
    made.sh[0], made.sh[1] = 1.0, -1.0
    near, far = (Gaussians(**{key: t[k : k + 1].clone() for key, t in made.items()}) for k in (0, 1))
    near.means[:, 2], far.means[:, 2] = -0.1, 0.1
    middle = splat_layers({"far": far, "near": near}, *CAMERA).rgb[9, 10]
    torch.testing.assert_close(middle, splat(far, *CAMERA).rgb[9, 10], atol=2e-3, rtol=0)
    with pytest.raises(ValueError, match="layers: expected a picture or more"):
        splat_layers({}, *CAMERA)


# Colour


@few
@given(torch_generators, counts)
def test_degree_zero_looks_the_same_from_everywhere(generator, count):
    made = cloud(generator, count, 0)
    made.sh *= 10  # some are darker than black
    view = torch.eye(4)
    view[:3, :3] = torch.from_numpy(rotation(np.random.default_rng(0)))
    torch.testing.assert_close(made.colors(view), made.colors(VIEW))
    torch.testing.assert_close(made.colors(VIEW), (SH0 * made.sh[:, 0] + 0.5).clamp_min(0))


@few
@given(generators, degrees)
def test_harmonics_are_orthonormal(generator, degree):
    """Over the sphere the mean of a product of two bases is 1 / 4 pi where they are one, else 0."""
    directions = generator.standard_normal((20_000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    bands = (degree + 1) ** 2
    chosen = int(generator.integers(bands))
    means, view = torch.from_numpy(directions).float(), torch.eye(4)[None]
    seen = torch.ones(1, len(means), 2, dtype=torch.int32)
    values = []
    for k in (chosen, (chosen + 1) % bands):
        coefficients = torch.zeros(len(means), bands, 3)
        coefficients[:, k] = 1.0
        values.append(evaluate(degree, coefficients, means, view, seen)[0, :, 0].double().numpy())
    assert (values[0] ** 2).mean() == pytest.approx(1 / (4 * math.pi), rel=0.05)
    if bands > 1:
        assert (values[0] * values[1]).mean() == pytest.approx(0, abs=0.005)


@few
@given(torch_generators, counts, degrees)
def test_harmonics_know_direction_alone(generator, count, degree):
    coefficients = torch.randn(count, (degree + 1) ** 2, 3, generator=generator)
    means, seen = torch.randn(count, 3, generator=generator), torch.ones(1, count, 2, dtype=torch.int32)
    view = torch.eye(4)[None]
    near = evaluate(degree, coefficients, means, view, seen)
    torch.testing.assert_close(evaluate(degree, coefficients, 3 * means, view, seen), near, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(evaluate(degree, 2 * coefficients, means, view, seen), 2 * near, atol=1e-5, rtol=1e-4)
    away = view.clone()
    away[0, :3, 3] = torch.tensor([1.0, -2.0, 0.5])
    moved = evaluate(degree, coefficients, means - away[0, :3, 3], away, seen)
    torch.testing.assert_close(moved, near, atol=1e-4, rtol=1e-3)
    hidden = seen.clone()
    hidden[0, 0] = 0
    assert float(evaluate(degree, coefficients, means, view, hidden)[0, 0].abs().sum()) == 0


# The plain twin


@few
@given(torch_generators, counts)
def test_a_covariance_has_the_scales_as_its_axes(generator, count):
    quats = torch.randn(count, 4, generator=generator, dtype=torch.float64)
    scales = torch.rand(count, 3, generator=generator, dtype=torch.float64) + 0.1
    sigma = reference.covariance(quats, scales)
    torch.testing.assert_close(sigma, sigma.transpose(1, 2))
    torch.testing.assert_close(torch.linalg.eigvalsh(sigma), scales.square().sort(dim=1).values)
    torch.testing.assert_close(reference.covariance(-3 * quats, scales), sigma)
    torch.testing.assert_close(reference.covariance(quats, 2 * scales), 4 * sigma)
    round_ones = reference.covariance(quats, torch.ones(count, 3, dtype=torch.float64))
    torch.testing.assert_close(round_ones, torch.eye(3, dtype=torch.float64).expand(count, 3, 3))


def test_a_covariance_turns_as_its_quaternion_says():
    quarter = torch.tensor([[math.cos(math.pi / 4), 0.0, 0.0, math.sin(math.pi / 4)]])  # 90 degrees about z
    got = reference.covariance(quarter, torch.tensor([[1.0, 2.0, 3.0]]))
    torch.testing.assert_close(got[0], torch.diag(torch.tensor([4.0, 1.0, 9.0])), atol=1e-5, rtol=1e-5)


@few
@given(seeds, st.floats(0, 1))
def test_projections_of_both_twins_agree(seed, eps):
    s = scene(seed, 8, (20, 18), 1)
    lens = Lens(20, 18, 0.01, 1e10, 0.0, eps)
    radii, means2d, depths, conics, _ = project(s.means, s.quats, s.scales, torch.ones(8), s.viewmats, s.Ks, lens)
    sigma = reference.covariance(s.quats.double(), s.scales.double())
    wanted = reference.projected(s.means.double(), sigma, s.viewmats[0].double(), s.Ks[0].double(), 20, 18, eps)
    seen = radii[0, :, 0] > 0
    torch.testing.assert_close(means2d[0][seen].double(), wanted[0][seen], atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(depths[0][seen].double(), wanted[1][seen], atol=1e-5, rtol=1e-5)
    inverse = torch.linalg.inv(wanted[2])[seen]
    got = conics[0][seen].double()
    for k, (i, j) in enumerate(((0, 0), (0, 1), (1, 1))):
        torch.testing.assert_close(got[:, k], inverse[:, i, j], atol=1e-4, rtol=1e-3)
    assert float(wanted[3].min()) >= 0
    assert float(wanted[3].max()) <= 1 + 1e-9


@few
@given(seeds, st.integers(1, 3))
def test_the_twins_light_adds_up(seed, cameras):
    s = scene(seed, 6, (9, 7), cameras)
    leaves = {name: t.detach() for name, t in s.leaves(torch.float64).items()}
    image, alpha = reference.rasterization(**leaves, Ks=s.Ks.double(), width=9, height=7)
    assert image.shape == (cameras, 7, 9, 3)
    assert 0 <= float(alpha.min()) <= float(alpha.max()) <= 1
    bare, _ = reference.rasterization(**{**leaves, "backgrounds": None}, Ks=s.Ks.double(), width=9, height=7)
    torch.testing.assert_close(image, bare + (1 - alpha) * leaves["backgrounds"][:, None, None])
    ones = {**leaves, "colors": torch.ones(6, 2, dtype=torch.float64), "backgrounds": None}
    flat, _ = reference.rasterization(**ones, Ks=s.Ks.double(), width=9, height=7)
    torch.testing.assert_close(flat, alpha.expand(cameras, 7, 9, 2))


@few
@given(seeds, st.floats(1.7, 2.3))
def test_the_twin_draws_between_its_planes_alone(seed, plane):
    s = scene(seed, 12, (9, 7), 1)
    leaves = {name: t.detach() for name, t in s.leaves(torch.float64).items()}
    size = {"Ks": s.Ks.double(), "width": 9, "height": 7}
    depths = leaves["means"] @ leaves["viewmats"][0, 2, :3] + leaves["viewmats"][0, 2, 3]
    for planes, kept in (({"far_plane": plane}, depths <= plane), ({"near_plane": plane}, depths >= plane)):
        chosen = {name: t[kept] if len(t) == 12 else t for name, t in leaves.items()}
        image, alpha = reference.rasterization(**leaves, **size, **planes)
        alone, alone_alpha = reference.rasterization(**chosen, **size)
        torch.testing.assert_close(image, alone)
        torch.testing.assert_close(alpha, alone_alpha)


# Pictures


@few
@given(torch_generators, counts)
def test_what_is_drawn_does_not_depend_on_how_it_is_numbered(generator, count):
    made = cloud(generator, count, 1)
    order = torch.randperm(count, generator=generator)
    other = Gaussians.unpack(made.pack()[order])
    first, second = splat(made, *CAMERA), splat(other, *CAMERA)
    torch.testing.assert_close(first.channels, second.channels, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(first.alpha, second.alpha, atol=1e-5, rtol=1e-4)


@few
@given(torch_generators, counts, degrees)
def test_drawn_is_the_same_from_a_moved_world(generator, count, degree):
    """Cloud and camera moved together: the picture stays (harmonics see the same directions)."""
    made = cloud(generator, count, degree)
    shift = torch.tensor([0.3, -0.2, 0.1])
    moved = Gaussians(made.means + shift, made.quats, made.scales, made.opacities, made.sh)
    view = VIEW.clone()
    view[:3, 3] -= shift
    torch.testing.assert_close(
        splat(moved, view, *CAMERA[1:]).channels, splat(made, *CAMERA).channels, atol=2e-3, rtol=1e-2
    )


@few
@given(torch_generators, counts)
def test_a_picture_over_a_background_is_between_both(generator, count):
    picture = splat(cloud(generator, count, 0), *CAMERA)
    behind = torch.rand(18, 20, 3, generator=generator)
    over = picture.over(behind)
    torch.testing.assert_close(over, picture.rgb + (1 - picture.alpha) * behind)
    assert 0 <= float(picture.alpha.min()) <= float(picture.alpha.max()) <= 1
    flat = picture.over(behind[0, 0])
    torch.testing.assert_close(flat, picture.over(behind[0, 0].expand(18, 20, 3)))
    assert picture.dynamism is None
    assert Picture(torch.zeros(2, 2, 4), torch.zeros(2, 2, 1), {}).dynamism is not None


@few
@given(torch_generators, counts, st.floats(0, 1))
def test_dynamism_weighs_the_offsets(generator, count, share):
    """d Delta G: full weight moves as the offsets say, none leaves everything where it was."""
    made, width = cloud(generator, count, 0), 14
    offsets, units = torch.randn(count, width, generator=generator), 0.05 * torch.ones(width)
    weight = torch.full((count, 1), share)
    got = drawn(made, VIEW, weight, offsets, units)
    wanted = drawn_plain(made.moved(share * offsets * units), VIEW)
    for mine, plain in zip(got[:4], wanted[:4], strict=True):
        torch.testing.assert_close(mine, plain, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(got[4][:, :3], wanted[4], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(got[4][:, 3:], weight)
    still = drawn(made, VIEW, torch.zeros(count, 1), offsets, units)
    torch.testing.assert_close(still[0], made.means)


@fewer
@given(seeds, st.sampled_from([1, 3, 7, 16, 64]))
def test_tiles_of_any_size_hold_every_pair_once_and_nearest_first(seed, tile_size):
    s = scene(seed, 15, (23, 19), 1)
    lens = Lens(23, 19, 0.01, 1e10, 0.0, 0.3)
    radii, means2d, depths, conics, _ = project(s.means, s.quats, s.scales, s.opacities, s.viewmats, s.Ks, lens)
    images = np.zeros(15, np.int32)
    pairs = intersect(means2d, conics, s.opacities[None], radii, depths, images, 23, 19, tile_size, 1)
    tiles = -(-23 // tile_size) * -(-19 // tile_size)
    assert len(pairs.offsets) == tiles + 1
    assert (np.diff(pairs.offsets) >= 0).all()
    seen = []
    for tile in range(tiles):
        listed = pairs.flatten_ids[pairs.offsets[tile] : pairs.offsets[tile + 1]]
        assert len(set(listed.tolist())) == len(listed)
        assert (np.diff(depths[0].numpy()[listed]) >= 0).all()
        seen += listed.tolist()
    np.testing.assert_array_equal(np.bincount(seen, minlength=15), pairs.tiles_per_gauss)
    np.testing.assert_array_equal(np.diff(pairs.starts), pairs.tiles_per_gauss)
    assert sorted(pairs.slots.tolist()) == list(range(len(seen)))
    assert not set(seen) & set(np.flatnonzero(radii[0, :, 0].numpy() == 0).tolist())


@fewer
@given(seeds)
def test_colours_are_linear_and_depth_is_a_colour(seed):
    s = scene(seed, 12, (17, 13), 1)
    given = {name: t.detach() for name, t in s.leaves().items() if name != "backgrounds"}
    size = {"Ks": s.Ks, "width": 17, "height": 13}
    image, alpha, _ = rasterization(**given, **size)
    half, _, _ = rasterization(**{**given, "colors": 0.5 * given["colors"]}, **size)
    torch.testing.assert_close(half, 0.5 * image, atol=1e-6, rtol=1e-4)
    depth, _, _ = rasterization(**given, **size, render_mode="D")
    far = given["means"] @ s.viewmats[0, 2, :3] + s.viewmats[0, 2, 3]
    painted, _, _ = rasterization(**{**given, "colors": far[:, None].contiguous()}, **size)
    torch.testing.assert_close(depth, painted, atol=1e-4, rtol=1e-4)
    expected, _, _ = rasterization(**given, **size, render_mode="ED")
    sure = alpha[..., 0] > 1e-3
    torch.testing.assert_close(expected[sure], (depth / alpha.clamp_min(1e-10))[sure], atol=1e-3, rtol=1e-3)
    both, _, _ = rasterization(**given, **size, render_mode="RGB+D")
    torch.testing.assert_close(both, torch.cat([image, depth], -1), atol=1e-5, rtol=1e-4)


# The toy scene


@few
@given(st.floats(-3, 3), st.floats(-1.2, 1.2))
def test_cameras_on_the_orbit_look_at_the_origin(azimuth, elevation):
    view = look_from(azimuth, elevation)
    torch.testing.assert_close(view[:3, :3] @ view[:3, :3].T, torch.eye(3), atol=1e-5, rtol=0)
    assert float(torch.det(view[:3, :3])) == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(view[:3, 3], torch.tensor([0.0, 0.0, RADIUS]), atol=1e-4, rtol=0)
    assert float(view[0, 1]) == pytest.approx(0, abs=1e-5), "the horizon is level"


@few
@given(torch_generators, st.floats(0.001, 0.5))
def test_psnr_of_a_constant_error(generator, error):
    truth = torch.rand(4, 5, 3, generator=generator)
    assert psnr(truth + error, truth) == pytest.approx(-20 * math.log10(error), abs=1e-2)
    assert psnr(truth, truth + error) == pytest.approx(psnr(truth + error, truth), abs=1e-4)
