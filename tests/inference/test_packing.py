"""A packed head shows what it was packed from, in little space, and says what it cannot do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from audioplane.errors import UserError
from audioplane.evaluation import inspection
from audioplane.inference import packing, shipped
from audioplane.inference.export import export
from audioplane.inference.folding import STILL
from audioplane.inference.packing import pack
from audioplane.inference.talking_head import TalkingHead
from audioplane.metrics.image import psnr
from audioplane.pretrained.head.make import packing_loss
from audioplane.training import checkpoint
from audioplane.training.trainer import Trainer
from tests.tiny_run import awaken, tiny
from tests.tiny_subject import TinySubject

METHODS = {"audio_plane": ("method.expression=true",), "talking_gaussian": (), "synctalk_pp": ()}


@pytest.fixture(scope="module", params=sorted(METHODS))
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    trainer = Trainer(tiny(request.param, *METHODS[request.param]), TinySubject())
    trainer.run()
    awaken(trainer)
    path = tmp_path_factory.mktemp("whole") / "head.safetensors"
    export(trainer, path)
    return path


@pytest.fixture
def packed(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(packing, "SMALL", 100)  # so that the small head's tensors are rounded too
    path = tmp_path / "packed.safetensors"
    pack(TalkingHead.load(whole), path, torsos=2)
    return path


def test_a_packed_head_shows_the_same_and_is_smaller(whole: Path, packed: Path) -> None:
    before, after = TalkingHead.load(whole), TalkingHead.load(packed)
    assert packed.stat().st_size < 0.8 * whole.stat().st_size
    assert (before.is_packed, after.is_packed) == (False, True)
    assert torch.equal(before.branches[next(iter(before.branches))].moving, next(iter(after.branches.values())).moving)
    behind = np.zeros((before.height, before.width, 3), np.uint8)
    for code in before.extras["codes"][:3]:
        pictures = [head.render(code, before.viewmats[0], behind) for head in (before, after)]
        assert psnr(pictures[1], pictures[0]) > 45
    assert len(after.extras["test_viewmats"]) == 2


def test_more_gaussians_may_be_let_rest(whole: Path, packed: Path) -> None:
    head, usual = TalkingHead.load(whole), TalkingHead.load(whole)
    counts = []
    for still in (0.0, STILL, 1e9):
        head.let_rest(still)
        counts.append(head.moving)
        if still == STILL:
            for own, other in zip(head.branches.values(), usual.branches.values(), strict=True):
                assert torch.equal(own.moving, other.moving)
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[2] == 0
    with pytest.raises(UserError, match="this head is packed"):
        TalkingHead.load(packed).let_rest(STILL)


def test_a_packed_head_films_and_is_looked_into(packed: Path, tmp_path: Path) -> None:
    head = TalkingHead.load(packed)
    voice = (0.1 * np.random.default_rng(0).standard_normal(8000)).astype(np.float32)
    head.speak(voice, tmp_path / "film.mp4")
    head.save_ply(tmp_path / "head.ply")
    moved, weights = inspection.movement(head, head.extras["codes"][:2])
    resting = torch.ones(len(head.cloud), dtype=torch.bool)
    first = 0
    for branch in head.branches.values():
        resting[first + branch.moving] = False
        first += len(branch.rows)
    assert not moved[:, resting].any()
    assert moved.isfinite().all()
    assert weights.shape == (2, len(head.cloud))


def test_what_a_packed_head_lacks_is_said(packed: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="packed: it speaks, and no more"):
        TalkingHead.load(packed, sparse=False)
    head = TalkingHead.load(packed)
    with pytest.raises(UserError, match="packed"):
        inspection.frame_picture(head, head.extras["codes"][0], head.viewmats[0].numpy())
    with pytest.raises(UserError, match="not packed yet"):
        pack(head, tmp_path / "again.safetensors")


def _without(ending: str) -> Callable[[dict[str, Tensor]], Any]:
    return lambda found: [found.pop(name) for name in list(found) if name.endswith(ending)]


def _changed(ending: str, change: Callable[[Tensor], Tensor]) -> Callable[[dict[str, Tensor]], Any]:
    return lambda found: found.update({name: change(t) for name, t in found.items() if name.endswith(ending)})


DAMAGE = {
    "nothing folded": lambda found: [found.pop(name) for name in list(found) if name.startswith("folded/")],
    "no S": _without("/static"),
    "no extremes": lambda found: [found.pop(name) for name in list(found) if name.startswith("8bit/low/")],
    "another order": _changed("/moving", lambda t: t.flip(0).contiguous()),
    "a Gaussian beyond": _changed("/moving", lambda t: torch.cat([t[:-1], t[-1:] + 100_000])),
    "a Gaussian before": _changed("/moving", lambda t: torch.cat([t[:1] - 100_000, t[1:]])),
    "S of another length": _changed("/static", lambda t: t[:-1].clone() if t.dim() == 2 else t),
    "S of another width": _changed("/static", lambda t: t[..., :-1].clone() if t.dim() == 2 else t),
    "extremes of NaN": lambda found: found.update(
        {name: t * torch.nan for name, t in found.items() if name.startswith("8bit/high/")}
    ),
    "a branch that is none": lambda found: found.update(
        {name.replace("/", "/other", 1): found.pop(name) for name in list(found) if name.startswith("folded/")}
    ),
}


@pytest.mark.parametrize("damage", list(DAMAGE))
def test_damaged_packed_heads_are_refused(packed: Path, damage: str) -> None:
    found, about = checkpoint.load(packed)
    DAMAGE[damage](found)
    checkpoint.save(packed, found, about)
    with pytest.raises(UserError):
        TalkingHead.load(packed)


def test_what_lies_here_comes_before_what_ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shipped.find("nobody") == Path("nobody")
    for name in shipped.names():
        assert shipped.find(name).is_file()
        (tmp_path / name).mkdir()
        assert shipped.find(name) == Path(name)


def test_the_loss_by_packing_is_none_of_a_head_against_itself(whole: Path, packed: Path) -> None:
    head, voice = TalkingHead.load(whole), np.zeros(4000, np.float32)
    assert packing_loss(head, head, voice) == {"head": np.inf, "film": np.inf}
    assert packing_loss(head, TalkingHead.load(packed), voice)["head"] > 45
    with pytest.raises(UserError, match="lacks what a packed head holds"):
        packing.unpack({}, {"packed": True}, "a file")
