"""The paper's numbers: `paper.json` beside this file, carried as data."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

MEASURES = ("psnr", "ssim", "lpips", "syncnet", "fps")


@cache
def numbers() -> dict[str, Any]:
    """All of it, as in the file."""
    return json.loads((files("audioplane.experiments") / "paper.json").read_text(encoding="utf-8"))


def row(table: str, name: str, group: str = "") -> dict[str, float]:
    """The paper's numbers of one row by measure; those it does not give are left out.

    Args:
        table: as in the file, such as "table2_ablation". name: of the row. group: the test set or driving audio.
    """
    found = numbers()[table]["rows"].get(name)
    if found is None:
        return {}
    if isinstance(found, list):  # cells in the order of the table's columns
        found = dict(zip(numbers()[table]["columns"], found, strict=True))
    if group:
        found = found.get(group) or {}
    if isinstance(found, list):
        found = dict(zip(numbers()[table]["columns"], found, strict=True))
    if not isinstance(found, dict):
        found = {"syncnet": found}
    found = found | {"fps": numbers()[table]["rows"][name].get("fps")} if table == "table5_methods" else found
    return {measure: found[measure] for measure in MEASURES if found.get(measure) is not None}


def truth(table: str, group: str = "") -> float | None:
    """SyncNet's confidence in the true video of a table's test set, where the paper gives it."""
    found = numbers()[table].get("gt_syncnet")
    return found.get(group) if isinstance(found, dict) else found
