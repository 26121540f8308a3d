"""One file that holds a run at an iteration: tensors and, in its header, JSON. Written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from audioplane.errors import UserError
from audioplane.runtime import files

FORMAT = 2


def save(path: str | Path, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    """Writes `tensors` and `about`, whole or not at all: the old file stays till then.

    Raises:
        UserError: the disk is full or the folder cannot be written.
    """
    from safetensors.torch import save as to_bytes

    data = to_bytes(
        {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
        {"audioplane": json.dumps({"format": FORMAT, **about}, sort_keys=True)},
    )
    files.write_bytes(path, data)


def load(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Reads what `save` wrote, without executing anything from it.

    Raises:
        UserError: no such file, damaged, or from another version.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise UserError(f"there is no file {path}")
    try:
        with safe_open(str(path), "pt") as file:
            about = json.loads((file.metadata() or {}).get("audioplane", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, json.JSONDecodeError, OSError) as error:
        raise UserError(f"{path} is damaged or not ours ({error}); train again or copy it again") from error
    if about.get("format") != FORMAT:
        raise UserError(f"{path} has format {about.get('format')}, this version reads {FORMAT}; train again")
    return tensors, about


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
    name: str, optimizer: torch.optim.Optimizer, names: Mapping[Any, str], tensors: dict[str, Tensor]
) -> None:
    """Puts back what `pack_optimizer` returned."""
    for param, own in names.items():
        prefix = f"{name}/{own}/"
        state = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        if not state:
            continue
        rows = state.pop("rows", None)
        for key, value in state.items():
            if rows is not None and value.dim() == 2:
                full = torch.zeros(param.shape, dtype=value.dtype)
                full[rows] = value
                state[key] = full
        optimizer.state[param] = {
            key: value.clone().to("cpu" if key == "step" else param.device) for key, value in state.items()
        }
