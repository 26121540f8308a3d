"""The preset `paper` is the paper: its table of settings, and the parts that the text names."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import audioplane.methods.audio_plane
from audioplane.config import Config, preset
from audioplane.errors import UserError
from audioplane.losses import terms
from audioplane.methods.types import Condition
from audioplane.runtime import weights
from audioplane.training.dataset import FrameCache, points_in_box
from audioplane.training.trainer import Trainer
from tests.tiny_run import awaken, tiny
from tests.tiny_subject import TinySubject

TABLE = Path(audioplane.methods.audio_plane.__file__).parent / "paper_settings.md"


def rows() -> list[list[str]]:
    lines = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_every_setting_of_the_preset_stands_in_the_table() -> None:
    paper = preset("paper")
    assert [row[0].strip("`") for row in rows()] == list(paper.paths)
    for path, stated, taken, kind, _ in rows():
        assert taken == f"`{paper.get(path.strip('`'))}`", path
        assert kind in ("stated", "silent", "departs"), path
        assert (stated == taken) == (kind == "stated"), f"{path}: what the paper states is what the preset has"


def test_a_paper_query_is_the_code_itself() -> None:
    run = Trainer(tiny("audio_plane", "method.query=code", "audio.code=8"), TinySubject())
    field = next(run.method.each()).field
    code = torch.randn(8, generator=torch.Generator().manual_seed(0))
    for weights_of, grid in zip(field.attention(code), field.prototypes, strict=True):
        torch.testing.assert_close(weights_of, torch.softmax(grid @ code / 8**0.5, dim=0))
    assert not any("query" in name for name, _ in run.method.named_parameters())
    with pytest.raises(UserError, match="must be method"):
        Trainer(tiny("audio_plane", "method.query=code"), TinySubject())


def test_bounded_offsets_stay_within_their_units() -> None:
    code = 30.0 * torch.randn(6, generator=torch.Generator().manual_seed(0))
    for bounded in (True, False):
        run = Trainer(tiny("audio_plane", f"method.bounded={bounded}"), TinySubject())
        awaken(run, 40.0)
        with torch.no_grad():
            largest = float(next(run.method.each()).deformation(Condition(code)).offsets.abs().max())
        assert (largest <= 1.0) == bounded


def test_random_points_lie_anywhere_in_the_box() -> None:
    points = points_in_box((0.1, 0.0, -0.2), 0.15, 4000, torch.Generator().manual_seed(0))
    away = (points - torch.tensor([0.1, 0.0, -0.2])) / 0.15
    assert float(away.abs().max()) <= 1.0
    torch.testing.assert_close(away.mean(0), torch.zeros(3), atol=0.05, rtol=0)
    torch.testing.assert_close(away.std(0), torch.full((3,), 3**-0.5), atol=0.03, rtol=0)
    run = Trainer(tiny("audio_plane", "gaussians.start=box"), TinySubject())
    outside = (next(run.method.each()).cloud.means - torch.tensor(run.box.center)).norm(dim=1) > run.box.half
    assert bool(outside.any()), "corners too"


def test_the_narrow_mask_is_the_one_that_is_learned_from() -> None:
    run = Trainer(tiny("audio_plane", "loss.motion_mask=narrow"), TinySubject())
    subject, cache = run.subject, FrameCache(run.subject, 0, 100)
    wide, narrow = (((one[3].masks >> 1) & 1).astype(bool) for one in (cache, run.cache))
    assert (wide == subject.motion_mask(3)).all()
    assert (narrow == subject.narrow_motion_mask(3)).all()
    assert narrow.sum() < wide.sum()


def test_lpips_or_its_stand_in_and_the_run_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config().replace("loss.perceptual=lpips-or-dssim").loss
    monkeypatch.setattr(weights, "find", lambda name: Path("there"))
    assert terms.perceptual_name(config) == "lpips-alex"
    monkeypatch.setattr(weights, "find", lambda name: None)
    assert terms.perceptual_name(config) == "dssim"
    image = torch.rand(20, 20, 3, generator=torch.Generator().manual_seed(0))
    loss = terms.perceptual_loss(config, torch.device("cpu"))
    assert loss is not None
    assert float(loss(image, image)) == pytest.approx(0.0, abs=1e-6)
    run = Trainer(tiny("audio_plane", "loss.perceptual=lpips-or-dssim"), TinySubject())
    assert run.facts["perceptual"] == "dssim"


@pytest.mark.parametrize("field", ["audio_plane", "tri_plane"])
@pytest.mark.parametrize("moves", [True, False])
def test_the_mask_loss_leaves_the_code_alone_unless_it_is_told(field: str, moves: bool) -> None:
    """With an encoder that learns it made the code a constant (see `paper_settings.md`)."""
    settings = (f"method.field={field}", f"method.mask_moves_code={moves}", "audio.fine_rate=1e-3")
    run = Trainer(tiny("audio_plane", *settings), TinySubject())
    awaken(run)
    code = torch.randn(6, generator=torch.Generator().manual_seed(0), requires_grad=True)
    moved = next(run.method.each()).deformation(Condition(code))
    assert moved.weight is not None
    moved.weight.sum().backward(retain_graph=True)
    assert (code.grad is not None and bool(code.grad.any())) == moves
    code.grad = None
    moved.offsets.sum().backward()
    assert code.grad is not None
    assert bool(code.grad.any()), "the pictures move it all the same"


def test_a_quiet_code_changes_no_value() -> None:
    code = torch.randn(6, generator=torch.Generator().manual_seed(0))
    run = Trainer(tiny("audio_plane", "audio.fine_rate=1e-3"), TinySubject())
    awaken(run)
    branch = next(run.method.each())
    with torch.no_grad():
        plain = branch.deformation(Condition(code))
    learned = branch.deformation(Condition(code.requires_grad_()))
    torch.testing.assert_close(plain.offsets, learned.offsets.detach())
    torch.testing.assert_close(plain.weight, learned.weight.detach())
