"""One file that holds a run at an iteration: tensors and, in its header, JSON. Written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from audioplane.errors import UserError
from audioplane.runtime import documents, files, tensors
from audioplane.runtime.tensors import Shape

FORMAT = 2
ADVICE = "train again or copy it again"
CLOUD: dict[str, Shape] = {
    "means": (None, 3),
    "quats": (None, 4),
    "scales": (None, 3),
    "opacities": (None,),
    "sh0": (None, 1, 3),
    "shN": (None, None, 3),
}
"""What a cloud's arrays are called in files, and their shapes."""
MOMENTS = ("exp_avg", "exp_avg_sq")
STEPS = 1e12  # most steps that an optimizer can have made


def save(path: str | Path, arrays: dict[str, Tensor], about: dict[str, Any]) -> None:
    """Writes `arrays` and `about`, whole or not at all: the old file stays till then.

    Raises:
        UserError: the disk is full or the folder cannot be written.
    """
    from safetensors.torch import save as to_bytes

    data = to_bytes(
        {name: tensor.detach().cpu().contiguous() for name, tensor in arrays.items()},
        {"audioplane": json.dumps(documents.finite({"format": FORMAT, **about}), sort_keys=True)},
    )
    files.write_bytes(path, data)


def load(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Reads what `save` wrote, without executing anything from it.

    Raises:
        UserError: no such file, damaged, or from another version.
    """
    found, texts = tensors.read(Path(path), ADVICE)
    about = documents.parse(texts.get("audioplane", "{}"), dict[str, Any], str(path), ADVICE)
    if type(about.get("format")) is not int or about["format"] != FORMAT:
        shown = str(about.get("format"))[:40]
        raise UserError(f"{path} has format {shown}, this version reads {FORMAT}; train again")
    return found, about


def check_cloud(arrays: Mapping[str, Tensor], what: str, own: Mapping[str, int] | None = None) -> None:
    """Refuses arrays that are no cloud of Gaussians; what indexes them looks no more.

    Args:
        arrays: by their names in files, see `CLOUD`. what: whose they are.
        own: further numbers of each Gaussian, name -> how many (`Method.own_arrays`).

    Raises:
        UserError: one is missing, has another shape or type, or holds NaN.
    """
    for name in arrays:
        if name not in CLOUD and name not in (own or {}):
            raise UserError(f"{what} has an array {name[:60]!r}, which no cloud has; {ADVICE}")
    means = tensors.check(dict(arrays), "means", CLOUD["means"], what, ADVICE)
    for name, (_, *rest) in CLOUD.items():
        if name != "shN" or name in arrays:
            found = tensors.check(dict(arrays), name, (len(means), *rest), what, ADVICE)
            if name == "shN" and found.shape[1] not in (3, 8, 15):
                raise UserError(f"{what}: {found.shape[1]} higher harmonics are no whole degree up to 3; {ADVICE}")
    for name, size in (own or {}).items():
        tensors.check(dict(arrays), name, (len(means), size), what, ADVICE)
    if not len(means):
        raise UserError(f"{what} has no Gaussians; {ADVICE}")


def fill_rows(table: Tensor, rows: Tensor | None, values: Tensor | None, what: str) -> Tensor:
    """A copy of `table` (n, D) with `values` (k, D) in the rows (k,) int64 that a file names.

    Raises:
        UserError: they do not fit.
    """
    own = {name: tensor for name, tensor in (("rows", rows), ("values", values)) if tensor is not None}
    places = tensors.check(own, "rows", (None,), what, ADVICE, torch.int64)
    new = tensors.check(own, "values", (len(places), *table.shape[1:]), what, ADVICE, table.dtype)
    if len(places) and (int(places.min()) < 0 or int(places.max()) >= len(table)):
        raise UserError(f"{what} names rows that are not among the {len(table)}; {ADVICE}")
    whole = table.clone()
    whole[places] = new
    return whole


def touched_rows(table: Tensor, untouched: Tensor) -> Tensor:
    """Rows of `table` (rows, D) that differ from `untouched`: (k,) int64."""
    return (table != untouched).any(dim=1).nonzero()[:, 0]


def pack_optimizer(name: str, optimizer: torch.optim.Optimizer, names: Mapping[Any, str]) -> dict[str, Tensor]:
    """The state tensors of an optimizer, by the names of its parameters; tables by the rows that ever moved."""
    out = {}
    for param, state in optimizer.state.items():
        for key, value in state.items():
            place = f"{name}/{names[param]}/{key}"
            if key == "exp_avg_sq" and value.dim() == 2 and len(value) > 50_000:
                rows = value.any(dim=1).nonzero()[:, 0]
                out[f"{name}/{names[param]}/rows"] = rows
                out[place], out[f"{name}/{names[param]}/exp_avg"] = value[rows], state["exp_avg"][rows]
            else:
                out.setdefault(place, torch.as_tensor(value))
    return out


def unpack_optimizer(
    name: str, optimizer: torch.optim.Optimizer, names: Mapping[Any, str], saved: dict[str, Tensor]
) -> None:
    """Puts back what `pack_optimizer` returned.

    Raises:
        UserError: a moment has another size than its parameter, or is no moment at all.
    """
    for param, own in names.items():
        prefix = f"{name}/{own}/"
        state = {key.removeprefix(prefix): value for key, value in saved.items() if key.startswith(prefix)}
        if state:
            optimizer.state[param] = _state(param, state, prefix)


def _state(param: Tensor, state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """An optimizer's state of one parameter, held to the parameter's size."""
    what = f"the checkpoint's {prefix.rstrip('/')}"
    if not {"step", *MOMENTS} <= state.keys() or state.keys() - {"step", "rows", *MOMENTS}:
        raise UserError(f"{what} holds {', '.join(sorted(state))}, expected step, {', '.join(MOMENTS)}; {ADVICE}")
    step = float(state["step"]) if state["step"].numel() == 1 else -1.0
    if not 0 < step <= STEPS or step != round(step):
        raise UserError(f"{what}/step is no number of steps; {ADVICE}")
    found = {"step": state["step"].reshape(()).clone().to(param.device)}
    for key in MOMENTS:
        value = state[key]
        if "rows" in state:
            value = fill_rows(torch.zeros(param.shape), state["rows"], value, f"{what}/{key}")
        tensors.check({key: value}, key, tuple(param.shape), what, ADVICE)
        if key == "exp_avg_sq" and bool((value < 0).any()):
            raise UserError(f"{what}/{key} has negative numbers; {ADVICE}")
        found[key] = value.clone().to(param.device)
    return found
