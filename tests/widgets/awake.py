"""A small head that moves as a trained one does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from audioplane.inference.talking_head import TalkingHead
from audioplane.training.trainer import Trainer
from tests.tiny_run import TINY
from tests.tiny_subject import TinySubject


def awake(path: Path, sparse: bool = False, **changes: Any) -> TalkingHead:
    """A small head whose field moves everything, as a long training would leave it."""
    trainer = Trainer(TINY.replace(schedule__coarse=6, schedule__fine=4, **changes), TinySubject())
    trainer.run()
    heads, generator = trainer.method.branch("head").mlp, torch.Generator().manual_seed(3)
    with torch.no_grad():
        for layer in (heads.offset, heads.dynamism):
            layer.weight.copy_(0.4 * torch.randn(layer.weight.shape, generator=generator))
        if "shN" in trainer.method.branch("head").params:
            rest = trainer.method.branch("head").params["shN"]
            rest.copy_(0.3 * torch.randn(rest.shape, generator=generator))
    TalkingHead.export(trainer, path / "head.safetensors")
    return TalkingHead.load(path, sparse)
