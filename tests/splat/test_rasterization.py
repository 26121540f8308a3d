"""The compiled rasterizer against its dense twin, closed forms and finite differences."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audioplane.splat import rasterization, reference
from tests.splat.scenes import NAMES, Scene, doubtful, draw, draw_twin, scene

KINDS = ("cloud", "needles", "huge", "pile", "faint", "opaque", "edge")


def same_gradients(ours: dict[str, torch.Tensor], twin: dict[str, torch.Tensor], tolerance: float) -> None:
    """Every gradient agrees to `tolerance` of its largest entry."""
    for name in NAMES:
        wanted, got = twin[name].grad, ours[name].grad
        assert wanted is not None
        assert got is not None
        scale = wanted.abs().max().item() + tolerance
        torch.testing.assert_close(
            got / scale, (wanted / scale).float(), atol=tolerance, rtol=0, msg=lambda m, name=name: f"{name}: {m}"
        )


def compare(
    s: Scene, monkeypatch: pytest.MonkeyPatch, seed: int, antialiased: bool = False, tile_size: int = 16
) -> None:
    """Values and all gradients of one scene against the twin."""
    ours, twin = s.leaves(), s.leaves(torch.float64)
    mode = "antialiased" if antialiased else "classic"
    colors, alphas, _ = draw(s, ours, rasterize_mode=mode, tile_size=tile_size)
    colors_twin, alphas_twin = draw_twin(s, twin, antialiased=antialiased)
    sure = ~doubtful(s, monkeypatch, antialiased=antialiased)
    assert sure.float().mean() > 0.8
    torch.testing.assert_close(colors * sure, (colors_twin * sure).float(), atol=2e-4, rtol=0)
    torch.testing.assert_close(alphas * sure, (alphas_twin * sure).float(), atol=2e-4, rtol=0)

    g = torch.Generator().manual_seed(seed)
    v_colors = torch.randn(colors.shape, generator=g) * sure
    v_alphas = torch.randn(alphas.shape, generator=g) * sure
    ((colors * v_colors).sum() + (alphas * v_alphas).sum()).backward()
    ((colors_twin * v_colors).sum() + (alphas_twin * v_alphas).sum()).backward()
    same_gradients(ours, twin, 1e-3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("antialiased", [False, True])
def test_values_and_gradients_agree_with_the_twin(kind, antialiased, monkeypatch):
    compare(scene(1, kind=kind), monkeypatch, seed=2, antialiased=antialiased)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10_000),
    kind=st.sampled_from(KINDS),
    count=st.integers(1, 60),
    width=st.integers(1, 40),
    height=st.integers(1, 40),
    channels=st.sampled_from([1, 3, 4, 5]),
    tile_size=st.sampled_from([4, 8, 16, 20]),
)
def test_random_scenes_agree_with_the_twin(monkeypatch, seed, kind, count, width, height, channels, tile_size):
    s = scene(seed, count, (width, height), 1, channels, kind)
    ours, twin = s.leaves(), s.leaves(torch.float64)
    sure = ~doubtful(s, monkeypatch)
    colors, alphas, _ = draw(s, ours, tile_size=tile_size)
    colors_twin, alphas_twin = draw_twin(s, twin)
    torch.testing.assert_close(colors * sure, (colors_twin * sure).float(), atol=5e-4, rtol=0)
    torch.testing.assert_close(alphas * sure, (alphas_twin * sure).float(), atol=5e-4, rtol=0)
    (colors.square() * sure).sum().backward()
    (colors_twin.square() * sure).sum().backward()
    same_gradients(ours, twin, 3e-3)


def frontal(size: int = 9) -> tuple[torch.Tensor, torch.Tensor]:
    """A camera at the origin looking along z whose middle pixel's centre is the axis."""
    return torch.eye(4)[None], torch.tensor([[[10.0, 0, size / 2], [0, 10.0, size / 2], [0, 0, 1]]])


