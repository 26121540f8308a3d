"""The shortest run that still passes through every part of training, and a watcher that keeps its reports."""

from __future__ import annotations

from audioplane.config import preset
from audioplane.training.trainer import Report, Trainer

TINY = preset("smoke").replace(
    audio__mel_bands=16, audio__channels=8, audio__code=6, audio__pretrain_steps=4, method__resolution=8,
    method__features=8, method__hidden=16, gaussians__initial=60, gaussians__cap=120, gaussians__densify_from=4,
    gaussians__densify_every=4,
    schedule__coarse=16, schedule__fine=10, schedule__size=0, schedule__early_size=20, schedule__checkpoint_every=7,
    schedule__preview_every=0,
)  # fmt: skip


class Keeper:
    """Remembers every report."""

    def __init__(self, stop: int = -1) -> None:
        self.reports: list[Report] = []
        self.stop = stop

    def step(self, trainer: Trainer, report: Report) -> None:
        self.reports.append(report)
        if report.iteration == self.stop:
            raise KeyboardInterrupt

    def close(self) -> None:
        pass
