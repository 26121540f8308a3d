"""The head on ICT-FaceKit: mouth, lids, landmarks, masks. Needs the kit, which does not ship."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from audioplane import synthetic
from audioplane.runtime import weights
from audioplane.subject import FACE, HAIR, MOUTH, TORSO
from audioplane.synthetic.face import NAMES, Appearance, Face, sample_identity
from audioplane.synthetic.ict.fit import LANDMARKS
from audioplane.synthetic.ict.kit import Kit, load
from audioplane.synthetic.ict.model import IctFace
from audioplane.synthetic.materials import Material

_FOLDER = os.environ.get("AUDIOPLANE_ASSETS")
_PATH = Path(_FOLDER or "none") / "mesh" / "ict_facekit.npz"
pytestmark = pytest.mark.skipif(not _PATH.is_file(), reason="AUDIOPLANE_ASSETS has no mesh/ict_facekit.npz")

PEOPLE = {
    "woman": sample_identity(5, Appearance(masculinity=0.05, hair="bun", beard="none", glasses=True)),
    "man": sample_identity(6, Appearance(masculinity=0.95, hair="short", beard="full", glasses=False)),
}


@cache
def the_kit() -> Kit:
    return load(_PATH)


@cache
def face(person: str = "woman") -> IctFace:
    return IctFace(PEOPLE[person], the_kit())


def shapes(**values: float) -> np.ndarray:
    out = np.zeros(len(NAMES))
    for name, value in values.items():
        for full in [name] if name in NAMES else [name + "Left", name + "Right"]:
            out[NAMES.index(full)] = value
    return out


def measures(person: str, **values: float) -> dict[str, float]:
    return face(person).mouth_measures(face(person).vertices(shapes(**values)))


@pytest.mark.parametrize("person", PEOPLE)
def test_it_is_whole_finite_and_in_range(person: str) -> None:
    it = face(person)
    moved = it.vertices_batch(np.random.default_rng(0).random((3, 52)), {"tongueUp": np.ones(3)})
    assert moved.shape == (3, *it.rest.shape)
    for array in (moved, it.uv, it.albedo, it.occlusion, it.roughness, it.coverage, it.flow):
        assert np.isfinite(array).all()
    for array in (it.albedo, it.occlusion, it.coverage, it.torso_weight):
        assert 0 <= array.min() <= array.max() <= 1
    assert it.faces.max() < len(it.rest)
    assert set(np.unique(it.labels)) == {TORSO, HAIR, FACE, MOUTH}
    ours = Face(PEOPLE[person])
    assert set(ours.vertex_groups) >= {"lips", "tongue", "upper_teeth"}
    for group in ("lips", "lips_inner_upper", "lips_inner_lower", "tongue", "upper_teeth", "left_eye", "chin", "skin"):
        assert len(it.vertex_groups[group]) > 0
        gap = it.rest[it.vertex_groups[group]].mean(0) - ours.rest[ours.vertex_groups[group]].mean(0)
        assert np.abs(gap).max() < (0.05 if group == "skin" else 0.02), group  # the two heads lie alike


@pytest.mark.parametrize("person", PEOPLE)
def test_lips_meet_when_the_mouth_closes_on_an_open_jaw(person: str) -> None:
    for opening in (0.0, 0.2, 0.5, 1.0):
        assert measures(person, jawOpen=opening, mouthClose=opening)["largest_gap"] < 0.001
    assert measures(person, jawOpen=1.0)["gap"] > 0.025
    assert measures(person, jawOpen=0.4)["gap"] > 0.008
    assert measures(person, mouthClose=1.0)["largest_gap"] < 0.001  # counts as jawOpen only


def test_lips_never_cross() -> None:
    it, rng = face(), np.random.default_rng(3)
    upper, lower = it.vertex_groups["lips_inner_upper"], it.vertex_groups["lips_inner_lower"]
    for _ in range(10):
        v = it.vertices(rng.random(52) * 0.7)
        assert (v[lower, 1] - v[upper, 1]).min() > -0.002


def test_rounding_narrows_and_smiling_widens() -> None:
    rest = measures("woman")
    assert measures("woman", mouthPucker=1.0)["width"] < rest["width"] - 0.005
    assert measures("woman", mouthPucker=1.0)["protrusion"] > 0.004
    assert measures("woman", mouthSmile=1.0)["width"] > rest["width"] + 0.003


@pytest.mark.parametrize("name", NAMES)
def test_every_shape_moves_something_on_its_side(name: str) -> None:
    it = face()
    moved = it.vertices(shapes(**{"jawOpen": 1.0, name: 1.0})) - it.vertices(shapes(jawOpen=float(name != "jawOpen")))
    size = np.linalg.norm(moved, axis=1)
    assert size.max() > 0.0015
    if name.endswith(("Left", "Right")) and not name.startswith(("jaw", "mouthLeft", "mouthRight")):
        centre = (it.rest[:, 0] * size).sum() / size.sum()
        assert centre > 0.005 if name.endswith("Left") else centre < -0.005


def test_lids_close_and_keep_off_the_ball() -> None:
    it = face()
    v = it.vertices(shapes(eyeBlink=1.0))[LANDMARKS]
    rest = it.rest[LANDMARKS]
    for up, low in ((37, 41), (38, 40), (43, 47), (44, 46)):
        assert v[low, 1] - v[up, 1] < 0.15 * (rest[low, 1] - rest[up, 1])


def test_gaze_turns_eyes_and_flow() -> None:
    it = face()
    w = shapes(eyeLookInLeft=1.0, eyeLookOutRight=1.0)  # both to the image's left
    flow = it.gaze_flow(w)
    for side in ("left_eye", "right_eye"):
        index = it.vertex_groups[side]
        assert flow[index[0], 0] < -0.3
        front = index[np.argmin(it.rest[index, 2])]
        assert it.vertices(w)[front, 0] < it.rest[front, 0] - 0.004


@pytest.mark.parametrize("person", PEOPLE)
def test_landmarks_lie_on_the_skin(person: str) -> None:
    it = face(person)
    on_skin = np.unique(it.faces[np.isin(it.materials, (Material.SKIN, Material.LIPS))])
    assert np.isin(LANDMARKS, on_skin).all()
    points = it.landmark_positions
    assert points.shape == (68, 3)
    assert (np.diff(points[:17, 0]) > 0).all()  # the jaw from the image's left to its right
    assert np.abs(points[[8, 27, 30, 33, 51, 57, 62, 66], 0]).max() < 0.004
    assert points[0, 1] < points[8, 1]
    assert points[30, 2] == points[:, 2].min()


def test_same_identity_same_bytes_and_others_differ() -> None:
    again = IctFace(PEOPLE["woman"], the_kit())
    for name in ("rest", "faces", "albedo", "occlusion", "uv"):
        assert getattr(again, name).tobytes() == getattr(face(), name).tobytes()
    skin = slice(0, 9000)
    assert np.abs(face().rest[skin] - face("man").rest[skin]).max() > 0.004


def test_a_subject_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIOPLANE_CACHE", str(tmp_path / "cache"))
    subject = synthetic.make("adam", tmp_path / "s", size=64, seconds=2, progress=False, backend="ict")
    assert subject.num_frames == 50
    assert subject.manifest.provenance["backend"] == "ict"
    assert subject.manifest.provenance["settings"]["mesh"] == weights.digest(_PATH)
    assert "ICT-FaceKit" in subject.manifest.licence
    assert [p for p in subject.validate() if p.severity == "error"] == []
    for t in (0, 30):
        label, depth = subject.label(t), subject.depth(t)
        assert set(np.unique(label)) == {0, TORSO, HAIR, FACE, MOUTH}
        assert depth is not None
        assert np.array_equal(depth > 0, label > 0)
        vertices = subject.vertices(t)
        assert vertices is not None
        points = vertices[subject.vertex_groups["landmarks"]]
        seen = points @ subject.viewmats[t, :3, :3].T + subject.viewmats[t, :3, 3]
        pixels = seen @ subject.K.T
        assert np.abs(pixels[:, :2] / pixels[:, 2:] - subject.landmarks[t]).max() < 0.5
        for k in (27, 28, 29, 30, 51, 57):  # landmarks that nothing hides
            x, y = subject.landmarks[t, k].astype(int)
            assert depth[y, x] == pytest.approx(seen[k, 2], abs=0.01)
    assert synthetic.make("adam", tmp_path / "s", size=64, seconds=2, progress=False, backend="ict").digest
    ours = tmp_path / "ours"
    assert synthetic.make("adam", ours, size=64, seconds=2, progress=False).manifest.provenance["backend"] == "ours"
