"""A finished head in little space: tables that only training reads are left out, the rest is rounded.

Of every branch S is kept, of the Gaussians that move, in 8 bits; those that rest stand at their mean offset, and
further tensors have 16 bits. A packed head speaks in films and in the browser, and can be exported; it cannot be
trained on or measured with every Gaussian evaluated.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from audioplane.errors import UserError
from audioplane.inference import drawing
from audioplane.inference.folding import FoldedBranch
from audioplane.methods.base import Method
from audioplane.runtime import tensors
from audioplane.splat.gaussians import Gaussians, as_parameters
from audioplane.training import checkpoint

if TYPE_CHECKING:
    from audioplane.inference.talking_head import TalkingHead

SMALL = 4096  # numbers; a tensor of fewer is not rounded
EXACT = ("K", "viewmats", "test_viewmats")
LEVELS = 255
FOLDED = "folded/"
HELP = "this head is packed: it speaks, and no more; take the head.safetensors of its run"


@dataclass(frozen=True)
class Stored:
    """Of a packed branch: which Gaussians move (M,), and their S (M, W)."""

    moving: Tensor
    static: Tensor


def pack(head: TalkingHead, path: str | Path, torsos: int = 100, quality: int = 90) -> None:
    """Writes a head in little space.

    Args:
        head: loaded with `sparse=True`. path: of the new .safetensors. torsos: most pictures of the held-out clip that
            are kept. quality: of these and of the still torso, as JPEG.

    Raises:
        UserError: its method cannot be folded, or it is packed already.
    """
    from audioplane.inference.export import method_state

    if not head.is_folded or head.is_packed:
        raise UserError("only a head that can be folded, and is not packed yet, can be packed")
    state = method_state(head.method)
    for name in head.method.rows_read():
        state[f"model/{name}"], state[f"rows/{name}"] = state[f"model/{name}"][:0], torch.zeros(0, dtype=torch.int64)
    for name, branch in head.branches.items():
        assert branch.static is not None
        cloud = as_parameters(Gaussians.unpack(branch.rows))
        state |= {f"model/branches.{name}.params.{own}": t.detach() for own, t in cloud.items()}
        levels, low, high = _quantised(branch.static.float())
        state[f"{FOLDED}{name}/moving"] = branch.moving.to(torch.int32)
        state |= {f"{FOLDED}{name}/static": levels, f"{FOLDED}{name}/low": low, f"{FOLDED}{name}/high": high}
    state |= head.extras | _torsos(head, torsos, quality)
    about = json.loads(json.dumps(head.about)) | {"packed": True}
    checkpoint.save(path, {name: _rounded(name, tensor) for name, tensor in state.items()}, about)


def unpack(
    found: dict[str, Tensor], about: Mapping[str, Any], what: str
) -> tuple[dict[str, Tensor], dict[str, Stored]]:
    """Tensors of a head's file as `export.rebuild` takes them, and what is stored of each branch if it is packed.

    Args:
        found: tensors of the file. about: its JSON. what: the file's name.

    Raises:
        UserError: the file is damaged.
    """
    if about.get("packed") is not True:
        return found, {}
    own = {name: tensor for name, tensor in found.items() if name.startswith(FOLDED)}
    if not own:
        raise UserError(f"{what} lacks what a packed head holds; {checkpoint.ADVICE}")
    rest = {name: t.float() if t.dtype == torch.float16 else t for name, t in found.items() if name not in own}
    return rest, {name: _stored(own, name, what) for name in sorted({name.split("/")[1] for name in own})}


def restore(method: Method, stored: Mapping[str, Stored]) -> dict[str, FoldedBranch]:
    """The folded branches of a packed head; what it lacks says so when it is asked for.

    Raises:
        UserError: the file is damaged.
    """
    folded = {}
    for name, branch in method.named():
        own, count = stored.get(name), len(branch.params["means"])
        if own is None or own.static.shape[1] != branch.mlp.width or bool((own.moving >= count).any()):
            raise UserError(f"what moves in this head does not fit its Gaussians; {checkpoint.ADVICE}")
        folded[name] = FoldedBranch(branch, (), (own.moving, own.static))
        for missing in ("deformation", "static_features"):
            setattr(branch, missing, _refuse)
    return folded


def _refuse(*unused: object) -> NoReturn:
    raise UserError(HELP)


def _stored(own: dict[str, Tensor], name: str, what: str) -> Stored:
    def want(part: str, *shape: int | None, dtype: torch.dtype = torch.float32) -> Tensor:
        return tensors.check(own, f"{FOLDED}{name}/{part}", shape, what, checkpoint.ADVICE, dtype)

    moving = want("moving", None, dtype=torch.int32).long()
    if len(moving) and (int(moving[0]) < 0 or bool((moving.diff() <= 0).any())):
        raise UserError(f"{what}: {name} names moving Gaussians in no order; {checkpoint.ADVICE}")
    levels = want("static", len(moving), None, dtype=torch.uint8)
    low, high = (want(part, levels.shape[1]) for part in ("low", "high"))
    return Stored(moving, low + levels.float() * ((high - low) / LEVELS))


def _quantised(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Columns of (M, W) in 8 bits between their extremes (W,), low and high."""
    if not len(values):
        zero = values.new_zeros(values.shape[1])
        return values.to(torch.uint8), zero, zero.clone()
    low, high = values.amin(dim=0), values.amax(dim=0)
    levels = (values - low) / (high - low).clamp_min(1e-12) * LEVELS
    return levels.round().to(torch.uint8), low, high


def _rounded(name: str, tensor: Tensor) -> Tensor:
    is_exact = name in EXACT or name.endswith(".means") or tensor.numel() < SMALL
    return tensor if is_exact or tensor.dtype != torch.float32 else tensor.half()


def _torsos(head: TalkingHead, most: int, quality: int) -> dict[str, Tensor]:
    """The still torso and the first ones of the held-out clip, as smaller JPEGs, with their poses."""
    import cv2

    count = min(most, len(head.extras["test_viewmats"]))
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
    pictures = (drawing.torso(head, k, head.width, head.height)[..., ::-1] for k in range(count + 1))
    packs = [cv2.imencode(".jpg", picture, options)[1] for picture in pictures]
    return {
        "torso": torch.from_numpy(np.concatenate(packs)),
        "torso_ends": torch.from_numpy(np.cumsum([len(one) for one in packs])),
        "test_viewmats": head.extras["test_viewmats"][:count].clone(),
    }
