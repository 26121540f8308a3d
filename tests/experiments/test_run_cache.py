"""Runs in the cache are found by the speaker's name as it is: no pattern, no path."""

from __future__ import annotations

from pathlib import Path

import pytest

from audioplane.errors import UserError
from audioplane.experiments import run_cache
from tests.tiny_run import TINY


def test_a_name_is_neither_a_pattern_nor_a_path(empty_home: Path) -> None:
    runs = empty_home / "cache" / "runs"
    for name in ("adam-0123456789ab", "beth-0123456789ab", "adam-b-0123456789ab"):
        (runs / name).mkdir(parents=True)
        (runs / name / "config.json").write_text(TINY.to_json())
    outside = empty_home / "outside-0123456789ab"
    outside.mkdir()
    (outside / "config.json").write_text(TINY.to_json())
    for name in ("*", "?dam", "[ab]*", "../../outside", "..", ""):
        run_cache.forget_head(name, TINY)
        with pytest.raises(UserError, match="the speaker's name"):
            run_cache.place(name, "0", TINY)
    assert len(list(runs.iterdir())) == 3
    assert outside.exists()
    run_cache.forget_head("adam", TINY)
    assert {path.name for path in runs.iterdir()} == {"beth-0123456789ab", "adam-b-0123456789ab"}
