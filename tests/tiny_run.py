"""The shortest run of any method that still passes through every part of training, and what tests share of it."""

from __future__ import annotations

from copy import deepcopy
from functools import cache

import torch

from audioplane import registry
from audioplane.config import Config, preset
from audioplane.training.checkpoint import CLOUD
from audioplane.training.report import Report
from audioplane.training.trainer import Trainer
from tests.tiny_subject import TinySubject

SHARED = (
    "audio.mel_bands=16",
    "audio.channels=8",
    "audio.code=6",
    "audio.pretrain_steps=4",
    "gaussians.surface=false",
    "gaussians.initial=60",
    "gaussians.cap=120",
    "gaussians.densify_from=4",
    "gaussians.densify_every=4",
    "schedule.coarse=16",
    "schedule.fine=10",
    "schedule.size=0",
    "schedule.early_size=20",
    "schedule.checkpoint_every=7",
    "schedule.preview_every=0",
)
BRANCHES = (
    "method.resolution=8",
    "method.hidden=16",
    "method.mouth_initial=20",
    "method.mouth_share=0.3",
    "method.bf16=false",
)
SMALL = {
    "audio_plane": ("method.resolution=8", "method.features=8", "method.hidden=16"),
    "talking_gaussian": BRANCHES,
    "degstalk": BRANCHES,
    "gaussian_talker": ("method.resolution=8", "method.features=8", "method.width=8", "method.hidden=16"),
    "synctalk_pp": ("method.resolution=8", "method.features=8", "method.hidden=16", "method.canonical_hidden=16"),
}
"""Settings that make a method small."""

VARIANTS = {
    "audio_plane": (
        (),
        ("method.field=tri_plane",),
        ("method.field=six_planes",),
        ("method.expression=true",),
        ("method.field=tri_plane", "method.expression=true"),
        ("method.field=six_planes", "method.expression=true"),
        ("method.fusion=multiply", "method.scores=mlp", "gaussians.sh_degree=1"),
        ("method.saliency=false", "audio.fine_rate=1e-3"),
        ("gaussians.surface=true", "gaussians.initial=30", "method.bf16=false"),
    ),
    "degstalk": (
        (),
        ("method.embedding_place=after", "method.coefficients=all", "method.hair=false"),
    ),
    "synctalk_pp": (
        (),
        ("method.fusion=multiply", "method.initialisation=none", "method.mask=none", "method.expression=none"),
        ("method.initialisation=all", "method.expression=blink", "method.mask=loss", "method.pose=false"),
    ),
}
"""What contract tests try of a method beside its defaults."""


def tiny(method: str = registry.DEFAULT, *settings: str) -> Config:
    """The smallest run of a method."""
    return preset("smoke", method).replace(*SHARED, *SMALL.get(method, ()), *settings)


def every_variant() -> list[tuple[str, ...]]:
    """(method, *settings) of every registered method and its variants."""
    return [(name, *settings) for name in registry.names() for settings in VARIANTS.get(name, ((),))]


TINY = tiny()


@cache
def _trained(variant: tuple[str, ...]) -> Trainer:
    trainer = Trainer(tiny(*variant), TinySubject())
    trainer.run()
    return trainer


def trained(*variant: str) -> Trainer:
    """The finished run of (method, *settings), made once a process: a copy, which a test may change as it likes."""
    return deepcopy(_trained(variant))


class Keeper:
    """Remembers every report; stops a run as Ctrl-C would."""

    def __init__(self, stop: int = -1) -> None:
        self.reports: list[Report] = []
        self.stop = stop

    def step(self, trainer: Trainer, report: Report) -> None:
        self.reports.append(report)
        if report.iteration == self.stop:
            raise KeyboardInterrupt

    def close(self) -> None:
        pass


def state(trainer: Trainer) -> dict[str, torch.Tensor]:
    """A copy of everything that is learned."""
    return {name: tensor.clone() for name, tensor in trainer.method.state_dict().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    """Whether two states are the same bytes."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def awaken(trainer: Trainer, strength: float = 0.4) -> None:
    """Gives the last layers, which start at zero, something to say, as a long training would."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for branch in trainer.method.each():
            for layer in (branch.mlp.offset, branch.mlp.dynamism):
                layer.weight.copy_(strength * torch.randn(layer.weight.shape, generator=generator))
            for name in branch.params.keys() - CLOUD.keys():
                branch.params[name].copy_(0.1 * torch.randn(branch.params[name].shape, generator=generator))
            if "shN" in branch.params:
                rest = branch.params["shN"]
                rest.copy_(0.3 * torch.randn(rest.shape, generator=generator))
