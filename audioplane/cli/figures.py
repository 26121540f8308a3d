"""Draws the paper's figures and a dot plot of each table from the records and heads on this machine.

For each a PNG (screen), with --pdf a PDF (print), and a JSON that says what it was drawn from; of a table also its
Markdown, CSV and LaTeX, in the folder `tables`. Nothing is trained: a figure whose records or heads are missing stays
as it is, and a message says so.
"""

from __future__ import annotations

import argparse
from pathlib import Path

NAME = "figures"
HELP = "draw the paper's figures from records and trained heads"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="fig1 to fig7, table2 to table7 (default: all)")
    parser.add_argument("--preset", default="demo", help="whose records and heads: smoke, demo (default) or paper")
    parser.add_argument(
        "--ratings",
        type=Path,
        nargs="+",
        default=[],
        metavar="CSV",
        help="ratings of a user study, for fig7 (default: the empty form)",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="the folder (default: figures of the clone)")
    parser.add_argument("--pdf", action="store_true", help="also write each figure as a PDF, for print")


def run(args: argparse.Namespace) -> int:
    """Draws; returns the exit status."""
    from audioplane import config
    from audioplane.errors import UserError
    from audioplane.experiments import paper_figures, tables
    from audioplane.runtime import clone

    config.preset(args.preset)
    unknown = [name for name in args.names if name not in paper_figures.names()]
    if unknown:
        raise UserError(f"there is no figure {unknown[0]!r}; there are {', '.join(paper_figures.names())}")
    out = args.out or clone.folder("figures")
    for name in args.names or paper_figures.names():
        try:
            figure, sources = paper_figures.draw(name, args.preset, args.ratings)
        except paper_figures.NotHereError as error:
            print(f"{name}: left as it is: {error}")
            continue
        written = paper_figures.keep(figure, sources, name, args.preset, out, args.pdf)
        print(f"{name}: {', '.join(map(str, written))}")
        if name in tables.every():
            texts = paper_figures.table_result(name, args.preset).save(out / "tables")
            print(f"{name}: {', '.join(str(path) for path in texts)}")
        if sources.older:
            print(f"{name}: trained by an older version of the code: {', '.join(sources.older)}")
    return 0
