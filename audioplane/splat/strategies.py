"""gsplat's densification strategies, on either device.

`CappedStrategy` is plain torch; `MCMCStrategy` calls two small CUDA functions of gsplat. Importing this module gives
gsplat's strategies a CPU version of both; CUDA tensors still go to gsplat's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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


@dataclass
class CappedStrategy(DefaultStrategy):
    """3DGS's density control, with a limit on the cloud, and with its reset of opacities.

    Of those that want to grow beyond `cap` the ones with the largest gradients do. gsplat 1.5.3 never resets: it asks
    for `0 & step > 0`.
    """

    cap: int = 2**62

    def _grow_gs(self, params: Any, optimizers: Any, state: dict[str, Any], step: int) -> tuple[int, int]:
        grads, limit = state["grad2d"] / state["count"].clamp_min(1), self.grow_grad2d
        room = self.cap - len(grads)
        if room < int((grads > limit).sum()):
            self.grow_grad2d = float(grads.topk(room + 1).values[-1]) if room > 0 else float("inf")
        try:
            return super()._grow_gs(params, optimizers, state, step)
        finally:
            self.grow_grad2d = limit

    def step_post_backward(
        self, params: Any, optimizers: Any, state: dict[str, Any], step: int, info: dict[str, Any], packed: bool = False
    ) -> None:
        super().step_post_backward(params, optimizers, state, step, info, packed)
        if step > 0 and step % self.reset_every == 0:
            ops.reset_opa(params=params, optimizers=optimizers, state=state, value=2.0 * self.prune_opa)


__all__ = ["CappedStrategy", "DefaultStrategy", "MCMCStrategy"]
