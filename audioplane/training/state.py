"""A run's checkpoint: everything that a run at an iteration is, and how it comes back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import torch
from msgspec import Meta
from torch import Tensor

from audioplane.config import Config
from audioplane.errors import UserError
from audioplane.runtime import documents
from audioplane.training import checkpoint

if TYPE_CHECKING:
    from audioplane.subject import Subject
    from audioplane.training.trainer import Trainer

Saved = tuple[dict[str, Tensor], dict[str, Any]]


@dataclass(frozen=True)
class About:
    """The JSON of a run's checkpoint."""

    iteration: Annotated[int, Meta(ge=0, le=10**12)]
    config: dict[str, Any]
    subject: dict[str, Any]
    facts: dict[str, Any]


def identity(subject: Subject) -> dict[str, Any]:
    """What tells a subject from another: name, size, length, hash of its parts where it has one."""
    return {
        "name": subject.name,
        "frames": subject.num_frames,
        "width": subject.width,
        "height": subject.height,
        "digest": str(getattr(subject, "digest", "")),
    }


def save(trainer: Trainer, path: Path) -> None:
    """Writes a run's checkpoint; of large tables only the rows that have changed."""
    names = {param: name for name, param in trainer.method.named_parameters()}
    tensors: dict[str, Tensor] = {f"model/{name}": tensor for name, tensor in trainer.method.state_dict().items()}
    for name, first in trainer.untouched.items():
        table = tensors[f"model/{name}"].detach().cpu()
        rows = checkpoint.touched_rows(table, first)
        tensors[f"model/{name}"], tensors[f"rows/{name}"] = table[rows], rows
    for name, optimizer in trainer.optimizers.named():
        tensors |= checkpoint.pack_optimizer(name, optimizer, names)
    for name, densifier in trainer.densifiers.items():
        tensors |= {f"densify/{name}/{k}": v for k, v in densifier.state.items() if isinstance(v, Tensor)}
    about = {
        "iteration": trainer.iteration,
        "config": json.loads(trainer.config.to_json()),
        "subject": identity(trainer.subject),
        "facts": trainer.facts,
    }
    checkpoint.save(path, tensors, about)


def load(path: Path, config: Config, subject: Subject) -> Saved:
    """Reads the checkpoint of a run that is to go on.

    Raises:
        UserError: it cannot be read, or is of another config or subject.
    """
    tensors, about = checkpoint.load(path)
    documents.convert(about, About, str(path), checkpoint.ADVICE)
    changed = Config.from_json(json.dumps(about["config"])).differences(config)
    if changed:
        name, (was, asked) = next(iter(changed.items()))
        raise UserError(f"{path.parent} was started with {name}={was}, not {asked}; resume with the same settings")
    if about["subject"] != identity(subject):
        raise UserError(f"{path.parent} was started with another subject, {str(about['subject'].get('name'))[:80]}")
    return tensors, about


def restore(trainer: Trainer, saved: Saved) -> None:
    """Puts a run where its checkpoint was.

    Raises:
        UserError: the checkpoint is of another version of the method.
    """
    tensors, about = saved
    term = trainer.facts["perceptual"]
    if about["facts"].get("perceptual", term) != term:
        raise UserError(
            f"{trainer.folder} was trained with {about['facts']['perceptual']}, and here {term} would go on; "
            "`audioplane fetch` gets the weights"
        )
    trainer.iteration, trainer.facts = about["iteration"], about["facts"]
    model = {name.removeprefix("model/"): t for name, t in tensors.items() if name.startswith("model/")}
    try:
        for name, first in trainer.untouched.items():
            what = f"{trainer.folder}: {name}"
            model[name] = checkpoint.fill_rows(first, tensors.get(f"rows/{name}"), model[name], what)
        for name, branch in trainer.method.named():
            arrays = {own: model[f"branches.{name}.params.{own}"] for own in branch.params}
            own_arrays = trainer.method.own_arrays(trainer.config, name)
            checkpoint.check_cloud(arrays, f"{trainer.folder}: {name}", own_arrays)
            for own, array in arrays.items():
                branch.params[own] = torch.nn.Parameter(array.to(trainer.device))
        trainer.method.load_state_dict(model)
    except (KeyError, IndexError, RuntimeError, TypeError) as error:
        raise UserError(f"{trainer.folder} was begun by another version of audioplane; start anew") from error
    trainer.optimizers = type(trainer.optimizers)(trainer.method, trainer.device)
    names = {param: name for name, param in trainer.method.named_parameters()}
    for name, optimizer in trainer.optimizers.named():
        checkpoint.unpack_optimizer(name, optimizer, names, tensors)
    for name, densifier in trainer.densifiers.items():
        prefix = f"densify/{name}/"
        for key, tensor in tensors.items():
            if key.startswith(prefix):
                densifier.state[key.removeprefix(prefix)] = _per_gaussian(trainer, name, key, tensor)


def _per_gaussian(trainer: Trainer, branch: str, key: str, tensor: Tensor) -> Tensor:
    """What density control kept of each Gaussian, held to their number."""
    count = len(trainer.method.branch(branch).params["means"])
    if (tensor.dim() and len(tensor) != count) or not bool(torch.isfinite(tensor.double()).all()):
        raise UserError(f"{trainer.folder}: {key} does not fit {count} Gaussians; {checkpoint.ADVICE}")
    return tensor.to(trainer.device)
