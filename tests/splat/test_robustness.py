"""Same bytes whatever the threads; edge cases drawn right; bad input refused by name."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest
import torch

from audioplane import splat
from audioplane.runtime import threads
from audioplane.splat import rasterization
from audioplane.splat.gaussians import as_parameters, random_gaussians
from audioplane.splat.strategies import CappedStrategy, DefaultStrategy, MCMCStrategy
from tests.splat.scenes import NAMES, draw, scene


@pytest.fixture
def set_threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("kind", ["cloud", "huge", "pile"])
def test_same_bytes_for_any_number_of_threads(kind, set_threads):
    s = scene(1, 3000, (150, 130), 2, kind=kind)
    runs = []
    for count in (1, 2, 2, 3):
        set_threads(count)
        leaves = s.leaves()
        colors, alphas, meta = draw(s, leaves, absgrad=True)
        (colors.square().sum() + alphas.sum()).backward()
        results = [colors, alphas, meta["flatten_ids"], meta["isect_ids"], meta["means2d"].absgrad]
        runs.append([t.detach().numpy().tobytes() for t in results + [leaves[n].grad for n in NAMES]])
    assert all(run == runs[0] for run in runs[1:])


def arguments(count: int = 4) -> dict:
    s = scene(0, count, (20, 18), 1)
    leaves = {k: v.detach() for k, v in s.leaves().items()}
    return {**leaves, "Ks": s.Ks, "width": 20, "height": 18}


def test_nothing_to_draw():
    a = arguments(0)
    out, alphas, meta = rasterization(**a)
    assert torch.equal(out, a["backgrounds"].view(1, 1, 1, 3).expand(1, 18, 20, 3))
    assert alphas.abs().max() == 0
    assert len(meta["flatten_ids"]) == 0
    means = a["means"].requires_grad_(True)
    rasterization(**{**a, "means": means})[0].sum().backward()
    assert means.grad.shape == (0, 3)


@pytest.mark.parametrize("packed", [False, True])
def test_all_behind_the_camera(packed):
    a = arguments()
    a["means"] = (a["means"] - torch.tensor([0.0, 0.0, 100.0])).requires_grad_(True)
    out, alphas, meta = rasterization(**a, packed=packed)
    assert alphas.abs().max() == 0
    assert (meta["radii"] == 0).all()
    out.sum().backward()
    assert a["means"].grad.abs().max() == 0


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 40), (17, 1), (16, 16), (33, 15)])
def test_image_sizes(width, height):
    a = {**arguments(), "width": width, "height": height}
    a["Ks"] = torch.tensor([[[20.0, 0, width / 2], [0, 20.0, height / 2], [0, 0, 1]]])
    out, alphas, meta = rasterization(**a)
    assert out.shape == (1, height, width, 3)
    assert alphas.shape == (1, height, width, 1)
    assert meta["isect_offsets"].shape == (1, -(-height // 16), -(-width // 16))
    assert torch.isfinite(out).all()


def test_opacity_zero_is_nothing_and_one_is_solid():
    a = arguments()
    _, alphas, _ = rasterization(**{**a, "opacities": torch.zeros(4)})
    assert alphas.max() == 0
    big = {**a, "opacities": torch.ones(4), "scales": torch.full((4, 3), 2.0), "means": torch.zeros(4, 3)}
    assert rasterization(**big)[1].min() > 0.99


def test_thousands_on_one_pixel():
    n = 5000
    g = torch.Generator().manual_seed(0)
    depth = 1 + torch.rand(n, generator=g)
    leaves = {
        "means": torch.stack([torch.zeros(n), torch.zeros(n), depth], -1),
        "quats": torch.randn(n, 4, generator=g),
        "scales": torch.full((n, 3), 1e-3),
        "opacities": torch.full((n,), 0.005),
        "colors": torch.ones(n, 3),
    }
    for t in leaves.values():
        t.requires_grad_(True)
    K = torch.tensor([[[10.0, 0, 8.5], [0, 10.0, 8.5], [0, 0, 1]]])
    out, alphas, _ = rasterization(**leaves, viewmats=torch.eye(4)[None], Ks=K, width=17, height=17)
    # 0.995^k falls to 1e-4 after 1837 of them; what is drawn is all of the light but that
    assert alphas[0, 8, 8, 0].item() == pytest.approx(1 - 1e-4, abs=2e-6)
    out.sum().backward()
    assert all(torch.isfinite(t.grad).all() for t in leaves.values())
    assert (leaves["colors"].grad[:, 0] > 0).sum().item() == pytest.approx(1837, abs=2)


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e4, 1e15])
def test_extreme_scales_stay_finite(scale):
    a = arguments()
    a["scales"] = (torch.ones(4, 3) * torch.tensor([scale, 1e-3, 1.0])).requires_grad_(True)
    out, alphas, meta = rasterization(**a)
    out.sum().backward()
    for t in (out, alphas, meta["conics"], a["scales"].grad):
        assert torch.isfinite(t).all()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", ["means", "quats", "scales", "opacities", "colors", "viewmats", "Ks", "backgrounds"])
def test_not_finite_is_refused_by_name(name, bad):
    a = arguments()
    a[name] = a[name].clone()
    a[name].view(-1)[-1] = bad
    with pytest.raises(ValueError, match=rf"^{name}: holds NaN or infinity"):
        rasterization(**a)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"means": torch.zeros(4, 2)}, r"means: expected shape \(\*, 3\), received \(4, 2\)"),
        ({"quats": torch.ones(3, 4)}, r"quats: expected shape \(4, 4\), received \(3, 4\)"),
        ({"quats": torch.zeros(4, 4)}, "quats: a quaternion of length zero"),
        ({"scales": torch.ones(4, 3).double()}, "scales: expected float32, received float64"),
        ({"opacities": torch.ones(4, 1)}, r"opacities: expected shape \(4\)"),
        ({"opacities": [1, 1, 1, 1]}, "opacities: expected a float32 tensor"),
        ({"colors": torch.ones(4, 65)}, "colors: expected 1 to 64 channels"),
        ({"colors": torch.ones(4, 3, 3), "sh_degree": 1}, "colors: sh_degree=1 takes 4 coefficients, received 3"),
        ({"viewmats": torch.zeros(0, 4, 4)}, r"Ks: expected shape|at least one camera"),
        ({"Ks": torch.eye(3)}, r"Ks: expected shape \(1, 3, 3\)"),
        ({"backgrounds": torch.zeros(1, 4)}, r"backgrounds: expected shape \(1, 3\)"),
        ({"width": 0}, "width: expected a whole number of pixels >= 1"),
        ({"tile_size": 2.5}, "tile_size: expected a whole number"),
        ({"render_mode": "XYZ"}, "render_mode: expected one of RGB"),
        ({"rasterize_mode": "sharp"}, "rasterize_mode: expected one of"),
        ({"eps2d": -1.0}, "eps2d: expected a number >= 0"),
    ],
)
def test_wrong_arguments_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        rasterization(**{**arguments(), **change})


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"camera_model": "fisheye"}, "camera_model"),
        ({"distributed": True}, "distributed"),
        ({"sparse_grad": True}, "sparse_grad"),
        ({"with_ut": True}, "with_ut"),
        ({"with_eval3d": True}, "with_eval3d"),
        ({"covars": torch.zeros(4, 3, 3)}, "covars"),
        ({"radial_coeffs": torch.zeros(1, 6)}, "radial_coeffs"),
        ({"viewmats_rs": torch.eye(4)[None]}, "viewmats_rs"),
        ({"means": torch.zeros(2, 4, 3)}, "means"),
        ({"sh_degree": 4, "colors": torch.ones(4, 25, 3)}, "sh_degree"),
    ],
)
def test_what_the_cpu_lacks_is_named(change, name):
    with pytest.raises(NotImplementedError, match=name) as refusal:
        rasterization(**{**arguments(), **change})
    assert len(str(refusal.value)) < 120, "numbers of a tensor in a sentence"


def test_arguments_are_those_of_gsplat():
    import inspect

    import gsplat

    ours, theirs = (
        inspect.signature(rasterization).parameters,
        inspect.signature(gsplat.rasterization).parameters,
    )
    assert list(ours) == list(theirs)
    for name, parameter in theirs.items():
        if name != "rolling_shutter":  # None here, so that nothing of gsplat is imported to say "global"
            assert ours[name].default == parameter.default, name


def train(strategy: DefaultStrategy | MCMCStrategy, packed: bool) -> torch.nn.ParameterDict:
    """Eight steps of fitting noise under a strategy."""
    s = scene(1, 60, (40, 40), 1)
    params = torch.nn.ParameterDict(
        {
            "means": s.means,
            "scales": s.scales.log(),
            "quats": s.quats,
            "opacities": torch.logit(s.opacities.clamp(0.002, 0.95)),
            "colors": s.colors,
        }
    )
    optimizers = {k: torch.optim.Adam([v], lr=1e-3) for k, v in params.items()}
    strategy.check_sanity(params, optimizers)
    state = strategy.initialize_state()
    target = torch.rand(1, 40, 40, 3, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(0)  # gsplat's strategies draw from the global generator
    for step in range(8):
        out, _, info = rasterization(
            params["means"],
            params["quats"],
            params["scales"].exp(),
            torch.sigmoid(params["opacities"]),
            params["colors"],
            s.viewmats,
            s.Ks,
            40,
            40,
            packed=packed,
        )
        strategy.step_pre_backward(params, optimizers, state, step, info)
        (out - target).square().mean().backward()
        if isinstance(strategy, DefaultStrategy):
            strategy.step_post_backward(params, optimizers, state, step, info, packed=packed)
        else:
            strategy.step_post_backward(params, optimizers, state, step, info, lr=1e-3)
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad()
    assert all(torch.isfinite(p).all() for p in params.values())
    return params


@pytest.mark.parametrize("packed", [False, True])
def test_gsplat_default_strategy_runs(packed):
    strategy = DefaultStrategy(refine_start_iter=1, refine_every=2, reset_every=6, grow_grad2d=1e-5)
    assert len(train(strategy, packed)["means"]) > 60


@pytest.mark.parametrize("packed", [False, True])
def test_gsplat_mcmc_strategy_runs(packed):
    strategy = MCMCStrategy(cap_max=64, refine_start_iter=1, refine_every=2, min_opacity=0.01)
    assert len(train(strategy, packed)["means"]) == 64


def test_one_quaternion_of_length_zero_is_refused():
    s = scene(1, 6, (20, 20), 1)
    turned = s.quats.clone()
    turned[2] = 0.0
    with pytest.raises(ValueError, match="quats"):
        rasterization(s.means, turned, s.scales, s.opacities, s.colors, s.viewmats, s.Ks, 20, 20)


def test_meta_names_the_tile_size_that_was_asked_for():
    s = scene(1, 6, (20, 20), 1)
    given = (s.means, s.quats, s.scales, s.opacities, s.colors, s.viewmats, s.Ks, 20, 20)
    assert rasterization(*given, tile_size=1000)[2]["tile_size"] == 1000


@pytest.mark.parametrize("room", [0, 1, 4])
def test_the_capped_strategy_grows_those_with_the_largest_gradients_up_to_its_cap(room):
    count, g = 12, torch.Generator().manual_seed(3)
    cloud = as_parameters(random_gaussians(torch.rand(count, 3, generator=g), 1e-4, 0, g))
    optimizers = {name: torch.optim.Adam([value], lr=1e-3) for name, value in cloud.items()}
    strategy = CappedStrategy(cap=count + room, grow_grad2d=1e-9)
    state = strategy.initialize_state(scene_scale=1.0)
    pulled = torch.randperm(count, generator=g).float() + 1.0
    state |= {"grad2d": pulled, "count": torch.ones(count)}
    before = cloud["means"].detach().clone()
    strategy._grow_gs(cloud, optimizers, state, 1)
    assert len(cloud["means"]) == count + room
    strongest = before[pulled.argsort(descending=True)[:room]]
    assert sorted(cloud["means"][count:].tolist()) == sorted(strongest.tolist()), (
        "small ones are doubled where they are"
    )
    assert strategy.grow_grad2d == 1e-9


def test_the_capped_strategy_resets_opacities_to_twice_what_is_pruned():
    strategy = CappedStrategy(refine_start_iter=100, reset_every=7, prune_opa=0.1)
    faded = torch.sigmoid(train(strategy, False)["opacities"].detach())  # at its last step
    assert 0.19 < float(faded.max()) < 0.21


def test_relocation_keeps_what_a_ray_sees():
    """n copies of a relocated Gaussian are together as opaque as the one they replace."""
    from gsplat.strategy import ops

    g = torch.Generator().manual_seed(0)
    opacities, ratios = torch.rand(50, generator=g) * 0.98 + 0.01, torch.randint(1, 8, (50,), generator=g)
    scales = torch.rand(50, 3, generator=g)
    binomials = torch.tensor([[float(math.comb(n, k)) for k in range(51)] for n in range(51)])
    new_opacities, new_scales = ops.compute_relocation(opacities, scales, ratios, binomials)
    torch.testing.assert_close(1 - (1 - new_opacities) ** ratios, opacities)
    alone = ratios == 1
    torch.testing.assert_close(new_scales[alone], scales[alone])
    # Along a line through the centre the stacked copies hold as much as the original: integrate both.
    x = torch.linspace(-12, 12, 4801).double()
    for n in range(0, 50, 7):
        ratio, fade = new_scales[n, 0] / scales[n, 0], new_opacities[n].double()
        copy = fade * torch.exp(-0.5 * (x / ratio) ** 2)
        stacked = 1 - (1 - copy) ** int(ratios[n])
        whole = opacities[n] * torch.exp(-0.5 * x**2)
        assert float(stacked.sum() / whole.sum()) == pytest.approx(1.0, abs=1e-3)


def test_backend_says_who_draws():
    name, reason = splat.backend("cpu")
    assert name == "cpu"
    assert "compiled kernels" in reason
    with pytest.raises(NotImplementedError, match="meta"):
        splat.backend("meta")


def test_threads_split_and_run():
    assert threads.split(10, 3) == [(0, 3), (3, 6), (6, 10)]
    assert threads.split(2, 5) == [(0, 1), (1, 2)]
    assert threads.split(0, 4) == []
    seen = np.zeros(100, int)

    def kernel(start: int, stop: int, out: np.ndarray) -> None:
        out[start:stop] += 1

    threads.run(kernel, threads.split(100, 7), seen)
    assert (seen == 1).all()

    def broken(start: int, stop: int) -> None:
        raise RuntimeError(f"chunk {start}")

    for _ in range(2):  # whoever helped can help again
        with pytest.raises(RuntimeError, match="chunk"):
            threads.run(broken, threads.split(4, 4))
    threads.run(kernel, threads.split(100, 7), seen)
    assert (seen == 2).all()


def test_callers_side_by_side_do_not_wait_for_each_other():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    met = threading.Barrier(4)  # two callers and a helper of each

    def meet(start: int, stop: int) -> None:
        met.wait(60)

    try:
        callers = [threading.Thread(target=threads.run, args=(meet, threads.split(2, 2))) for _ in range(2)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join(60)
        assert not any(caller.is_alive() for caller in callers)
        assert not met.broken
    finally:
        torch.set_num_threads(before)
