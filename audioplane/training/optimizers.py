"""The optimizers of a run and their learning rates."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import torch

from audioplane.config import OptimConfig
from audioplane.methods.base import Method
from audioplane.methods.rates import fading
from audioplane.methods.types import Position
from audioplane.training.sparse_adam import SparseAdam

ADAM: dict[str, Any] = {"lr": 1e-3, "betas": (0.9, 0.99), "eps": 1e-15}


def cloud_rates(optim: OptimConfig, at: Position, half: float) -> dict[str, float]:
    """Learning rates of a cloud's arrays; `half` is half a side of the head's box in metres, as positions are."""
    rates = {
        "quats": optim.quats,
        "scales": optim.scales,
        "opacities": optim.opacities,
        "sh0": optim.colors,
        "shN": optim.colors / 20,
    }
    if not at.stage.deforms:
        means = optim.means * (optim.means_last / optim.means) ** at.done if optim.means > 0 else 0.0
        return {"means": means * half, **rates}
    decay = fading(at.done, optim.last_share)
    later = {name: rate * optim.fine_share * decay for name, rate in rates.items()}
    return {"means": optim.means_last * half * decay, **later}


class Optimizers:
    """One Adam for each array of each cloud, as density control needs it, and one for each of the method's groups.

    Args:
        method: whose parameters they move. device: where these lie.
    """

    def __init__(self, method: Method, device: torch.device) -> None:
        # Each is the faster one where it is used: ours one pass without a thread pool to wake, torch's one launch.
        adam: Any = SparseAdam if device.type == "cpu" else functools.partial(torch.optim.Adam, fused=True)
        self.method = method
        self.clouds: dict[str, dict[str, torch.optim.Optimizer]] = {
            name: {own: adam([param], **ADAM) for own, param in branch.params.items()}
            for name, branch in method.named()
        }
        self.groups = {group.name: group for group in method.parameter_groups()}
        self.own: dict[str, torch.optim.Optimizer] = {
            name: SparseAdam(group.params, **ADAM, distinct=True)
            if group.tables
            else adam(group.params, **{**ADAM, "eps": group.eps})
            for name, group in self.groups.items()
        }

    def set_rates(self, at: Position, optim: OptimConfig) -> None:
        """Gives every optimizer the learning rate of an iteration."""
        rates = cloud_rates(optim, at, self.method.box.half)
        for branch, optimizers in self.clouds.items():
            for name, rate in (rates | self.method.branch(branch).own_rates(at)).items():
                if name in optimizers:
                    _set(optimizers[name], rate)
        for name, optimizer in self.own.items():
            _set(optimizer, self.groups[name].rate(at))

    def step(self, at: Position) -> None:
        """Updates the clouds, and what the stage trains."""
        stage = at.stage
        for branch in stage.branches or self.clouds:
            for name, optimizer in self.clouds[branch].items():
                if not stage.arrays or name in stage.arrays:
                    optimizer.step()
        for name in at.stage.trains:
            if name in self.own:
                self.own[name].step()

    def zero_grad(self) -> None:
        """Forgets all gradients."""
        for _, optimizer in self.named():
            optimizer.zero_grad(set_to_none=True)

    def named(self) -> Iterator[tuple[str, torch.optim.Optimizer]]:
        """Name in checkpoints, and optimizer."""
        for branch, optimizers in self.clouds.items():
            for name, optimizer in optimizers.items():
                yield f"cloud-{branch}-{name}", optimizer
        yield from self.own.items()


def _set(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate
