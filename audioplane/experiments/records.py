"""A `Record`: what one run was, and what it measured; one JSON file, named by what determines it."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Record:
    """One run.

    Attributes:
        config: every setting, nested as in `Config`. subject: name, digest, size and split of what was learnt.
        versions: of audioplane, torch, numpy, Python. device: it ran on, and threads.
        seconds: wall time of preparing, training and evaluating. facts: what the run found on the way.
        measures: the summary of `evaluate`, and those of controls under their names.
        series: per-frame values behind the summary.
    """

    config: dict[str, Any]
    subject: dict[str, Any]
    versions: dict[str, str]
    device: str
    seconds: dict[str, float]
    facts: dict[str, Any]
    measures: dict[str, Any]
    series: dict[str, list[float]]

    def save(self, path: Path) -> None:
        """Writes the record; there is never half of one."""
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        beside.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        beside.replace(path)

    @staticmethod
    def load(path: Path) -> Record:
        return Record(**json.loads(path.read_text(encoding="utf-8")))


def key(config: dict[str, Any], subject: dict[str, Any]) -> str:
    """What a record is named by: twelve hex digits of its config and its subject."""
    text = json.dumps([config, subject], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def versions() -> dict[str, str]:
    """Of what a result may depend on."""
    import numpy
    import torch

    from audioplane import __version__

    return {
        "audioplane": __version__,
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "python": platform.python_version(),
    }
