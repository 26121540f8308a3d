"""Audio encoders that were pre-trained before: rows of a table differ in much, but not in what pre-training sees."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from audioplane.audio.encoder import AudioEncoder
from audioplane.audio.pretrain import LipShapes
from audioplane.config import Config
from audioplane.errors import UserError
from audioplane.runtime import files, tensors
from audioplane.runtime.source_hash import source_hash

log = logging.getLogger("audioplane")

REACHED = "reached"


def kept(
    folder: Path, config: Config, windows: Tensor, shapes: LipShapes, encoder: AudioEncoder, make: Callable[[], float]
) -> float:
    """Gives an encoder the weights that pre-training would give it: read, or made and written.

    Args:
        folder: of the encoders. config: of the run.
        windows: (T, window, C) of the training frames. shapes: of the same frames.
        encoder: with its first weights; changed in place.
        make: pre-trains it, and says how well it did (`audio.pretrain.pretrain`).

    Returns:
        what `make` says.
    """
    path = folder / f"{_key(config, windows, shapes, encoder)}.safetensors"
    if path.is_file():
        try:
            found, texts = tensors.read(path, "it is made again")
            encoder.load_state_dict(found)
            return float(texts[REACHED])
        except (UserError, RuntimeError, KeyError, ValueError) as error:  # what can be made again is made again
            log.warning("%s: %s", path, error)
    reached = make()
    files.make_folder(folder)
    files.write_bytes(path, save(encoder.state_dict(), {REACHED: repr(reached)}))
    return reached


def _key(config: Config, windows: Tensor, shapes: LipShapes, encoder: AudioEncoder) -> str:
    """Of all that pre-training depends on."""
    about = {"audio": asdict(config.audio), "seed": config.seed, "torch": torch.__version__}
    found = hashlib.sha256(json.dumps([about, _code()], sort_keys=True).encode())
    for array in (windows, shapes.scores, shapes.share, *encoder.state_dict().values()):
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:16]


@functools.cache
def _code() -> str:
    return source_hash("audioplane.audio.pretrain", "audioplane.training.conditions")
