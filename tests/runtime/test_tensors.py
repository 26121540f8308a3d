"""Files of torch: tensors are read; bombs, pipes and code are refused in a sentence."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from audioplane.errors import UserError
from audioplane.runtime import tensors

ADVICE = "copy it again"


class Code:
    """What a file may try to run when it is unpickled."""

    def __reduce__(self) -> tuple:
        return Path.touch, (Path("ran"),)


def write(path: Path, kind: str) -> None:
    """A file of tensors with one thing wrong."""
    torch.save({"a": torch.arange(1 << 16, dtype=torch.float32)}, path)
    if kind == "cut":
        path.write_bytes(path.read_bytes()[:-300])
    elif kind == "code":
        torch.save({"a": torch.zeros(2), "b": Code()}, path)
    elif kind == "text":
        path.write_text("no tensors at all")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind in ("packed", "twice"):
        with zipfile.ZipFile(path) as file:
            members = {name: file.read(name) for name in file.namelist()}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if kind == "packed" else zipfile.ZIP_STORED) as file:
            for name, data in members.items():
                file.writestr(name, data)
            if kind == "twice":  # two names for one place: parts that are larger than the whole
                last = file.infolist()[-1]
                for number in range(3):
                    data = zipfile.ZipInfo(f"more/{number}")
                    data.header_offset, data.CRC = file.infolist()[0].header_offset, last.CRC
                    data.compress_size = data.file_size = path.stat().st_size
                    file.filelist.append(data)
    elif kind == "pipe":
        path.unlink()
        os.mkfifo(path)
    elif kind == "folder":
        path.unlink()
        path.mkdir()


@pytest.mark.parametrize("zipped", [True, False])
def test_tensors_come_back(tmp_path: Path, zipped: bool) -> None:
    wanted = {"a": torch.arange(5.0), "b": {"c": torch.zeros(2, dtype=torch.int8)}}
    torch.save(wanted, tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
    found = tensors.read_of_torch(tmp_path / "x.pth", ADVICE)
    assert torch.equal(found["a"], wanted["a"])
    assert torch.equal(found["b"]["c"], wanted["b"]["c"])


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes in folders")
@pytest.mark.parametrize("kind", ["cut", "code", "text", "empty", "packed", "twice", "pipe", "folder"])
def test_others_are_refused_in_a_sentence(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "x.pth", kind)
    with pytest.raises(UserError, match=r"x\.pth is .*; copy it again$") as caught:
        tensors.read_of_torch(tmp_path / "x.pth", ADVICE)
    assert "\n" not in str(caught.value)
    assert ("parts are larger" in str(caught.value)) == (kind in ("packed", "twice"))
    assert not (tmp_path / "ran").exists()


def test_a_file_beyond_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIOPLANE_LIMITS", "tensor_bytes=1000")
    write(tmp_path / "x.pth", "none")
    with pytest.raises(UserError, match="tensor_bytes=1000"):
        tensors.read_of_torch(tmp_path / "x.pth", ADVICE)
