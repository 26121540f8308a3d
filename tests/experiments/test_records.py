"""Records are read with their types; damaged ones are passed over, as if they were not there."""

from __future__ import annotations

import json
import lzma
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from audioplane.errors import UserError
from audioplane.experiments import records
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


def test_an_archive_comes_back(whole: dict[str, Any], tmp_path: Path) -> None:
    first = Record.load(tmp_path / "whole.json")
    second = replace(first, key="b" * 12, config=first.config | {"seed": 1})
    archive = records.pack([second, first], tmp_path / "kept")
    assert [path.name for path in (tmp_path / "kept").iterdir()] == [records.ARCHIVE]
    assert sorted(one.seed for one in read_all(tmp_path / "kept").values()) == [0, 1]
    before = archive.read_bytes()
    assert records.pack([first, second], tmp_path / "kept").read_bytes() == before, "no time, name or order is in it"
    newer = replace(first, made="2100-01-01")
    newer.save(tmp_path / "kept")
    assert {one.made for one in read_all(tmp_path / "kept").values()} == {"2100-01-01", first.made}
    assert len(read_all(tmp_path / "kept")) == 2, "a file of its own goes before"


def test_a_damaged_archive_is_said(whole: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = records.pack([Record.load(tmp_path / "whole.json")], tmp_path / "kept").read_bytes()
    for data in (b"", b"{}", good[: len(good) // 2], good[:-4], good[:40] + b"x" + good[41:]):
        (tmp_path / "kept" / records.ARCHIVE).write_bytes(data)
        with pytest.raises(UserError, match=r"records\.jsonl\.xz is damaged .*git checkout"):
            read_all(tmp_path / "kept")
    text = json.dumps(whole)
    large = lzma.compress("\n".join([" " * 200_000, "{}", text]).encode())
    (tmp_path / "kept" / records.ARCHIVE).write_bytes(large)
    assert [one.key for one in read_all(tmp_path / "kept").values()] == [whole["key"]], "others are passed over"
    monkeypatch.setenv("AUDIOPLANE_LIMITS", "json_bytes=100000")
    with pytest.raises(UserError, match=r"unpacks to more than 100000 bytes.*AUDIOPLANE_LIMITS"):
        read_all(tmp_path / "kept")


def test_an_archive_that_wants_much_memory_is_refused(tmp_path: Path) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 48 * 2**20, "mf": lzma.MF_HC3}]
    (tmp_path / records.ARCHIVE).write_bytes(lzma.compress(b"{}", filters=filters))
    with pytest.raises(UserError, match="damaged"):
        read_all(tmp_path)


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
    archives = list((repository / "records" / "demo").rglob(records.ARCHIVE))
    if not archives:
        pytest.skip("the records are not here, as in a source distribution")
    for archive in archives:
        lines = lzma.decompress(archive.read_bytes()).splitlines()
        assert len({Record.parse(line, archive).key for line in lines}) == len(lines)
        assert len(read_all(archive.parent)) == len(lines)
