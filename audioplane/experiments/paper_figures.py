"""The paper's figures and a dot plot of each table, from records and heads that are on this machine.

Nothing is trained here. Each figure comes with a sidecar that says what it was drawn from.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from audioplane import plots
from audioplane.config import preset as find_preset
from audioplane.errors import UserError
from audioplane.evaluation import user_study
from audioplane.experiments import run_cache, runner, runs
from audioplane.experiments.records import Record, read_all, today, versions
from audioplane.experiments.results import Result
from audioplane.experiments.runs import Job
from audioplane.experiments.tables import LENGTHS, MEASURES, TABLES, jobs
from audioplane.methods.audio_plane.paper import inspection as field_inspection
from audioplane.methods.audio_plane.paper import pipeline_trace
from audioplane.runtime import cache, files
from audioplane.runtime.source_hash import source_hash
from audioplane.subject import sounds

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from audioplane.inference.talking_head import TalkingHead
    from audioplane.subject import Subject

FULL = ("table2", "+ AP & SS", "test set A")  # the head of Fig. 1, 3 and 4
MARGINS = ("0.05", "0.1", "0.2", "0.3")
METHODS = ("Audio-Plane", "tri-plane + audio", "six-planes over time")
LEFT_OUT = ("opening_amplitude", "shifted_correlation")  # have no better and worse
STATED = {"psnr": "PSNR", "ssim": "SSIM", "lpips": "LPIPS", "syncnet": "SyncNet", "fps": "FPS"}  # by the paper
SMALLER = ("lpips", "lip_error")
LEAST = {
    "head_psnr": 0.5,
    "mouth_psnr": 1.0,
    "head_ssim": 0.005,
    "mouth_ssim": 0.01,
    "lse_c": 0.05,
    "lip_error": 0.1,
    "opening_correlation": 0.05,
}
"""Lengths below which a scale of dots says nothing."""
SECONDS = 2.4  # of voice in Fig. 1
SENTENCE = 4.0  # and in Fig. 4
DPI = {"png": 110, "pdf": 150}


class NotHereError(Exception):
    """What a figure needs is not on this machine; the message says what, and how to make it."""


@dataclass
class Sources:
    """What a figure was drawn from; `older` names heads that another version of the code trained."""

    records: list[Record] = field(default_factory=list)
    heads: dict[str, Path] = field(default_factory=dict)
    older: list[str] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return {
            "records": [
                {
                    "key": r.key,
                    "identity": r.identity,
                    "code": r.code,
                    "made": r.made,
                    "seed": r.seed,
                    "clip": r.clip,
                    "driven": r.driven,
                    "device": r.device,
                    "versions": r.versions,
                }
                for r in self.records
            ],
            "heads": {
                name: {"run": path.parent.name, "sha256": _digest(path), "this_code": name not in self.older}
                for name, path in self.heads.items()
            },
            "files": {path.name: _digest(path) for path in self.others},
        }


@dataclass(frozen=True)
class Desk:
    """Where figures are drawn: at which preset, from which ratings of a user study, and what was used so far."""

    preset: str
    ratings: tuple[Path, ...] = ()
    sources: Sources = field(default_factory=Sources)

    def speaking(self, table: str, row: str, column: str) -> tuple[Subject, TalkingHead]:
        """The speaker and the head of a cell, seed 0.

        Raises:
            NotHereError: the head was not trained on this machine.
        """
        from audioplane.inference.talking_head import TalkingHead

        job = jobs(TABLES[table], self.preset, 1)[row, column, 0]
        found = trained_head(job)
        if found is None:
            raise NotHereError(
                f"no head '{row}' of {table} at {self.preset}: `audioplane reproduce {table} --preset {self.preset}` "
                f"trains it"
            )
        path, current = found
        try:
            head = TalkingHead.load(path, sparse=False)
        except UserError as error:  # of a version that wrote other files
            raise NotHereError(str(error)) from error
        self.sources.heads[f"{table}: {row}"] = path
        if not current:
            self.sources.older.append(f"{table}: {row}")
        record = runs.find(job) or read_all(runner.shelf(self.preset)).get(job.identity)
        if record is not None:
            self.sources.records.append(record)
        return job.clip.open(), head


def trained_head(job: Job) -> tuple[Path, bool] | None:
    """The head of a job that was trained here, and whether this version of the code did it; None without any.

    Without one of this version the newest of an older one stands in, of the same speaker, settings and size. Nothing is
    trained for it.
    """
    text, folder = job.config.to_json(), cache.folder("runs")
    known = [
        path.with_name(run_cache.HEAD)
        for path in folder.glob(f"{job.clip.speaker}-*/config.json")
        if path.read_text(encoding="utf-8") == text
    ]
    known = [path for path in known if path.is_file()]
    if not known:
        return None
    own = run_cache.place(job.clip.speaker, job.clip.open().digest, job.config) / run_cache.HEAD
    return (own, True) if own in known else (max(known, key=lambda path: path.stat().st_mtime), False)


def table_result(name: str, preset: str) -> Result:
    """A table from what was run here with this version of the code, else from the records of the clone.

    Raises:
        NotHereError: neither has all of its rows.
    """
    seeds = 0
    while seeds < 10 and all(runs.find(job) for job in jobs(TABLES[name], preset, seeds + 1).values()):
        seeds += 1
    if seeds:
        return runner.reproduce([name], preset, seeds, quiet=True)[name]
    found = runner.committed(name, preset)
    if not found.records:
        raise NotHereError(f"no records of {name} at {preset}: `audioplane reproduce {name} --preset {preset}` runs it")
    return found


def fig1(desk: Desk) -> Figure:
    """A held-out stretch of voice and the head that speaks it."""
    subject, head = desk.speaking(*FULL)
    start = subject.test.start / subject.fps + 0.2
    stop = min(start + SECONDS, subject.num_frames / subject.fps)
    return plots.overview(**pipeline_trace.spoken(subject, head, start, stop))


def fig2(desk: Desk) -> Figure:
    """Memory of the representations, at the sizes of the preset."""
    config = find_preset(desk.preset)
    return plots.memory(field_inspection.memory(config, LENGTHS[desk.preset][0]), np.geomspace(1, 1000, 40).tolist())


def fig3(desk: Desk) -> Figure:
    """The way from sound to picture at the widest opening of the held-out part."""
    subject, head = desk.speaking(*FULL)
    widest = sounds.frames_by_opening(_opening(subject), subject.test, 2)[1]
    return plots.pipeline(pipeline_trace.stages(subject, head, widest))


def fig4(desk: Desk) -> Figure:
    """Attention over the prototypes during a held-out sentence."""
    from audioplane.methods.audio_plane.paper.prototypes import plane_of

    subject, head = desk.speaking(*FULL)
    weights = field_inspection.attention_over_time(plane_of(head), head.encode(subject.audio))[0]
    start = subject.test.start / subject.fps
    stop = min(start + SENTENCE, subject.num_frames / subject.fps)
    phonemes, fps = subject.phonemes or [], subject.fps
    return plots.attention(subject.audio, 16_000, phonemes, weights, _opening(subject), fps, start, stop)


def fig5(desk: Desk) -> Figure:
    """Heads trained with different margins at the same moment."""
    columns = {}
    for margin in MARGINS:
        subject, head = desk.speaking("table4", margin, "test set A")
        widest = sounds.frames_by_opening(_opening(subject), subject.test, 2)[1]
        columns[float(margin)] = pipeline_trace.at_margin(subject, head, widest)
    return plots.margin_heads(columns)


def fig6(desk: Desk) -> Figure:
    """Methods beside the truth at moments from closed to open lips."""
    rows: dict[str, list[Any]] = {}
    moments, mouths, titles = [], [], []
    for method in METHODS:
        subject, head = desk.speaking("table5", method, "test set A")
        if not rows:
            moments = sounds.frames_by_opening(_opening(subject), subject.test)
            spoken = sounds.sounds(subject)
            titles = [f"sound: {spoken[t]}" for t in moments]
            mouths = [pipeline_trace.lips(subject, t) for t in moments]
            rows["truth"] = [subject.frame(t) for t in moments]
        draw = runs.renderer(head, subject)
        rows[method] = [draw(t) for t in moments]
    return plots.methods(rows, mouths, titles)


def fig7(desk: Desk) -> Figure:
    """What people said, or the form that they would fill in."""
    if not desk.ratings:
        return plots.rating_form(user_study.CRITERIA, user_study.SCALE, clips=4)
    ratings = user_study.read(*desk.ratings)
    desk.sources.others.extend(desk.ratings)
    methods = list(dict.fromkeys(ratings["method"]))
    return plots.user_study(user_study.summary(ratings), user_study.agreement(ratings), methods)


def dots(desk: Desk, name: str) -> Figure:
    """A table as dots, ours over seeds and the paper's."""
    result = table_result(name, desk.preset)
    desk.sources.records.extend(result.records)
    several = len(result.table.columns) > 1
    ours: dict[str, dict[str, list[float]]] = {}
    theirs: dict[str, dict[str, float]] = {}
    better: dict[str, int] = {}
    called: dict[str, str] = {}
    least: dict[str, float] = {}
    for measure in result.table.measures:
        if measure in LEFT_OUT:
            continue
        title, stated, _ = MEASURES[measure]
        cells: dict[str, list[float]] = {}
        papers: dict[str, float] = {}
        for column in result.table.columns:
            for row in result.table.rows:
                place = f"{row.name} · {column.name}" if several else row.name
                records = result.cells.get((row.name, column.name), [])
                cells[place] = [value for record in records if (value := _number(record, measure)) is not None]
                number = result.table.paper(row, column).get(stated)
                if number is not None:
                    papers[place] = number
        if any(cells.values()):
            ours[title], theirs[title] = cells, papers
            better[title], called[title] = -1 if measure in SMALLER else 1, STATED.get(stated, "")
            least[title] = LEAST.get(measure, 0.0)
    title = f"Table {result.table.number}. {result.table.title}"
    return plots.table_dots(ours, theirs, better, title, called, least)


