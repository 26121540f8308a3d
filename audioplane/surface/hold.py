"""Keeps a cloud on a surface while it learns: near it, flat along its normals, neither huge nor tiny.

Applied to the parameters after each step (a projection, not a term of the loss), so it is the same for every method
and costs no backward pass.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from audioplane.surface.field import Surface

INSIDE, OUTSIDE = 0.004, 0.004  # metres from the surface that Gaussians may lie
MOUTH, MOUTH_REACH = 0.030, 0.036  # metres inside behind the lips, for teeth and tongue; and around their middle
THICKNESS = 0.0010  # metres, standard deviation along the normal
LARGEST, SMALLEST = 0.009, 0.0002  # metres, standard deviations
LIPS = range(48, 68)


class Holder:
    """Of one surface.

    Args:
        surface: of the head. device: of the clouds.
    """

    def __init__(self, surface: Surface, device: torch.device) -> None:
        self.surface = surface.to(device)
        middle = surface.landmarks[list(LIPS)].mean(0)
        self.lips = torch.tensor(middle, dtype=torch.float32, device=device)

    @torch.no_grad()
    def __call__(self, params: nn.ParameterDict) -> None:
        """Brings a cloud back in place (`splat.gaussians.as_parameters`)."""
        means, scales = params["means"], params["scales"]
        distance, out = self.surface.look(means)
        near_lips = ((means - self.lips).norm(dim=1) / MOUTH_REACH < 1.0).to(means)
        inside = INSIDE + (MOUTH - INSIDE) * near_lips
        too_far = distance - distance.clamp(-1.0, OUTSIDE).maximum(-inside)
        means -= too_far[:, None] * out
        scales.clamp_(math.log(SMALLEST), math.log(LARGEST))
        shares = (axes(params["quats"]) * out[:, :, None]).sum(1) ** 2  # of each axis along the normal
        thick = (shares * (2.0 * scales).exp()).sum(1)
        over = (0.5 * thick.log() - math.log(THICKNESS)).clamp_min(0.0) * (1.0 - near_lips)
        scales -= over[:, None] * shares


def axes(quats: Tensor) -> Tensor:
    """Rotation matrices (N, 3, 3) of quaternions (N, 4), (w, x, y, z), of any length; columns are the axes."""
    w, x, y, z = torch.nn.functional.normalize(quats, dim=1).unbind(1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, dim=1).view(-1, 3, 3)