def test_one_gaussian_in_closed_form():
    viewmats, Ks = frontal()
    sigma, depth, opacity = 0.3, 2.0, 0.8
    colors, alphas, meta = rasterization(
        torch.tensor([[0.0, 0.0, depth]]),
        torch.tensor([[1.0, 0, 0, 0]]),
        torch.full((1, 3), sigma),
        torch.tensor([opacity]),
        torch.tensor([[0.25, 0.5, 1.0]]),
        viewmats,
        Ks,
        9,
        9,
        packed=False,
        backgrounds=torch.tensor([[1.0, 0.0, 0.0]]),
    )
    variance = (10.0 * sigma / depth) ** 2 + 0.3
    for dx, dy in [(0, 0), (1, 0), (2, 3), (-4, 1)]:
        alpha = opacity * math.exp(-(dx * dx + dy * dy) / (2 * variance))
        alpha = alpha if alpha >= 1 / 255 else 0.0
        assert alphas[0, 4 + dy, 4 + dx, 0].item() == pytest.approx(alpha, abs=1e-6)
        wanted = [0.25 * alpha + 1 - alpha, 0.5 * alpha, alpha]
        assert colors[0, 4 + dy, 4 + dx].tolist() == pytest.approx(wanted, abs=1e-6)
    assert meta["radii"].flatten().tolist() == [math.ceil(math.sqrt(2 * math.log(opacity * 255) * variance))] * 2
    assert meta["depths"].item() == depth
    assert meta["means2d"].flatten().tolist() == [4.5, 4.5]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_gaussians_are_drawn_front_to_back(order):
    viewmats, Ks = frontal()
    depths, opacities = torch.tensor([1.0, 3.0]), torch.tensor([0.6, 0.9])
    colors = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    means = torch.stack([torch.zeros(2), torch.zeros(2), depths], -1)
    index = list(order)
    out, alphas, _ = rasterization(
        means[index],
        torch.tensor([[1.0, 0, 0, 0]] * 2),
        torch.full((2, 3), 0.3),
        opacities[index],
        colors[index],
        viewmats,
        Ks,
        9,
        9,
    )
    assert out[0, 4, 4].tolist() == pytest.approx([0.6, 0.4 * 0.9, 0.0], abs=1e-6)
    assert alphas[0, 4, 4, 0].item() == pytest.approx(1 - 0.4 * 0.1, abs=1e-6)


def test_equal_depths_keep_the_order_of_the_list():
    viewmats, Ks = frontal()
    out, _, _ = rasterization(
        torch.tensor([[0.0, 0.0, 2.0]] * 2),
        torch.tensor([[1.0, 0, 0, 0]] * 2),
        torch.full((2, 3), 0.3),
        torch.tensor([0.5, 0.5]),
        torch.tensor([[1.0], [0.0]]),
        viewmats,
        Ks,
        9,
        9,
    )
    assert out[0, 4, 4, 0].item() == pytest.approx(0.5, abs=1e-6)


def test_alpha_is_held_below_its_maximum_and_light_never_runs_out():
    viewmats, Ks = frontal()
    n = 5
    means = torch.tensor([[0.0, 0.0, 2.0]]).repeat(n, 1) + torch.arange(n)[:, None] * torch.tensor([0.0, 0.0, 0.1])
    opacities = torch.ones(n, requires_grad=True)
    _, alphas, _ = rasterization(
        means,
        torch.tensor([[1.0, 0, 0, 0]] * n),
        torch.full((n, 3), 0.3),
        opacities,
        torch.ones(n, 1),
        viewmats,
        Ks,
        9,
        9,
    )
    # the first takes 0.999 of the light; the second would leave 1e-6, less than 1e-4, so it is not drawn
    assert alphas[0, 4, 4, 0].item() == pytest.approx(0.999, abs=1e-6)
    alphas[0, 4, 4, 0].backward()
    assert opacities.grad is not None
    assert opacities.grad.abs().max() == 0  # held alphas pass no gradient


