"""Tables as grids of configs: rows, seeds, and what the paper says of each row."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audioplane.config import Config
from audioplane.experiments.records import Record


@dataclass(frozen=True)
class Row:
    """One line of a table: its name in the paper, the settings that make it, the paper's numbers."""

    name: str
    settings: tuple[str, ...]
    paper: dict[str, float]


# Paper: Table II (journal); "static" is ours: the coarse cloud trained as long, without any field.
ABLATION = (
    Row("static", ("schedule.fine=0",), {}),
    Row("w/o AP & SS", ("field.kind=tri_plane", "saliency.enabled=false"), {"psnr": 30.73, "ssim": 0.920}),
    Row("+ SS", ("field.kind=tri_plane",), {"psnr": 30.81, "ssim": 0.923}),
    Row("+ AP", ("saliency.enabled=false",), {"psnr": 31.54, "ssim": 0.925}),
    Row("+ AP & SS", (), {"psnr": 31.69, "ssim": 0.929}),
)
MEASURES = (
    "head_psnr",
    "head_ssim",
    "mouth_psnr",
    "mouth_ssim",
    "lip_error",
    "opening_correlation",
    "opening_amplitude",
)


def configs(base: Config, rows: tuple[Row, ...], seeds: int) -> Iterator[tuple[Row, Config]]:
    """Every run of a table."""
    for seed in range(seeds):
        for row in rows:
            config = base.replace(*row.settings, seed=seed)
            if "schedule.fine=0" in row.settings:  # as many iterations as the others, all of them coarse
                config = config.replace(schedule__coarse=base.schedule.coarse + base.schedule.fine)
            yield row, config


def _run(subject: Path, config: Config, folder: Path) -> Record:
    """In a process of its own, with one thread: two such models use two cores better than one model with two."""
    import torch

    from audioplane.experiments.runs import run
    from audioplane.subject import Subject

    torch.set_num_threads(1)
    return run(Subject.open(subject), config, folder)


def make(subject: Path, base: Config, folder: Path, rows: tuple[Row, ...] = ABLATION, seeds: int = 1, jobs: int = 2,
         told: Any = print) -> dict[str, list[Record]]:  # fmt: skip
    """Runs what has no record yet, `jobs` at a time; returns the records by row, one a seed.

    A run that fails is told and left out; the others go on.
    """
    found: dict[str, list[Record]] = {row.name: [] for row in rows}
    grid = list(configs(base, rows, seeds))
    # spawn: a forked child would inherit compiled kernels' threads in an unknown state
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting = {pool.submit(_run, subject, config, folder): (row, config.seed) for row, config in grid}
        for done, future in enumerate(as_completed(waiting), 1):
            row, seed = waiting[future]
            error = future.exception()
            if error is not None:
                told(f"[{done}/{len(grid)}] {row.name}, seed {seed}: failed: {error}")
                continue
            record = future.result()
            found[row.name].append(record)
            m = record.measures
            quality = f"head {m['head_psnr']:.2f} dB, mouth {m['mouth_psnr']:.2f} dB, r {m['opening_correlation']:.2f}"
            told(f"[{done}/{len(grid)}] {row.name}, seed {seed}: {quality}, {record.seconds['train']:.0f} s")
    return found


def markdown(records: dict[str, list[Record]], rows: tuple[Row, ...] = ABLATION) -> str:
    """The table: mean and standard deviation over seeds, the paper's PSNR and SSIM beside ours."""
    header = ["", *MEASURES, "shifted r", "paper PSNR", "paper SSIM"]
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    for row in rows:
        own = records.get(row.name, [])
        cells = [row.name]
        for name in MEASURES:
            values = np.array([r.measures[name] for r in own])
            digits = 2 if "psnr" in name or "error" in name else 3
            cells.append(
                f"{values.mean():.{digits}f} ± {values.std(ddof=min(1, len(values) - 1)):.{digits}f}"
                if own
                else "failed"
            )
        late = np.array([r.measures["shifted"]["opening_correlation"] for r in own])
        cells.append(f"{late.mean():.2f}" if own else "")
        cells += [str(row.paper.get("psnr", "-")), str(row.paper.get("ssim", "-"))]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
