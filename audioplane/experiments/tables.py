"""Tables as data: rows and columns are configs and clips, and each claim names the cells it compares.

A cell is one `Job` a seed. Tables share cells; a shared one is run once. A method's tables stand in its own folder
(`config.MethodSpec.tables`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from audioplane import registry
from audioplane.config import preset
from audioplane.errors import UserError
from audioplane.experiments import paper
from audioplane.experiments.runs import Clip, Job
from audioplane.metrics import registry as measures

LENGTHS = {"smoke": (10.0, 64, 3.0), "demo": (40.0, 192, 8.0), "paper": (100.0, 512, 20.0)}
"""Seconds and pixels of an embedded speaker's clip, and seconds of a voice that drives it, by preset. Four fifths of a
clip are learnt; the paper's split, 80 s to learn, is that of `paper`."""


BASE = ("gaussians.surface=false", "audio.calibration_steps=0", "audio.longest_pause=0.8")
"""Settings of all tables on top of a preset: the clouds of these papers start at random, and their codes stay as their
encoders make them."""


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        name: ours. settings: that make it of the preset; None: a method without code here. paper: its name in the
            paper's data, "" where the paper has none. speaker: who learns, where rows differ in that.
        method: that is run; "" for the table's. audio_driven: false where a voice does not drive it; it then has no
            runs under other voices. static: nothing deforms; as many iterations as the other rows, all of them of the
            static stage, in which its cloud grows as long as theirs do.
        poses: how the speaker's are found (`preprocess.found_poses.WAYS`); "" for the true ones. Such a row has no run
            on a filmed person, whose poses are those of its preparation.
    """

    name: str
    settings: tuple[str, ...] | None = ()
    paper: str = ""
    speaker: str = ""
    method: str = ""
    audio_driven: bool = True
    static: bool = False
    poses: str = ""


@dataclass(frozen=True)
class Column:
    """A test set, a driving voice, or a choice that all rows are run under.

    Attributes:
        name: ours. speaker: who is trained on, unless the row names one. voice: another's that drives.
        paper: its name in the paper's data. settings: that all rows have in this column. times: factor on the numbers
            of iterations.
    """

    name: str
    speaker: str = ""
    voice: str = ""
    paper: str = ""
    settings: tuple[str, ...] = ()
    times: int = 1


@dataclass(frozen=True)
class Claim:
    """What the paper says a table shows: the first cell is better than the second.

    Attributes:
        text: in our words. first, second: (row, column) of the two cells; the same cell twice: its own sound is better
            than unrelated sound. measure: ours, of the verdict; one value a frame. paper: the paper's measure that it
            stands for. beside: shown beside the verdicts, and no part of them: a measure that could hardly show it.
    """

    text: str
    first: tuple[str, str]
    second: tuple[str, str]
    measure: str
    paper: str = ""
    beside: bool = False

    @property
    def higher_is_better(self) -> bool:
        """Which way the first cell would be better."""
        return measures.find(self.measure).higher_is_better is not False


@dataclass(frozen=True)
class Table:
    """A table of the paper: its rows, columns and measures, and the paper's claims.

    Attributes:
        name: what users type. number, title: in the paper (title in our words). data: its key in the paper's numbers.
        measures: that are shown, ours; names of `metrics.registry`. method: whose paper it is of.
        seeds: of each cell in a full run. sizes: preset -> (as in `LENGTHS`, settings), where not those of all tables.
        is_study: a question of ours, no table of the paper; it runs only where it is named.
    """

    name: str
    number: str
    title: str
    data: str
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    measures: tuple[str, ...]
    claims: tuple[Claim, ...]
    method: str = registry.DEFAULT
    seeds: int = 3
    sizes: Mapping[str, tuple[tuple[float, int, float], tuple[str, ...]]] = field(default_factory=dict)
    is_study: bool = False

    @property
    def key(self) -> str:
        """The name that users type: bare for the default method, METHOD/NAME for the others."""
        return self.name if self.method == registry.DEFAULT else f"{self.method}/{self.name}"

    @property
    def label(self) -> str:
        """How a caption begins."""
        return "Study" if self.is_study else f"Table {self.number}"

    @property
    def numbers(self) -> dict[str, Any]:
        """All numbers of the paper."""
        return paper.numbers(self.method)

    def job(
        self,
        row: Row,
        column: Column,
        preset_name: str,
        seed: int,
        subject: Clip | None = None,
    ) -> Job | None:
        """The run of a cell; None where there is none: no code, no voice that drives, or poses of a filmed person."""
        if row.settings is None or (column.voice and not row.audio_driven) or (row.poses and subject is not None):
            return None
        method = row.method or self.method
        (seconds, size, driven), own = self.sizes.get(preset_name, (LENGTHS[preset_name], ()))
        base = preset(preset_name, method).replace(*BASE, *registry.spec(method).in_tables, *own)
        if subject is not None:  # never larger than it was filmed
            seconds, size = subject.seconds, min(base.schedule.size or subject.size, subject.size)
        clip = subject or Clip(row.speaker or column.speaker, "", seconds, size, poses=row.poses)
        config = base.replace(*row.settings, *column.settings, seed=seed, schedule__size=size if subject else clip.size)
        stages = config.schedule
        config = config.replace(
            schedule__coarse=stages.coarse * column.times, schedule__fine=stages.fine * column.times
        )
        if config.schedule.early_size:
            config = config.replace(schedule__early_size=config.schedule.size // 2)
        if row.static:
            coarse, whole = config.schedule.coarse, config.schedule.coarse + config.schedule.fine
            until = config.gaussians.densify_until * coarse / whole
            config = config.replace(schedule__coarse=whole, schedule__fine=0, gaussians__densify_until=until)
        voice = replace(clip, voice=column.voice, seconds=driven) if column.voice else None
        return Job(clip, config, voice)

    def on(self, subject: Clip) -> Table:
        """The table on a filmed person: one column in the place of several speakers, and the claims that are left.

        Args:
            subject: a prepared video. Rows of found poses and of certain speakers are left out. Under another's voice
                only what needs no truth is measured.

        Raises:
            UserError: nothing is left.
        """
        rows = tuple(row for row in self.rows if not row.poses and not row.speaker)
        if not any(row.settings is not None for row in rows):
            raise UserError(f"{self.key} cannot run on a filmed person: its rows are embedded speakers")
        kept: dict[tuple[str, tuple[str, ...], int], Column] = {}
        names: dict[str, str] = {}
        for column in self.columns:
            differs = column.voice, column.settings, column.times
            name = column.name if differs != ("", (), 1) else subject.speaker
            names[column.name] = kept.setdefault(differs, replace(column, name=name, speaker=subject.speaker)).name
        cells, claims = {(row.name, name) for row in rows for name in names}, dict[object, Claim]()
        for claim in self.claims:
            if {claim.first, claim.second} <= cells:
                first, second = ((row, names[column]) for row, column in (claim.first, claim.second))
                text = claim.text.replace(claim.first[1], first[1])
                claims.setdefault((first, second, claim.measure), replace(claim, text=text, first=first, second=second))
        return replace(self, rows=rows, columns=tuple(kept.values()), claims=tuple(claims.values()))

    def paper(self, row: Row, column: Column) -> dict[str, float]:
        """The paper's numbers of a cell, by its own measures."""
        return paper.row(self.numbers[self.data], row.paper, column.paper) if row.paper else {}


