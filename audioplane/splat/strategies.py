"""gsplat's densification strategies, on either device.

`DefaultStrategy` is plain torch; `MCMCStrategy` calls two small CUDA functions of gsplat. Importing this module gives
gsplat's strategies a CPU version of both; CUDA tensors still go to gsplat's own.
"""

from __future__ import annotations

import gsplat.strategy.ops as ops
import torch
from gsplat import DefaultStrategy, MCMCStrategy
from torch import Tensor

from audioplane.splat.reference import covariance

_covariance_on_cuda, _relocation_on_cuda = ops.quat_scale_to_covar_preci, ops.compute_relocation


def _quat_scale_to_covar_preci(
    quats: Tensor, scales: Tensor, compute_covar: bool = True, compute_preci: bool = True, triu: bool = False
) -> tuple[Tensor | None, Tensor | None]:
    """What `gsplat.quat_scale_to_covar_preci` returns, of which the strategies want covariances alone."""
    if quats.is_cuda or compute_preci or triu or not compute_covar:
        return _covariance_on_cuda(quats, scales, compute_covar, compute_preci, triu)
    return covariance(quats, scales), None


def _compute_relocation(opacities: Tensor, scales: Tensor, ratios: Tensor, binoms: Tensor) -> tuple[Tensor, Tensor]:
    """Opacities and scales of Gaussians of which each is replaced by `ratios` copies.

    Source: Kheradmand et al., "3D Gaussian Splatting as Markov Chain Monte Carlo", 2024, Eq. 9.
    """
    if opacities.is_cuda:
        return _relocation_on_cuda(opacities, scales, ratios, binoms)
    n_max = binoms.shape[0]
    ratios = ratios.clamp(1, n_max)
    new_opacities = 1 - (1 - opacities) ** (1 / ratios)
    k = torch.arange(n_max)
    terms = (-1.0) ** k / torch.sqrt(k + 1.0) * new_opacities[:, None] ** (k + 1)  # (N, n_max)
    # sum over i = 1..n of binom(i - 1, k): rows of `binoms` up to the ratio
    rows = binoms.cumsum(0)[ratios.long() - 1]
    share = opacities / (rows * terms).sum(-1)
    return new_opacities, share[:, None] * scales


ops.quat_scale_to_covar_preci = _quat_scale_to_covar_preci
ops.compute_relocation = _compute_relocation


__all__ = ["DefaultStrategy", "MCMCStrategy"]
