"""Gaussian splatting with one signature and one result on every device.

`rasterization` is a drop-in for `gsplat.rasterization` (1.5.3). CUDA tensors go to gsplat; CPU tensors go to the
compiled kernels of this package: `projection` (3D to 2D), `harmonics` (colour), `tiles` (who touches which tile, in
depth order), `compositing` (the picture). `reference` is the slow plain twin that the tests hold them against.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

RenderMode = Literal["RGB", "D", "ED", "RGB+D", "RGB+ED"]


def backend(device: torch.device | str | None = None) -> tuple[str, str]:
    """The rasterizer that tensors on a device are drawn with, and why.

    Args:
        device: a device; default CUDA when torch sees one, else the CPU.

    Returns:
        ("gsplat" | "cpu", the reason in words).
    """
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    kind = torch.device(device).type
    if kind == "cuda":
        from torch.utils.cpp_extension import CUDA_HOME

        toolkit = f"the CUDA toolkit is at {CUDA_HOME}" if CUDA_HOME else "NO CUDA toolkit was found: install it"
        compiles = f"gsplat compiles its kernels at the first call (minutes, once); {toolkit}"
        return "gsplat", f"CUDA is available ({torch.cuda.get_device_name(0)}); {compiles}"
    if kind != "cpu":
        raise NotImplementedError(f"device {kind!r}: rasterization runs on CUDA or on the CPU; move the tensors there")
    import numba

    from audioplane.runtime.compiled import SWITCHED_OFF

    reason = "CUDA is not available to torch" if not torch.cuda.is_available() else "the tensors are on the CPU"
    if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
        return "cpu", f"{reason}; but {SWITCHED_OFF}"
    return "cpu", f"{reason}: compiled kernels on {torch.get_num_threads()} thread(s)"


def rasterization(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    near_plane: float = 0.01,
    far_plane: float = 1e10,
    radius_clip: float = 0.0,
    eps2d: float = 0.3,
    sh_degree: int | None = None,
    packed: bool = True,
    tile_size: int = 16,
    backgrounds: Tensor | None = None,
    render_mode: RenderMode = "RGB",
    sparse_grad: bool = False,
    absgrad: bool = False,
    rasterize_mode: Literal["classic", "antialiased"] = "classic",
    channel_chunk: int = 32,
    distributed: bool = False,
    camera_model: Literal["pinhole", "ortho", "fisheye", "ftheta"] = "pinhole",
    segmented: bool = False,
    covars: Tensor | None = None,
    with_ut: bool = False,
    with_eval3d: bool = False,
    radial_coeffs: Tensor | None = None,
    tangential_coeffs: Tensor | None = None,
    thin_prism_coeffs: Tensor | None = None,
    ftheta_coeffs: Any = None,
    rolling_shutter: Any = None,
    viewmats_rs: Tensor | None = None,
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Renders N Gaussians into C cameras; arguments, defaults and results are those of `gsplat.rasterization`.

    Gradients flow to `means`, `quats`, `scales`, `opacities`, `colors`, `viewmats`, `backgrounds`, and to
    `meta["means2d"]` (with `absgrad`, also `meta["means2d"].absgrad` after backward), so that gsplat's strategies
    work unchanged on either device.

    Audio-Plane, Eq. 1 to 4 (journal).

    Args:
        means: (N, 3) float32 centres, world units.
        quats: (N, 4) rotations as (w, x, y, z), of any length but zero.
        scales: (N, 3) standard deviations, world units.
        opacities: (N,) in [0, 1].
        colors: (N, D) or (C, N, D) values, D <= 64; with `sh_degree`, (N, K, 3) or (C, N, K, 3) coefficients.
        viewmats: (C, 4, 4) camera-from-world, OpenCV axes.
        Ks: (C, 3, 3) intrinsics, pixels; the centre of the first pixel is at 0.5.
        width, height: image size in pixels.
        near_plane, far_plane: depths between which Gaussians are drawn.
        radius_clip: Gaussians of at most this radius (pixels) are left out.
        eps2d: blur added to each 2D covariance (pixels^2).
        sh_degree: harmonics up to this degree (0 to 3) are used; None: `colors` are plain values.
        packed: whether `meta` lists only visible pairs of camera and Gaussian, as (nnz, ...) instead of (C, N, ...).
        tile_size: side of a tile, pixels.
        backgrounds: (C, D) colours behind everything; default black.
        render_mode: colours, accumulated depth "D", expected depth "ED", or colours and depth.
        absgrad: whether to keep the absolute gradients of the 2D means.
        rasterize_mode: "antialiased" dims Gaussians by what the blur adds to them (Mip-Splatting).
        channel_chunk, segmented: gsplat's tuning knobs; they change nothing on the CPU.
        sparse_grad, distributed, camera_model, covars, with_ut, with_eval3d, radial_coeffs, tangential_coeffs,
            thin_prism_coeffs, ftheta_coeffs, rolling_shutter, viewmats_rs: CUDA only, except for their defaults.

    Returns:
        render (C, height, width, X) with X = D, 1 ("D", "ED") or D + 1; alphas (C, height, width, 1); `meta` with
        gsplat's keys. Tiles that an ellipse does not reach are not listed on the CPU, so `tiles_per_gauss` may be
        smaller than gsplat's, and entries out of sight hold zeros where gsplat leaves memory as it was.

    Raises:
        ValueError: a wrong shape, dtype or device, or NaN or infinity in an input (checked on the CPU only).
        NotImplementedError: an option that the CPU kernels do not have.
    """
    given = dict(locals())
    if not isinstance(means, Tensor):
        kind = type(means).__name__
        raise ValueError(f"means: expected a float32 tensor of shape (N, 3), received {kind}; see torch.as_tensor")
    if means.device.type == "cuda":
        from gsplat import rasterization as on_cuda

        if rolling_shutter is None:
            del given["rolling_shutter"]  # gsplat's own default
        return on_cuda(**given)
    from audioplane.splat.cpu import rasterize

    return rasterize(**given)


__all__ = ["backend", "rasterization"]
