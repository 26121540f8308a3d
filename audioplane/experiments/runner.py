"""Runs what has no record yet: several jobs in parallel, a thread each; failures are reported, the rest goes on.

Two models with one thread each use two cores far better than one model with two. Stopped at any moment and started
again it goes on: finished runs are records, an unfinished training continues from its checkpoint.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, wait
from contextlib import closing
from pathlib import Path
from typing import Any

from audioplane import registry
from audioplane.errors import UserError
from audioplane.experiments import records as recording
from audioplane.experiments.films import films_of
from audioplane.experiments.records import Record
from audioplane.experiments.results import Result
from audioplane.experiments.run_cache import HEAD, runs_of
from audioplane.experiments.runs import Clip, Job, find, forget, with_speed
from audioplane.experiments.tables import Table, jobs
from audioplane.experiments.tables import find as find_table
from audioplane.experiments.workers import EVERY, Progress, open_pool
from audioplane.runtime import cache, clone, documents, files

SAID = {"head_psnr": "head {:.2f} dB", "mouth_psnr": "mouth {:.2f} dB", "opening_correlation": "opening r {:.2f}"}
"""Of a run that has ended."""
NOTES = "progress"  # the folder beside the records in which workers note how far they are


def reproduce(
    names: Sequence[str],
    preset: str,
    seeds: int = 1,
    workers: int | None = None,
    subject: Clip | None = None,
    fresh: bool = False,
    films: Path | None = None,
    quiet: bool = False,
    ray: str | None = None,
) -> dict[str, Result]:
    """Tables by name, with every run that they need.

    Args:
        names: of tables. preset: smoke, demo or paper. seeds: of each cell, 0 to seeds - 1; 0 for each table's own
            number.
        workers: runs beside each other; None: one a core, or one where there is a GPU; 0: in this process.
        subject: a prepared video in the place of the embedded speakers.
        fresh: train and judge again what has a record.
        films: a folder NAME/A.mp4, NAME/B.mp4 of other methods' films (Audio-Plane, Table V).
        quiet: no progress. ray: the address of a Ray cluster that runs them, `workers.STARTED_BY_US` for a Ray of
            this machine; None: processes of this machine.
    """
    tables = [find_table(name, subject) for name in names]
    wanted = {table.key: jobs(table, preset, seeds, subject) for table in tables}
    by_key = {job.key: job for cells in wanted.values() for job in cells.values()}
    found, failed = run_all(by_key, workers, fresh, quiet, ray)
    time_alone([job for table in tables if "fps" in table.measures for job in wanted[table.key].values()], found)
    return {
        table.key: _result(table, preset, wanted[table.key], found, failed, films if table.name == "table5" else None)
        for table in tables
    }


def committed(name: str, preset: str = "demo", most_seeds: int = 10, subject: Clip | None = None) -> Result:
    """A table of the runs that lie in the clone's `records/`, whatever version of the code made them.

    Raises:
        UserError: there is no clone, or it has no records of the preset; says where they were looked for.
    """
    table = find_table(name, subject)
    known = recording.read_all(shelf(preset, table.method))
    cells = jobs(table, preset, most_seeds, subject)
    there = {cell: known[job.identity] for cell, job in cells.items() if job.identity in known}
    found = {record.key: record for record in there.values()}
    return _collect(table, preset, {cell: record.key for cell, record in there.items()}, found, {}, {})


def committed_people(name: str, preset: str = "demo", most_seeds: int = 10) -> dict[str, Result]:
    """`committed` for everybody who was filmed, by name: of a table whose runs on their videos lie in the clone.

    Of a video that was prepared more than once, the preparation with the most runs: those of two have no mean.

    Raises:
        UserError: see `committed`.
    """
    known = recording.read_all(shelf(preset, find_table(name).method)).values()
    clips = {Clip(**record.clip) for record in known if record.clip["digest"]}
    found: dict[str, Result] = {}
    for clip in sorted(clips, key=lambda clip: (clip.speaker, clip.digest)):
        result = committed(name, preset, most_seeds, clip)
        if len(result.records) > (len(found[clip.speaker].records) if clip.speaker in found else 0):
            found[clip.speaker] = result
    return found


def shelf(preset: str, method: str = registry.DEFAULT) -> Path:
    """Where the records of a preset's real runs of one paper's tables lie in a clone.

    Each paper has a folder of its own: its tables were made together, by one version of the code, and runs of another
    version are no rows of them.

    Raises:
        UserError: there is no clone, or it has none of the preset.
    """
    parts = ("records", preset) if method == registry.DEFAULT else ("records", preset, method)
    return clone.folder(*parts)


def _result(
    table: Table,
    preset: str,
    cells: dict[tuple[str, str, int], Job],
    found: dict[str, Record],
    failed: dict[str, str],
    films: Path | None,
) -> Result:
    shown = films_of(table, {cell: job.clip for cell, job in cells.items()}, films) if films else {}
    return _collect(table, preset, {cell: job.key for cell, job in cells.items()}, found, failed, shown)


def _collect(
    table: Table,
    preset: str,
    cells: dict[tuple[str, str, int], str],
    found: dict[str, Record],
    failed: dict[str, str],
    films: dict[tuple[str, str], dict[str, Any]],
) -> Result:
    grouped: dict[tuple[str, str], list[Record]] = {}
    for (row, column, _), key in cells.items():
        if key in found:
            grouped.setdefault((row, column), []).append(found[key])
    lost = {cell: failed[key] for cell, key in cells.items() if key in failed}
    return Result(table, preset, {cell: _of_one_device(own) for cell, own in grouped.items()}, lost, films)


def _of_one_device(records: list[Record]) -> list[Record]:
    """Those of a processor or those of a GPU, whichever are more: they share no mean."""
    on_cpu = [record for record in records if record.device.startswith("CPU")]
    others = [record for record in records if not record.device.startswith("CPU")]
    return on_cpu if len(on_cpu) >= len(others) else others


def run_all(
    by_key: dict[str, Job],
    workers: int | None = None,
    fresh: bool = False,
    quiet: bool = False,
    ray: str | None = None,
) -> tuple[dict[str, Record], dict[str, str]]:
    """Records by key, and what failed, by key; the arguments are those of `reproduce`."""
    if fresh:
        for job in by_key.values():
            forget(job)
    found = {key: record for key, job in by_key.items() if (record := find(job))}
    missing = {key: job for key, job in by_key.items() if key not in found}
    if not missing:
        files.remove_leftovers(cache.folder("records"), NOTES)  # of one that was killed when all was done
        return found, {}
    failed: dict[str, str] = {}
    with closing(_Progress(missing, quiet)) as progress, closing(open_pool(workers, len(missing), ray)) as pool:
        waiting: dict[Future[Record], str] = {}
        try:
            waiting = {pool.submit(job, progress.folder): key for key, job in ordered(missing)}
            left = set(waiting)
            while left:
                done, left = wait(left, timeout=EVERY)
                for future in done:
                    key = waiting[future]
                    error = future.exception()
                    if error is None:
                        found[key] = _kept_here(future.result())
                    else:
                        failed[key] = _why(error)
                    progress.ended(missing[key], found.get(key), failed.get(key))
                progress.update()
        except BaseException:
            for future in waiting:
                future.cancel()
            pool.stop()  # what they do can be continued
            raise
    return found, failed


def _kept_here(record: Record) -> Record:
    """A record, saved in this cache too if it was made on a machine with another."""
    place = cache.folder("records")
    if not (place / f"{record.key}.json").is_file():
        record.save(place)
    return record


def _why(error: BaseException) -> str:
    """What went wrong with a job; Ray's errors carry it as their cause, within the story of another process."""
    error = getattr(error, "cause", None) or error
    return f"{type(error).__name__}: {error}"


