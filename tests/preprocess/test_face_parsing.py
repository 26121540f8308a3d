"""BiSeNet's face parsing: the network is the one of the public file, and wrong files are refused."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import fake_face
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from audioplane import cli
from audioplane.errors import UserError
from audioplane.metrics.vision_backbones import import_torchvision
from audioplane.preprocess import face_parsing, masks, prepare
from audioplane.preprocess.face_parsing import KINDS, SIDE
from audioplane.subject import Subject


def published() -> dict[str, tuple[int, ...]]:
    """Names and shapes in 79999_iter.pth, as model.py and resnet.py of face-parsing.PyTorch make them."""
    trunk = import_torchvision().models.resnet18().state_dict()
    shapes = {f"cp.resnet.{k}": tuple(v.shape) for k, v in trunk.items() if not k.startswith("fc.")}

    def norm(name: str, channels: int) -> None:
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.{part}"] = (channels,)
        shapes[f"{name}.num_batches_tracked"] = ()

    def block(name: str, channels: int, out: int, side: int) -> None:
        shapes[f"{name}.conv.weight"] = (out, channels, side, side)
        norm(f"{name}.bn", out)

    for name, channels in (("cp.arm16", 256), ("cp.arm32", 512)):
        block(f"{name}.conv", channels, 128, 3)
        shapes[f"{name}.conv_atten.weight"] = (128, 128, 1, 1)
        norm(f"{name}.bn_atten", 128)
    block("cp.conv_head32", 128, 128, 3)
    block("cp.conv_head16", 128, 128, 3)
    block("cp.conv_avg", 512, 128, 1)
    block("ffm.convblk", 256, 256, 1)
    shapes["ffm.conv1.weight"], shapes["ffm.conv2.weight"] = (64, 256, 1, 1), (256, 64, 1, 1)
    for name, channels, middle in (("conv_out", 256, 256), ("conv_out16", 128, 64), ("conv_out32", 128, 64)):
        block(f"{name}.conv", channels, middle, 3)
        shapes[f"{name}.conv_out.weight"] = (19, middle, 1, 1)
    return shapes


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    """Random weights of the right names and shapes."""
    g, made = torch.Generator().manual_seed(0), {}
    for name, shape in published().items():
        if name.endswith("num_batches_tracked"):
            made[name] = torch.tensor(0)
        elif name.endswith("running_var"):
            made[name] = 0.5 + torch.rand(shape, generator=g)
        else:
            made[name] = torch.randn(shape, generator=g) / max(np.prod(shape[1:]), 1) ** 0.5
    return made


def test_the_public_file_loads_in_every_way_it_is_kept(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    torch.save({k: v for k, v in state.items() if "num_batches" not in k}, tmp_path / "new.pth")
    save_file(state, tmp_path / "same.safetensors")
    x = torch.randn(1, 3, 96, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        scores = [face_parsing.load(tmp_path / f)(x) for f in ("old.pth", "new.pth", "same.safetensors")]
    assert scores[0].shape == (1, 19, 96, 64)
    assert scores[0].isfinite().all()
    assert scores[0].std() > 0
    torch.testing.assert_close(scores[1], scores[0], rtol=0, atol=0)
    torch.testing.assert_close(scores[2], scores[0], rtol=0, atol=0)


def test_its_trunk_is_torchvisions_resnet(state: dict[str, torch.Tensor]) -> None:
    own, reference = face_parsing.ResNet18().eval(), import_torchvision().models.resnet18().eval()
    trunk = {name.removeprefix("cp.resnet."): v for name, v in state.items() if name.startswith("cp.resnet.")}
    own.load_state_dict(trunk)
    reference.load_state_dict(trunk, strict=False)
    x = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        y, wanted = reference.maxpool(reference.relu(reference.bn1(reference.conv1(x)))), []
        for layer in (reference.layer1, reference.layer2, reference.layer3, reference.layer4):
            y = layer(y)
            wanted.append(y)
        for a, b in zip(own(x), wanted[1:], strict=True):
            torch.testing.assert_close(a, b)


class Burglar:
    """What a file may try to run when it is unpickled."""

    def __reduce__(self) -> tuple:
        return (open, ("burgled", "w"))


def test_other_files_are_refused_in_a_sentence(
    tmp_path: Path, state: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.pth").write_bytes(b"")
    (tmp_path / "page.pth").write_text("<html>Google Drive can't scan this file for viruses</html>")
    (tmp_path / "page.safetensors").write_text("<html>")
    (tmp_path / "burglar.pth").write_bytes(pickle.dumps(Burglar(), 2))
    torch.save([1, 2], tmp_path / "list.pth")
    torch.save(state, tmp_path / "whole.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "whole.pth").read_bytes()[:100_000])
    torch.save({k: v for k, v in state.items() if "arm32" not in k}, tmp_path / "lacking.pth")
    torch.save({**state, "conv_out.conv_out.weight": torch.zeros(11, 256, 1, 1)}, tmp_path / "eleven.pth")
    for name, said in {
        "none.pth": "there is no file",
        ".": "there is no file",
        "empty.pth": "expected 79999_iter.pth",
        "page.pth": "expected 79999_iter.pth",
        "page.safetensors": "expected 79999_iter.pth",
        "burglar.pth": "expected 79999_iter.pth",
        "cut.pth": "expected 79999_iter.pth",
        "list.pth": "is not the 19-kind BiSeNet",
        "lacking.pth": "is not the 19-kind BiSeNet.*arm32",
        "eleven.pth": "1 of its layers differ, conv_out.conv_out.weight",
    }.items():
        with pytest.raises(UserError, match=said) as caught:
            face_parsing.load(tmp_path / name)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "burgled").exists()


def test_every_kind_is_of_the_person_the_hair_or_the_body() -> None:
    frame, groups = np.zeros((64, 64, 3), np.uint8), {}
    for k, kind in enumerate(KINDS):

        def scores(x: torch.Tensor, k: int = k) -> torch.Tensor:
            out = torch.zeros(1, 19, SIDE, SIDE)
            out[:, k, :, : SIDE // 2] = 30.0  # this kind to the left, background to the right
            out[:, 0, :, SIDE // 2 :] += 30.0
            return out

        shares = face_parsing.parse(scores, frame, 32)  # type: ignore[arg-type]
        assert shares.shape == (3, 32, 32)
        assert np.abs(shares[:, :, 16:]).max() < 1e-6
        groups[kind] = shares[:, 5, 5].round().astype(int).tolist()
    assert groups.pop("background") == [0, 0, 0]
    assert [kind for kind, group in groups.items() if group == [1, 1, 1]] == ["hair", "hat"]
    assert [kind for kind, group in groups.items() if group == [1, 0, 0]] == ["neck", "necklace", "cloth"]
    assert [1, 0, 1] in groups.values()
    assert len({tuple(group) for group in groups.values()}) == 3


def test_a_video_is_prepared_with_a_parser(
    tmp_path: Path, state: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_face.install(monkeypatch.setattr)
    monkeypatch.setenv("AUDIOPLANE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(masks, "mattes", None)  # MediaPipe's networks are not asked

    def parse(network: face_parsing.BiSeNet, frame: np.ndarray, side: int) -> np.ndarray:
        assert isinstance(network, face_parsing.BiSeNet)
        people = fake_face.mattes([frame], True, lambda done: None)
        person, hair = (np.asarray(p[0], np.float32) / 255 for p in (people.people, people.hairs))  # type: ignore[index]
        head = person * (np.arange(side)[:, None] < 0.7 * side)
        return np.stack([person, hair, head])

    monkeypatch.setattr(face_parsing, "parse", parse)
    torch.save(state, tmp_path / "79999_iter.pth")
    video = fake_face.video(tmp_path / "talk.mkv", 60)
    settings = replace(fake_face.SETTINGS, skip=("refine", "flow"), face_parsing=str(tmp_path / "79999_iter.pth"))
    [(folder, _)] = prepare(video, tmp_path / "subject", settings)
    subject = Subject.open(folder)
    assert [p for p in subject.validate() if p.severity == "error"] == []
    assert subject.head_mask(20).any()
    assert not subject.head_mask(20)[48:].any()  # where the parser ends it, whatever the jaw's line says
    (tmp_path / "other.pth").write_text("no weights")
    out = str(tmp_path / "refused")
    assert cli.main(["prepare", str(video), "--out", out, "--face-parsing", str(tmp_path / "other.pth")]) == 2
    assert cli.main(["prepare", str(video), "--out", out, "--face-parsing", "bisenet"]) == 2
    said = capsys.readouterr().err
    assert "expected 79999_iter.pth" in said
    assert "79999_iter.pth from the link" in said
    assert not Path(out).exists()
