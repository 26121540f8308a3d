"""Heads that are trained once: found again by subject, settings and the code they depend on."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from audioplane import registry
from audioplane.config import Config
from audioplane.errors import UserError
from audioplane.runtime import cache, device, documents, files, weights
from audioplane.runtime.names import check_name, is_name
from audioplane.runtime.source_hash import source_hash

if TYPE_CHECKING:
    from audioplane.subject import Subject
    from audioplane.training.trainer import Callback

TRAINING = ("audioplane.subject", "audioplane.training.trainer", "audioplane.inference.export")
"""Where training enters the code; the method of a run comes to it."""
HEAD, STATE = "head.safetensors", "state.safetensors"


def training_code(config: Config) -> str:
    """A hash of all code, data and optional model files that training with a config depends on."""
    from audioplane.losses.terms import perceptual_name

    return source_hash(*TRAINING, *registry.modules(config.method.NAME)) + weights.contents(
        config.audio.features, config.audio.model, perceptual_name(config.loss)
    )


def place(subject: str, digest: str, config: Config) -> Path:
    """The folder of a run in the user's cache: by its subject, settings, code and kind of device.

    Args:
        subject: its name. digest: of its content. config: of the run.
    """
    text = f"{digest} {config.to_json()} {training_code(config)} {device.kind()}"
    check_name(subject, "the speaker's name")
    return cache.folder("runs") / f"{subject}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def trained(subject: Subject, config: Config, callbacks: Sequence[Callback] = ()) -> Path:
    """The folder of a finished run in the user's cache; trains on first use, goes on where it was interrupted.

    Args:
        subject: to learn. config: of the run. callbacks: told about every iteration.

    Returns:
        a folder with `head.safetensors` and `scalars.jsonl`.
    """
    cache.make("runs")
    folder = place(subject.name, subject.digest, config)
    with files.lock(folder):
        if not (folder / HEAD).is_file():
            _train(subject, config, folder, callbacks)
    return folder


def forget_head(subject: str, config: Config) -> None:
    """Removes the finished and unfinished runs of a config on subjects of that name."""
    for folder in runs_of(subject, config):
        shutil.rmtree(folder)


def runs_of(subject: str, config: Config) -> list[Path]:
    """The folders of a config's runs on subjects of that name, of any version of the code; the name is no pattern."""
    folder = cache.folder("runs")
    if not is_name(subject) or not folder.is_dir():
        return []
    places = [one for one in folder.iterdir() if one.name[: -len("-0123456789ab")] == subject]
    return sorted(one for one in places if not one.is_symlink() and _config(one) == config.to_json())


def _config(folder: Path) -> str:
    try:
        return documents.read_bytes(folder / "config.json").decode()
    except (UserError, UnicodeDecodeError):
        return ""


def _train(subject: Subject, config: Config, folder: Path, callbacks: Sequence[Callback]) -> None:
    from audioplane.inference.export import export
    from audioplane.metrics.speed import device_name
    from audioplane.training.callbacks import Scalars, forget_after
    from audioplane.training.trainer import Trainer

    folder.mkdir(parents=True, exist_ok=True)
    resume = (folder / STATE).is_file()
    told, encoders = [*callbacks, Scalars(folder, every=10)], cache.folder("encoders")
    trainer = Trainer(config, subject, folder, told, resume=resume, encoders=encoders)
    forget_after(folder, trainer.iteration)
    trainer.run()
    trainer.facts["device"] = device_name(trainer.device)
    export(trainer, folder / HEAD)
    (folder / STATE).unlink(missing_ok=True)  # only resuming needs it, and it is the larger part
