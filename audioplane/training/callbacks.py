"""Eyes on a run: a progress bar, scalars, preview pictures, TensorBoard."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
import torch

from audioplane.runtime import documents, files
from audioplane.training.report import LOOK_EVERY

if TYPE_CHECKING:
    from audioplane.methods.types import Stage
    from audioplane.training.report import Report
    from audioplane.training.trainer import Trainer


class Progress:
    """One line that follows the run: iteration, loss terms, PSNR, Gaussians, speed, time left.

    Args:
        stream: to write to. every: seconds between updates.
    """

    def __init__(self, stream: TextIO | None = None, every: float = 0.5) -> None:
        self.stream, self.every = stream or sys.stderr, every
        self._last, self._recent, self._psnr = 0.0, [], 0.0
        self._stage = ""

    def step(self, trainer: Trainer, report: Report) -> None:
        now = time.monotonic()
        if report.iteration % LOOK_EVERY == 0 or not self._psnr:
            self._psnr = 0.6 * (self._psnr or report.psnr) + 0.4 * report.psnr
        if report.stage != self._stage:
            self._stage, self._recent = report.stage, []
        self._recent = [*self._recent[-400:], now]
        done = report.iteration + 1
        if now - self._last < self.every and done != report.total:
            return
        self._last = now
        rate = (len(self._recent) - 1) / max(now - self._recent[0], 1e-9)
        left = (report.total - done) / rate if rate else 0.0
        terms = "  ".join(f"{name} {value:.4f}" for name, value in report.terms.items())
        line = (
            f"{report.stage:6} {done:>6}/{report.total}  {terms}  PSNR {self._psnr:5.2f}  "
            f"{report.gaussians} Gaussians  {rate:5.1f} it/s  {int(left) // 60}:{int(left) % 60:02} left"
        )
        end = "\r" if self.stream.isatty() else "\n"
        if end == "\n":
            self.every = min(30.0, max(5.0, self.every * 1.5))
        self.stream.write(f"\033[K{line}{end}" if end == "\r" else line + end)
        self.stream.flush()

    def close(self) -> None:
        if self.stream.isatty():
            self.stream.write("\n")


CODES_EVERY = 500  # iterations between looks at the codes of an encoder that learns


class Scalars:
    """Appends a line of JSON to `scalars.jsonl` every so often.

    Of an encoder that learns with the field it also notes how large its codes are, and how far they move over time:
    `code_size`, the mean of |a| over frames and numbers, and `code_spread`, the mean standard deviation over frames.
    """

    def __init__(self, folder: Path, every: int = 20) -> None:
        self.path, self.every = folder / "scalars.jsonl", every
        self._start = time.monotonic()

    def step(self, trainer: Trainer, report: Report) -> None:
        if report.iteration % self.every and report.iteration + 1 != report.total:
            return
        row: dict[str, Any] = {"iteration": report.iteration, "stage": report.stage, **report.terms}
        row |= self._codes(trainer, report)
        row |= {"psnr": report.psnr, "gaussians": report.gaussians, "seconds": round(time.monotonic() - self._start, 3)}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(documents.finite(row)) + "\n")

    @torch.no_grad()
    def _codes(self, trainer: Trainer, report: Report) -> dict[str, float]:
        due = (report.iteration // self.every * self.every) % CODES_EVERY == 0 or report.iteration + 1 == report.total
        if trainer.conditions.codes is not None or not due:
            return {}
        train = trainer.subject.train
        codes = trainer.method.encoder.all_codes(trainer.conditions.windows)[train.start : train.stop]
        return {"code_size": float(codes.abs().mean()), "code_spread": float(codes.std(dim=0).mean())}

    def close(self) -> None:
        pass


def forget_after(folder: Path, iteration: int) -> None:
    """Drops what a run has noted of `iteration` and later ones, before these come (again)."""
    path = folder / "scalars.jsonl"
    if path.is_file():
        rows = path.read_bytes().decode("utf-8", "replace").splitlines(keepends=True)
        kept = [row for row in rows if row.endswith("\n") and -1 < _iteration(row) < iteration]
        files.write_text(path, "".join(kept))


def _iteration(row: str) -> int:
    """The iteration that a row of scalars is of; -1 where it is damaged."""
    try:
        return int(json.loads(row)["iteration"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return -1


class Previews:
    """Writes a strip of truth, rendering and dynamism map for two training and two held-out frames."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "previews"

    def step(self, trainer: Trainer, report: Report) -> None:
        every = trainer.config.schedule.preview_every
        done = report.iteration + 1
        if every and (done % every == 0 or done == report.total):
            import cv2

            files.make_folder(self.folder)
            strip = preview(trainer, trainer.method.position(report.iteration).stage)
            _, data = cv2.imencode(".png", strip[..., ::-1])
            files.write_bytes(self.folder / f"{done:06}.png", data.tobytes())

    def close(self) -> None:
        pass


@torch.no_grad()
def preview(trainer: Trainer, stage: Stage) -> np.ndarray:
    """Rows: truth, rendering, dynamism map; columns: frames. uint8 RGB."""
    subject, columns = trainer.subject, []
    test = subject.test if len(subject.test) else subject.train
    chosen = [*np.linspace(subject.train.start, subject.train.stop - 1, 4).astype(int)[1:3]]
    chosen += [*np.linspace(test.start, test.stop - 1, 4).astype(int)[1:3]]
    for t in chosen:
        frame, picture = trainer.cache[int(t)], trainer.render(int(t), stage.deforms, stage.branches)
        behind = torch.from_numpy(frame.behind).to(trainer.device).float() / 255.0
        made = (picture.over(behind).clamp(0, 1) * 255).byte().cpu().numpy()
        g = picture.dynamism if picture.dynamism is not None else torch.zeros(made.shape[:2])
        gray = (g.clamp(0, 1) * 255).byte().cpu().numpy()[..., None].repeat(3, axis=2)
        columns.append(np.concatenate([frame.image, made, gray]))
    return np.concatenate(columns, axis=1)


class TensorBoard:
    """Scalars and previews as TensorBoard events.

    Args:
        folder: of the run; events go to its `events`.
    """

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter  # type: ignore[attr-defined]

        self._writer = SummaryWriter(str(folder / "events"))

    def step(self, trainer: Trainer, report: Report) -> None:
        done, every = report.iteration + 1, trainer.config.schedule.preview_every
        if report.iteration % 20 == 0:
            for name, value in report.terms.items():
                self._writer.add_scalar(f"loss/{name}", value, report.iteration)
            self._writer.add_scalar("psnr", report.psnr, report.iteration)
            self._writer.add_scalar("gaussians", report.gaussians, report.iteration)
        if every and done % every == 0:
            strip = preview(trainer, trainer.method.position(report.iteration).stage)
            self._writer.add_image("preview", strip, report.iteration, dataformats="HWC")

    def close(self) -> None:
        self._writer.close()
