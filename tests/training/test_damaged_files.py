"""Heads and checkpoints whose tensors or numbers do not fit are refused before a kernel runs over them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from audioplane.errors import UserError
from audioplane.inference.export import export
from audioplane.inference.talking_head import TalkingHead
from audioplane.training.trainer import Trainer
from tests.tiny_run import TINY
from tests.tiny_subject import TinySubject


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    trainer = Trainer(TINY, TinySubject(), folder, device="cpu")  # type: ignore[arg-type]
    trainer.run()
    export(trainer, folder / "head.safetensors")
    return folder


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path / "run")
    return tmp_path / "run"


def edit(path: Path, key: str = "", change: Callable[[Tensor], Tensor] = Tensor.clone, **about: object) -> None:
    """Changes the tensors with `key` in their name, and JSON values."""
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        text = json.loads(file.metadata()["audioplane"])
    names = [name for name in tensors if key and key in name]
    assert names or not key
    tensors |= {name: change(tensors[name]).contiguous() for name in names}
    path.write_bytes(save(tensors, {"audioplane": json.dumps(text | about)}))


MOMENTS = ("exp_avg", "exp_avg_sq")


def few(tensor: Tensor) -> Tensor:
    """Of a whole tensor only three numbers: so short, moments once ended training in a segmentation fault."""
    return tensor.reshape(-1)[:3].clone()


def shorter(tensor: Tensor) -> Tensor:
    return tensor[:-3].clone()


@pytest.mark.parametrize(
    ("key", "change"),
    [
        *((f"tables/branches.head.field.planes.planes/{moment}", few) for moment in MOMENTS),
        *((f"cloud-head-means/branches.head.params.means/{moment}", few) for moment in MOMENTS),
        ("tables/branches.head.field.planes.planes/exp_avg", shorter),
        ("cloud-head-means/branches.head.params.means/exp_avg_sq", shorter),
        ("cloud-head-quats/branches.head.params.quats/exp_avg", lambda t: t[:, :1].clone()),
        ("exp_avg_sq", lambda t: t.double()),
        ("/step", lambda t: t * float("nan")),
        ("/step", lambda t: t + 0.5),
        ("model/branches.head.params.opacities", shorter),
        ("params.means", lambda t: t * float("inf")),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(run: Path, key: str, change: Callable[[Tensor], Tensor]) -> None:
    edit(run / "state.safetensors", key, change)
    with pytest.raises(UserError):
        Trainer(TINY, TinySubject(), run, device="cpu", resume=True)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"width": 1e300}, "width: expected `int`, got `float`"),
        ({"width": 10**30}, "width: expected `int` <= 16384"),
        ({"width": 16_000, "height": 16_000}, "picture_pixels"),
        ({"width": 41}, "a torso that is no picture of the head's size"),
        ({"fps": 0}, "fps: expected `float` >= 1"),
        ({"box": [0, 0, 0]}, "box: expected `array` of length 4"),
        ({"channels": 10**9}, "channels: expected `int` <= 100000"),
        ({"name": "../x"}, "the speaker's name"),
        ({"config": {"method": {"name": "x"}}}, "method.name"),
        ({"config": []}, "config: expected `object`, got `array`"),
        ({"format": True}, "format True"),
    ],
)
def test_a_head_with_impossible_values_is_refused(run: Path, values: dict[str, object], words: str) -> None:
    edit(run / "head.safetensors", **values)
    with pytest.raises(UserError, match=words):
        TalkingHead.load(run)


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("torso_ends", lambda t: t + 5),
        ("torso_ends", lambda t: t.flip(0)),
        ("viewmats", lambda t: t * 3),
        ("codes", lambda t: t[:, :-1]),
        ("K", lambda t: t[:2]),
        ("params.scales", shorter),
        ("params.means", lambda t: t * float("nan")),
        ("params.sh0", lambda t: t.reshape(-1, 3)),
        ("rows/", lambda t: t - 10**6),
    ],
)
def test_a_head_with_other_tensors_is_refused(run: Path, key: str, change: Callable[[Tensor], Tensor]) -> None:
    edit(run / "head.safetensors", key, change)
    with pytest.raises(UserError, match=r"head\.safetensors"):
        TalkingHead.load(run)


def test_a_whole_head_is_still_read(run: Path) -> None:
    edit(run / "head.safetensors")
    head = TalkingHead.load(run)
    assert torch.isfinite(head.encode(torch.zeros(3200).numpy())).all()
