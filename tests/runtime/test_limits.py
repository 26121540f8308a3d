"""The table of limits, and how it is changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from audioplane.errors import UserError
from audioplane.runtime import limits


def test_each_limit_can_be_changed_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, one in limits.TABLE.items():
        monkeypatch.delenv(limits.VARIABLE, raising=False)
        assert limits.limit(name) == one.value > 0
        monkeypatch.setenv(limits.VARIABLE, f"{name}=7.5, sound_hours=3")
        assert limits.limit(name) == (3 if name == "sound_hours" else 7.5)
    for text in ("x=1", "sound_hours", "sound_hours=x", "sound_hours=-1", "sound_hours=nan", "sound_hours=inf"):
        monkeypatch.setenv(limits.VARIABLE, text)
        with pytest.raises(UserError, match=limits.VARIABLE):
            limits.limit("json_bytes")


def test_numbers_between_bounds_and_no_others() -> None:
    limits.between("--x", 3, 3, 4)
    for value in (2.9, 4.1, float("nan"), float("inf"), -float("inf")):
        with pytest.raises(UserError, match=r"--x lies between 3 and 4"):
            limits.between("--x", value, 3, 4)


def test_the_page_has_every_limit(repository: Path) -> None:
    place = repository / "docs" / "reliability.md"
    if not place.exists():
        pytest.skip("the documents are not here, as in a source distribution")
    page = place.read_text(encoding="utf-8")
    for one in limits.TABLE.values():
        assert f"| `{one.name}` | {one.value:g} | {one.about} |" in page