def test_finite_differences():
    """Central differences of the rasterizer itself, on Gaussians so large that no threshold falls in the image."""
    s = scene(5, 6, (24, 20), 1, kind="huge")
    leaves = s.leaves()
    weights = torch.randn(1, 20, 24, 3, generator=torch.Generator().manual_seed(3))

    def loss(values: dict[str, torch.Tensor]) -> torch.Tensor:
        return (draw(s, values)[0] * weights).double().sum()

    loss(leaves).backward()
    for name, step in [
        ("means", 2e-2),
        ("quats", 2e-2),
        ("scales", 2e-2),
        ("opacities", 2e-3),
        ("colors", 1e-2),
    ]:
        direction = torch.randn(leaves[name].shape, generator=torch.Generator().manual_seed(4))
        ends = []
        for sign in (1, -1):
            moved = {k: v.detach().clone() for k, v in leaves.items()}
            moved[name] += sign * step * direction
            ends.append(loss(moved).item())
        slope = (leaves[name].grad * direction).sum().item()
        assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(slope, rel=0.02, abs=0.01), name


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_harmonics_match_gsplat_and_have_its_gradients(degree):
    from gsplat.cuda._torch_impl import _spherical_harmonics

    s = scene(7, 30, (32, 32), 2)
    g = torch.Generator().manual_seed(8)
    coefficients = torch.randn(30, 16, 3, generator=g)
    ours = {**s.leaves(), "colors": coefficients.clone().requires_grad_(True)}
    out, _, meta = draw(s, ours, sh_degree=degree)
    twin = {**s.leaves(torch.float64), "colors": coefficients.double().requires_grad_(True)}
    centres = torch.inverse(twin["viewmats"])[:, :3, 3]
    directions = twin["means"][None] - centres[:, None]
    values = _spherical_harmonics(degree, directions, twin["colors"][None].expand(2, -1, -1, -1))
    seen = (meta["radii"] > 0).all(-1)[..., None]
    values = torch.where(seen, torch.clamp_min(values + 0.5, 0.0), 0.0)
    out_twin, _ = draw_twin(s, {**twin, "colors": values})
    torch.testing.assert_close(out, out_twin.float(), atol=5e-3, rtol=0)
    assert (out - out_twin).abs().mean() < 1e-5  # a threshold may fall differently at a pixel or two
    v = torch.randn(out.shape, generator=g)
    (out * v).sum().backward()
    (out_twin * v).sum().backward()
    for name in ("colors", "means", "viewmats"):
        wanted, got = twin[name].grad, ours[name].grad
        assert wanted is not None
        scale = wanted.abs().max()
        torch.testing.assert_close(got / scale.float(), (wanted / scale).float(), atol=5e-3, rtol=0)


@pytest.mark.parametrize("mode", ["D", "ED", "RGB+D", "RGB+ED"])
def test_depth_modes(mode, monkeypatch):
    s = scene(9, 30, (30, 26), 2)
    out, alphas, meta = draw(s, s.leaves(), render_mode=mode)
    depth = {**s.leaves(torch.float64), "colors": meta["depths"].detach().double()[..., None]}
    depth["backgrounds"] = torch.zeros(2, 1, dtype=torch.float64)
    depth_twin, alphas_twin = draw_twin(s, depth)
    if "E" in mode:
        depth_twin = depth_twin / alphas_twin.clamp(min=1e-10)
    sure = ~doubtful(s, monkeypatch)
    torch.testing.assert_close(out[..., -1:] * sure, (depth_twin * sure).float(), atol=2e-3, rtol=1e-3)
    if "RGB" in mode:
        torch.testing.assert_close(out[..., :3], draw(s, s.leaves())[0])
    else:
        assert out.shape[-1] == 1
    torch.testing.assert_close(alphas, draw(s, s.leaves())[1])


@pytest.mark.parametrize("channels", [1, 2, 4, 33, 64])
def test_any_number_of_channels(channels, monkeypatch):
    compare(scene(3, 20, (20, 17), 1, channels), monkeypatch, seed=4)


