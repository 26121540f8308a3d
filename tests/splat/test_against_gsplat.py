"""Against gsplat itself: its torch functions on the CPU, and its kernels where there is CUDA."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gsplat.cuda._torch_impl import (
    _fully_fused_projection,
    _isect_offset_encode,
    _isect_tiles,
    _quat_scale_to_covar_preci,
)

from audioplane.splat import gaussians, rasterization
from audioplane.splat.gaussians import random_gaussians, splat
from tests.splat import freeze_goldens
from tests.splat.scenes import NAMES, draw, scene

KINDS = ("cloud", "needles", "huge", "faint", "edge")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["classic", "antialiased"])
def test_projection(kind, mode):
    s = scene(1, 200, (60, 50), 2, kind=kind)
    a, b = s.leaves(), s.leaves(torch.float64)
    _, _, meta = draw(s, a, rasterize_mode=mode)
    covariances, _ = _quat_scale_to_covar_preci(b["quats"], b["scales"], True, False, triu=False)
    radii, means2d, depths, conics, compensations = _fully_fused_projection(
        b["means"],
        covariances,
        b["viewmats"],
        s.Ks.double(),
        s.width,
        s.height,
        calc_compensations=mode == "antialiased",
    )
    seen = (meta["radii"] > 0).all(-1)
    theirs = (radii > 0).all(-1)
    # ours knows the opacities, so it may see less (fainter than 1/255, or a smaller radius off screen), never more
    assert (theirs | ~seen).all()
    assert (meta["radii"][seen] <= radii[seen]).all()
    for ours, wanted in [(meta["means2d"], means2d), (meta["depths"], depths)]:
        torch.testing.assert_close(ours[seen], wanted[seen].float(), atol=2e-3, rtol=1e-5)
    torch.testing.assert_close(meta["conics"][seen], conics[seen].float(), atol=1e-5, rtol=1e-3)
    if compensations is not None:
        wanted = s.opacities * compensations
        torch.testing.assert_close(meta["opacities"][seen], wanted[seen].float(), atol=1e-5, rtol=1e-3)

    g = torch.Generator().manual_seed(2)
    weights = [
        torch.randn(t.shape, generator=g) * seen.view(*seen.shape, *[1] * (t.dim() - 2))
        for t in (means2d, depths, conics)
    ]
    loss = sum((t * w).sum() for t, w in zip((meta["means2d"], meta["depths"], meta["conics"]), weights, strict=True))
    twin = sum((torch.where(w != 0, t, 0) * w).sum() for t, w in zip((means2d, depths, conics), weights, strict=True))
    loss.backward()
    twin.backward()
    for name in ("means", "quats", "scales", "viewmats"):
        scale = b[name].grad.abs().max()
        torch.testing.assert_close(a[name].grad / scale.float(), (b[name].grad / scale).float(), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_tile_lists_are_those_of_gsplat_less_what_no_pixel_sees(kind):
    s = scene(3, 20, (54, 40), 2, kind=kind)
    _, _, meta = draw(s, s.leaves())
    _, ids, flatten = _isect_tiles(
        meta["means2d"], meta["radii"], meta["depths"], 16, meta["tile_width"], meta["tile_height"]
    )
    theirs = set(zip(ids.tolist(), flatten.tolist(), strict=True))
    ours = set(zip(meta["isect_ids"].tolist(), meta["flatten_ids"].tolist(), strict=True))
    assert len(ours) == len(meta["flatten_ids"])
    assert ours <= theirs
    assert meta["isect_ids"].tolist() == sorted(meta["isect_ids"].tolist())
    offsets = _isect_offset_encode(meta["isect_ids"], 2, meta["tile_width"], meta["tile_height"])
    assert torch.equal(offsets.to(torch.int32), meta["isect_offsets"])
    assert meta["tiles_per_gauss"].sum() == len(ours)

    # Exact on either side: a listed tile holds a point of the ellipse, a tile left out holds no pixel of it.
    tiles = meta["tile_width"] * meta["tile_height"]
    for key, n in theirs:
        tile = (key >> 32) & ((1 << tiles.bit_length()) - 1)
        top, left = 16 * (tile // meta["tile_width"]), 16 * (tile % meta["tile_width"])
        bottom, right = min(top + 16, s.height), min(left + 16, s.width)
        camera, k = divmod(n, 20)
        if (key, n) in ours:
            assert best_alpha(meta, camera, k, top, left, bottom, right, 16, 0.02) >= 1 / 255 * 0.97
        else:
            assert best_alpha(meta, camera, k, top, left, bottom, right, 1, 0.0) < 1 / 255


def best_alpha(
    meta: dict, camera: int, n: int, top: int, left: int, bottom: int, right: int, steps: int, slack: float
) -> float:
    """The largest alpha on a grid of `steps` points a pixel between the centres of the outermost pixels of a tile."""
    ys = torch.linspace(top + 0.5 - slack, bottom - 0.5 + slack, (bottom - top - 1) * steps + 1).double()
    xs = torch.linspace(left + 0.5 - slack, right - 0.5 + slack, (right - left - 1) * steps + 1).double()
    u, v = meta["means2d"][camera, n].detach().double()
    a, b, c = meta["conics"][camera, n].detach().double()
    dx, dy = xs[None] - u, ys[:, None] - v
    sigma = 0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy
    return float((meta["opacities"][camera, n].detach().double() * torch.exp(-sigma)).max())


def assert_same_picture(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    """Equal but for pixels where a threshold falls differently in two ways of rounding."""
    for name in ("colors_out", "alphas_out"):
        assert (np.abs(ours[name] - theirs[name]) > 1e-3).mean() < 1e-3, name
        assert np.abs(ours[name] - theirs[name]).max() < 2e-2, name
    for name in NAMES:
        assert np.linalg.norm(ours[name] - theirs[name]) <= 1e-2 * np.linalg.norm(theirs[name]), name


@pytest.mark.gpu
@pytest.mark.parametrize("kind", freeze_goldens.KINDS)
@pytest.mark.parametrize("mode", freeze_goldens.MODES)
def test_pictures_and_gradients_equal_gsplat_on_cuda(kind, mode):
    s = scene(4, 500, (150, 130), 2, kind=kind)
    assert_same_picture(freeze_goldens.results(s, mode), freeze_goldens.results(freeze_goldens.on_cuda(s), mode))


@pytest.mark.skipif(
    not freeze_goldens.GOLDENS.exists(), reason="no goldens frozen yet: see tests/splat/freeze_goldens.py"
)
@pytest.mark.parametrize("kind", freeze_goldens.KINDS)
@pytest.mark.parametrize("mode", freeze_goldens.MODES)
def test_pictures_and_gradients_equal_frozen_gsplat_output(kind, mode):
    with np.load(freeze_goldens.GOLDENS) as goldens:
        prefix = f"{kind}/{mode}/"
        theirs = {name.removeprefix(prefix): goldens[name] for name in goldens.files if name.startswith(prefix)}
    assert_same_picture(freeze_goldens.results(freeze_goldens.golden_scene(kind), mode), theirs)


# gsplat's own bookkeeping, with the plain twins of its kernels


def _projection(means, covars, quats, scales, viewmats, Ks, width, height, packed=False, **given):
    """`gsplat.fully_fused_projection` by its plain twin; packed as its CUDA kernel packs."""
    covariances, _ = _quat_scale_to_covar_preci(quats, scales, True, False, triu=False)
    antialiased = given["calc_compensations"]
    radii, means2d, depths, conics, compensations = _fully_fused_projection(
        means, covariances, viewmats, Ks, width, height, given["eps2d"], calc_compensations=antialiased
    )
    if not packed:
        return radii, means2d, depths, conics, compensations
    seen = (radii > 0).all(-1).reshape(-1)
    camera, gaussian = (i.reshape(-1)[seen] for i in torch.meshgrid(*map(torch.arange, depths.shape), indexing="ij"))
    flat = (t.flatten(0, 1)[seen] for t in (radii, means2d, depths, conics))
    dims = None if compensations is None else compensations.flatten()[seen]
    return torch.zeros_like(camera), camera, gaussian, *flat, dims


def _tiles(means2d, radii, depths, size, width, height, packed=False, n_images=0, image_ids=None, **_):
    if not packed:
        return _isect_tiles(means2d, radii, depths, size, width, height)
    lone = [
        _isect_tiles(m[None, None], r[None, None], d[None, None], size, width, height)
        for m, r, d in zip(means2d, radii, depths, strict=True)
    ]
    counts = torch.cat([tiles.reshape(-1) for tiles, _, _ in lone])
    keys = torch.cat([ids for _, ids, _ in lone]) | (
        image_ids.repeat_interleave(counts) << (32 + (width * height).bit_length())
    )
    order = keys.argsort(stable=True)
    owner = torch.arange(len(counts), dtype=torch.int32).repeat_interleave(counts)
    return counts, keys[order], owner[order]


def _pixels(means2d, conics, colors, opacities, width, height, size, offsets, flatten_ids, **_):
    images = offsets.shape[:-2]
    return means2d.new_zeros(*images, height, width, colors.shape[-1]), means2d.new_zeros(*images, height, width, 1)


@pytest.fixture
def gsplat_on_the_cpu(monkeypatch):
    """`gsplat.rasterization` itself, its CUDA kernels replaced by its own plain twins; pictures stay black."""
    from gsplat import rendering

    monkeypatch.setattr(rendering, "fully_fused_projection", _projection)
    monkeypatch.setattr(rendering, "isect_tiles", _tiles)
    monkeypatch.setattr(rendering, "isect_offset_encode", _isect_offset_encode)
    monkeypatch.setattr(rendering, "rasterize_to_pixels", _pixels)
    return rendering.rasterization


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("mode", ["RGB", "RGB+ED"])
def test_meta_has_the_keys_shapes_and_types_of_gsplat(gsplat_on_the_cpu, packed, mode):
    """On scenes of which every Gaussian is seen: those that are not, either lists or leaves out as it likes."""
    s = scene(3, 20, (54, 40), 2, kind="cloud")
    given = (s.means, s.quats, s.scales, s.opacities.new_full(s.opacities.shape, 0.99), s.colors, s.viewmats, s.Ks)
    sizes = {"width": s.width, "height": s.height, "packed": packed, "render_mode": mode}
    out, alphas, theirs = gsplat_on_the_cpu(*given, **sizes)
    mine, my_alphas, meta = rasterization(*given, **sizes)
    assert (mine.shape, my_alphas.shape) == (out.shape, alphas.shape)
    assert meta.keys() == theirs.keys()
    assert len(meta["depths"]) == len(theirs["depths"])
    for name, value in theirs.items():
        if not isinstance(value, torch.Tensor):
            assert meta[name] == value, name
            continue
        assert meta[name].dtype == value.dtype, name
        listed = name in ("isect_ids", "flatten_ids")  # ours leaves out tiles that an ellipse does not reach
        assert meta[name].shape[listed:] == value.shape[listed:], name


def test_a_batch_of_clouds_goes_into_one_call_of_gsplat(gsplat_on_the_cpu, monkeypatch):
    """What `splat_batch` hands over is of the shapes that gsplat asks for, and what it gives back is unpacked right."""
    clouds = [random_gaussians(torch.rand(30, 3), 0.05, 1, torch.Generator().manual_seed(k)) for k in range(3)]
    views = torch.eye(4).repeat(3, 1, 1)
    views[:, 2, 3] = torch.tensor([2.0, 3.0, 4.0])
    K = torch.tensor([[40.0, 0, 20], [0, 40.0, 15], [0, 0, 1]])
    alone = [splat(cloud, view, K, 40, 30) for cloud, view in zip(clouds, views, strict=True)]
    calls = []

    def watched(*args, **kwargs):
        calls.append(gsplat_on_the_cpu(*args, **kwargs))
        return calls[-1]

    monkeypatch.setattr(gaussians, "rasterization", watched)
    picture = gaussians._in_one_call(clouds, views, K, 40, 30)
    assert len(calls) == 1
    assert picture.channels.shape == (3, 30, 40, 3)
    assert picture.alpha.shape == (3, 30, 40, 1)
    for k, one in enumerate(alone):
        seen = (one.meta["radii"][0] > 0).all(-1)
        torch.testing.assert_close(
            picture.meta["means2d"][k, 0][seen], one.meta["means2d"][0][seen], atol=2e-3, rtol=1e-5
        )