def every() -> dict[str, Table]:
    """All tables, of every method, by their `Table.key`."""
    places = [place for method in registry.names() if (place := registry.spec(method).tables)]
    return {table.key: table for place in places for table in registry.load(place).values()}


def find(name: str, subject: Clip | None = None) -> Table:
    """A table by name, or what of it can run on a prepared video.

    Raises:
        UserError: there is none, or nothing of it can.
    """
    tables = every()
    if name not in tables:
        raise UserError(f"there is no table {name!r}; there are {', '.join([*computed(), *tables])}")
    return tables[name] if subject is None else tables[name].on(subject)


def computed() -> dict[str, str]:
    """Tables that no runs are needed for: name -> "module:function" that gives a data frame."""
    return {
        name if method == registry.DEFAULT else f"{method}/{name}": place
        for method in registry.names()
        for name, place in registry.spec(method).computed.items()
    }


def jobs(table: Table, preset_name: str, seeds: int, subject: Clip | None = None) -> dict[tuple[str, str, int], Job]:
    """Every run of a table: (row, column, seed) -> job.

    Args:
        table: which. preset_name: smoke, demo or paper. seeds: 0 to seeds - 1; 0 for the table's own number.
        subject: a prepared video that takes the place of the embedded speakers.
    """
    found = {}
    for seed in range(seeds or table.seeds):
        for row in table.rows:
            for column in table.columns:
                job = table.job(row, column, preset_name, seed, subject)
                if job is not None:
                    found[row.name, column.name, seed] = job
    return found
