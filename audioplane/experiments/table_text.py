"""How a table is set: for a notebook (a styled frame), for a terminal (Markdown) and for a paper (LaTeX).

Each measure has one heading over two columns, ours with its spread and the paper's; the best of a column is bold.
Several test sets stand below each other: twenty columns fit no page.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from audioplane.runtime import files

if TYPE_CHECKING:
    import pandas as pd
    from pandas.io.formats.style import Styler

OURS, PAPER = "ours", "paper"
BOLD = "font-weight: bold"
SYMBOLS = {"±": r"$\pm$", "↑": r"$\uparrow$", "↓": r"$\downarrow$"}  # that not every LaTeX has as letters
UPRIGHT = 8  # columns of numbers that a page holds upright; more are turned by a quarter


@dataclass(frozen=True)
class Cell:
    """One text of a table: in which group of rows, row, heading and column (ours or paper), and whether it is bold."""

    group: str
    row: str
    heading: str
    kind: str
    text: str
    bold: bool = False


def frame(cells: Sequence[Cell]) -> pd.DataFrame:
    """Texts, without rows and columns that say nothing.

    Rows are (row) or, of several groups, (group, row); columns (heading, ours or paper).
    """
    return _table(cells, lambda cell: cell.text)


def _table(cells: Sequence[Cell], value: Callable[[Cell], str]) -> pd.DataFrame:
    import pandas as pd

    shown = [cell for cell in cells if cell.text]
    several = len({cell.group for cell in cells}) > 1
    used = {(cell.heading, cell.kind) for cell in shown}
    headings = dict.fromkeys(cell.heading for cell in cells)
    kinds = [(heading, kind) for heading in headings for kind in (OURS, PAPER) if (heading, kind) in used]
    places = list(dict.fromkeys((cell.group, cell.row) for cell in shown))
    if not places:  # nothing ran yet
        return pd.DataFrame()
    texts = {(cell.group, cell.row, cell.heading, cell.kind): value(cell) for cell in shown}
    rows = pd.MultiIndex.from_tuples(places) if several else pd.Index([row for _, row in places])
    data = [[texts.get((*place, *kind), "") for kind in kinds] for place in places]
    return pd.DataFrame(data, index=rows, columns=pd.MultiIndex.from_tuples(kinds))


def _bold(cells: Sequence[Cell]) -> pd.DataFrame:
    return _table(cells, lambda cell: BOLD if cell.bold else "")


def styled(cells: Sequence[Cell], name: str) -> Styler:
    """For a notebook, readable at its width; the same table has the same HTML, two tables never one's ids."""
    from pandas.io.formats.style import Styler

    bold, digest = _bold(cells), hashlib.sha256(repr(cells).encode()).hexdigest()[:8]
    narrow = [
        {"selector": "", "props": "font-size: 80%"},
        {"selector": "th, td", "props": "padding: 2px 4px; white-space: nowrap"},
        {"selector": "tbody th", "props": "text-align: left; vertical-align: top"},
        {"selector": "thead th", "props": "text-align: center; white-space: normal"},
    ]
    return (
        Styler(frame(cells), uuid=f"{name}_{digest}", cell_ids=False)
        .apply(lambda _: bold, axis=None)
        .set_table_styles(narrow)  # type: ignore[arg-type]
    )


def latex(cells: Sequence[Cell], caption: str, label: str) -> str:
    """For the packages booktabs, adjustbox and rotating. Every text is escaped by pandas.

    A wide table lies on its side, and no table is wider than its page.
    """
    from pandas.io.formats.style import Styler

    table, bold = frame(cells), _bold(cells)
    styler = Styler(table)
    styler.apply(lambda _: bold, axis=None).format(escape="latex")
    for axis in ("index", "columns"):
        styler.format_index(escape="latex", axis=axis)
    text = styler.to_latex(
        column_format="l" * table.index.nlevels + "c" * table.shape[1],
        convert_css=True,
        hrules=True,
        multicol_align="c",
        multirow_align="naive",
        position_float="centering",
        environment="sidewaystable" if table.shape[1] > UPRIGHT else None,
        caption=_escaped(caption),
        label=label,
    )
    return _symbols(_fitted(text))


def _fitted(text: str) -> str:
    """A LaTeX table with signs of minus, and scaled down to the width of its page where it is wider."""
    begin, end = r"\begin{tabular}", r"\end{tabular}"
    text = re.sub(r"(?<=[&s] )-(?=\d)", r"$-$", text)  # a minus, not a hyphen; after a cell's beginning or \bfseries
    text = text.replace(begin, "\\begin{adjustbox}{max width=\\linewidth}\n" + begin)
    return text.replace(end, end + "\n\\end{adjustbox}")


def _escaped(text: str) -> str:
    """What pandas makes of a text; it escapes cells, but no captions."""
    import pandas as pd

    alone = pd.DataFrame([[text]]).style
    alone.hide(axis="index").hide(axis="columns").format(escape="latex")
    return alone.to_latex().splitlines()[1].removesuffix(r" \\")


def _symbols(text: str) -> str:
    return text.translate({ord(letter): command for letter, command in SYMBOLS.items()})


def markdown(cells: Sequence[Cell]) -> list[str]:
    """A pipe table for each group, below its name."""
    groups = list(dict.fromkeys(cell.group for cell in cells))
    blocks = []
    for group in groups:
        own = [cell for cell in cells if cell.group == group]
        if any(cell.text for cell in own):
            table, bold = frame(own), _bold(own)
            table = table.where(bold.ne(BOLD), "**" + table + "**")
            blocks.append((f"**{group}**\n\n" if len(groups) > 1 else "") + pipe_table(table))
    return blocks


def save(texts: Mapping[str, str], name: str, folder: Path) -> list[Path]:
    """Writes FOLDER/NAME.md, .csv and so on, by ending; there is never half of one."""
    files.make_folder((folder / name).parent)
    paths = []
    for ending, text in texts.items():
        path = folder / f"{name}.{ending}"
        files.write_text(path, text)
        paths.append(path)
    return paths


def pipe_table(frame: pd.DataFrame) -> str:
    """Markdown of a frame; both levels of its columns stand in one line."""
    names = [", ".join(filter(None, key)) if isinstance(key, tuple) else str(key) for key in frame.columns]
    rows = [["", *names], ["---"] * (len(names) + 1)]
    rows += [[str(name), *map(str, cells)] for name, cells in zip(frame.index, frame.values, strict=True)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
