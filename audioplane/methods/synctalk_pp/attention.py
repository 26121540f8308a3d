"""Facial-aware masked attention: which Gaussians the voice moves, and which the expression."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioplane.deform.mlp import linear


class Attention(nn.Module):
    """V of lips and of expression, before the masks of SyncTalk++, Eq. 6: two small networks on f_mu.

    As in SyncTalk's code, V of lips takes either sign, V of expression lies in (0, 1).

    Args:
        width: of f_mu. lips: size of f_lip. expression: size of f_exp, may be 0. hidden: of each network.
        generator: of the initial weights.
    """

    def __init__(self, width: int, lips: int, expression: int, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        self.size = hidden
        self.first = linear(width, hidden * (2 if expression else 1), generator)  # both networks', side by side
        self.lip = linear(hidden, lips, generator)
        self.face = linear(hidden, expression, generator) if expression else None
        nn.init.ones_(self.lip.bias)  # around 1, so that at the start the voice reaches every Gaussian

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """V of lips (N, A) and of expression (N, E) of Gaussians with features f_mu (N, W), all of one type."""
        hidden = functional.relu(_layer(features, self.first))
        lips = _layer(hidden[:, : self.size], self.lip)
        return lips, lips[:, :0] if self.face is None else torch.sigmoid(_layer(hidden[:, self.size :], self.face))


def _layer(rows: Tensor, layer: nn.Linear) -> Tensor:
    """A layer in the type of its rows: V joins features that may be bfloat16."""
    return functional.linear(rows, layer.weight.to(rows), layer.bias.to(rows))


def masked(lips: Tensor, face: Tensor, below: Tensor) -> tuple[Tensor, Tensor]:
    """V_lip = V * M_lip and V_exp = V * M_exp.

    SyncTalk++, Eq. 6.

    Args:
        lips: V of lips, (N, A). face: V of expression, (N, E).
        below: M_lip, (N, 1), 1 below the tip of the nose, 0 above; M_exp is the rest.
    """
    below = below.to(lips)
    return lips * below, face * (1.0 - below)


def stray(lips: Tensor, face: Tensor, below: Tensor) -> Tensor:
    """How strong V is outside of its half of the face, on average: what SyncTalk's code punishes instead of masking.

    Args:
        As of `masked`.
    """
    above = (lips.abs() * (1.0 - below)).mean()
    return above + (face * below).mean() if face.shape[1] else above
