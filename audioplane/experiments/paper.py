"""The numbers that a paper prints, carried as data: `numbers.json` in the folder of the method that it presents."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from audioplane import registry

MEASURES = ("psnr", "ssim", "lpips", "syncnet", "fps")


@cache
def numbers(method: str) -> dict[str, Any]:
    """All numbers of a method's paper, table by table; none where its folder carries none."""
    place = registry.spec(method).numbers
    return json.loads((files(place) / "numbers.json").read_text(encoding="utf-8")) if place else {}


def row(table: Mapping[str, Any], name: str, group: str = "") -> dict[str, float]:
    """The paper's numbers of one row by measure; those it does not give are left out.

    Args:
        table: of `numbers`: "rows", and "columns" where cells come as lists.
        name: of the row. group: the test set or driving audio.
    """
    whole = found = table["rows"].get(name)
    if found is None:
        return {}
    if isinstance(found, list):  # cells in the order of the table's columns
        found = dict(zip(table["columns"], found, strict=True))
    if group:
        found = found.get(group) or {}
    elif isinstance(found, dict) and any(isinstance(cells, (dict, list)) for cells in found.values()):
        return {}  # of test sets, none of which is asked for
    if isinstance(found, list):
        found = dict(zip(table["columns"], found, strict=True))
    if not isinstance(found, dict):
        found = {"syncnet": found}
    if isinstance(whole, dict) and "fps" in whole:  # of the row, whatever the group
        found = found | {"fps": whole["fps"]}
    return {measure: found[measure] for measure in MEASURES if found.get(measure) is not None}


def truth(table: Mapping[str, Any], group: str = "") -> float | None:
    """SyncNet's confidence in the true video of a table's test set, where the paper gives it."""
    found = table.get("gt_syncnet")
    return found.get(group) if isinstance(found, dict) else found