def test_colors_may_differ_by_camera():
    s = scene(3)
    own = torch.rand(2, 40, 3, generator=torch.Generator().manual_seed(1))
    out, _, _ = draw(s, {**s.leaves(), "colors": own})
    for camera in range(2):
        alone = {**s.leaves(), "colors": own[camera]}
        torch.testing.assert_close(out[camera], draw(s, alone)[0][camera], atol=0, rtol=0)


@pytest.mark.parametrize("tile_size", [1, 7, 8, 16, 32])
def test_tile_size_changes_nothing(tile_size):
    s = scene(6)
    torch.testing.assert_close(draw(s, s.leaves(), tile_size=tile_size)[0], draw(s, s.leaves())[0], atol=1e-6, rtol=0)


def test_packed_says_the_same():
    s = scene(6, kind="edge")
    dense, packed = s.leaves(), s.leaves()
    out, alphas, meta = draw(s, dense)
    out_p, alphas_p, meta_p = draw(s, packed, packed=True, absgrad=True)
    assert torch.equal(out, out_p)
    assert torch.equal(alphas, alphas_p)
    seen = (meta["radii"] > 0).all(-1)
    assert len(meta_p["gaussian_ids"]) == seen.sum()
    assert torch.equal(meta["means2d"][meta_p["camera_ids"], meta_p["gaussian_ids"]], meta_p["means2d"])
    assert torch.equal(torch.nonzero(seen)[:, 1], meta_p["gaussian_ids"])
    (out * out).sum().backward()
    (out_p * out_p).sum().backward()
    assert meta_p["means2d"].absgrad.shape == meta_p["means2d"].shape
    for name in NAMES:
        torch.testing.assert_close(packed[name].grad, dense[name].grad)


def test_absgrad_is_the_sum_of_absolute_pixel_gradients():
    s = scene(11, 8, (12, 10), 1)
    leaves = s.leaves()
    out, _, meta = draw(s, leaves, absgrad=True)
    weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(1))
    (out * weights).sum().backward()
    absolute = torch.zeros_like(meta["means2d"])
    for y in range(s.height):
        for x in range(s.width):
            again, _, meta_again = draw(s, s.leaves())
            meta_again["means2d"].retain_grad()
            (again[0, y, x] * weights[0, y, x]).sum().backward()
            absolute += meta_again["means2d"].grad.abs()
    torch.testing.assert_close(meta["means2d"].absgrad, absolute, atol=1e-4, rtol=1e-3)


def test_gradients_of_the_2d_means_reach_the_strategies():
    s = scene(12)
    leaves = s.leaves()
    out, _, meta = draw(s, leaves)
    meta["means2d"].retain_grad()
    out.square().sum().backward()
    assert meta["means2d"].grad.shape == (2, 40, 2)
    assert meta["means2d"].grad.abs().sum() > 0


def test_reference_covariance_is_a_rotated_square():
    s = scene(2)
    sigma = reference.covariance(s.quats.double(), s.scales.double())
    eigenvalues = torch.linalg.eigvalsh(sigma)
    wanted = s.scales.double().square().sort(-1).values
    torch.testing.assert_close(eigenvalues, wanted, atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize("packed", [False, True])
def test_what_meta_holds_has_the_shapes_that_gsplat_gives_it(packed: bool) -> None:
    """gsplat 1.5.3: (C, N, ...) for every pair of camera and Gaussian, or (nnz, ...) for those that are seen."""
    s = scene(3, 40, (48, 32), 2)
    _, _, meta = draw(s, s.leaves(), packed=packed)
    pairs = (int((draw(s, s.leaves())[2]["radii"] > 0).all(-1).sum()),) if packed else (2, 40)
    wanted = {"radii": (2,), "means2d": (2,), "depths": (), "conics": (3,), "opacities": (), "tiles_per_gauss": ()}
    assert {name: tuple(meta[name].shape) for name in wanted} == {n: pairs + rest for n, rest in wanted.items()}
    assert tuple(meta["isect_offsets"].shape) == (2, meta["tile_height"], meta["tile_width"])
    for name in ("batch_ids", "camera_ids", "gaussian_ids"):
        assert (meta[name] is None) is not packed
        assert not packed or tuple(meta[name].shape) == pairs
