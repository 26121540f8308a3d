"""Heads that are trained once: found again by subject, settings and the code they depend on."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from audioplane.config import Config
from audioplane.runtime import cache, files

if TYPE_CHECKING:
    from audioplane.subject import Subject
    from audioplane.training.trainer import Callback

PACKAGE = Path(__file__).parents[1]
TRAINING = ("audio", "config.py", "deform", "inference", "methods", "splat", "training")
HEAD, STATE = "head.safetensors", "state.safetensors"


def code_version(rooms: Sequence[str]) -> str:
    """A hash of the sources, and of the weights that ship, of some rooms of this package, folders or files."""
    digest = hashlib.sha256()
    for room in rooms:
        inside = [file for kind in ("*.py", "*.safetensors") for file in sorted((PACKAGE / room).rglob(kind))]
        for file in inside or [PACKAGE / room]:
            digest.update(file.relative_to(PACKAGE).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def trained(subject: Subject, config: Config, callbacks: Sequence[Callback] = ()) -> Path:
    """The folder of a finished run in the user's cache; trains on first use, goes on where it was interrupted.

    Args:
        subject: to learn. config: of the run. callbacks: told about every iteration.

    Returns:
        a folder with `head.safetensors` and `scalars.jsonl`.
    """
    text = f"{subject.digest} {config.to_json()} {code_version(TRAINING)}"
    key = hashlib.sha256(text.encode()).hexdigest()[:12]
    folder = cache.make("runs") / f"{subject.name}-{key}"
    with files.lock(folder):
        if not (folder / HEAD).is_file():
            _train(subject, config, folder, callbacks)
    return folder


def forget_head(subject: str, config: Config) -> None:
    """Removes the finished and unfinished runs of a config on subjects of that name."""
    for path in cache.folder("runs").glob(f"{subject}-*/config.json"):
        if path.read_text(encoding="utf-8") == config.to_json():
            shutil.rmtree(path.parent)


def _train(subject: Subject, config: Config, folder: Path, callbacks: Sequence[Callback]) -> None:
    from audioplane.inference.talking_head import TalkingHead
    from audioplane.training.callbacks import Scalars
    from audioplane.training.trainer import Trainer

    folder.mkdir(parents=True, exist_ok=True)
    resume = (folder / STATE).is_file()
    trainer = Trainer(config, subject, folder, [*callbacks, Scalars(folder, every=10)], resume=resume)
    _forget(folder / "scalars.jsonl", trainer.iteration)
    trainer.run()
    TalkingHead.export(trainer, folder / HEAD)
    (folder / STATE).unlink(missing_ok=True)  # only resuming needs it, and it is the larger part


def _forget(scalars: Path, iteration: int) -> None:
    """Drops what was noted after the checkpoint: those iterations come again."""
    if scalars.is_file():
        rows = scalars.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [row for row in rows if row.endswith("\n") and json.loads(row)["iteration"] < iteration]
        files.write_text(scalars, "".join(kept))
