"""FLAME's coefficients from files: every spelling gives the same rows, bad files a sentence, and a head is driven."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from audioplane.cli import main
from audioplane.errors import UserError
from audioplane.inference.talking_head import TalkingHead
from audioplane.methods.degstalk.config import COEFFICIENTS, FLAME_JAW
from audioplane.motion.own_range import OwnRange
from audioplane.subject import Subject, flame
from audioplane.subject.blendshapes import COUNT, index
from audioplane.subject.check import check
from audioplane.training.conditions import expression_track
from audioplane.training.trainer import Trainer
from tests.subject_cases import make_case, write_case
from tests.tiny_run import tiny
from tests.tiny_subject import TinySubject

FRAMES = 90


def tracked(frames: int = FRAMES, seed: int = 0) -> dict[str, np.ndarray]:
    """What SMIRK says of some frames: two blinks, a jaw that opens, expressions."""
    generator = np.random.default_rng(seed)
    times = np.arange(frames) / 25
    closed = np.exp(-(((times[:, None] - [0.8, 2.2]) / 0.08) ** 2)).sum(axis=1)
    jaw = np.zeros((frames, 3))
    jaw[:, 0] = 0.1 + 0.1 * np.sin(7 * times)
    found = {
        "expression_params": generator.standard_normal((frames, 50)),
        "jaw_params": jaw,
        "eyelid_params": np.stack([closed, 0.9 * closed], axis=1),
    }
    return {name: values.astype(np.float32) for name, values in found.items()}


def save(path: Path, **values: np.ndarray) -> Path:
    np.savez(path, **values)  # type: ignore[arg-type]
    return path


def same(first: flame.Coefficients, second: flame.Coefficients) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(first.tracks().values(), second.tracks().values(), strict=True))


def test_every_spelling_gives_the_same_rows(tmp_path: Path) -> None:
    one = tracked()
    wanted = flame.read(save(tmp_path / "smirk.npz", **one), FRAMES)
    assert np.array_equal(wanted.expression, one["expression_params"])
    assert np.array_equal(wanted.jaw, one["jaw_params"])
    assert np.array_equal(wanted.eyelids, one["eyelid_params"])
    further = np.concatenate([one["expression_params"], np.ones((FRAMES, 50), np.float32)], axis=1)
    vhap = save(tmp_path / "vhap.npz", expr=further, jaw_pose=one["jaw_params"], eyelid=one["eyelid_params"])
    assert same(flame.read(vhap, FRAMES), wanted)
    batched = {name: values[:, None].astype(np.float64) for name, values in one.items()}
    assert same(flame.read(save(tmp_path / "batched.npz", **batched), FRAMES), wanted)
    pose = np.concatenate([np.ones((FRAMES, 3), np.float32), one["jaw_params"]], axis=1)
    deca = flame.read(save(tmp_path / "deca.npz", exp=one["expression_params"], pose=pose), FRAMES)
    assert np.array_equal(deca.jaw, wanted.jaw)
    assert not deca.eyelids.any()
    folder = tmp_path / "frames"
    folder.mkdir()
    for t in range(FRAMES):
        save(folder / f"frame_{t + 1}.npz", **{name: values[t : t + 1] for name, values in one.items()})
    assert same(flame.read(folder, FRAMES), wanted)


def test_frames_are_found_by_their_numbers_and_lost_ones_are_nan(tmp_path: Path) -> None:
    one, kept = tracked(), np.delete(np.arange(FRAMES), [30, 31])
    file = save(tmp_path / "some.npz", frame_numbers=kept + 100, **{name: v[kept] for name, v in one.items()})
    found = flame.read(file, 50, first=110)
    assert np.array_equal(np.flatnonzero(~found.known()), [20, 21])
    assert np.array_equal(found.expression[22], one["expression_params"][32])
    with pytest.raises(UserError, match=r"has frames 100 to 189, the Subject needs 150 to 199"):
        flame.read(file, 50, first=150)


BAD = {
    "no_expression": ({"expression_params": None}, "holds no expression"),
    "few": ({"expression_params": np.zeros((FRAMES, 10), np.float32)}, "has 10 expression coefficients"),
    "no_jaw": ({"jaw_params": None}, "does not say how the jaw is turned"),
    "wide_jaw": ({"jaw_params": np.zeros((FRAMES, 4), np.float32)}, r"the jaw has shape \(90, 4\)"),
    "short_lids": ({"eyelid_params": np.zeros((5, 2), np.float32)}, r"the eyelid has shape \(5, 2\)"),
    "deep": ({"expression_params": np.zeros((FRAMES, 2, 50), np.float32)}, "expected one row for each frame"),
    "whole_numbers": ({"expression_params": np.zeros((FRAMES, 50), int)}, "expected float"),
    "unordered": ({"frame_numbers": np.arange(FRAMES)[::-1].copy()}, "does not rise"),
    "lost": ({"expression_params": np.full((FRAMES, 50), np.nan, np.float32)}, "in none of the Subject's frames"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_coefficients_is_refused_with_a_sentence(name: str, tmp_path: Path) -> None:
    changes, sentence = BAD[name]
    values = {key: value for key, value in {**tracked(), **changes}.items() if value is not None}
    with pytest.raises(UserError, match=sentence):
        flame.read(save(tmp_path / "bad.npz", **values), FRAMES)


def test_folders_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no"):
        flame.read(tmp_path / "nothing", 3)
    with pytest.raises(UserError, match=r"holds no \.npz"):
        flame.read(tmp_path, 3)
    one = {name: values[:1] for name, values in tracked(1).items()}
    save(tmp_path / "a1.npz", **one)
    save(tmp_path / "b01.npz", **one)
    with pytest.raises(UserError, match="have the same frame number"):
        flame.read(tmp_path, 3)
    save(tmp_path / "b01.npz", **tracked(3))
    (tmp_path / "a1.npz").unlink()
    with pytest.raises(UserError, match="expected the coefficients of one frame"):
        flame.read(tmp_path, 3)
    (tmp_path / "b01.npz").rename(tmp_path / "last.npz")
    with pytest.raises(UserError, match="has no frame number"):
        flame.read(tmp_path, 3)
    (tmp_path / "pickle.npz").write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(UserError):
        flame.read(tmp_path / "pickle.npz", 3)


def test_the_command_writes_the_subject_once_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = write_case(tmp_path / "ada", make_case(40, 32))
    before = {file: file.read_bytes() for file in whole.rglob("*") if file.is_file()}
    subject = Subject.open(whole)
    one = tracked(subject.num_frames)
    one["expression_params"][2] = np.nan
    file = save(tmp_path / "smirk.npz", **one)
    command = ["subject", "flame", str(whole), str(file), "--out", str(tmp_path / "new")]
    assert main(command) == 0
    assert f"1 of {subject.num_frames} frames have no coefficients" in capsys.readouterr().out
    made = Subject.open(tmp_path / "new")
    assert {p: p.read_bytes() for p in whole.rglob("*") if p.is_file()} == before
    assert set(made.tracks) == {*subject.tracks, *flame.TRACKS}
    assert all(np.array_equal(made.tracks[name], track) for name, track in subject.tracks.items())
    assert made.digest != subject.digest
    assert not [p for p in check(tmp_path / "new") if p not in check(whole)]
    assert np.array_equal(made.frame(0), subject.frame(0))
    assert main(command) == 2
    assert "exists already" in capsys.readouterr().err
    with pytest.raises(ValueError, match="expected"):
        flame.add(whole, flame.read(file, 1), tmp_path / "other")
    assert main([*command[:-1], str(tmp_path / "third"), "--first", "1"]) == 2
    assert not (tmp_path / "third").exists()


def test_names_and_columns() -> None:
    assert COEFFICIENTS["flame"] == flame.NAMES
    assert flame.are_flame(flame.NAMES)
    assert FLAME_JAW == flame.JAW
    assert not flame.are_flame(["jawOpen"])
    one = tracked()
    found = flame.Coefficients(one["expression_params"], one["eyelid_params"], one["jaw_params"]).tracks()
    names = ("flameEyelidRight", "flameExpression03", flame.JAW)
    columns = flame.columns(found, names)
    assert columns is not None
    truth = (one["eyelid_params"][:, 1], one["expression_params"][:, 3], one["jaw_params"][:, 0])
    assert np.array_equal(columns, np.stack(truth, axis=1))
    assert flame.columns({}, names) is None
    with pytest.raises(ValueError, match="no coefficient 'flameNose'"):
        flame.columns(found, ["flameNose"])


def test_degstalk_is_driven_by_them(tmp_path: Path) -> None:
    subject, config = TinySubject(), tiny("degstalk", "method.coefficients=flame")
    with pytest.raises(UserError, match="has no coefficients of FLAME: add them with"):
        Trainer(config, subject)
    one = tracked()
    subject.tracks = flame.Coefficients(one["expression_params"], one["eyelid_params"], one["jaw_params"]).tracks()
    trainer = Trainer(config, subject)
    assert trainer.conditions.compared is not None
    assert np.array_equal(trainer.conditions.compared[:, 0].numpy(), one["jaw_params"][:, 0])
    trainer.run()
    TalkingHead.export(trainer, tmp_path / "head.safetensors")
    head = TalkingHead.load(tmp_path / "head.safetensors", sparse=False)  # after so few iterations all would rest
    assert tuple(head.expression_names) == flame.NAMES
    assert head.own_range is not None
    track = expression_track(subject, head.expression_names)
    code = head.encode(subject.audio)[10]
    rest, closed = (head.deform(code, expression=face).means for face in (head.own_range.rest, track[20]))
    assert not torch.equal(rest, closed)
    faces = head.expressions(np.tile(subject.audio, 4))
    assert faces is not None
    lids = faces[:, 0]
    assert lids.max() > 0.8 * one["eyelid_params"][:, 0].max()
    assert np.median(lids) < 0.2
    with pytest.raises(UserError, match="has none to drive"):
        head.expressions(subject.audio, "voice")


def test_a_capture_by_another_tracker_closes_the_eyelids() -> None:
    one = tracked()
    found = flame.Coefficients(one["expression_params"], one["eyelid_params"], one["jaw_params"]).tracks()
    track = flame.columns(found, flame.NAMES)
    assert track is not None
    own, capture = OwnRange.fit(track, flame.NAMES), np.zeros((FRAMES, COUNT))
    capture[40:44, index("eyeBlinkLeft")] = 0.5
    adopted = own.adopt(capture)
    assert adopted[42, 0] == pytest.approx(own.high[0])
    assert adopted[10, 0] == pytest.approx(own.rest[0])
    assert np.array_equal(adopted[:, 2:], np.tile(own.rest[2:], (FRAMES, 1)))
