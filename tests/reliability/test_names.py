"""Hostile names are text wherever they are shown: in pages, LaTeX, CSV, JSON and widgets nothing of them runs."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from audioplane.errors import UserError
from audioplane.evaluation import user_study
from audioplane.evaluation.user_study import CRITERIA
from audioplane.experiments import table_text
from audioplane.runtime.names import check_name
from audioplane.widgets import page
from tests.reliability.bad_commands import NAMES

if TYPE_CHECKING:
    from playwright.sync_api import Page

HOSTILE = (
    "<script>window.ran = 1</script>",
    "</script><script>window.ran = 1</script>",
    "<img src=x onerror='window.ran = 1'>",
    '"><svg onload="window.ran = 1">',
    "<!--<script>",
    "javascript:window.ran=1",
    "${7*7}{{7*7}}",
    "\\input{/etc/passwd}\\write18{touch x}",
    "=cmd|' /C calc'!A0",
    "@SUM(1)",
)
PICTURE = page.png(np.zeros((8, 8, 3), np.uint8))


@pytest.mark.parametrize("name", [*HOSTILE, *NAMES.values()])
def test_none_of_them_names_a_speaker(name: str) -> None:
    with pytest.raises(UserError, match="must consist of letters"):
        check_name(name, "the speaker's name")


@pytest.mark.parametrize("name", HOSTILE)
def test_latex_writes_them_as_text(name: str) -> None:
    cells = [table_text.Cell(name, name, name, table_text.OURS, name), table_text.Cell("b", "c", "d", "ours", "1")]
    text = table_text.latex(cells, name, "tab:x")
    for command in ("\\input", "\\write"):
        assert command not in text
    assert "|' " not in table_text.pipe_table(table_text.frame(cells)).replace("\\|' ", "")


@pytest.mark.parametrize("name", HOSTILE)
def test_ratings_keep_them_as_text_and_no_formula(name: str, tmp_path: Path) -> None:
    row = {"participant": name, "identity": name, "method": name, "position": 0, "rating": 3}
    user_study.append(tmp_path / "r.csv", [row | {"criterion": one} for one in CRITERIA])
    with open(tmp_path / "r.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(CRITERIA)
    assert all(not one["participant"].startswith(("=", "@", "+", "-")) for one in rows)
    assert set(user_study.read(tmp_path / "r.csv")["participant"]) == {rows[0]["participant"]}
    assert name in rows[0]["participant"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_page_holds_them_as_text(name: str, tmp_path: Path, open_page: Callable[..., Page]) -> None:
    code = page.script("elements.js") + "function render({ model, el }) { el.textContent = model.get('name'); }"
    path = page.save(tmp_path / "page.html", name, code, {"name": name, "more": [name]}, PICTURE, name)
    shown = open_page(path, offline=True)
    assert shown.evaluate("window.ran") is None
    assert shown.title() == name
    assert json.loads(json.dumps(name)) in shown.content() or "&" in shown.content()
