"""ICT-FaceKit's files: read, converted, fetched, refused. All on a generated kit of five vertices."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from audioplane import cli, synthetic
from audioplane.cli import fetch
from audioplane.errors import UserError
from audioplane.runtime import weights
from audioplane.synthetic.face import Identity
from audioplane.synthetic.face.shapes import NAMES
from audioplane.synthetic.ict import download, kit
from audioplane.synthetic.ict.model import IctFace
from audioplane.synthetic.ict.rig import kit_names
from tests.synthetic.ict import fake_kit


@pytest.fixture
def published(empty_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The fake kit as files of this machine, listed with their sha256; returns their folder."""
    folder = fake_kit.write(empty_home / "public")
    digests = {path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    monkeypatch.setattr(download, "files", lambda: digests)
    file = replace(weights.REGISTRY["ict-facekit"], url=folder.as_uri() + "/")
    monkeypatch.setitem(weights.REGISTRY, "ict-facekit", file)
    return folder


def test_obj_files_become_arrays(tmp_path: Path) -> None:
    it = kit.from_folder(fake_kit.write(tmp_path))
    assert np.allclose(it.vertices, fake_kit.VERTICES)
    assert it.faces.tolist() == [[0, 1, 2], [0, 2, 3], [0, 1, 4], [2, 3, 4]]  # the quad in two
    assert it.faces_uv.tolist() == [[0, 1, 2], [0, 2, 3], [4, 5, 0], [0, 1, 2]]
    assert [str(it.part_names[k]) for k in it.part] == ["M_Face", "M_Face", "M_Back", "M_Back"]
    assert list(it.expressions) == ["jawOpen", "mouthClose"]
    high = fake_kit.VERTICES[:, 1] > 0.5
    assert np.array_equal(it.delta("jawOpen"), np.outer(high, [0, -1, 0]))
    assert np.array_equal(it.identity_deltas[1].astype(float), np.outer(high, [0, 0, 0.5]))


def test_a_saved_kit_is_the_same_and_nothing_else_is_left(tmp_path: Path) -> None:
    it = kit.from_folder(fake_kit.write(tmp_path / "obj"))
    (tmp_path / "npz").mkdir()
    kit.save(it, tmp_path / "npz" / "kit.npz")
    again = kit.load(tmp_path / "npz" / "kit.npz")
    for name in kit.ARRAYS:
        assert np.array_equal(getattr(again, name), getattr(it, name)), name
    assert [path.name for path in (tmp_path / "npz").iterdir()] == ["kit.npz"]


def test_fetch_makes_one_file_of_many(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["fetch", "ict-facekit"]) == 0
    path = weights.require("ict-facekit")
    assert str(path) in capsys.readouterr().out
    assert list(kit.load(path).expressions) == ["jawOpen", "mouthClose"]
    assert [p.name for p in path.parent.iterdir()] == ["ict_facekit.npz"]


def test_a_changed_or_missing_file_is_refused_and_leaves_nothing(published: Path) -> None:
    target = weights.REGISTRY["ict-facekit"].candidates()[0]
    (published / "jawOpen.obj").write_text("v 0 0 0\n")
    with pytest.raises(UserError, match=r"jawOpen\.obj gave a file with another sha256"):
        fetch.download(weights.REGISTRY["ict-facekit"])
    (published / "jawOpen.obj").unlink()
    with pytest.raises(UserError, match="cannot be reached"):
        fetch.download(weights.REGISTRY["ict-facekit"])
    assert list(target.parent.iterdir()) == []


def test_the_published_list_has_what_is_needed() -> None:
    files = download.files()
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in files.values())
    assert len(set(files.values())) == len(files)
    needed = {name for arkit in NAMES for name in kit_names(arkit)}
    assert set(files) == {kit.NEUTRAL} | needed | {f"identity{k:03d}" for k in range(10)}
    assert [name for name in NAMES if not kit_names(name)] == ["tongueOut"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"jawOpen": "v 1 2\n"}, "damaged"),
        ({"jawOpen": "v 1 2 3\n"}, "1 vertices"),
        ({kit.NEUTRAL: "v 0 0 0\nf 1/x 2/2 3/3\n"}, "damaged"),
        (
            {kit.NEUTRAL: "v 0 0 0\nusemtl a\nvt 0 0\nf 1/1 2/1 3/1\n", "jawOpen": "v 0 0 0\n"},
            "must be indices below 1",
        ),
        ({kit.NEUTRAL: None}, "only"),
    ],
)
def test_damaged_obj_files_are_refused(tmp_path: Path, content: dict[str, str | None], words: str) -> None:
    folder = fake_kit.write(tmp_path)
    if content.get(kit.NEUTRAL) and "jawOpen" in content:
        for path in folder.iterdir():
            path.unlink()
    for name, text in content.items():
        if text is None:
            (folder / f"{name}.obj").unlink()
        else:
            (folder / f"{name}.obj").write_text(text)
    with pytest.raises(UserError, match=words):
        kit.from_folder(folder)


def test_other_files_are_no_kit(tmp_path: Path) -> None:
    path = tmp_path / "kit.npz"
    path.write_bytes(b"nothing")
    with pytest.raises(UserError, match="is not an ICT-FaceKit"):
        kit.load(path)
    np.savez(path, vertices=np.zeros((3, 3)))
    with pytest.raises(UserError, match="is not an ICT-FaceKit"):
        kit.load(path)
    it = kit.from_folder(fake_kit.write(tmp_path / "obj"))
    kit.save(replace(it, identity_deltas=it.identity_deltas[:, :3]), path)
    with pytest.raises(UserError, match="`identity_deltas` of an ICT-FaceKit must be"):
        kit.load(path)


def test_a_kit_of_another_mesh_makes_no_face(tmp_path: Path) -> None:
    it = kit.from_folder(fake_kit.write(tmp_path))
    with pytest.raises(UserError, match="must have 26719 vertices, this one has 5"):
        IctFace(Identity(), it)
    with pytest.raises(UserError, match="lacks the expression 'cheekPuff_L'"):
        it.delta("cheekPuff_L")


def test_without_the_kit_making_says_how_to_get_it(empty_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="Get it: audioplane fetch ict-facekit"):
        synthetic.make("adam", size=64, seconds=2, backend="ict", progress=False)
    arguments = ["speakers", "make", "adam", "--out", str(empty_home / "s"), "--backend", "ict"]
    assert cli.main(arguments) == 2
    assert "audioplane fetch ict-facekit" in capsys.readouterr().err
    assert not (empty_home / "s").exists()
    with pytest.raises(UserError, match="there is no backend 'metahuman'; there are ours, ict"):
        synthetic.make("adam", backend="metahuman")
