"""JSON from outside: typed, bounded, or a sentence that says where it is wrong."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import hypothesis
import hypothesis.strategies as st
import pytest
from msgspec import Meta

from audioplane.errors import UserError
from audioplane.runtime import documents, limits


@dataclass(frozen=True)
class Point:
    """A type to read."""

    width: Annotated[int, Meta(ge=1, le=100)]
    name: str = "x"


def test_a_value_comes_back_with_its_type(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"width": 3, "more": [1]}')
    assert documents.read(tmp_path / "a.json", Point, "again") == Point(3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"width": "3"}', "width: expected `int`, got `str`"),
        ('{"width": 3.0}', "width: expected `int`, got `float`"),
        ('{"width": true}', "width: expected `int`, got `bool`"),
        ('{"width": 101}', "width: expected `int` <= 100"),
        ('{"width": 10000000000000000000000000000}', "width: expected `int` <= 100"),
        ("{}", "missing required field `width`"),
        ('{"width": NaN}', "malformed"),
        ('{"width": 1e999}', "out of range"),
        ('{"width": 3, "name": "\\ud800"}', "damaged"),
        ("[" * 100_000, "too deep"),
        ("[" * 100 + "]" * 100, "json_depth"),
        ("[]", "expected `object`, got `array`"),
        ("", "damaged"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UserError, match=r"a\.json") as caught:
        documents.read(tmp_path / "a.json", Point, "write it again")
    assert words.lower() in str(caught.value).lower()
    assert "\n" not in str(caught.value)


def test_what_is_no_ordinary_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, words in (
        (tmp_path / "pipe", "ordinary file"),
        (tmp_path, "ordinary file"),
        (tmp_path / "no", "no file"),
    ):
        with pytest.raises(UserError, match=words):
            documents.read(path, Any, "again")


def test_a_file_beyond_the_limit_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.json").write_text('"' + "x" * 2000 + '"')
    monkeypatch.setenv(limits.VARIABLE, "json_bytes=1000")
    with pytest.raises(UserError, match=r"2002 bytes.*json_bytes=1000.*AUDIOPLANE_LIMITS"):
        documents.read(tmp_path / "a.json", Any, "again")
    monkeypatch.setenv(limits.VARIABLE, "json_bytes=3000")
    assert len(documents.read(tmp_path / "a.json", str, "again")) == 2000


@hypothesis.given(st.binary(max_size=200))
def test_no_bytes_end_in_another_exception(data: bytes) -> None:
    with contextlib.suppress(UserError):
        documents.parse(data, Point, "this", "again")


def test_numbers_that_json_does_not_know_are_written_as_null() -> None:
    values = {"a": float("nan"), "b": [1.0, float("inf")], "c": "x", "d": (1, 2)}
    assert json.loads(json.dumps(documents.finite(values), allow_nan=False)) == {
        "a": None,
        "b": [1.0, None],
        "c": "x",
        "d": [1, 2],
    }
