"""The map from the paper to the code: complete, and true of the code as it stands."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII")
PLACE = re.compile(r"`([\w/]+\.py):([\w.]+)`")


def rows(first: str) -> dict[str, str]:
    """The lines of the map's table whose header begins with `first`, by their first cell."""
    text = (ROOT / "docs" / "paper_map.md").read_text(encoding="utf-8")
    table = text.split(f"\n| {first} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return {line.split("|")[1].strip(): line for line in table}


def find(file: str, name: str) -> ast.AST:
    """The class or function `name` (or Class.method) of a file of the package."""
    node: ast.AST = ast.parse((ROOT / "audioplane" / file).read_text(encoding="utf-8"))
    for part in name.split("."):
        found = [
            child
            for child in ast.iter_child_nodes(node)
            if isinstance(child, (ast.ClassDef, ast.FunctionDef)) and child.name == part
        ]
        assert found, f"{file} has no {name}"
        node = found[0]
    return node


def cited(text: str, kind: str) -> set[int]:
    """Numbers of equations or figures that a text names: "Eq. 1, 3 and 4", "Eq. 6 to 12"."""
    numbers: set[int] = set()
    for run in re.findall(rf"{kind}\. (\d+(?:(?:, | and | to )\d+)*)", text):
        for first, last in re.findall(r"(\d+)(?: to (\d+))?", run):
            numbers |= set(range(int(first), int(last or first) + 1))
    return numbers


def source(file: str, name: str) -> str:
    text, node = (ROOT / "audioplane" / file).read_text(encoding="utf-8"), find(file, name)
    return ast.get_source_segment(text, node) or ""


def test_citations_are_read() -> None:
    assert cited("Paper: Eq. 1, 3 and 4 (journal); Fig. 9", "Eq") == {1, 3, 4}
    assert cited("Eq. 6 to 8, see Eq. 12", "Eq") == {6, 7, 8, 12}


def test_the_map_is_complete() -> None:
    assert list(rows("equation")) == [str(number) for number in range(1, 18)]
    assert list(rows("table")) == list(ROMAN)
    assert list(rows("figure")) == [str(number) for number in range(1, 8)]


@pytest.mark.parametrize("number", range(1, 18))
def test_each_equation_is_where_the_map_says(number: int) -> None:
    places = PLACE.findall(rows("equation")[str(number)])
    assert places
    for file, name in places:
        assert number in cited(source(file, name), "Eq"), f"{file}:{name} does not cite Eq. {number}"


@pytest.mark.parametrize("number", range(1, 8))
def test_each_figure_is_where_the_map_says(number: int) -> None:
    from audioplane import plots

    line = rows("figure")[str(number)]
    ((file, name),) = PLACE.findall(line)
    assert number in cited(source(file, name), "Fig"), f"{file}:{name} does not cite Fig. {number}"
    assert name in plots.__all__
    assert (ROOT / re.findall(r"`(figures/[\w.]+png)`", line)[0]).is_file()


@pytest.mark.parametrize("line", [*rows("table").values(), *rows("figure").values()], ids=lambda line: line[:8])
def test_each_notebook_is_there(line: str) -> None:
    name, path = re.findall(r"\[(\w+)\]\(\.\./(notebooks/\w+\.ipynb)\)", line)[0]
    assert Path(path).stem == name
    assert json.loads((ROOT / path).read_text(encoding="utf-8"))["cells"]
