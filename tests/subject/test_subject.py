"""What goes into a Subject comes out again, lazily, or the reader says what is wrong."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from audioplane.errors import UserError
from audioplane.subject import BACKGROUND, FACE, HAIR, MOUTH, TORSO, Subject, SubjectWriter
from tests.subject_cases import Case, make_case, write_case


@pytest.fixture(scope="module")
def case() -> Case:
    return make_case()


@pytest.fixture(scope="module")
def folder(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_case(tmp_path_factory.mktemp("subjects") / "disc", case)


@pytest.fixture
def subject(folder: Path) -> Subject:
    return Subject.open(folder)


def test_every_picture_comes_back_exactly(subject: Subject, case: Case) -> None:
    for t in range(subject.num_frames):
        assert np.array_equal(subject.frame(t), case.frames[t])
        assert np.array_equal(subject.label(t), case.labels[t])
        assert np.array_equal(subject.without_head(t), case.without_head[t])
        depth = subject.depth(t)
        assert depth is not None
        assert np.abs(depth - case.depth[t]).max() <= 0.51e-4
        assert np.array_equal(depth == 0, case.depth[t] == 0)
    assert np.array_equal(subject.background, case.background)


def test_every_track_comes_back(subject: Subject, case: Case) -> None:
    assert np.array_equal(subject.audio, case.audio)  # 16-bit steps are kept exactly
    assert np.array_equal(subject.K, case.K)
    assert np.array_equal(subject.viewmats, case.viewmats)
    assert np.array_equal(subject.landmarks, case.landmarks)
    assert np.array_equal(subject.blendshapes, case.blendshapes)
    assert subject.phonemes == case.phonemes
    assert np.array_equal(subject.tracks["breath"], np.arange(subject.num_frames))
    assert subject.feature_names == ["mel"]
    assert np.array_equal(subject.features("mel")[7], [21, 22, 23])
    with pytest.raises(UserError, match="no audio features 'hubert'; it has mel"):
        subject.features("hubert")


def test_vertices_are_within_a_twentieth_of_a_millimetre(subject: Subject, case: Case) -> None:
    for t in range(subject.num_frames):
        vertices = subject.vertices(t)
        assert vertices is not None
        assert vertices.dtype == np.float32
        assert np.linalg.norm(vertices - case.vertices[t], axis=1).max() < 5e-5
    assert subject.vertex_groups["lips"].tolist() == [3, 4]
    assert subject.faces is not None
    assert subject.faces.tolist() == [[0, 1, 2]]


def test_audio_that_is_not_in_16_bit_steps_keeps_24_bits(case: Case, tmp_path: Path) -> None:
    audio = np.random.default_rng(3).uniform(-1, 1, len(case.audio)).astype(np.float32)
    subject = Subject.open(write_case(tmp_path / "x", case._replace(audio=audio)))
    assert np.abs(subject.audio - audio).max() < 2**-23


def test_masks_partition_the_picture_and_agree_with_the_labels(subject: Subject) -> None:
    for t in (0, 17):
        label = subject.label(t)
        parts = [subject.hair_mask(t), subject.face_mask(t), subject.mouth_mask(t), subject.torso_mask(t)]
        for mask, value in zip(parts, (HAIR, FACE, MOUTH, TORSO), strict=True):
            assert np.array_equal(mask, label == value)
        assert np.array_equal(np.sum(parts, 0) + (label == BACKGROUND), np.ones(label.shape))
        assert np.array_equal(subject.head_mask(t), parts[0] | parts[1] | parts[2])


def test_the_motion_mask_holds_the_mouth_and_stays_on_the_head(subject: Subject) -> None:
    for t in range(0, subject.num_frames, 11):
        motion = subject.motion_mask(t)
        assert not (motion & ~subject.head_mask(t)).any()
        assert not (subject.mouth_mask(t) & ~motion).any()
        assert subject.mouth_mask(t).sum() < motion.sum() < 0.6 * subject.head_mask(t).sum()
        x, y = subject.landmarks[t, 8] - 1.5  # just above the tip of the chin
        assert motion[int(y), int(x)]
        x, y = subject.landmarks[t, 27]  # the bridge of the nose does not move with speech
        assert not motion[int(y), int(x)]


def test_landmarks_unknown_in_a_frame_leave_a_motion_mask(case: Case, tmp_path: Path) -> None:
    landmarks = case.landmarks.copy()
    landmarks[5] = np.nan
    subject = Subject.open(write_case(tmp_path / "x", case._replace(landmarks=landmarks)))
    assert subject.mouth_mask(5).sum() < subject.motion_mask(5).sum() < subject.head_mask(5).sum()


def test_split_and_manifest(subject: Subject) -> None:
    assert (subject.train, subject.test) == (range(0, 48), range(48, 60))
    assert (subject.name, subject.fps, subject.width, subject.height) == ("disc", 25, 48, 48)
    assert subject.manifest.licence == "CC0-1.0"


def test_the_same_content_has_the_same_bytes_and_digest(case: Case, folder: Path, tmp_path: Path) -> None:
    again = write_case(tmp_path / "again", case)
    assert {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()} == {
        p.name: p.read_bytes() for p in again.iterdir() if p.is_file()
    }
    other = write_case(tmp_path / "other", make_case(seed=1))
    assert Subject.open(folder).digest == Subject.open(again).digest != Subject.open(other).digest


def test_a_subject_travels_to_other_threads_and_processes(subject: Subject, case: Case) -> None:
    copy = pickle.loads(pickle.dumps(subject))
    order = np.random.default_rng(0).integers(0, len(case.frames), 200).tolist()
    with ThreadPoolExecutor(4) as pool:
        assert all(np.array_equal(f, case.frames[t]) for t, f in zip(order, pool.map(copy.frame, order), strict=True))


def test_frames_beyond_the_clip_are_refused(subject: Subject) -> None:
    for t in (-1, 60):
        with pytest.raises(IndexError, match="which has frames 0 to 59"):
            subject.frame(t)


def test_reading_frames_does_not_hold_them(tmp_path: Path) -> None:
    """80 frames of 512 x 512 decode to 63 MB; a process that reads all grows by less than a third of that."""
    noise = np.random.default_rng(0).integers(0, 256, (80, 512, 512, 3), np.uint8)
    labels = np.zeros((512, 512), np.uint8)
    with SubjectWriter(tmp_path / "x", "noise", 512, 512) as writer:
        writer.set_background(noise[0])
        writer.set_without_head(noise[0], "the background")
        for frame in noise:
            writer.add_frame(frame, labels)
        writer.set_audio(np.zeros(80 * 640, np.float32))
        writer.set_cameras(np.eye(3), np.tile(np.eye(4), (80, 1, 1)))
        writer.set_landmarks(np.zeros((80, 68, 2)))
    program = """