def time_alone(timed: Iterable[Job], found: dict[str, Record]) -> None:
    """Adds to records the speed of their heads, one after the other, as runs in parallel would slow each other.

    Args:
        timed: jobs whose speed is shown. found: records by key; replaced in place.
    """
    for job in timed:
        if job.key in found and "fps" not in found[job.key].facts and _is_here(job):
            found[job.key] = with_speed(job)


def _is_here(job: Job) -> bool:
    """Whether this cache holds the head and the record of a job: one from elsewhere would be trained again."""
    heads = (folder / HEAD for folder in runs_of(job.clip.speaker, job.config))
    return find(job) is not None and any(head.is_file() for head in heads)


def ordered(missing: dict[str, Job]) -> list[tuple[str, Job]]:
    """First one job a training, then those that only drive its head: no worker waits for another's training."""
    first, later, seen = [], [], set()
    for key, job in missing.items():
        (later if job.training in seen else first).append((key, job))
        seen.add(job.training)
    return first + later


def shard(by_key: dict[str, Job], number: int, count: int) -> dict[str, Job]:
    """A part of some jobs, for one of several machines that share a cache; jobs on one head stay together.

    Args:
        by_key: all of them, in the same order on every machine. number: of the part, 1 to count. count: of the parts.
    """
    heads = list(dict.fromkeys(job.training for job in by_key.values()))
    own = set(heads[number - 1 :: count])
    return {key: job for key, job in by_key.items() if job.training in own}


