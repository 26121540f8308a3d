"""A head on a pretended GPU: exported, loaded, speaking, evaluated; it shows what it shows on the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from audioplane import registry
from audioplane.errors import UserError
from audioplane.evaluation import heads, inspection, shape
from audioplane.inference import compositing, drawing
from audioplane.inference.talking_head import TalkingHead
from audioplane.runtime import device
from audioplane.training.trainer import Trainer
from tests.pretend_gpu import OnGpu, pretend_gpu
from tests.tiny_run import awaken, tiny
from tests.tiny_subject import TinySubject


@pytest.mark.parametrize("method", registry.names())
def test_a_head_speaks_on_a_gpu_as_on_the_cpu(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "BATCH", 4)
    trainer = Trainer(tiny(method, "schedule.coarse=4", "schedule.fine=2"), TinySubject(), device="cpu")
    trainer.run()
    awaken(trainer)
    path = tmp_path / "head.safetensors"
    TalkingHead.export(trainer, path)
    voice = trainer.subject.audio[:6400]
    here = TalkingHead.load(path)
    films = [list(here.frames(voice, poses)) for poses in ("test", "natural")]
    with pretend_gpu() as gpu:
        there = TalkingHead.load(path, device="cuda")
        assert all(isinstance(p, OnGpu) for p in there.method.state_dict().values())
        for poses, expected in zip(("test", "natural"), films, strict=True):
            gpu.waits.clear()
            found = list(there.frames(voice, poses))
            waits = len(gpu.waits)
            assert waits <= 1 + -(-len(found) // 4) + (-(-len(found) // 512)), "one wait a batch, and one for the codes"
            assert len(found) == len(expected)
            apart = np.abs(np.stack(found).astype(int) - np.stack(expected))
            assert apart.max() <= 2
            assert (apart > 0).mean() < 0.02
        picture = there.render(there.extras["codes"][0], there.viewmats[0], size=30)
        assert picture.dtype == np.uint8
        assert picture.shape[1] == 30


def test_a_head_is_evaluated_and_looked_at_on_a_gpu(tmp_path: Path) -> None:
    trainer = Trainer(tiny("audio_plane", "schedule.coarse=4", "schedule.fine=2"), TinySubject(), device="cpu")
    trainer.run()
    awaken(trainer)
    TalkingHead.export(trainer, tmp_path / "head.safetensors")
    found, places = [], ("cpu", "cuda")
    for place in places:
        with pretend_gpu():
            head = TalkingHead.load(tmp_path, sparse=False, device=place)
            code, view = head.extras["codes"][0], head.viewmats[0].numpy()
            values = inspection.splat_values(head, inspection.movement(head, code[None])[0][0], view)
            clouds = shape.clouds(head, trainer.subject, [3, 80])  # type: ignore[arg-type]
            head.save_ply(tmp_path / f"{place}.ply")
            draw = heads.renderer(head, trainer.subject)  # type: ignore[arg-type]
            shown = np.stack([draw(3), draw(80)]).astype(int)  # what `evaluate` measures, from several threads
            found.append((values, clouds[1].pack().numpy(), shown // 4))
            asked = range(60, 81)
            draw = heads.renderer(head, trainer.subject, ahead=asked)  # type: ignore[arg-type]
            ordered = [draw(t) for t in asked]
            np.testing.assert_allclose(ordered[-1].astype(int), shown[1], atol=1)
            np.testing.assert_allclose(draw(3).astype(int), shown[0], atol=1)  # one that it was not told of
    for mine, twin, most in zip(*found, (2e-2, 1e-4, 1.0), strict=True):
        np.testing.assert_allclose(mine, twin, atol=most, rtol=1e-3)


def test_a_run_on_a_gpu_is_exported_from_there(tmp_path: Path) -> None:
    with pretend_gpu():
        trainer = Trainer(tiny("audio_plane", "schedule.coarse=4", "schedule.fine=2"), TinySubject(), device="cuda")
        trainer.run()
        TalkingHead.export(trainer, tmp_path / "head.safetensors")
    head = TalkingHead.load(tmp_path)
    assert head.cloud.is_finite()


def test_compositing_is_the_kernels() -> None:
    g = torch.Generator().manual_seed(0)
    alpha = torch.rand(20, 30, 1, generator=g)
    rgb = 1.2 * alpha * torch.rand(20, 30, 3, generator=g)
    behind = torch.randint(0, 256, (20, 30, 3), generator=g, dtype=torch.uint8)
    mine = compositing.composite(rgb.numpy(), alpha.numpy(), behind.numpy())
    twin = compositing.composite_plain(rgb, alpha, behind).numpy()
    assert np.abs(mine.astype(int) - twin).max() <= 1
    assert (mine != twin).mean() < 1e-3


def test_a_device_that_is_not_there_is_refused() -> None:
    assert device.known("cpu") == "cpu"
    for name in ("tpu", "mps", "gpu 0"):
        with pytest.raises(UserError, match="cpu or cuda"):
            device.known(name)
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="sees no such GPU"):
            device.known("cuda")
    with pretend_gpu():
        assert device.known("cuda:0") == "cuda:0"
        with pytest.raises(UserError, match="sees no such GPU"):
            device.known("cuda:1")
