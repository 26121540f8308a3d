"""`rasterization` for CPU tensors: checks, then projection, colour, tiles, compositing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from audioplane.runtime import threads
from audioplane.runtime.compiled import compiled
from audioplane.splat.compositing import composite
from audioplane.splat.harmonics import MAX_DEGREE, evaluate
from audioplane.splat.projection import Lens, project
from audioplane.splat.simd import LANES, load, splat, total
from audioplane.splat.tiles import Pairs, intersect

MAX_CHANNELS = 64
LAYER_BITS = 42  # a layer's depths are so many powers of 2 beyond those of the last: from .01 to 1e10 it is 40
# Arguments that only gsplat's CUDA kernels know, with the values that ask for nothing.
_CUDA_ONLY: dict[str, Any] = {
    "sparse_grad": False,
    "distributed": False,
    "camera_model": "pinhole",
    "covars": None,
    "with_ut": False,
    "with_eval3d": False,
    "radial_coeffs": None,
    "tangential_coeffs": None,
    "thin_prism_coeffs": None,
    "ftheta_coeffs": None,
    "viewmats_rs": None,
}
_MODES = ("RGB", "D", "ED", "RGB+D", "RGB+ED")


@compiled()
def _not_finite(start, stop, values, found):
    """Sets found[0] if any of values[start:stop] is NaN or infinite."""
    zero = splat(np.float32(0.0))
    sums = zero
    whole = start + (stop - start) // LANES * LANES
    for k in range(start, whole, LANES):
        sums = sums + load(values, k) * zero  # 0 for every finite value, NaN otherwise
    rest = total(sums)
    for k in range(whole, stop):
        rest += values[k] * np.float32(0.0)
    if math.isnan(rest):
        found[0] = 1


def _check_tensor(name: str, value: Any, shapes: list[tuple[int, ...]]) -> None:
    """Raises ValueError unless `value` is a finite float32 CPU tensor of one of the shapes (-1: any size)."""
    wanted = " or ".join("(" + ", ".join("*" if d < 0 else str(d) for d in shape) + ")" for shape in shapes)
    if not isinstance(value, Tensor):
        raise ValueError(f"{name}: expected a float32 tensor of shape {wanted}, received {type(value).__name__}")
    if value.device.type != "cpu":
        raise ValueError(f"{name}: expected a tensor on the CPU like `means`, received one on {value.device}")
    if value.dtype != torch.float32:
        raise ValueError(f"{name}: expected float32, received {str(value.dtype)[6:]}; convert it with .float()")
    fits = (
        len(shape) == value.dim() and all(d in (-1, e) for d, e in zip(shape, value.shape, strict=True))
        for shape in shapes
    )
    if not any(fits):
        raise ValueError(f"{name}: expected shape {wanted}, received {tuple(value.shape)}")
    flat = value.detach().contiguous().view(-1).numpy()
    found = np.zeros(1, np.int32)
    threads.run(
        _not_finite,
        threads.split(len(flat), torch.get_num_threads() if len(flat) > 100_000 else 1),
        flat,
        found,
    )
    if found[0]:
        raise ValueError(f"{name}: holds NaN or infinity; expected finite values")


def _is_whole(value: Any) -> bool:
    try:
        return int(value) == value
    except (TypeError, ValueError, OverflowError):
        return False


def _check(a: dict[str, Any]) -> None:
    """Raises ValueError or NotImplementedError, naming the argument, for what cannot be drawn."""
    for name, default in _CUDA_ONLY.items():
        value = a[name]
        if hasattr(value, "shape"):  # its numbers would fill the screen
            raise NotImplementedError(f"{name} is not implemented on the CPU; leave it out")
        if value is not default and value != default:
            raise NotImplementedError(f"{name}={value!r} is not implemented on the CPU; only {name}={default!r} is")
    if a["rolling_shutter"] is not None and getattr(a["rolling_shutter"], "name", "") != "GLOBAL":
        raise NotImplementedError("rolling_shutter is not implemented on the CPU; leave it out")
    for name, choices in (("render_mode", _MODES), ("rasterize_mode", ("classic", "antialiased"))):
        if a[name] not in choices:
            raise ValueError(f"{name}: expected one of {', '.join(choices)}, received {a[name]!r}")
    for name in ("width", "height", "tile_size"):
        if not _is_whole(a[name]) or a[name] < 1:
            raise ValueError(f"{name}: expected a whole number of pixels >= 1, received {a[name]!r}")
    for name in ("eps2d", "radius_clip", "near_plane", "far_plane"):
        if not isinstance(a[name], (int, float)) or math.isnan(a[name]):
            raise ValueError(f"{name}: expected a number, received {a[name]!r}")
    if not 0.0 <= a["eps2d"] < math.inf:
        raise ValueError(f"eps2d: expected a number >= 0, received {a['eps2d']!r}")
    means, viewmats, colors, degree = a["means"], a["viewmats"], a["colors"], a["sh_degree"]
    if isinstance(means, Tensor) and means.dim() > 2:
        raise NotImplementedError(
            f"means: batch dimensions are not implemented on the CPU, received {tuple(means.shape)}"
        )
    _check_tensor("means", means, [(-1, 3)])
    _check_tensor("viewmats", viewmats, [(-1, 4, 4)])
    n, c = means.shape[0], viewmats.shape[0]
    _check_tensor("quats", a["quats"], [(n, 4)])
    _check_tensor("scales", a["scales"], [(n, 3)])
    _check_tensor("opacities", a["opacities"], [(n,)])
    _check_tensor("Ks", a["Ks"], [(c, 3, 3)])
    if c == 0:
        raise ValueError("viewmats: expected at least one camera, received none")
    if degree is None:
        _check_tensor("colors", colors, [(n, -1), (c, n, -1)])
        channels = colors.shape[-1]
        if not 1 <= channels <= MAX_CHANNELS:
            raise ValueError(f"colors: expected 1 to {MAX_CHANNELS} channels on the CPU, received {channels}")
    else:
        if not _is_whole(degree) or degree not in range(MAX_DEGREE + 1):
            raise NotImplementedError(f"sh_degree={degree!r} is not implemented on the CPU; 0 to {MAX_DEGREE} are")
        _check_tensor("colors", colors, [(n, -1, 3), (c, n, -1, 3)])
        if colors.shape[-2] < (degree + 1) ** 2:
            raise ValueError(
                f"colors: sh_degree={degree} takes {(degree + 1) ** 2} coefficients, received {colors.shape[-2]}"
            )
        channels = 3
    if a["backgrounds"] is not None:
        _check_tensor("backgrounds", a["backgrounds"], [(c, channels)])
    if n and float(a["quats"].detach().square().sum(-1).min()) < 1e-30:
        raise ValueError("quats: a quaternion of length zero is no rotation; expected every row to be non-zero")


def rasterize(layers: Tensor | None = None, **a: Any) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Draws CPU tensors; see `audioplane.splat.rasterization` for the arguments and results.

    Args:
        layers: (N,) 0, 1 or 2: a Gaussian of a lower one lies in front of one of a higher, whatever their depths.
        a: the arguments of `rasterization`, all of them.
    """
    _check(a)
    means, viewmats, opacities, colors = a["means"], a["viewmats"], a["opacities"], a["colors"]
    width, height = int(a["width"]), int(a["height"])
    tile_size = min(int(a["tile_size"]), max(width, height))  # a larger tile would only take memory
    n, c = means.shape[0], viewmats.shape[0]
    lens = Lens(width, height, a["near_plane"], a["far_plane"], a["radius_clip"], a["eps2d"])
    radii, means2d, depths, conics, compensations = project(
        means,
        a["quats"],
        a["scales"],
        opacities,
        viewmats,
        a["Ks"],
        lens,
        a["rasterize_mode"] == "antialiased",
    )
    opacities = opacities.expand(c, n)
    if compensations is not None:
        opacities = opacities * compensations
    if a["sh_degree"] is not None:
        colors = torch.clamp_min(evaluate(int(a["sh_degree"]), colors, means, viewmats, radii) + 0.5, 0.0)
    elif colors.dim() == 2:
        colors = colors.expand(c, *colors.shape)

    images, camera_ids, gaussian_ids = np.repeat(np.arange(c, dtype=np.int32), n), None, None
    if a["packed"]:  # keep what is visible, in order
        seen = torch.nonzero((radii > 0).all(-1).view(-1)).view(-1)
        camera_ids, gaussian_ids, images = seen // max(n, 1), seen % max(n, 1), images[seen.numpy()]
        radii, means2d, depths, conics, opacities, colors = (
            t.reshape(c * n, *t.shape[2:])[seen] for t in (radii, means2d, depths, conics, opacities, colors)
        )

    mode, backgrounds = a["render_mode"], a["backgrounds"]
    if mode in ("D", "ED"):
        colors, backgrounds = depths[..., None], None
    elif mode in ("RGB+D", "RGB+ED"):
        colors = torch.cat([colors, depths[..., None]], -1)
        if backgrounds is not None:
            backgrounds = torch.cat([backgrounds, means.new_zeros(c, 1)], -1)
    if backgrounds is None:
        backgrounds = means.new_zeros(c, colors.shape[-1])

    order = depths if layers is None else _layered_depths(depths, layers)
    pairs = intersect(means2d, conics, opacities, radii, order, images, width, height, tile_size, c)
    render, alphas = composite(
        means2d, conics, colors, opacities, backgrounds, pairs, width, height, tile_size, a["absgrad"]
    )
    if mode in ("ED", "RGB+ED"):
        render = torch.cat([render[..., :-1], render[..., -1:] / alphas.clamp(min=1e-10)], -1)
    meta = {
        "batch_ids": None if camera_ids is None else torch.zeros_like(camera_ids),
        "camera_ids": camera_ids,
        "gaussian_ids": gaussian_ids,
        "radii": radii,
        "means2d": means2d,
        "depths": depths,
        "conics": conics,
        "opacities": opacities,
        **_tile_meta(pairs, depths, width, height, tile_size, c),
        "width": width,
        "height": height,
        "tile_size": int(a["tile_size"]),
        "n_batches": 1,
        "n_cameras": c,
    }
    return render, alphas, meta


def _layered_depths(depths: Tensor, layers: Tensor) -> Tensor:
    """Depths (C, N) times a power of two a layer, which is exact: whatever is drawn of a layer lies behind the last."""
    return torch.ldexp(depths, LAYER_BITS * layers)


def _tile_meta(pairs: Pairs, depths: Tensor, width: int, height: int, tile_size: int, cameras: int) -> dict[str, Any]:
    """What gsplat tells of its tiles: keys of image, tile and depth bits; lists; where each list begins.

    Copies of what backward indexes by: nothing done to `meta` may send a kernel astray.
    """
    tile_width, tile_height = -(-width // tile_size), -(-height // tile_size)
    return {
        "tile_width": tile_width,
        "tile_height": tile_height,
        "tiles_per_gauss": torch.from_numpy(pairs.tiles_per_gauss).view(depths.shape),
        "isect_ids": torch.from_numpy(pairs.isect_ids),
        "flatten_ids": torch.from_numpy(pairs.flatten_ids.copy()),
        "isect_offsets": torch.from_numpy(pairs.offsets[:-1].copy()).view(cameras, tile_height, tile_width),
    }
