"""Runs everything there is to reproduce: the notebooks, in order and in place.

Each notebook runs from top to bottom in a fresh kernel and is rewritten with its new outputs when it went
through; one that fails keeps its old content, and the others still run. Widgets are kept as pictures.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import audioplane
from audioplane.errors import UserError

NAME = "reproduce"
HELP = "run the notebooks, which make every table and figure"


KEEP = "keep-widget"
"""The tag of a cell whose widget is of use without a kernel: its notebook keeps the state of its widgets."""

VIEW, STATE = "application/vnd.jupyter.widget-view+json", "widgets"


@dataclass(frozen=True)
class Outcome:
    """What became of one notebook; `error` is "" when all went well."""

    notebook: Path
    cells: int
    seconds: float
    error: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("only", nargs="*", metavar="name", help="only notebooks whose name begins so, as in `01`")
    parser.add_argument("--notebooks", type=Path, default=None, metavar="FOLDER", help="the folder of the notebooks")
    parser.add_argument("--list", action="store_true", help="say what would run, and run nothing")


def run(args: argparse.Namespace) -> int:
    folder = args.notebooks or _default_folder()
    notebooks = choose(folder, args.only)
    if args.list:
        print("\n".join(str(notebook) for notebook in notebooks))
        return 0
    outcomes = []
    for number, notebook in enumerate(notebooks, start=1):
        progress = _Progress(f"[{number}/{len(notebooks)}] {notebook.name}")
        outcomes.append(execute(notebook, progress))
        progress.finish(outcomes[-1])
    return summarize(outcomes)


def _default_folder() -> Path:
    """`notebooks` of the clone this package was installed from, else of the current folder."""
    clone = Path(audioplane.__file__).parents[1] / "notebooks"
    return clone if clone.is_dir() else Path("notebooks")


def choose(folder: Path, beginnings: list[str]) -> list[Path]:
    """The notebooks of a folder in the order of their names, all or those with one of the given beginnings.

    Raises:
        UserError: the folder or a notebook asked for is not there.
    """
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}: run this in a clone of the repository, or give --notebooks.")
    notebooks = sorted(folder.glob("*.ipynb"))
    for beginning in beginnings:
        if not any(notebook.name.startswith(beginning) for notebook in notebooks):
            names = ", ".join(notebook.stem for notebook in notebooks) or "none"
            raise UserError(f"No notebook in {folder} begins with {beginning!r}. There are: {names}.")
    chosen = [book for book in notebooks if not beginnings or book.name.startswith(tuple(beginnings))]
    if not chosen:
        raise UserError(f"There are no notebooks in {folder}.")
    return chosen


def execute(notebook: Path, progress: _Progress) -> Outcome:
    """Runs one notebook in its own folder and rewrites it; on a failure its file stays as it was."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    begin = time.monotonic()
    content = nbformat.read(notebook, as_version=4)
    cells = sum(cell.cell_type == "code" for cell in content.cells)
    client = NotebookClient(
        content,
        timeout=None,
        kernel_name="python3",
        record_timing=False,  # times of day would change the file at each run
        resources={"metadata": {"path": str(notebook.parent)}},
        on_cell_start=lambda cell, cell_index: progress.show(_position(content, cell_index), cells),
    )
    error = ""
    try:
        client.execute()
        keep_pictures(content)
        _rewrite(notebook, nbformat.writes(content))
    except (CellExecutionError, DeadKernelError) as failure:
        error = str(failure).strip() or type(failure).__name__
    return Outcome(notebook, cells, time.monotonic() - begin, error)


def keep_pictures(content: Any) -> None:
    """Leaves of each widget the picture that it brings along, where no kernel runs the only part of use.

    A widget's state would be stored beside it, megabytes of it, and a viewer that finds a view but no state shows an
    error instead of the picture. The HTML around the picture is the same picture once more.
    """
    if any(KEEP in cell.metadata.get("tags", ()) for cell in content.cells):
        return
    content.metadata.pop(STATE, None)
    for cell in content.cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if data.pop(VIEW, None) is not None and any(kind.startswith("image/") for kind in data):
                data.pop("text/html", None)


def _position(content: Any, cell_index: int) -> int:
    return sum(cell.cell_type == "code" for cell in content.cells[: cell_index + 1])


def _rewrite(path: Path, text: str) -> None:
    """Never half-written: a temporary file beside it takes its place."""
    partial = path.with_name(path.name + ".tmp")
    partial.write_text(text if text.endswith("\n") else text + "\n", encoding="utf-8")
    os.replace(partial, path)


class _Progress:
    """One line a notebook: rewritten while it runs on a terminal, printed once when it ends elsewhere."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.live = sys.stdout.isatty()

    def show(self, cell: int, cells: int) -> None:
        if self.live:
            print(f"\r{self.title}  cell {cell} of {cells} ", end="", flush=True)

    def finish(self, outcome: Outcome) -> None:
        state = "FAILED" if outcome.error else "done"
        beginning = "\r" if self.live else ""
        print(f"{beginning}{self.title}  {outcome.cells} cells, {outcome.seconds:.1f} s, {state}", flush=True)


def summarize(outcomes: list[Outcome]) -> int:
    """Prints what failed and why, and one closing line; returns the exit status."""
    failed = [outcome for outcome in outcomes if outcome.error]
    for outcome in failed:
        print(f"\n{outcome.notebook} failed:\n{outcome.error}", file=sys.stderr)
    seconds = sum(outcome.seconds for outcome in outcomes)
    print(f"\n{len(outcomes) - len(failed)} of {len(outcomes)} notebooks reproduced in {seconds:.0f} s.")
    return 1 if failed else 0
