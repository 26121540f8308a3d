"""What a single audio prototype does: which Gaussians it moves, and the face when attention is led to it by hand.

Steering changes Eq. 7's weights w of one level to (1 - amount) w + amount e, with e one at the prototype; f_a is linear
in the weights, so f_a goes the same way towards that row of A.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from audioplane.methods.audio_plane.field import AudioPlane
from audioplane.methods.audio_plane.model import settings
from audioplane.methods.audio_plane.paper.inspection import branch_of
from audioplane.methods.types import Modulation
from audioplane.splat.gaussians import Gaussians, displacement

if TYPE_CHECKING:
    from audioplane.inference.talking_head import TalkingHead


def plane_of(head: TalkingHead) -> AudioPlane:
    """The head's audio plane.

    Raises:
        ValueError: its field has no prototypes.
    """
    field = branch_of(head.method).field
    if not isinstance(field, AudioPlane):
        kind = settings(head.config).field
        raise ValueError(f"head: expected one with an audio plane, received one with the field {kind}")
    return field


@torch.no_grad()
def steered(head: TalkingHead, audio_code: Tensor, level: int, row: int, amount: float) -> Tensor:
    """f_a (levels, D) with the attention of `level` (from 0) led to prototype `row` by `amount`, 0 to 1."""
    changed = audio_code.clone()
    changed[level] = torch.lerp(audio_code[level], plane_of(head).prototypes[level][row], amount)
    return changed


@torch.no_grad()
def mean_code(head: TalkingHead) -> Tensor:
    """f_a over the training voice: (levels, D)."""
    field = plane_of(head)
    return torch.stack([field.audio_code(audio) for audio in head.extras["codes"]]).mean(0)


@torch.no_grad()
def change(head: TalkingHead, static: Tensor, audio_code: Tensor) -> Tensor:
    """d * Delta G in its units, (N, P), of Gaussians with features `static` (N, W) under f_a."""
    branch = branch_of(head.method)
    moved = branch.decode(static, Modulation(plane_of(head).spread(audio_code)))
    return displacement(moved.offsets, moved.weight, branch.units)


@torch.no_grad()
def deform(head: TalkingHead, audio_code: Tensor) -> Gaussians:
    """The cloud under f_a (levels, D): Eq. 13."""
    return head.cloud.moved(change(head, _static(head), audio_code))


@torch.no_grad()
def reaches(head: TalkingHead, level: int) -> Tensor:
    """How far each Gaussian goes when the attention of a level moves from the mean to one prototype, mm: (sH, N)."""
    static, mean = _static(head), mean_code(head)
    still = change(head, static, mean)[:, :3]
    codes = [steered(head, mean, level, row, 1.0) for row in range(len(plane_of(head).prototypes[level]))]
    return torch.stack([1e3 * (change(head, static, code)[:, :3] - still).norm(dim=1) for code in codes])


def _static(head: TalkingHead) -> Tensor:
    return plane_of(head).static(branch_of(head.method).points())
