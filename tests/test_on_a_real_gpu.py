"""On a real GPU: every method through all of its parts, and CUDA against the CPU (`pytest -m gpu`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from audioplane import registry
from audioplane.inference.talking_head import TalkingHead
from audioplane.training.dataset import samples
from audioplane.training.trainer import Trainer
from tests.tiny_run import Keeper, awaken, tiny
from tests.tiny_subject import TinySubject

METHODS = pytest.mark.parametrize("method", registry.names())
THIRTY = ("schedule.coarse=30", "schedule.fine=30")


@pytest.mark.gpu
@METHODS
def test_a_head_is_trained_resumed_exported_and_speaks(method: str, tmp_path: Path) -> None:
    config, keeper = tiny(method, *THIRTY), Keeper()
    with pytest.raises(KeyboardInterrupt):
        Trainer(config, TinySubject(), tmp_path, [Keeper(stop=20)], "cuda").run()
    trainer = Trainer(config, TinySubject(), tmp_path, [keeper], "cuda", resume=True)
    trainer.run()
    assert trainer.iteration == trainer.method.iterations
    assert all(np.isfinite([*report.terms.values(), report.psnr]).all() for report in keeper.reports)
    TalkingHead.export(trainer, tmp_path / "head.safetensors")
    voice = trainer.subject.audio[:8000]
    here, there = (list(TalkingHead.load(tmp_path, device=place).frames(voice)) for place in ("cpu", "cuda"))
    apart = np.abs(np.stack(here).astype(int) - np.stack(there))
    assert apart.max() <= 8
    assert (apart > 2).mean() < 0.01


@pytest.mark.gpu
@METHODS
def test_values_and_gradients_are_those_of_the_cpu(method: str) -> None:
    config = tiny(method, *THIRTY)
    on_cpu, on_gpu = (Trainer(config, TinySubject(), device=place) for place in ("cpu", "cuda"))
    awaken(on_cpu)
    on_gpu.method.load_state_dict(on_cpu.method.state_dict())
    on_gpu.conditions.update(on_gpu.method, on_gpu.device)
    stage = on_cpu.method.stages()[-1]
    sample = next(samples(on_cpu.cache, on_cpu.subject.train, config.schedule, 0, 3, 5))
    pictures, gradients = [], []
    for trainer in (on_cpu, on_gpu):
        trainer.method.begin(stage)
        picture = trainer.render(sample.index, stage.deforms, stage.branches)
        picture.channels.square().mean().backward()
        pictures.append(picture.channels.detach().cpu())
        named = trainer.method.named_parameters()
        gradients.append({n: p.grad.to_dense().cpu() for n, p in named if p.grad is not None})
    assert float((pictures[0] - pictures[1]).abs().mean()) < 1e-3
    for name, mine in gradients[0].items():
        if name in gradients[1] and mine.any():
            twin = gradients[1][name]
            assert float(torch.cosine_similarity(mine.flatten(), twin.flatten(), dim=0)) > 0.99, name


@pytest.mark.gpu
def test_cuda_does_not_wait_in_a_step() -> None:
    config = tiny("audio_plane", *THIRTY, "gaussians.densify_from=1000")
    trainer = Trainer(config, TinySubject(), device="cuda")
    cache = trainer.caches[trainer.size(0)]
    frames = samples(cache, trainer.subject.train, config.schedule, 0, 0, 4, pinned=True)
    trainer.step(next(frames))
    torch.cuda.set_sync_debug_mode("error")
    try:
        for sample in frames:
            trainer.step(sample)
    finally:
        torch.cuda.set_sync_debug_mode("default")