FIGURES: dict[str, Callable[[Desk], Figure]] = {
    "fig1": fig1,
    "fig2": fig2,
    "fig3": fig3,
    "fig4": fig4,
    "fig5": fig5,
    "fig6": fig6,
    "fig7": fig7,
}
NAMES = (*FIGURES, *TABLES)


def draw(name: str, preset: str, ratings: Sequence[Path] = ()) -> tuple[Figure, Sources]:
    """A figure by name, and what it was drawn from; `ratings` are files of a user study, for Fig. 7.

    Raises:
        NotHereError: something it needs is not on this machine.
    """
    desk = Desk(preset, tuple(ratings))
    return (FIGURES[name](desk) if name in FIGURES else dots(desk, name)), desk.sources


def keep(figure: Figure, sources: Sources, name: str, preset: str, folder: Path) -> list[Path]:
    """Writes NAME.png for a screen, NAME.pdf for print, and NAME.json, which says where they come from."""
    import matplotlib

    logging.getLogger("fontTools").setLevel(logging.ERROR)  # says of matplotlib's own fonts that they are old
    files.make_folder(folder)
    paths = []
    for ending, metadata in (("png", {"Software": None}), ("pdf", {"CreationDate": None, "Producer": None})):
        path = folder / f"{name}.{ending}"
        with files.atomic_path(path) as draft, matplotlib.rc_context({"pdf.fonttype": 42}):  # letters stay letters
            figure.savefig(draft, format=ending, dpi=DPI[ending], metadata=metadata)
        paths.append(path)
    about = {
        "figure": name,
        "command": f"audioplane figures {name} --preset {preset}",
        "preset": preset,
        "made": today(),
        "code": source_hash(__name__),
        "versions": versions() | {"matplotlib": matplotlib.__version__},
        **sources.to_dict(),
        "sha256": {path.name: _digest(path) for path in paths},
    }
    path = folder / f"{name}.json"
    files.write_text(path, json.dumps(about, indent=1) + "\n")
    return [*paths, path]


def _opening(subject: Subject) -> Any:
    from audioplane.subject.masks import mouth_opening

    return mouth_opening(subject.landmarks)


def _number(record: Record, measure: str) -> float | None:
    value = record.facts.get(measure, record.measures.get(measure))
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
