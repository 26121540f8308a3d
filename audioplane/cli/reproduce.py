"""Runs everything there is to reproduce: every run of the tables, then the notebooks, in place.

Tables come first, several runs beside each other; the notebooks then find their records, two beside each other (those
of a folder that is named one by one, in order). Stopped at any moment and started again it goes on. Each notebook runs
from top to bottom in a fresh kernel and is rewritten with its new outputs when it went through; one that fails keeps
its old content, and the others still run. Widgets are kept as pictures.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audioplane import registry
from audioplane.errors import UserError
from audioplane.runtime import clone, files, limits

if TYPE_CHECKING:
    import pandas as pd

    from audioplane.experiments.plan import Plan
    from audioplane.experiments.runs import Clip


NAME = "reproduce"
HELP = "run the tables and the notebooks: everything, or what is named"

NOTEBOOKS = (
    "00_meet_the_speakers",
    "01_gaussian_splatting",
    "02_prepare_a_video",
    "03_audio_plane",
    "04_saliency_splatting",
    "05_train_and_speak",
    "06_audio_features",
    "07_a_head_that_turns",
    "08_eyes_and_brows",
    "10_table2_ablation",
    "11_table3_fusion",
    "12_table4_margins",
    "13_table5_methods",
    "14_table6_cross_driven",
    "15_table7_cross_language",
    "16_why_so_level",
    "20_user_study",
    "synctalk_pp/30_synctalk_pp",
    "synctalk_pp/31_tables",
    "synctalk_pp/32_expression_from_voice",
    "synctalk_pp/33_torso_restorer",
    "degstalk/40_degstalk",
    "degstalk/41_tables",
    "comparison/50_leaderboard",
    "90_how_to_measure",
    "99_agreement",
)
"""Audioplane's own, by number: only these are run unasked, whatever else lies in the folder."""

KEEP = "keep-widget"
"""The tag of a cell whose widget is of use without a kernel: its notebook keeps the state of its widgets."""

SIDE_BY_SIDE = 2
"""Notebooks that run at once, one a processor; a head is trained by one of them, and the others wait for it."""

VIEW, STATE = "application/vnd.jupyter.widget-view+json", "widgets"


