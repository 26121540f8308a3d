"""F_can: the attributes of the canonical Gaussians from their place, while the static head is learned."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioplane.deform.mlp import linear, product
from audioplane.splat.gaussians import Gaussians

GIVEN: dict[str, tuple[str, ...]] = {
    "none": (),
    "sh-opacity": ("opacities", "sh"),
    "all": ("quats", "scales", "opacities", "sh"),
}
"""Attributes that F_can gives under each initialisation strategy (SyncTalk++, Table IV); positions are always free."""


class CanonicalField(nn.Module):
    """F_can, two layers on f_mu.

    SyncTalk++, Eq. 18 and Table IV.

    Args:
        strategy: a key of `GIVEN`. width: of f_mu. hidden: of the network.
        cloud: whose mean attributes it gives at first. generator: of the initial weights.
    """

    def __init__(self, strategy: str, width: int, hidden: int, cloud: Gaussians, generator: torch.Generator) -> None:
        super().__init__()
        whole = dict(cloud.items())
        self.shapes = {name: whole[name].shape[1:] for name in GIVEN[strategy]}
        self.first = linear(width, hidden, generator)
        self.last = linear(hidden, sum(shape.numel() for shape in self.shapes.values()), generator)
        means = [whole[name].detach().mean(dim=0).flatten() for name in self.shapes if name != "quats"]
        upright = [torch.tensor([1.0, 0.0, 0.0, 0.0])] if "quats" in self.shapes else []
        with torch.no_grad():
            self.last.bias.copy_(torch.cat([*upright, *means]))

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        """Attributes by name, of Gaussians with features f_mu (N, W).

        SyncTalk++, Eq. 18: F_can(f_mu) = {mu_c, r_c, s_c, alpha_c, SH_c}.
        """
        out = self.last(functional.relu(product(features, self.first)))
        parts = out.split([shape.numel() for shape in self.shapes.values()], dim=1)
        return {name: part.reshape(-1, *shape) for (name, shape), part in zip(self.shapes.items(), parts, strict=True)}
