"""A finished head in little space: tables that only training reads are left out, the rest is rounded.

Of every branch S is kept, of the Gaussians that move; those that rest stand at their mean offset. S and what else is
large have 8 bits a number, each column between its extremes; where Gaussians are, and their sizes, 16 and more. A
packed head speaks in films and in the browser, and can be exported; it cannot be trained on or measured with every
Gaussian evaluated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
from audioplane.runtime import documents, tensors
from audioplane.splat.gaussians import Gaussians, as_parameters
from audioplane.training import checkpoint

if TYPE_CHECKING:
    from audioplane.inference.talking_head import TalkingHead

SMALL = 4096  # numbers; a tensor of fewer is not rounded
EXACT = ("K", "viewmats", "test_viewmats")
FINE = (".means", ".scales")  # of a cloud: rounded less than the rest
LEVELS = 255
FOLDED, QUANTISED = "folded/", "8bit/"
HELP = "this head is packed: it speaks, and no more; take the head.safetensors of its run"


@dataclass(frozen=True)
class Stored:
    """Of a packed branch: which Gaussians move (M,), and their S (M, W)."""

    moving: Tensor
    static: Tensor


def pack(head: TalkingHead, path: str | Path, torsos: int = 34, quality: int = 92) -> None:
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
        state[f"{FOLDED}{name}/moving"] = branch.moving.to(torch.int32)
        state[f"{FOLDED}{name}/static"] = branch.static.float()
    state |= head.extras | _torsos(head, torsos, quality)
    small: dict[str, Tensor] = {}
    for name, tensor in state.items():
        small |= _small(name, tensor)
    checkpoint.save(path, small, {**head.about, "packed": True, "shapes": _shapes(state, small)})


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
    shapes = documents.convert(about.get("shapes", {}), dict[str, list[int]], what, checkpoint.ADVICE)
    whole = {
        name: t.float() if t.dtype == torch.float16 else t
        for name, t in found.items()
        if not name.startswith(QUANTISED)
    }
    whole |= {name: _restored(found, name, shape, what) for name, shape in shapes.items()}
    own = {name: tensor for name, tensor in whole.items() if name.startswith(FOLDED)}
    if not own:
        raise UserError(f"{what} lacks what a packed head holds; {checkpoint.ADVICE}")
    rest = {name: tensor for name, tensor in whole.items() if name not in own}
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
    return Stored(moving, want("static", len(moving), None))


def _small(name: str, tensor: Tensor) -> dict[str, Tensor]:
    """A tensor as a packed file has it: as it is, in 16 bits, or in 8 bits with the extremes of its columns."""
    if tensor.dtype != torch.float32 or tensor.numel() < SMALL or name in EXACT or name.endswith(".means"):
        return {name: tensor}
    if name.endswith(FINE):
        return {name: tensor.half()}
    columns = tensor.reshape(len(tensor), -1)
    low, high = columns.amin(dim=0), columns.amax(dim=0)
    levels = ((columns - low) / (high - low).clamp_min(1e-12) * LEVELS).round().to(torch.uint8)
    return {f"{QUANTISED}{name}": levels, f"{QUANTISED}low/{name}": low, f"{QUANTISED}high/{name}": high}


def _shapes(state: Mapping[str, Tensor], small: Mapping[str, Tensor]) -> dict[str, list[int]]:
    """Of the tensors that have 8 bits, by their names."""
    return {name: list(tensor.shape) for name, tensor in state.items() if name not in small}


def _restored(found: dict[str, Tensor], name: str, shape: Sequence[int], what: str) -> Tensor:
    def want(part: str, *shape: int | None, dtype: torch.dtype = torch.float32) -> Tensor:
        return tensors.check(found, f"{QUANTISED}{part}{name}", shape, what, checkpoint.ADVICE, dtype)

    levels = want("", None, None, dtype=torch.uint8)
    if not shape or min(shape) < 0 or math.prod(shape) != levels.numel():
        raise UserError(f"{what}: {name[:80]} has another size than it says; {checkpoint.ADVICE}")
    low, high = (want(part, levels.shape[1]) for part in ("low/", "high/"))
    return (low + levels.float() * ((high - low) / LEVELS)).reshape(tuple(shape))


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
