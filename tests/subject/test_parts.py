"""Opening a Subject refuses what `audioplane subject check` would call an error, before anything trusts it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from audioplane.errors import UserError
from audioplane.subject import Subject, SubjectWriter
from audioplane.subject.check import ERROR, check
from tests.reliability.inputs import accept
from tests.subject_cases import make_case, write_case

CASE = make_case(40, 32)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_case(tmp_path_factory.mktemp("subjects") / "subject", CASE)


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path / "subject")
    return tmp_path / "subject"


def manifest(**values: object) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = folder / "manifest.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return damage


def array(name: str, values: np.ndarray) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        np.save(folder / name, values)
        accept(folder, name)

    return damage


def link(folder: Path) -> None:
    (folder / "landmarks.npy").replace(folder.parent / "landmarks.npy")
    (folder / "landmarks.npy").symlink_to(folder.parent / "landmarks.npy")


def long_sound(folder: Path) -> None:
    import soundfile

    soundfile.write(folder / "audio.flac", np.zeros(16_000 * 600), 16_000)
    accept(folder, "audio.flac")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (manifest(width="32"), "width: expected `int`, got `str`"),
        (manifest(width=1e300), "width: expected `int`, got `float`"),
        (manifest(fps=0), "fps: expected `float` > 0"),
        (manifest(fps=30.0), "30 frames per second"),
        (manifest(num_frames=41), r"expected float of shape \(41, "),
        (manifest(num_frames=10**9), "subject_frames"),
        (manifest(split={"train": [0, 30], "test": [30, 10**9]}), "there are 40 frames"),
        (manifest(version=True), "version True"),
        (manifest(name="../x"), "the speaker's name must consist"),
        (manifest(parts={"../x": {"sha256": "0" * 64, "bytes": 1}}), "no name of a file inside"),
        (array("landmarks.npy", CASE.landmarks[:-1]), r"expected float of shape \(40, 68, 2\)"),
        (array("blendshapes.npy", np.zeros((40, 52), int)), "expected float"),
        (link, "leads out of"),
        (long_sound, "lasts 600.00 s, the 40 frames 1.60 s"),
    ],
)
def test_opening_and_checking_agree(folder: Path, damage: Callable[[Path], None], words: str) -> None:
    damage(folder)
    with pytest.raises(UserError, match=words):
        Subject.open(folder)
    try:
        problems = check(folder)
    except UserError:
        return  # no Subject at all
    assert any(problem.severity == ERROR for problem in problems)


def test_landmarks_far_away_and_poses_that_are_none_are_refused_when_read(folder: Path) -> None:
    array("landmarks.npy", CASE.landmarks * np.float32(1e9))(folder)
    np.savez(folder / "cameras.npz", K=CASE.K, viewmats=CASE.viewmats * 2)
    accept(folder, "cameras.npz")
    subject = Subject.open(folder)
    with pytest.raises(UserError, match="landmarks more than 1e\\+06 pixels away"):
        _ = subject.landmarks
    with pytest.raises(UserError, match="not a rotation"):
        _ = subject.viewmats


def test_a_mesh_that_names_other_vertices_is_refused(folder: Path) -> None:
    with np.load(folder / "mesh.npz") as file:
        mesh = dict(file)
    np.savez(folder / "mesh.npz", **mesh | {"group_lips": mesh["group_lips"] + 10**6})
    accept(folder, "mesh.npz")
    with pytest.raises(UserError, match="group_lips names vertices that are not among the 500"):
        _ = Subject.open(folder).vertex_groups


def test_no_subject_is_written_under_a_name_that_is_a_path(tmp_path: Path) -> None:
    for name in ("../x", "*", "", "<b>"):
        with pytest.raises(UserError, match="the speaker's name"):
            SubjectWriter(tmp_path / "x", name, 32, 32)
    assert not list(tmp_path.iterdir())
