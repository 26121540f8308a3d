"""Adaptive density control: where the cloud grows and what it drops (3DGS; gsplat's strategies on either device).

`quota` (ours) suits a minute's budget: every so often the share of Gaussians with the largest screen gradient is
doubled until the cap, faint ones are dropped, opacities are never reset. `default` is 3DGS's control with thresholds,
`mcmc` 3DGS-MCMC with its two regularisers; both are gsplat's code (`splat.strategies`), run under a seed of their own
so that no global generator matters. All of them end at the cap.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from audioplane.config import Config
from audioplane.methods.types import Position, Stage, Term
from audioplane.runtime import seeds
from audioplane.splat.gaussians import Gaussians, morton_order

Optimizers = dict[str, torch.optim.Optimizer]


class Densifier:
    """Grows and prunes one cloud during the stages that ask for it; its `state` travels in the checkpoint.

    Args:
        config: of the run.
        half: half side of the head's box, metres.
        cap: most Gaussians; None for `gaussians.cap`.
    """

    def __init__(self, config: Config, half: float, cap: int | None = None) -> None:
        self.config, self.half = config, half
        self.cap = config.gaussians.cap if cap is None else cap
        self.state: dict[str, Any] = {}
        self._strategy: Any = None
        if config.gaussians.densify != "quota":
            self._strategy = self._gsplat_strategy()
            self.state = self._strategy.initialize_state(**({} if self._is_mcmc else {"scene_scale": half}))

    @property
    def _is_mcmc(self) -> bool:
        return self.config.gaussians.densify == "mcmc"

    def last(self, stage: Stage) -> int:
        """The iteration of a stage after which a cloud's size is fixed."""
        own = self.config.gaussians
        return int((own.densify_fine_until if stage.deforms else own.densify_until) * stage.iterations + 1e-6)

    def regularisers(self, params: nn.ParameterDict) -> dict[str, Term]:
        """Terms that 3DGS-MCMC adds to the loss, so that Gaussians fade and can be put elsewhere; none for the others.

        Source: Kheradmand et al., "3D Gaussian Splatting as Markov Chain Monte Carlo", 2024, Eq. 10; scales are in
        half box sides.
        """
        weight = self.config.gaussians.regularise
        if not self._is_mcmc or weight == 0.0:
            return {}
        opacity, scale = torch.sigmoid(params["opacities"]).mean(), params["scales"].exp().mean() / self.half
        return {"opacity": Term(opacity, weight), "scale": Term(scale, weight)}

    def _gsplat_strategy(self) -> Any:
        from audioplane.splat.strategies import CappedStrategy, MCMCStrategy

        own = self.config.gaussians
        never = 2**62  # when it ends is decided here
        times: dict[str, Any] = {
            "refine_start_iter": own.densify_from,
            "refine_stop_iter": never,
            "refine_every": own.densify_every,
            "verbose": False,
        }
        if self._is_mcmc:
            return MCMCStrategy(cap_max=self.cap, **times)
        return CappedStrategy(cap=self.cap, prune_opa=own.prune_opacity, reset_every=own.reset_every or never, **times)

    def before_backward(self, at: Position, meta: dict[str, Any]) -> None:
        """Asks for the gradient of the projected means."""
        if at.iteration < self.last(at.stage) and not self._is_mcmc:
            meta["means2d"].retain_grad()

    def after_step(self, params: nn.ParameterDict, optimizers: Optimizers, at: Position, meta: dict[str, Any]) -> bool:
        """Accumulates gradients, and changes the cloud when it is time.

        Args:
            params: of the cloud, changed in place. optimizers: of the same names.
            at: where in its stage the run is.
            meta: of the rasterizer.

        Returns:
            whether the cloud changed its size.
        """
        if at.iteration >= self.last(at.stage):
            return False
        step = at.before + at.iteration
        before = len(params["means"])
        with seeds.seeded_globally(seeds.at_step(self.config.seed, step), params["means"].device):
            if self._is_mcmc:
                rate = optimizers["means"].param_groups[0]["lr"]
                self._strategy.step_post_backward(params, optimizers, self.state, step, meta, lr=rate)
            elif self._strategy is not None:
                self._strategy.step_post_backward(params, optimizers, self.state, step, meta)
            else:
                self._quota(params, optimizers, step, meta)
        return len(params["means"]) != before

    def _quota(self, params: nn.ParameterDict, optimizers: Optimizers, step: int, meta: dict[str, Any]) -> None:
        from gsplat.strategy.ops import duplicate, remove, split

        own = self.config.gaussians
        grads = meta["means2d"].grad[0].norm(dim=-1)
        if "heat" not in self.state:
            self.state["heat"] = torch.zeros_like(grads)
        self.state["heat"] += grads
        if step < own.densify_from or (step - own.densify_from) % own.densify_every:
            return
        faint = torch.sigmoid(params["opacities"]) < own.prune_opacity
        if 0 < int(faint.sum()) < len(faint) // 2:
            remove(params, optimizers, self.state, faint)
        count = len(params["means"])
        room = min(self.cap - count, int(own.densify_share * count))
        if room > 0:
            hottest = self.state["heat"].topk(room).indices
            chosen = torch.zeros(count, dtype=torch.bool, device=grads.device)
            chosen[hottest] = True
            # Small ones that want to move are copied, large ones that cover too much are split.
            small = params["scales"].amax(dim=1).exp() < 0.015 * self.half
            doubled, cut = chosen & small, chosen & ~small
            if doubled.any():
                duplicate(params, optimizers, self.state, doubled)
                cut = torch.cat([cut, torch.zeros(int(doubled.sum()), dtype=torch.bool, device=cut.device)])
            if cut.any():
                split(params, optimizers, self.state, cut)
        self.state["heat"] = torch.zeros(len(params["means"]), device=grads.device)


def sort_in_space(params: nn.ParameterDict, optimizers: Optimizers, normalised: Tensor) -> None:
    """Reorders the cloud so that neighbours share cache lines; nothing but speed depends on it."""
    from gsplat.strategy.ops import _update_param_with_optimizer

    order = morton_order(normalised)
    _update_param_with_optimizer(
        lambda _, p: nn.Parameter(p[order], requires_grad=p.requires_grad), lambda _, v: v[order], params, optimizers
    )


def is_dead(cloud: Gaussians, may_vanish: bool = False) -> str | None:
    """Why a cloud can no longer learn, in words, or None; one that `may_vanish` may be of what a film does not show."""
    if not cloud.is_finite():
        return "the cloud has NaN or infinite parameters"
    if may_vanish:
        return None
    if len(cloud) < 4 or float(torch.sigmoid(cloud.opacities).max()) < 0.02:
        return "the cloud is dead: nothing of it can be seen"
    return None
