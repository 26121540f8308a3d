"""The plain twin: dense Gaussian splatting in a few lines of torch, to be read beside Eq. (1) to (4).

Every Gaussian is evaluated at every pixel, in any float type, and autograd gives the gradients. Memory grows with
N x height x width: it is for tests, benchmarks and readers.
"""

from __future__ import annotations

import torch
from torch import Tensor

from audioplane.splat.projection import ALPHA_THRESHOLD, MARGIN

MAX_ALPHA, MIN_LIGHT = 0.999, 1e-4


def covariance(quats: Tensor, scales: Tensor) -> Tensor:
    """Sigma = R S S^T R^T for (N, 4) quaternions (w, x, y, z) and (N, 3) scales; (N, 3, 3). Audio-Plane, Sec. III-B."""
    w, x, y, z = torch.nn.functional.normalize(quats, dim=-1).unbind(-1)
    rotation = torch.stack(
        [
            1 - 2 * (y * y + z * z),
            2 * (x * y - w * z),
            2 * (x * z + w * y),
            2 * (x * y + w * z),
            1 - 2 * (x * x + z * z),
            2 * (y * z - w * x),
            2 * (x * z - w * y),
            2 * (y * z + w * x),
            1 - 2 * (x * x + y * y),
        ],
        -1,
    ).view(-1, 3, 3)
    half = rotation * scales[:, None, :]
    return half @ half.transpose(-1, -2)


def projected(
    means: Tensor, sigma: Tensor, viewmat: Tensor, K: Tensor, width: int, height: int, eps2d: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Sigma' = J W Sigma W^T J^T. Audio-Plane, Sec. III-B (journal).

    Returns means2d (N, 2), depths (N,), blurred Sigma' (N, 2, 2), and rho (N,), what the blur leaves of the peak.
    """
    W, t = viewmat[:3, :3], viewmat[:3, 3]
    x, y, z = (means @ W.T + t).unbind(-1)
    fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    margin_x, margin_y = MARGIN * 0.5 * width / fx, MARGIN * 0.5 * height / fy
    slope_x = torch.minimum((width - cx) / fx + margin_x, torch.maximum(-cx / fx - margin_x, x / z))
    slope_y = torch.minimum((height - cy) / fy + margin_y, torch.maximum(-cy / fy - margin_y, y / z))
    nothing = torch.zeros_like(z)
    J = torch.stack([fx / z, nothing, -fx * slope_x / z, nothing, fy / z, -fy * slope_y / z], -1).view(-1, 2, 3)
    flat = J @ W @ sigma @ W.T @ J.transpose(-1, -2)
    blurred = flat + eps2d * torch.eye(2, dtype=flat.dtype)
    rho = torch.sqrt(torch.clamp(torch.det(flat) / torch.det(blurred), min=1e-30))
    return torch.stack([fx * x / z + cx, fy * y / z + cy], -1), z, blurred, rho


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
    eps2d: float = 0.3,
    backgrounds: Tensor | None = None,
    antialiased: bool = False,
) -> tuple[Tensor, Tensor]:
    """Renders (N, D) or (C, N, D) colours or depths; returns (C, H, W, D) and alphas (C, H, W, 1).

    Audio-Plane, Eq. 1, 3 and 4 (journal), with gsplat's thresholds. `mean depths` can be rendered by
    passing them as colours.
    """
    dtype, renders, alphas = means.dtype, [], []
    rows, columns = torch.arange(height, dtype=dtype) + 0.5, torch.arange(width, dtype=dtype) + 0.5
    pixels = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1)  # (H, W, 2)
    for camera, (viewmat, K) in enumerate(zip(viewmats, Ks, strict=True)):
        centres, depths, sigma, rho = projected(means, covariance(quats, scales), viewmat, K, width, height, eps2d)
        drawn = torch.nonzero((depths >= near_plane) & (depths <= far_plane)).view(-1)
        order = drawn[torch.argsort(depths[drawn].detach().float(), stable=True)]
        d = pixels[None] - centres[order][:, None, None]  # (N, H, W, 2)
        strength = torch.exp(
            -0.5 * (d[..., None, :] @ torch.linalg.inv(sigma[order])[:, None, None] @ d[..., None])[..., 0, 0]
        )
        opacity = (opacities * rho if antialiased else opacities)[order]
        alpha = (opacity[:, None, None] * strength).clamp(max=MAX_ALPHA)
        alpha = torch.where(alpha >= ALPHA_THRESHOLD, alpha, 0)
        whole = torch.ones(1, height, width, dtype=dtype)
        light = torch.cumprod(torch.cat([whole, 1 - alpha]), 0)  # before each, then after all
        alpha = torch.where(light[1:] > MIN_LIGHT, alpha, 0)  # the first to leave less is not drawn, nor what follows
        light = torch.cumprod(torch.cat([whole, 1 - alpha]), 0)
        values = (colors if colors.dim() == 2 else colors[camera])[order]
        image = torch.einsum("nhw,nd->hwd", alpha * light[:-1], values)
        if backgrounds is not None:
            image = image + light[-1][..., None] * backgrounds[camera]
        renders.append(image)
        alphas.append(1 - light[-1][..., None])
    return torch.stack(renders), torch.stack(alphas)
