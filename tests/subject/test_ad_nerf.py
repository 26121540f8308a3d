"""A folder as AD-NeRF, ER-NeRF and TalkingGaussian write it becomes a Subject in our conventions."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile

from audioplane.errors import UserError
from audioplane.subject import FACE, HAIR, MOUTH, TORSO, Subject
from tests.subject_cases import face_landmarks

SIZE, FIRST, TRAIN, TEST, FOCAL = 64, 3, 20, 8, 150.0
RGB = {"background": (255, 255, 255), "torso": (255, 0, 0), "neck": (0, 255, 0), "head": (0, 0, 255)}


def head_pose(i: int) -> np.ndarray:
    """Head-to-camera in the axes of their tracker (y up, z towards the viewer)."""
    angle = 0.02 * i
    pose = np.eye(4)
    pose[:3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    pose[:3, 3] = [0.01, 0.005 * i, -0.75]
    return pose


def write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGBA2BGRA if image.shape[2] == 4 else cv2.COLOR_RGB2BGR))


def paint_parsing(talking_gaussian: bool) -> np.ndarray:
    picture = np.full((SIZE, SIZE, 3), 255, np.uint8)
    picture[44:, 10:54] = RGB["torso"]
    picture[40:48, 26:38] = RGB["neck"]
    picture[8:42, 16:48] = RGB["head"]
    if talking_gaussian:
        picture[8:14, 16:48] = (0, 0, 0)
        picture[33:35, 30:34] = (100, 100, 100)
    return picture


def make_folder(folder: Path, talking_gaussian: bool = False, gap: int | None = None) -> Path:
    rng = np.random.default_rng(0)
    numbers = [i for i in range(FIRST, FIRST + TRAIN + TEST) if i != gap]
    frames = [{"img_id": i, "aud_id": i, "transform_matrix": np.linalg.inv(head_pose(i)).tolist()} for i in numbers]
    camera = {"focal_len": FOCAL, "cx": SIZE / 2, "cy": SIZE / 2}
    folder.mkdir()
    for name, chosen in (
        ("train", [f for f in frames if f["img_id"] < FIRST + TRAIN]),
        ("val", [f for f in frames if f["img_id"] >= FIRST + TRAIN]),
    ):
        (folder / f"transforms_{name}.json").write_text(json.dumps(camera | {"frames": chosen}))
    write(folder / "bc.jpg", np.full((SIZE, SIZE, 3), (90, 120, 150), np.uint8))
    for i in numbers:
        write(folder / "ori_imgs" / f"{i}.jpg", np.full((SIZE, SIZE, 3), 4 * i, np.uint8))
        torso = np.zeros((SIZE, SIZE, 4), np.uint8)
        torso[40:, 10:54] = (200, 30, 40, 255)
        write(folder / "torso_imgs" / f"{i}.png", torso)
        write(folder / "parsing" / f"{i}.png", paint_parsing(talking_gaussian))
        np.savetxt(folder / "ori_imgs" / f"{i}.lms", face_landmarks((32, 26), 16, 1.0), "%f")
    audio = rng.uniform(-0.5, 0.5, (FIRST + TRAIN + TEST) * 640 + 100)
    soundfile.write(folder / "aud.wav", audio, 16_000)
    np.save(folder / "aud_ds.npy", np.arange((FIRST + TRAIN + TEST) * 4, dtype=np.float32).reshape(-1, 1, 4))
    return folder


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    place = tmp_path_factory.mktemp("nerf")
    return Subject.from_ad_nerf(make_folder(place / "obama"), place / "out")


def test_a_point_of_the_face_projects_where_their_camera_puts_it(subject: Subject) -> None:
    """Their tracker: x = -f X / Z + cx, y = f Y / Z + cy, before a camera that looks along -z."""
    theirs = np.array([0.03, -0.06, 0.10])  # right in the image, below the centre, out of the face
    ours = theirs * [1, -1, -1]
    for t in (0, 9, 27):
        pose = head_pose(FIRST + t)
        X, Y, Z = pose[:3, :3] @ theirs + pose[:3, 3]
        expected = [-FOCAL * X / Z + SIZE / 2, FOCAL * Y / Z + SIZE / 2]
        seen = subject.K @ (subject.viewmats[t][:3, :3] @ ours + subject.viewmats[t][:3, 3])
        assert seen[:2] / seen[2] == pytest.approx(expected, abs=1e-3)
        assert seen[2] > 0


def test_frames_split_and_sound_are_those_of_the_folder(subject: Subject, tmp_path: Path) -> None:
    assert (subject.train, subject.test) == (range(0, TRAIN), range(TRAIN, TRAIN + TEST))
    assert np.abs(subject.frame(5).astype(int) - 4 * (FIRST + 5)).max() <= 1
    whole, _ = soundfile.read(make_folder(tmp_path / "again") / "aud.wav", dtype="float32")
    assert np.array_equal(subject.audio, whole[FIRST * 640 :][: (TRAIN + TEST) * 640])
    assert subject.feature_names == ["deepspeech"]
    assert subject.features("deepspeech")[0, 0, 0] == 4 * FIRST
    assert subject.name == "obama"
    assert subject.landmarks[0] == pytest.approx(face_landmarks((32.5, 26.5), 16, 1.0), abs=1e-5)


def test_labels_and_torso(subject: Subject) -> None:
    label = subject.label(0)
    assert label[20, 20] == FACE
    assert label[45, 30] == TORSO  # neck
    assert label[60, 12] == TORSO
    assert label[5, 5] == 0
    x, y = subject.landmarks[0, 48:60].mean(0)
    assert label[int(y), int(x)] == MOUTH
    assert 20 < (label == MOUTH).sum() < 120
    below = subject.without_head(0)
    assert below[45, 30].tolist() == [200, 30, 40]
    assert np.abs(below[5, 5].astype(int) - [90, 120, 150]).max() <= 2
    errors = [p for p in subject.validate() if p.severity == "error"]
    assert errors == []


def test_hair_and_inner_mouth_of_talking_gaussian(tmp_path: Path) -> None:
    subject = Subject.from_ad_nerf(make_folder(tmp_path / "in", talking_gaussian=True), tmp_path / "out")
    assert subject.label(0)[10, 30] == HAIR
    assert subject.label(0)[34, 31] == MOUTH


def test_a_gap_leaves_the_longest_run(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "in", gap=FIRST + 4)
    subject = Subject.from_ad_nerf(folder, tmp_path / "out")
    assert (subject.train, subject.test) == (range(0, TRAIN - 5), range(TRAIN - 5, TRAIN - 5 + TEST))
    assert subject.manifest.provenance["dropped_frames"] == [3, 4, 5, 6]
    whole, _ = soundfile.read(folder / "aud.wav", dtype="float32")
    assert np.array_equal(subject.audio[:100], whole[(FIRST + 5) * 640 :][:100])


def test_missing_pieces_are_named_and_nothing_is_left(tmp_path: Path) -> None:
    for piece, words in (
        ("aud.wav", "aud.wav is missing"),
        ("bc.jpg", "bc.jpg is missing"),
        ("parsing/7.png", "parsing/7.png is missing"),
        ("torso_imgs/9.png", "torso_imgs/9.png is missing"),
        ("transforms_train.json", "has no transforms_train.json"),
    ):
        folder = make_folder(tmp_path / piece.replace("/", "-"))
        (folder / piece).unlink()
        with pytest.raises(UserError, match=words):
            Subject.from_ad_nerf(folder, tmp_path / "out")
    folder = make_folder(tmp_path / "small")
    write(folder / "ori_imgs" / "6.jpg", np.zeros((32, 32, 3), np.uint8))
    with pytest.raises(UserError, match=r"ori_imgs has frame 6 of size 32x32, bc.jpg has 64x64"):
        Subject.from_ad_nerf(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


LOST = range(8, 12)


def lose_landmarks(folder: Path, numbered_on: bool) -> Path:
    """No landmarks in some frames, so the tracker gave them no poses; the others' poses are numbered on, or not."""
    found: list[dict] = []
    for number in LOST:
        (folder / "ori_imgs" / f"{number}.lms").unlink()
    for name in ("train", "val"):
        path = folder / f"transforms_{name}.json"
        values = json.loads(path.read_text())
        values["frames"] = [f for f in values["frames"] if f["img_id"] not in LOST]
        found += values["frames"]
        if numbered_on:
            for f in values["frames"]:
                f["img_id"] = found.index(f)
        path.write_text(json.dumps(values))
    return folder