class _Progress:
    """A bar over all runs, with a line for each that ended."""

    def __init__(self, missing: dict[str, Job], quiet: bool) -> None:
        from tqdm.auto import tqdm

        self._draft = files.Draft(cache.make("records") / NOTES, folder=True)  # left by a killed run, it goes
        self.folder = self._draft.path
        form = "{bar} {n:.1f}/{total} runs [{elapsed}<{remaining}]{postfix}"
        silent = quiet or not sys.stderr.isatty()  # a log wants lines, not a bar
        self._bar = tqdm(total=len(missing), disable=silent, bar_format=form, leave=False, file=sys.stderr)
        self._quiet, self._total = quiet, len(missing)
        self._ended = 0

    def ended(self, job: Job, record: Record | None, error: str | None) -> None:
        self._ended += 1
        who = f"[{self._ended}/{self._total}] {job.clip.speaker}" + (f", {job.driven.voice}" if job.driven else "")
        if record is None:
            self._bar.write(f"{who}: FAILED: {error}", file=sys.stderr)
        elif not self._quiet:
            measured = [form.format(record.measures[name]) for name, form in SAID.items() if name in record.measures]
            said = ", ".join([*measured, f"{record.seconds['train']:.0f} s"])
            self._bar.write(f"{who}, {record.key}: {said}", file=sys.stderr)

    def update(self) -> None:
        if self._bar.disable:
            return
        notes = []
        for path in self.folder.glob("*.json"):
            try:
                notes.append(documents.read(path, Progress, "it is written anew"))
            except UserError:  # it has just ended
                continue
        self._bar.n = self._ended + sum(0.95 * note.share for note in notes)
        self._bar.set_postfix_str(", ".join(f"{note.share:.0%} {note.psnr:.1f} dB" for note in notes))

    def close(self) -> None:
        self._bar.close()
        self._draft.discard()


def keep(results: Iterable[Result], folder: Path) -> int:
    """Packs the records behind some tables into a folder, such as the clone's `records/demo`; returns how many.

    What the folder has is kept, but for older answers to the same questions.
    """
    kept = {record.key: record for result in results for record in result.records}
    known = recording.read_all(folder) if folder.is_dir() else {}
    recording.pack((known | {record.identity: record for record in kept.values()}).values(), folder)
    for record in kept.values():
        for key in {record.key, known.get(record.identity, record).key}:
            (folder / f"{key}{recording.ENDING}").unlink(missing_ok=True)  # the archive has it, or a newer answer
    return len(kept)