import resource, sys
from audioplane.subject import Subject
subject = Subject.open(sys.argv[1])
for t in range(4): subject.frame(t), subject.without_head(t)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for t in range(80): subject.frame(t), subject.label(t), subject.without_head(t)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "x")], capture_output=True, text=True, check=True
    )
    assert int(run.stdout) * 1024 < noise.nbytes / 3


# Opening what is not a Subject


def test_what_is_not_a_subject_is_refused_in_one_sentence(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.mp4").write_bytes(b"x")
    (tmp_path / "nerf").mkdir()
    (tmp_path / "nerf" / "transforms_train.json").write_text("{}")
    for path, words in (
        (tmp_path / "nowhere", "there is no"),
        (tmp_path / "empty", "is not a Subject"),
        (tmp_path / "a.mp4", "audioplane prepare"),
        (tmp_path / "nerf", "audioplane subject import"),
        (folder.parent, "it contains Subjects: disc"),
    ):
        with pytest.raises(UserError, match=words):
            Subject.open(path)


def test_another_version_and_a_damaged_manifest_are_refused(case: Case, tmp_path: Path) -> None:
    folder = write_case(tmp_path / "x", case)
    text = (folder / "manifest.json").read_text()
    values = json.loads(text)
    for change, words in (
        (json.dumps(values | {"version": 99}), "version 99, this program reads version 1"),
        (json.dumps(values | {"format": "other"}), "not a Subject's manifest"),
        (json.dumps({k: v for k, v in values.items() if k != "split"}), "is damaged"),
        (json.dumps(values | {"width": None, "parts": 3}), "is damaged"),
        (text[:100], "is damaged"),
        ("[]", "is damaged"),
    ):
        (folder / "manifest.json").write_text(change)
        with pytest.raises(UserError, match=words):
            Subject.open(folder)


def test_a_missing_or_cut_part_is_refused_when_opened(case: Case, tmp_path: Path) -> None:
    folder = write_case(tmp_path / "x", case)
    with open(folder / "frames.pack", "r+b") as file:
        file.truncate(1000)
    with pytest.raises(UserError, match=r"frames.pack has 1000 bytes instead of"):
        Subject.open(folder)
    (folder / "labels.pack").unlink()
    (folder / "frames.pack").unlink()
    with pytest.raises(UserError, match=r"(frames|labels).pack is missing"):
        Subject.open(folder)


# Writing: all or nothing


def raise_after_a_frame(writer: SubjectWriter, case: Case, error: type[BaseException]) -> None:
    writer.add_frame(case.frames[0], case.labels[0])
    raise error


def test_an_exception_leaves_nothing(case: Case, tmp_path: Path) -> None:
    for error in (RuntimeError, KeyboardInterrupt):
        writer = SubjectWriter(tmp_path / "x", "x", 48, 48)
        writer.set_background(case.background)
        with pytest.raises(error), writer:
            raise_after_a_frame(writer, case, error)
        assert list(tmp_path.iterdir()) == []


def test_an_incomplete_subject_leaves_nothing(case: Case, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="still lacks"), SubjectWriter(tmp_path / "x", "x", 48, 48) as writer:
        writer.add_frame(case.frames[0], case.labels[0])
    with pytest.raises(ValueError, match="viewmats has 3 entries for 60 frames"):
        write_case(tmp_path / "x", case._replace(viewmats=case.viewmats[:3]))
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_not_overwritten(case: Case, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("precious")
    with pytest.raises(UserError, match="exists already"):
        write_case(tmp_path / "full", case)
    assert (tmp_path / "full" / "thesis.txt").read_text() == "precious"
    (tmp_path / "empty").mkdir()
    assert Subject.open(write_case(tmp_path / "empty", case)).num_frames == 60


def test_what_a_killed_writer_leaves_is_removed_by_the_next(case: Case, tmp_path: Path) -> None:
    program = """
import os, signal, sys
import numpy as np
from audioplane.subject import SubjectWriter
writer = SubjectWriter(sys.argv[1], "x", 8, 8)
writer.set_background(np.zeros((8, 8, 3), np.uint8))
for _ in range(50):
    writer.add_frame(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8))
os.kill(os.getpid(), signal.SIGKILL)
"""
    run = subprocess.run([sys.executable, "-c", program, str(tmp_path / "x")], check=False)
    assert run.returncode != 0
    left = list(tmp_path.iterdir())
    assert len(left) == 1
    assert left[0].name.startswith(".x.")
    write_case(tmp_path / "x", case)
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_living_writer_is_left_alone(case: Case, tmp_path: Path) -> None:
    with SubjectWriter(tmp_path / "x", "slow", 48, 48) as slow:
        write_case(tmp_path / "x", case, "fast")
        assert len(list(tmp_path.iterdir())) == 2
        slow.abort()
    assert Subject.open(tmp_path / "x").name == "fast"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told_and_leaves_nothing(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from audioplane.subject import pack

    real = pack.HashedFile.write

    def write(file: pack.HashedFile, data: bytes) -> None:
        if file.size > 20_000:
            raise OSError(28, "No space left on device")
        real(file, data)

    monkeypatch.setattr(pack.HashedFile, "write", write)
    with pytest.raises(UserError, match="no space left"):
        write_case(tmp_path / "x", case)
    assert list(tmp_path.iterdir()) == []


def test_wrong_pictures_are_refused_by_name(case: Case, tmp_path: Path) -> None:
    writer = SubjectWriter(tmp_path / "x", "x", 48, 48)
    frame, label = case.frames[0], case.labels[0]
    for arguments, words in (
        ((frame[:40], label), r"frame of frame 0: expected \(48, 48, 3\) uint8, got \(40, 48, 3\) uint8"),
        ((frame.astype(np.float32), label), "got .* float32"),
        ((frame, label + 5), "values must be 0 to 4"),
        ((frame, label, None, np.full((48, 48), np.nan)), "depth of frame"),
    ):
        with pytest.raises(ValueError, match=words):
            writer.add_frame(*arguments)
        writer.abort()
        writer = SubjectWriter(tmp_path / "x", "x", 48, 48)
    with pytest.raises(ValueError, match="expected mono at 16000 Hz"):
        writer.set_audio(np.zeros((100, 2)))
    with pytest.raises(ValueError, match="within"):
        writer.set_audio(np.full(100, 1.5))
    writer.abort()
    assert list(tmp_path.iterdir()) == []
