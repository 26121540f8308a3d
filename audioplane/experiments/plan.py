"""What `audioplane reproduce` would do, and how long it may take: which runs have a record, which would be made.

Times are those of records: a run takes as long as runs with the same settings, but for the seed, took on clips of the
same length and size. Only reads: no folder, lock or process is made.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import mean
from typing import Any

from audioplane import registry
from audioplane.config import Config
from audioplane.errors import UserError
from audioplane.experiments import runner, tables
from audioplane.experiments.records import Record, read_all
from audioplane.experiments.runs import Clip, Job, find
from audioplane.runtime import cache, clone, device

UNKNOWN = "no timing recorded"
SOME = 1.0  # seconds: a training that took less was there already


@dataclass(frozen=True)
class Step:
    """One run.

    Attributes:
        tables: that show it. speaker, voice: who is learnt, whose voice drives the head ("": the own). method, rows,
            columns, seed: what it is. recorded: whether there is a record, so that nothing runs.
        train, judge: seconds that it may take; 0 for a head that an earlier step trains; None: no timing recorded.
        timed_on: the machines whose records say so.
    """

    tables: tuple[str, ...]
    speaker: str
    voice: str
    method: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    seed: int
    recorded: bool
    train: float | None
    judge: float | None
    timed_on: tuple[str, ...]

    @property
    def seconds(self) -> float | None:
        """All of it."""
        return None if self.train is None or self.judge is None else self.train + self.judge

    def describe(self) -> str:
        """One line."""
        who = self.speaker + (f" driven by {self.voice}" if self.voice else "")
        what = f"{', '.join(self.tables)}: {who}, {' = '.join(self.rows)}, seed {self.seed}: "
        if self.recorded:
            return what + "has a record"
        if self.train is None or self.judge is None:
            return f"{what}would run; {UNKNOWN}"
        train = f"train {_time(self.train)}" if self.train else "the head of a run above"
        return f"{what}would run; {train}, judge {_time(self.judge)} ({', '.join(self.timed_on)})"


@dataclass(frozen=True)
class Plan:
    """Everything that would be done.

    Attributes:
        preset: smoke, demo or paper. workers: runs beside each other. steps: in the order in which they start.
        computed: tables that no runs are needed for. notebooks: that run afterwards.
    """

    preset: str
    workers: int
    steps: tuple[Step, ...]
    computed: tuple[str, ...] = ()
    notebooks: tuple[str, ...] = ()

    @property
    def missing(self) -> list[Step]:
        """The steps that would run."""
        return [step for step in self.steps if not step.recorded]

    @property
    def unknown(self) -> int:
        """How many of these have no timing."""
        return sum(step.seconds is None for step in self.missing)

    def seconds(self) -> float:
        """Of one worker, for all that would run and has a timing."""
        return sum(step.seconds or 0.0 for step in self.missing)

    def elapsed(self, workers: int | None = None) -> float:
        """Seconds until the last of some workers ends, each taking the next run when it is free.

        A run that waits for the head of another is taken for one that does not.

        Args:
            workers: how many; None for the plan's.
        """
        free = [0.0] * (workers or self.workers)
        for step in self.missing:
            heapq.heappush(free, heapq.heappop(free) + (step.seconds or 0.0))
        return max(free)

    def summary(self) -> str:
        """One line: how many runs there are, and how long they may take."""
        trainings = sum(step.train is None or step.train > 0 for step in self.missing)
        text = (
            f"{len(self.steps)} runs at {self.preset}, {len(self.steps) - len(self.missing)} have a record, "
            f"{len(self.missing)} would run ({trainings} trainings)"
        )
        if not self.missing:
            return text
        if self.unknown == len(self.missing):
            return f"{text}; {UNKNOWN}"
        text += f"; {_time(self.seconds())} of work as recorded, about {_time(self.elapsed())} with "
        text += f"{self.workers} worker{'s' * (self.workers != 1)}"
        return text + (f"; {self.unknown} of them not counted: {UNKNOWN}" if self.unknown else "")

    def describe(self) -> str:
        """All of it, a line a step."""
        lines = [f"{name}: computed, no runs needed" for name in self.computed]
        lines += [step.describe() for step in self.steps]
        lines += [f"{name}: would run; {UNKNOWN}" for name in self.notebooks]
        return "\n".join([*lines, *([self.summary()] if self.steps else [])])

    def to_json(self) -> str:
        """The same for programs; seconds are null where no timing is recorded."""
        whole: dict[str, Any] = asdict(self)
        for entry, step in zip(whole["steps"], self.steps, strict=True):
            entry["seconds"] = step.seconds
        whole["missing"], whole["without_timing"] = len(self.missing), self.unknown
        whole["seconds"], whole["elapsed_seconds"] = round(self.seconds(), 1), round(self.elapsed(), 1)
        return json.dumps(whole, indent=1)


def make(
    names: Sequence[str],
    preset: str,
    seeds: int = 1,
    workers: int | None = None,
    subject: Clip | None = None,
    fresh: bool = False,
    shard: tuple[int, int] | None = None,
    notebooks: Iterable[str] = (),
) -> Plan:
    """The plan of some tables.

    Args:
        names: of tables. preset, seeds, workers, subject, fresh: as `runner.reproduce` takes them. shard: number and
            count of the part that this machine does. notebooks: that run afterwards.
    """
    from audioplane.experiments.workers import default_workers

    computed = tables.computed()
    by_key: dict[str, Job] = {}
    places: dict[str, list[tuple[str, str, str]]] = {}
    for name in names:
        if name in computed:
            continue
        for (row, column, _), job in tables.jobs(tables.find(name, subject), preset, seeds, subject).items():
            key = job.key
            by_key[key] = job
            places.setdefault(key, []).append((name, row, column))
    chosen = by_key if shard is None else runner.shard(by_key, *shard)
    timings = Timings(*_records(preset))
    recorded = {key: job for key, job in chosen.items() if not fresh and find(job) is not None}
    trained = {job.training for job in recorded.values()}
    steps = [_step(job, places[key], True, timings, trained) for key, job in recorded.items()]
    missing = {key: job for key, job in chosen.items() if key not in recorded}
    steps += [_step(job, places[key], False, timings, trained) for key, job in runner.ordered(missing)]
    return Plan(
        preset,
        workers or default_workers(),
        tuple(steps),
        tuple(name for name in names if name in computed),
        tuple(notebooks),
    )


class Timings:
    """How long runs took, by what they were asked; those on this machine's kind of device alone, where there are some.

    Args:
        shelves: records to learn from; what an earlier shelf knows is not asked of a later one.
    """

    def __init__(self, *shelves: Iterable[Record]) -> None:
        self._train: dict[str, tuple[float, set[str]]] = {}
        self._judge: dict[str, float] = {}
        for records in shelves:
            train: dict[str, list[Record]] = {}
            judge: dict[str, list[Record]] = {}
            for record in records:
                if record.seconds["train"] > SOME:
                    train.setdefault(_question(record.config, record.clip), []).append(record)
                if "judge" in record.seconds:
                    judge.setdefault(_question(record.config, record.clip, record.driven), []).append(record)
            for question, found in train.items():
                same = _of_this_kind(found)
                known = mean(record.seconds["train"] for record in same), {record.device for record in same}
                self._train.setdefault(question, known)
            for question, found in judge.items():
                self._judge.setdefault(question, mean(record.seconds["judge"] for record in _of_this_kind(found)))

    def of(self, job: Job) -> tuple[float | None, float | None, tuple[str, ...]]:
        """Seconds to train and to judge, None where there is no record of them, and the machines."""
        config, clip = json.loads(job.config.to_json()), job.clip.to_dict()
        train, machines = self._train.get(_question(config, clip), (None, set()))
        judge = self._judge.get(_question(config, clip, job.driven and job.driven.to_dict()))
        return train, judge, tuple(sorted(machines))


def _of_this_kind(records: list[Record]) -> list[Record]:
    here = device.kind() == "cpu"
    return [record for record in records if record.device.startswith("CPU") == here] or records


def _question(config: dict[str, Any], *clips: dict[str, Any] | None) -> str:
    """Settings but for the seed, and the lengths and sizes of clips, as one text; "" for settings that are gone."""
    try:
        text = Config.from_json(json.dumps(config)).replace(seed=0).to_json()
    except (UserError, TypeError, KeyError, AttributeError):
        return ""
    return " ".join([text, *(f"{float(clip['seconds'])} {clip['size']}" if clip else "none" for clip in clips)])


def _records(preset: str) -> list[list[Record]]:
    """Those of this machine's cache, then those that the clone brings along."""
    root = clone.find()
    shelf = root / "records" / preset if root is not None else None
    shelves = [] if shelf is None else [shelf, *(shelf / method for method in registry.names())]
    folders = [cache.folder("records"), *(folder for folder in shelves if folder.is_dir())]
    return [list(read_all(folder).values()) for folder in folders]


def _step(
    job: Job, places: Sequence[tuple[str, str, str]], recorded: bool, timings: Timings, trained: set[Any]
) -> Step:
    train, judge, machines = timings.of(job)
    if job.training in trained:
        train = 0.0
    trained.add(job.training)
    return Step(
        tables=tuple(dict.fromkeys(table for table, *_ in places)),
        speaker=job.clip.speaker,
        voice=job.driven.voice if job.driven else "",
        method=job.config.method.NAME,
        rows=tuple(dict.fromkeys(row for _, row, _ in places)),
        columns=tuple(dict.fromkeys(column for _, _, column in places)),
        seed=job.config.seed,
        recorded=recorded,
        train=0.0 if recorded else train,
        judge=0.0 if recorded else judge,
        timed_on=() if recorded else machines,
    )


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
