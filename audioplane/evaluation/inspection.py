"""What a trained head's Gaussians do, as arrays and pictures, for any method. Nothing is trained here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audioplane.methods.base import Method
from audioplane.methods.types import Condition
from audioplane.runtime import seeds
from audioplane.splat.gaussians import Gaussians, Picture, displacement

if TYPE_CHECKING:
    from audioplane.inference.talking_head import TalkingHead


def before_training(head: TalkingHead) -> Method:
    """The trained clouds under the networks that training started from (same seed, same draws)."""
    method = head.method
    clouds = {name: branch.cloud.detach() for name, branch in method.named()}
    generator = seeds.generator(head.config.seed, seeds.WEIGHTS)
    return type(method)(head.config, clouds, method.box, int(head.about["channels"]), generator).eval()


def at_rest(head: TalkingHead) -> TalkingHead:
    """The head with its mouth held still: the canonical cloud, whatever the audio."""
    from audioplane.inference.talking_head import TalkingHead

    return TalkingHead(before_training(head), head.about, head.extras, sparse=False)


@torch.no_grad()
def frame_picture(head: TalkingHead, code: Tensor, view: NDArray, expression: NDArray | None = None) -> Picture:
    """Picture and dynamism map of one frame, in one pass (Audio-Plane, Eq. 4 and 14)."""
    condition = head.condition(code, expression=expression, viewmat=view)
    camera, K = torch.from_numpy(np.asarray(view)).to(head.device), head.K.to(head.device)
    return head.method.render(condition, camera, K, head.width, head.height)


@torch.no_grad()
def movement(head: TalkingHead, codes: Tensor, times: Sequence[float] = ()) -> tuple[Tensor, Tensor]:
    """What audio codes do to the Gaussians, every one evaluated.

    Args:
        head: of N Gaussians. codes: (T, code). times: of each, for fields over time; default all 0.

    Returns:
        d Delta G of the positions, millimetres (T, N, 3), and d (T, N), 1 where the method has no weight.
    """
    conditions = [head.condition(code, time) for code, time in zip(codes, times or [0.0] * len(codes), strict=True)]
    return moved_under(head, conditions)


@torch.no_grad()
def moved_under(head: TalkingHead, conditions: Sequence[Condition]) -> tuple[Tensor, Tensor]:
    """`movement` of any conditions: of a voice, an expression and a pose together."""
    moved, weights = [], []
    for condition in conditions:
        shifts, shares = [], []
        for folded in head.branches.values():
            one = folded.deformation(condition)
            shifts.append(1e3 * displacement(one.offsets, one.weight, folded.branch.units)[:, :3])
            shares.append(one.offsets.new_ones(len(one.offsets)) if one.weight is None else one.weight[:, 0])
        moved.append(torch.cat(shifts).cpu())
        weights.append(torch.cat(shares).cpu())
    return torch.stack(moved), torch.stack(weights)


def visibility(head: TalkingHead, view: NDArray, mask: NDArray | None = None) -> Tensor:
    """How much of the picture each Gaussian makes up, in pixels (N,): the sum of its blending weights.

    Args:
        head: of N Gaussians. view: (4, 4) camera-from-head. mask: (H, W) of bool, the part of the picture that counts.
    """
    values = torch.zeros(len(head.cloud), 1, requires_grad=True)
    drawn = _draw(head, values, view, head.cloud)[0][..., 0]
    (drawn if mask is None else drawn * torch.from_numpy(mask)).sum().backward()
    assert values.grad is not None
    return values.grad[:, 0]


def most_visible_motion(head: TalkingHead, codes: Tensor, view: NDArray) -> int:
    """The Gaussian whose movement under these codes shows most in the picture."""
    moved = movement(head, codes)[0].std(dim=0).norm(dim=1)
    return int((moved * visibility(head, view)).argmax())


# Pictures of what is not colour


def as_colors(features: Tensor) -> Tensor:
    """The three main directions of features (N, W) as red, green and blue in [0, 1]: (N, 3)."""
    centred = features - features.mean(0)
    _, vectors = torch.linalg.eigh(centred.T @ centred)
    main = centred @ vectors[:, -3:].flip(1)
    low, high = main.quantile(0.02, dim=0), main.quantile(0.98, dim=0)
    return ((main - low) / (high - low)).clamp(0, 1)


def mean_inside(maps: list[NDArray], masks: list[NDArray]) -> float:
    """The mean of maps (H, W) over the pixels of their masks, NaN left out."""
    return float(np.nanmean(np.concatenate([values[mask] for values, mask in zip(maps, masks, strict=True)])))


@torch.no_grad()
def splat_values(head: TalkingHead, values: Tensor, view: NDArray, cloud: Gaussians | None = None) -> NDArray:
    """Any values (N, C) of the Gaussians drawn as if they were colours: (H, W, C), NaN where there is no head."""
    drawn, alpha = _draw(head, values, view, head.cloud if cloud is None else cloud)
    return torch.where(alpha > 0.5, drawn / alpha.clamp_min(1e-3), torch.nan).numpy()


def _draw(head: TalkingHead, values: Tensor, view: NDArray, cloud: Gaussians) -> tuple[Tensor, Tensor]:
    from audioplane.splat import rasterization

    cloud = cloud.to("cpu")
    drawn, alpha, _ = rasterization(
        cloud.means,
        cloud.quats,
        cloud.scales.exp(),
        torch.sigmoid(cloud.opacities),
        values.contiguous(),
        torch.from_numpy(np.asarray(view))[None],
        head.K[None],
        head.width,
        head.height,
        packed=False,
    )
    return drawn[0], alpha[0]


def motion_std(head: TalkingHead, codes: Tensor, view: NDArray) -> NDArray:
    """How far each place strays from its mean position under these codes, drawn: (H, W) mm, NaN where no head is."""
    moved = movement(head, codes)[0]
    return splat_values(head, (moved - moved.mean(0)).norm(dim=2).mean(0)[:, None], view)[..., 0]
