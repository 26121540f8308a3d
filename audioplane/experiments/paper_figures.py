"""The papers' figures and a dot plot of each table, from records and heads that are on this machine.

Nothing is trained here. Each figure comes with a sidecar that says what it was drawn from.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audioplane import plots, registry
from audioplane.errors import UserError
from audioplane.experiments import run_cache, runner, runs, tables
from audioplane.experiments.records import Record, read_all, today, versions
from audioplane.experiments.results import Result
from audioplane.experiments.runs import Job
from audioplane.metrics import registry as measures
from audioplane.runtime import files
from audioplane.runtime.source_hash import source_hash

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from audioplane.inference.talking_head import TalkingHead
    from audioplane.subject import Subject

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
SCREEN_DPI, PRINT_DPI = 96, 150
PDF_METADATA = {"CreationDate": None, "Producer": None}


class NotHereError(Exception):
    """Records or heads that a figure needs are not on this machine; the message says which, and how to make them."""


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
class Context:
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

        job = tables.jobs(tables.find(table), self.preset, 1)[row, column, 0]
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
        record = runs.find(job)
        with contextlib.suppress(UserError):  # no clone around
            record = record or read_all(runner.shelf(self.preset, tables.find(table).method)).get(job.identity)
        if record is not None:
            self.sources.records.append(record)
        return job.clip.open(), head


def trained_head(job: Job) -> tuple[Path, bool] | None:
    """The head of a job that was trained here, and whether this version of the code did it; None without any.

    Without one of this version the newest of an older one stands in, of the same speaker, settings and size. Nothing is
    trained for it.
    """
    known = [folder / run_cache.HEAD for folder in run_cache.runs_of(job.clip.speaker, job.config)]
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
    while seeds < 10 and all(runs.find(job) for job in tables.jobs(tables.find(name), preset, seeds + 1).values()):
        seeds += 1
    if seeds:
        return runner.reproduce([name], preset, seeds, quiet=True)[name]
    try:
        found = runner.committed(name, preset)
    except UserError:  # no clone around
        found = None
    if found is None or not found.records:
        raise NotHereError(f"no records of {name} at {preset}: `audioplane reproduce {name} --preset {preset}` runs it")
    return found


def dots(context: Context, name: str) -> Figure:
    """A table as dots, ours over seeds and the paper's: of the measures that have a better and a worse."""
    result = table_result(name, context.preset)
    context.sources.records.extend(result.records)
    several = len(result.table.columns) > 1
    panels = []
    for measure in result.table.measures:
        metric = measures.find(measure)
        ours: dict[str, list[float]] = {}
        papers: dict[str, float] = {}
        for column in result.table.columns:
            for row in result.table.rows:
                place = f"{row.name} · {column.name}" if several else row.name
                ours[place] = result.values(row.name, column.name, measure)
                number = result.table.paper(row, column).get(metric.paper)
                if number is not None:
                    papers[place] = number
        if metric.sign and any(ours.values()):
            panels.append(plots.DotPanel(metric, ours, papers, LEAST.get(measure, 0.0)))
    return plots.table_dots(panels, f"Table {result.table.number}. {result.table.title}")


def figures() -> dict[str, Callable[[Context], Figure]]:
    """The papers' figures by name: bare for the default method, METHOD/NAME for the others."""
    found: dict[str, Callable[[Context], Figure]] = {}
    for method in registry.names():
        own = registry.load(registry.spec(method).figures) if registry.spec(method).figures else {}
        found |= {name if method == registry.DEFAULT else f"{method}/{name}": draws for name, draws in own.items()}
    return found


def names() -> list[str]:
    """Everything that can be drawn: figures, and a dot plot of each table."""
    return [*figures(), *tables.every()]


def draw(name: str, preset: str, ratings: Sequence[Path] = ()) -> tuple[Figure, Sources]:
    """A figure by name, and what it was drawn from; `ratings` are files of a user study, for Fig. 7.

    Raises:
        NotHereError: something it needs is not on this machine.
    """
    context = Context(preset, tuple(ratings))
    drawn = figures()
    return (drawn[name](context) if name in drawn else dots(context, name)), context.sources


def keep(figure: Figure, sources: Sources, name: str, preset: str, folder: Path, has_pdf: bool = False) -> list[Path]:
    """Writes NAME.png for a screen, NAME.pdf for print if asked, and NAME.json, which says where they come from."""
    import matplotlib

    logging.getLogger("fontTools").setLevel(logging.ERROR)  # says of matplotlib's own fonts that they are old
    files.make_folder((folder / name).parent)  # tables of other methods have names with a folder
    paths = []
    for ending, dpi, metadata in (("png", SCREEN_DPI, {"Software": None}), ("pdf", PRINT_DPI, PDF_METADATA))[
        : 1 + has_pdf
    ]:
        path = folder / f"{name}.{ending}"
        with files.atomic_path(path) as draft, matplotlib.rc_context({"pdf.fonttype": 42}):  # letters stay letters
            figure.savefig(draft, format=ending, dpi=dpi, metadata=metadata)
            if ending == "png":
                _with_a_palette(draft)
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
    files.write_text(path, _as_json(about))
    return [*paths, path]


def _as_json(about: dict[str, Any]) -> str:
    """A JSON object, each of its records on a line of its own: a table is drawn from a hundred."""
    rest = json.dumps({key: value for key, value in about.items() if key != "records"}, indent=1)
    lines = ",\n".join(f"  {json.dumps(record)}" for record in about["records"])
    return rest.removesuffix("\n}") + f',\n "records": [\n{lines}\n ]\n}}\n'


def _with_a_palette(path: Path) -> None:
    """Writes a PNG anew with 256 colours, dithered: a third of the size, and the eye sees no difference."""
    from PIL import Image

    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.FLOYDSTEINBERG)
    small.save(path, "PNG", optimize=True)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