def viewmat(i: int) -> np.ndarray:
    flip = np.diag([1.0, -1.0, -1.0, 1.0])
    return flip @ head_pose(i) @ flip


@pytest.mark.parametrize("numbered_on", [True, False])
def test_frames_without_landmarks_shift_no_pose(tmp_path: Path, numbered_on: bool) -> None:
    folder = lose_landmarks(make_folder(tmp_path / "in"), numbered_on)
    subject = Subject.from_ad_nerf(folder, tmp_path / "out")
    assert (subject.train, subject.test) == (range(0, TRAIN), range(TRAIN, TRAIN + TEST))
    for t in range(TRAIN + TEST):
        assert np.abs(subject.frame(t).astype(int) - 4 * (FIRST + t)).max() <= 1
        known = FIRST + t not in LOST
        np.testing.assert_allclose(subject.viewmats[t], viewmat(FIRST + t), atol=1e-5 if known else 2e-3)
        assert np.isfinite(subject.landmarks[t]).all() == known
        assert subject.head_mask(t).any() == known
    assert subject.manifest.provenance["bridged_frames"] == list(LOST)
    assert ("poses_renumbered" in subject.manifest.provenance) == numbered_on
    assert [p for p in subject.validate() if p.severity == "error"] == []


def test_poses_that_cannot_be_given_to_frames_are_refused(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "in")
    (folder / "ori_imgs" / "9.lms").unlink()
    with pytest.raises(UserError, match=r"28 poses.*27 frames with landmarks.*frame 9.*is not clear"):
        Subject.from_ad_nerf(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_ad_nerfs_own_folder_has_no_torso_pictures(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "in")
    for name in ("head_imgs", "com_imgs"):
        (folder / name).mkdir()
    for file in (folder / "torso_imgs").iterdir():
        file.unlink()
    (folder / "torso_imgs").rmdir()
    subject = Subject.from_ad_nerf(folder, tmp_path / "out")
    below, frame = subject.without_head(5), subject.frame(5)
    assert np.abs(below[4, 4].astype(int) - [90, 120, 150]).max() <= 2  # the still background
    np.testing.assert_array_equal(below[60, 20], frame[60, 20])  # the torso as it is
    assert np.abs(below[14, 32].astype(int) - [90, 120, 150]).max() <= 2  # no head
    assert [p for p in subject.validate() if p.severity == "error"] == []


def test_a_packed_folder_is_to_be_unpacked(tmp_path: Path) -> None:
    (tmp_path / "in.zip").write_bytes(b"PK")
    with pytest.raises(UserError, match="unpack"):
        Subject.from_ad_nerf(tmp_path / "in.zip", tmp_path / "out")
