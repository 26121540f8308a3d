"""A branch at inference, folded: what does not depend on the frame is computed once per head.

The canonical points rest, so S is computed once, and a frame enters through one small matrix and a bias. Gaussians
whose offsets hardly change over the training voice keep their mean offset (sparse evaluation).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from audioplane.methods.base import Branch
from audioplane.methods.types import Condition, Deformed
from audioplane.splat.gaussians import Gaussians, displacement

STILL = 0.15
"""Sparse evaluation: largest change, in units of `Branch.units`, of a Gaussian that keeps its mean offset."""


class FoldedBranch:
    """One branch of a trained method.

    Args:
        branch: trained.
        conditions: of the training voice, by which Gaussians that rest are told; none for no sparse evaluation.
        stored: `moving` and `static` as a packed head has them, with the resting Gaussians at their mean offset in the
            cloud; None to compute them.
        still: largest change of a Gaussian that rests; None for `STILL`.

    Attributes:
        rows: packed Gaussians (N, P); those that rest stand at their mean offset. moving: indices of the others, (M,).
        static: S of the moving ones, (M, W), or None where the branch cannot be folded.
    """

    def __init__(
        self,
        branch: Branch,
        conditions: Sequence[Condition] = (),
        stored: tuple[Tensor, Tensor] | None = None,
        still: float | None = None,
    ) -> None:
        self.branch = branch
        self.rows = branch.cloud.pack()
        self.static: Tensor | None
        self.is_packed = False
        if stored is not None:
            self.moving, self.static = (tensor.to(self.rows.device) for tensor in stored)
            self.is_packed = True
            return
        self.moving = torch.arange(len(self.rows), device=self.rows.device)
        self.static = branch.static_features()
        if conditions and self.static is not None:
            self._rest(conditions, self.static, STILL if still is None else still)

    def _rest(self, conditions: Sequence[Condition], static: Tensor, still: float) -> None:
        """Gives Gaussians that hardly change their mean offset, once, and keeps the others for every frame."""
        one = torch.ones_like(self.branch.units)
        changes = [self._change(condition, static, one) for condition in conditions]
        mean = torch.stack(changes).mean(dim=0)
        largest = torch.stack([(change - mean).abs().amax(dim=1) for change in changes]).quantile(0.98, dim=0)
        moving = largest > still
        self.rows = torch.where(moving[:, None], self.rows, self.rows + mean * self.branch.units)
        self.moving = moving.nonzero()[:, 0]
        self.static = static[self.moving].contiguous()

    def features(self) -> Tensor | None:
        """S of every Gaussian (N, W), zeros for those of a packed head that rest; None where it cannot be folded."""
        if not self.is_packed or self.static is None:
            return self.branch.static_features()
        return self.static.new_zeros(len(self.rows), self.static.shape[1]).index_copy(0, self.moving, self.static)

    def deformation(self, condition: Condition) -> Deformed:
        """What every Gaussian does in a frame; those of a packed head that rest do nothing."""
        if not self.is_packed or self.static is None:
            return self.branch.deformation(condition)
        moved = self.branch.decode(self.static, self.branch.modulation(self.branch.vector(condition)))
        offsets = self.rows.new_zeros(self.rows.shape).index_copy(0, self.moving, moved.offsets)
        if moved.weight is None:
            return Deformed(offsets)
        return Deformed(offsets, self.rows.new_zeros(len(self.rows), 1).index_copy(0, self.moving, moved.weight))

    def _change(self, condition: Condition, static: Tensor, units: Tensor) -> Tensor:
        moved = self.branch.decode(static, self.branch.modulation(self.branch.vector(condition)))
        return displacement(moved.offsets, moved.weight, units)

    def deform(self, condition: Condition) -> Gaussians:
        """The cloud of a frame, G'."""
        if self.static is None:
            return self.branch.deform(condition)
        change = self._change(condition, self.static, self.branch.units)
        if len(change) == len(self.rows):
            return Gaussians.unpack(self.rows + change)
        return Gaussians.unpack(self.rows.index_add(0, self.moving, change))
