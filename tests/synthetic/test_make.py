"""Making a speaker: every truth arrives in the Subject, once, whole or not at all."""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from audioplane import synthetic
from audioplane.cli import speakers as command
from audioplane.errors import UserError
from audioplane.subject import Subject
from audioplane.synthetic import cast, making
from audioplane.synthetic.filming import Production, in_order, project, rigid, still_camera
from tests.synthetic.stage import production

NAME = "adam"
SIZE, SECONDS = 48, 3.0


@pytest.fixture(autouse=True)
def _stage(monkeypatch: pytest.MonkeyPatch, empty_home: Path) -> None:
    """Stand-ins instead of the real speakers, and a cache of our own."""
    monkeypatch.setattr(cast, "bring_together", production)


def make(out: Path | None = None, **changes: object) -> Subject:
    settings = {"size": SIZE, "seconds": SECONDS, "progress": False} | changes
    return synthetic.make(NAME, out, **settings)  # type: ignore[arg-type]


def test_every_truth_arrives(tmp_path: Path) -> None:
    subject, stage = make(tmp_path / "s"), production(NAME, SIZE, SECONDS, 0)
    assert subject.num_frames == 75
    assert (subject.train, subject.test) == (range(0, 60), range(60, 75))
    assert np.array_equal(subject.blendshapes, stage.play.blendshapes)
    assert np.array_equal(subject.background, stage.background)
    assert np.abs(subject.audio - stage.play.audio).max() < 1e-6
    assert subject.phonemes is not None
    assert subject.phonemes[0].ipa == "a"
    assert set(subject.tracks) == {"head_pose", "torso_pose", "breath", "extra_tongueUp"}
    assert subject.manifest.provenance["settings"]["speaker"] == NAME
    assert [p for p in subject.validate() if p.severity == "error"] == []


def test_the_kept_mesh_is_the_skin_and_follows_the_actor(tmp_path: Path) -> None:
    subject, stage = make(tmp_path / "s"), production(NAME, SIZE, SECONDS, 0)
    actor, play = stage.actor, stage.play
    kept = np.unique(actor.faces[np.isin(actor.labels, (3, 4))])
    for t in (0, 40):
        vertices = actor.vertices(play.blendshapes[t], {"breath": play.breath[t]})
        stored = subject.vertices(t)
        assert stored is not None
        assert np.linalg.norm(stored - vertices[kept], axis=1).max() < 5e-5
        lips = subject.vertex_groups["lips"]
        assert stored[lips] == pytest.approx(vertices[actor.vertex_groups["lips"]], abs=5e-5)
    assert subject.faces is not None
    assert np.array_equal(kept[subject.faces], actor.faces[np.isin(actor.labels, (3, 4))])


def test_camera_landmarks_pictures_and_depth_agree(tmp_path: Path) -> None:
    subject, stage = make(tmp_path / "s"), production(NAME, SIZE, SECONDS, 0)
    for t in (0, 33):
        pose = np.eye(4)
        pose[:3, :3] = Rotation.from_rotvec(stage.play.head_pose[t, :3]).as_matrix()
        pose[:3, 3] = stage.play.head_pose[t, 3:]
        assert subject.viewmats[t] == pytest.approx(still_camera(SIZE)[1] @ pose, abs=1e-6)
        vertices = stage.actor.vertices(stage.play.blendshapes[t], {"breath": stage.play.breath[t]})
        points = stage.actor.landmarks(vertices)
        assert subject.landmarks[t] == pytest.approx(project(points, subject.K, subject.viewmats[t]), abs=1e-3)
        depth = subject.depth(t)
        assert depth is not None
        inside = np.abs(points[:, :2]).max(1) < 0.05  # where the ball is not seen from its side
        assert inside.sum() > 5
        for (x, y), point in zip(subject.landmarks[t][inside], points[inside], strict=True):
            z = (subject.viewmats[t] @ np.append(point, 1))[2]
            assert depth[int(y), int(x)] == pytest.approx(z, abs=0.015)


