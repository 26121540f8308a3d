"""Records are read with their types; damaged ones are passed over, as if they were not there."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from audioplane.experiments.records import Record, read_all
from tests.reliability.inputs import record


@pytest.fixture
def whole(tmp_path: Path) -> dict[str, Any]:
    record(tmp_path / "whole.json")
    return json.loads((tmp_path / "whole.json").read_text())


DAMAGED = {
    "no JSON": "{",
    "empty": "",
    "a list": "[]",
    "null": "null",
    "a number": "3",
    "deep": "[" * 100_000,
    "NaN": '{"identity": NaN}',
}
CHANGES: dict[str, Any] = {
    "config": [],
    "seconds": {"train": "1"},
    "clip": None,
    "measures": {"protocol": 3},
    "series": {"psnr": ["x"]},
    "key": "../outside",
    "unknown": 1,
}


def test_a_record_comes_back(whole: dict[str, Any], tmp_path: Path) -> None:
    found = Record.load(tmp_path / "whole.json")
    assert found.key == whole["key"]
    assert found.seed == 0
    found.save(tmp_path / "again")
    assert Record.load(tmp_path / "again" / f"{found.key}.json") == found
    packed = found.save(tmp_path / "again", packed=True)
    assert packed.name == f"{found.key}.json.gz"
    assert Record.load(packed) == found
    assert packed.stat().st_size < (tmp_path / "again" / f"{found.key}.json").stat().st_size
    before = packed.read_bytes()
    assert found.save(tmp_path / "again", packed=True).read_bytes() == before, "no time or name is in it"


def test_damaged_packed_records_are_passed_over(
    whole: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "bad"
    folder.mkdir()
    good = gzip.compress(json.dumps(whole).encode())
    texts = {
        "no gzip": b"{}",
        "empty": b"",
        "half": good[: len(good) // 2],
        "no end": good[:-4],
        "JSON": good[:-1] + b"x",
    }
    for name, data in texts.items():
        path = folder / f"{name}.json.gz"
        path.write_bytes(data)
        with pytest.raises(ValueError, match="no record of this version"):
            Record.load(path)
    assert read_all(folder) == {}
    (folder / "large.json.gz").write_bytes(gzip.compress(b" " * 200_000 + json.dumps(whole).encode()))
    assert len(read_all(folder)) == 1
    monkeypatch.setenv("AUDIOPLANE_LIMITS", "json_bytes=100000")
    with pytest.raises(ValueError, match=r"unpacks to more than 100000 bytes.*AUDIOPLANE_LIMITS"):
        Record.load(folder / "large.json.gz")


def test_damaged_records_are_passed_over(whole: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    texts = DAMAGED | {key: json.dumps(whole | {key: value}) for key, value in CHANGES.items()}
    for name, text in texts.items():
        (tmp_path / "bad" / f"{name}.json").write_text(text)
        with pytest.raises(ValueError, match="no record of this version"):
            Record.load(tmp_path / "bad" / f"{name}.json")
    (tmp_path / "bad" / "folder.json").mkdir()
    os.mkfifo(tmp_path / "bad" / "pipe.json")
    assert read_all(tmp_path / "bad") == {}
    assert [one.key for one in read_all(tmp_path).values()] == [whole["key"]]


def test_the_committed_records_are_all_read(repository: Path) -> None:
    folder = repository / "records" / "demo"
    files = list(folder.rglob("*.json.gz"))
    if not files:
        pytest.skip("the records are not here, as in a source distribution")
    assert len({Record.load(path).key for path in files}) == len(files)