@dataclass(frozen=True)
class Outcome:
    """What became of one notebook; `error` is "" when all went well."""

    notebook: Path
    cells: int
    seconds: float
    error: str = ""

    def __str__(self) -> str:
        state = "FAILED" if self.error else "done"
        return f"{self.cells} cells, {self.seconds:.1f} s, {state}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "only",
        nargs="*",
        metavar="name",
        help="table1 to table7, `tables`, why_so_level or expression (studies of ours), or how a notebook's name "
        "begins, as in `01`",
    )
    parser.add_argument("--preset", default=None, help="smoke, demo or paper (default: demo, or AUDIOPLANE_PRESET)")
    parser.add_argument("--seeds", type=int, default=1, help="seeds for each cell of a table (default: 1)")
    parser.add_argument(
        "--full", action="store_true", help="as many seeds as each table's verdicts ask for (5 for table2, else 3)"
    )
    parser.add_argument("--jobs", type=int, default=None, metavar="N", help="runs in parallel (default: one a core)")
    parser.add_argument("--fresh", action="store_true", help="train and evaluate again what has a record")
    parser.add_argument(
        "--subject",
        type=Path,
        metavar="DIR",
        help="a prepared video instead of the embedded speakers, for the tables that are named (default: table2 to "
        "table4); under another's voice only what needs no truth is measured",
    )
    parser.add_argument(
        "--films", type=Path, metavar="DIR", help="films METHOD/A.mp4 and B.mp4 of other methods, for table5"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder for the tables as md, csv, tex (default: the clone's figures/tables)",
    )
    parser.add_argument("--keep", type=Path, metavar="DIR", help="copy the tables' records to this folder")
    parser.add_argument("--notebooks", type=Path, default=None, metavar="FOLDER", help="only the notebooks of a folder")
    parser.add_argument(
        "--ray",
        nargs="?",
        const="local",
        metavar="ADDRESS",
        help="spread the runs over the workers of a Ray cluster; without an address over a Ray that is started here",
    )
    parser.add_argument(
        "--shard",
        metavar="K/N",
        help="only the Kth of N parts of the tables' runs, for one of N machines with one cache folder; no tables are "
        "written and no notebooks run: do that afterwards, without --shard",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what has a record, what would run and how long it may take; stop"
    )
    parser.add_argument("--json", action="store_true", help="the plan of --dry-run as JSON")
    parser.add_argument("--list", action="store_true", help="list what would run, and run nothing")


def run(args: argparse.Namespace) -> int:
    tables, beginnings = _sort_out(args)
    if args.preset:
        from audioplane.config import preset

        preset(args.preset)
        os.environ["AUDIOPLANE_PRESET"] = args.preset  # the notebooks' kernels inherit it
    everything = "all" in args.only or not (args.only or args.subject)
    with_notebooks = everything or bool(beginnings) or args.notebooks is not None
    part = _shard(args, beginnings)
    notebooks = choose(args.notebooks, beginnings) if with_notebooks and part is None else []
    if args.dry_run:
        plan = _plan(tables, args, part, [path.stem for path in notebooks])
        print(plan.to_json() if args.json else plan.describe())
        return 0
    if args.json:
        raise UserError("--json is of the plan: give --dry-run too")
    if args.list:
        print("\n".join([*tables, *map(str, notebooks)]))
        return 0
    if part is not None:
        return run_shard(tables, args, part)
    status = make_tables(tables, args) if tables else 0
    begin = time.monotonic()
    outcomes = run_notebooks(notebooks, args.jobs if args.notebooks is None else 1)  # others' may need their order
    return max(status, summarize(outcomes, time.monotonic() - begin) if notebooks else 0)


def _sort_out(args: argparse.Namespace) -> tuple[list[str], list[str]]:
    """What was asked for: tables, and beginnings of notebooks' names.

    Raises:
        UserError: options that do not go together, or a table that is not there.
    """
    from audioplane.experiments import tables

    known = tables.every()
    every = [*tables.computed(), *(name for name, table in known.items() if not table.is_study)]
    named = [name for name in args.only if name in known or name.rpartition("/")[2].startswith("table")]
    beginnings = [name for name in args.only if name not in named and name != "all"]
    limits.between("--seeds", args.seeds, 1, 1000)
    if args.jobs is not None:
        limits.between("--jobs", args.jobs, 1, 1024)
        if args.ray not in (None, "local"):
            raise UserError("--jobs does not go with the address of a Ray cluster, which knows its own workers")
    if args.subject is not None:
        named = named or ["table2", "table3", "table4"]
        wrong = [name for name in named if name not in known]
        if wrong or beginnings:
            raise UserError(f"--subject goes with tables of runs, such as table2, not with {(wrong + beginnings)[0]}")
    if args.films is not None and not args.films.is_dir():
        raise UserError(f"there is no folder {args.films} with films METHOD/A.mp4 and METHOD/B.mp4")
    if "tables" in named or (args.notebooks is None and (not args.only or "all" in args.only) and not args.subject):
        return every, beginnings
    for name in named:
        if name not in tables.computed():
            tables.find(name)
    return named, beginnings


def make_tables(names: list[str], args: argparse.Namespace) -> int:
    """Makes, prints and writes tables; returns the exit status."""
    from audioplane.experiments import runner, tables

    preset, clip, seeds = _asked(args)
    root = clone.find()
    out = args.out or (None if preset == "smoke" or root is None else root / "figures" / "tables")
    if clip is not None and args.out is None and out is not None:
        out = out / clip.speaker
    computed = tables.computed()
    asked = [name for name in names if name not in computed]
    print(_plan(asked, args).summary(), flush=True)
    results = runner.reproduce(asked, preset, seeds, args.jobs, clip, args.fresh, args.films, ray=args.ray)
    for name in sorted(computed.keys() & set(names)):
        _write_computed(registry.load(computed[name])(), name, out)
    for result in results.values():
        print(f"\n{result.markdown()}", flush=True)
        if out is not None:
            result.save(out)
    if args.keep is not None:
        print(f"\n{runner.keep(results.values(), args.keep)} records kept in {args.keep}")
    lost = [f"{cell}: {why}" for result in results.values() for cell, why in result.failed.items()]
    for line in lost:
        print(f"failed: {line}", file=sys.stderr)
    return 1 if lost else 0


def run_shard(names: list[str], args: argparse.Namespace, part: tuple[int, int]) -> int:
    """Makes the records of a part of some tables' runs; returns the exit status."""
    from audioplane.experiments import runner, tables

    preset, clip, seeds = _asked(args)
    asked = [tables.find(name, clip) for name in names if name not in tables.computed()]
    by_key = {job.key: job for table in asked for job in tables.jobs(table, preset, seeds, clip).values()}
    own = runner.shard(by_key, *part)
    print(f"part {part[0]} of {part[1]}: {len(own)} of {len(by_key)} runs", flush=True)
    found, failed = runner.run_all(own, args.jobs, args.fresh, ray=args.ray)
    for key, why in failed.items():
        print(f"failed: {own[key].clip.speaker}: {why}", file=sys.stderr)
    print(f"{len(found)} of them have a record; when all parts have, the same command without --shard makes the tables")
    return 1 if failed else 0


def _asked(args: argparse.Namespace) -> tuple[str, Clip | None, int]:
    """The preset, the clip in the place of the embedded speakers, and the seeds (0: each table's own number)."""
    from audioplane.experiments import runs, session

    clip = runs.Clip.of(args.subject) if args.subject is not None else None
    return session.preset(), clip, 0 if args.full else args.seeds


def _plan(
    names: list[str], args: argparse.Namespace, part: tuple[int, int] | None = None, notebooks: Iterable[str] = ()
) -> Plan:
    from audioplane.experiments import plan

    preset, clip, seeds = _asked(args)
    return plan.make(names, preset, seeds, args.jobs, clip, args.fresh, part, notebooks)


def _shard(args: argparse.Namespace, beginnings: list[str]) -> tuple[int, int] | None:
    """Number and count of the part that was asked for.

    Raises:
        UserError: it is none, or goes together with what a part does not make.
    """
    if args.shard is None:
        return None
    found = re.fullmatch(r"([1-9][0-9]{0,4})/([1-9][0-9]{0,4})", args.shard)
    if found is None or int(found[1]) > int(found[2]):
        raise UserError(f"--shard is K/N, such as 3/8 for the third of eight parts, not {args.shard[:40]!r}")
    if beginnings or args.notebooks is not None:
        raise UserError("--shard is of the tables' runs: leave the notebooks for the end, without --shard")
    if args.out is not None or args.keep is not None:
        raise UserError("--shard writes no tables: give --out and --keep at the end, without --shard")
    return int(found[1]), int(found[2])


def _write_computed(table: pd.DataFrame, name: str, out: Path | None) -> None:
    """Prints a table that no runs are needed for, and writes it as Markdown, CSV and LaTeX."""
    from audioplane.experiments import table_text

    text = table_text.pipe_table(table.astype(object).where(table.notna(), ""))
    print(f"\n{text}")
    if out is not None:
        latex = table.to_latex(float_format="%.2f", na_rep="", escape=True)
        table_text.save({"md": text + "\n", "csv": table.to_csv(), "tex": latex}, name, out)


def choose(folder: Path | None, beginnings: list[str]) -> list[Path]:
    """Notebooks in the order of their names, all or those with one of the given beginnings.

    Args:
        folder: all that lie in it; None for audioplane's own in the clone: nobody else's are run, let alone rewritten.
        beginnings: of names.

    Raises:
        UserError: the folder or a notebook asked for is not there.
    """
    if folder is None:
        root = clone.find()
        if root is None:
            raise UserError(
                "audioplane's notebooks lie in a clone of the repository: run this in one, or give --notebooks"
            )
        folder = root / "notebooks"
        notebooks = [path for name in NOTEBOOKS if (path := folder / f"{name}.ipynb").is_file()]
    elif folder.is_dir():
        notebooks = sorted(folder.glob("*.ipynb"))
    else:
        raise UserError(f"There is no folder {folder}: run this in a clone of the repository, or give --notebooks.")
    for beginning in beginnings:
        if not any(notebook.name.startswith(beginning) for notebook in notebooks):
            names = ", ".join(notebook.stem for notebook in notebooks) or "none"
            raise UserError(f"No notebook in {folder} begins with {beginning!r}. There are: {names}.")
    chosen = [book for book in notebooks if not beginnings or book.name.startswith(tuple(beginnings))]
    if not chosen:
        raise UserError(f"There are no notebooks in {folder}.")
    return chosen


def run_notebooks(notebooks: Sequence[Path], jobs: int | None = None) -> list[Outcome]:
    """Runs notebooks, two beside each other where there are processors for both.

    Args:
        notebooks: to run. jobs: how many may run at once; None: as many as processors.

    Returns:
        what became of each, as they ended.
    """
    from tqdm.auto import tqdm

    from audioplane.experiments import workers

    beside, outcomes = min(SIDE_BY_SIDE, jobs or workers.default_workers(), len(notebooks)), []
    if beside < 2:
        for number, notebook in enumerate(notebooks, start=1):
            progress = _Progress(f"[{number}/{len(notebooks)}] {notebook.name}")
            outcomes.append(execute(notebook, progress))
            progress.finish(outcomes[-1])
        return outcomes
    pool = workers.Processes(beside)
    with closing(pool), tqdm(total=len(notebooks), unit="notebook", disable=None, leave=False) as bar:
        try:
            for done in as_completed([pool.call(_execute_beside, path, beside) for path in notebooks]):
                outcomes.append(done.result())
                bar.update()
                bar.write(f"[{len(outcomes)}/{len(notebooks)}] {outcomes[-1].notebook.name}  {outcomes[-1]}")
                sys.stdout.flush()
        except BaseException:
            pool.stop()  # what their kernels train can be continued
            raise
    return outcomes


def _execute_beside(notebook: Path, beside: int) -> Outcome:
    """`execute` in a process of its own, whose kernel takes its share of the processors.

    It runs in a thread: in the main one nbclient would handle the signal that ends this process, with a page of errors.
    The kernel ends by itself when this process has.
    """
    os.environ["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // beside))
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(execute, notebook).result()


def execute(notebook: Path, progress: _Progress | None = None) -> Outcome:
    """Runs one notebook in its own folder and rewrites it; on a failure its file stays as it was."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    from audioplane.experiments import notebook_pictures

    begin = time.monotonic()
    content = nbformat.read(notebook, as_version=4)
    cells = sum(cell.cell_type == "code" for cell in content.cells)
    client = NotebookClient(
        content,
        timeout=None,
        kernel_name="python3",
        extra_arguments=["--log-level=ERROR"],  # else each kernel warns that its machine's own ports are not encrypted
        record_timing=False,  # times of day would change the file at each run
        resources={"metadata": {"path": str(notebook.parent)}},
        on_cell_start=lambda cell, cell_index: progress and progress.show(_position(content, cell_index), cells),
    )
    error = ""
    try:
        client.execute()
        keep_pictures(content)
        drop_progress(content)
        notebook_pictures.fit(content)
        files.write_text(notebook, nbformat.writes(content).rstrip("\n") + "\n")
    except (CellExecutionError, DeadKernelError) as failure:
        error = str(failure).strip() or type(failure).__name__
    return Outcome(notebook, cells, time.monotonic() - begin, error)


def keep_pictures(content: Any) -> None:
    """Leaves of each widget the picture that it brings along, where no kernel runs the only part of use.

    A widget's state would be stored beside it, megabytes of it, and a viewer that finds a view but no state shows an
    error. The picture is the output before the widget's; the HTML around it is the same picture once more.
    """
    if any(KEEP in cell.metadata.get("tags", ()) for cell in content.cells):
        return
    content.metadata.pop(STATE, None)
    for cell in content.cells:
        kept: list[Any] = []
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if data.pop(VIEW, None) is not None and kept and kept[-1].get("data", {}).pop("text/html", ""):
                continue  # its picture is the output before it
            kept.append(output)
        if kept:
            cell.outputs = kept


def drop_progress(content: Any) -> None:
    """Removes progress bars: they say how a run went, not what came out, and a head that was there already has none."""
    for cell in content.cells:
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if not _is_progress(output)]


def _is_progress(output: Any) -> bool:
    shown = output.get("data", {}).get("text/plain", "") if output.output_type == "display_data" else ""
    said = output.get("name") == "stderr"
    text = output.get("text", "") if said else shown  # a bar in a terminal, or a widget's
    return re.search(r"\d+%\|", text) is not None or (said and not text.strip())  # a closed bar leaves an empty line


def _position(content: Any, cell_index: int) -> int:
    return sum(cell.cell_type == "code" for cell in content.cells[: cell_index + 1])


class _Progress:
    """One line a notebook: rewritten while it runs on a terminal, printed once when it ends elsewhere."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.live = sys.stdout.isatty()

    def show(self, cell: int, cells: int) -> None:
        if self.live:
            print(f"\r{self.title}  cell {cell} of {cells} ", end="", flush=True)

    def finish(self, outcome: Outcome) -> None:
        beginning = "\r" if self.live else ""
        print(f"{beginning}{self.title}  {outcome}", flush=True)


def summarize(outcomes: list[Outcome], seconds: float) -> int:
    """Prints what failed and why, and one closing line; returns the exit status."""
    failed = [outcome for outcome in outcomes if outcome.error]
    for outcome in failed:
        print(f"\n{outcome.notebook} failed:\n{outcome.error}", file=sys.stderr)
    print(f"\n{len(outcomes) - len(failed)} of {len(outcomes)} notebooks reproduced in {seconds:.0f} s.")
    return 1 if failed else 0