def test_pictures_do_not_depend_on_the_number_of_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0}, raising=False)
    alone = make(tmp_path / "one")
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(5)), raising=False)
    assert make(tmp_path / "five").manifest.parts == alone.manifest.parts


def test_a_speaker_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = make()
    monkeypatch.setattr(cast, "bring_together", lambda *_: pytest.fail("made again"))
    assert make().path == first.path
    monkeypatch.undo()


def test_other_settings_or_other_code_are_other_subjects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = make()
    assert make(seed=1).path != first.path
    assert make(seed=1).digest != first.digest
    assert make(voice="german_f").path != first.path
    monkeypatch.setattr(making, "source_hash", lambda *_: "other")
    assert make().path != first.path


def test_out_is_kept_when_it_is_the_same_and_refused_when_not(tmp_path: Path) -> None:
    first = make(tmp_path / "s")
    assert make(tmp_path / "s").digest == first.digest
    with pytest.raises(UserError, match="holds another Subject"):
        make(tmp_path / "s", seed=3)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("x")
    with pytest.raises(UserError, match="is not a Subject"):
        make(tmp_path / "other")


def test_two_makers_at_once_make_one(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def counted(*arguments: object) -> Production:
        made.append(arguments)
        return production(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(cast, "bring_together", counted)
    with ThreadPoolExecutor(3) as pool:
        paths = {subject.path for subject in pool.map(lambda _: make(), range(3))}
    assert len(paths) == len(made) == 1


def test_a_damaged_cached_speaker_is_made_again() -> None:
    first = make()
    (first.path / "frames.pack").write_bytes(b"")
    assert make().frame(0).shape == (SIZE, SIZE, 3)


def test_an_interrupted_making_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object) -> Production:
        stage = production(*arguments)  # type: ignore[arg-type]
        calls = iter(range(10))

        def camera(*picture: object) -> object:
            if next(calls, None) is None:
                raise KeyboardInterrupt
            return stage.camera(*picture)  # type: ignore[arg-type]

        return Production("x", stage.actor, stage.play, camera, stage.background)  # type: ignore[arg-type]

    monkeypatch.setattr(cast, "bring_together", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "s")
    with pytest.raises(KeyboardInterrupt):
        make()
    assert not (tmp_path / "s").exists()
    assert [p for p in (tmp_path / "cache" / "speakers").iterdir() if not p.name.endswith(".lock")] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"size": 16}, "size must be 32 to 1024 pixels, got 16"),
        ({"seconds": 0.2}, "seconds must be 2 to 600, got 0.2"),
    ],
)
def test_impossible_settings_are_refused(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        make(**arguments)


def test_an_unknown_speaker_is_refused_by_name() -> None:
    with pytest.raises(UserError, match="there is no speaker 'nobody'; there are adam, beth"):
        synthetic.make("nobody")


def test_rigid_motion_is_that_of_scipy() -> None:
    poses = np.random.default_rng(0).normal(0, 1, (50, 6))
    poses[0] = 0
    matrices = rigid(poses)
    assert matrices[:, :3, :3] == pytest.approx(Rotation.from_rotvec(poses[:, :3]).as_matrix(), abs=1e-12)
    assert np.array_equal(matrices[:, :3, 3], poses[:, 3:])


def test_work_comes_back_in_order_and_never_far_ahead() -> None:
    started: list[int] = []

    def work(i: int) -> int:
        started.append(i)
        return i * i

    results = in_order(work, 100, 3)
    assert [next(results) for _ in range(10)] == [i * i for i in range(10)]
    assert max(started) < 10 + 2 * 3
    assert list(results) == [i * i for i in range(10, 100)]


def test_the_commands_list_and_make(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    assert command.run(parser.parse_args([])) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in synthetic.names())
    arguments = ["make", NAME, "--out", str(tmp_path / "s"), "--size", "32", "--seconds", "2"]
    assert command.run(parser.parse_args(arguments)) == 0
    assert "50 frames of 32x32" in capsys.readouterr().out
    assert Subject.open(tmp_path / "s").name == NAME
