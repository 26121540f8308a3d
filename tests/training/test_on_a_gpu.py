"""Training on a pretended GPU: all on the right device, no step waits for it, and the numbers are the CPU's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from audioplane import registry
from audioplane.deform import mlp
from audioplane.errors import UserError
from audioplane.runtime import seeds
from audioplane.training import trainer as training
from audioplane.training.callbacks import Previews, Scalars
from audioplane.training.dataset import samples
from audioplane.training.sparse_adam import SparseAdam
from audioplane.training.trainer import Trainer
from tests.pretend_gpu import OnGpu, WrongDeviceError, pretend_gpu
from tests.tiny_run import Keeper, awaken, every_variant, tiny
from tests.tiny_subject import TinySubject

EVERY = pytest.mark.parametrize("variant", every_variant(), ids=" ".join)
CLOSE = 5e-4


def host(tensor: torch.Tensor) -> torch.Tensor:
    """The numbers of a tensor, wherever it lies."""
    own = tensor.detach()
    own = own.held if isinstance(own, OnGpu) else own
    return own.to_dense() if own.is_sparse else own


def numbers(trainer: Trainer) -> dict[str, torch.Tensor]:
    """All that is learned, on the host."""
    return {name: host(tensor).clone() for name, tensor in trainer.method.state_dict().items()}


# The pretended GPU itself


def test_the_pretended_gpu_refuses_what_cuda_refuses() -> None:
    with pretend_gpu() as gpu:
        there, here = torch.ones(3, device="cuda"), torch.ones(3)
        assert there.device == torch.device("cuda", 0)
        with pytest.raises(WrongDeviceError, match="add"):
            _ = there + here
        with pytest.raises(RuntimeError, match="numpy"):
            there.numpy()
        with pytest.raises(WrongDeviceError, match="generator"):
            torch.rand(3, device="cuda", generator=torch.Generator())
        assert not gpu.waits
        assert float((2.0 * there).sum()) == 6.0
        assert gpu.waits == ["_local_scalar_dense"]
        _ = there[there > 0], there.cpu(), torch.inverse(torch.eye(3, device="cuda"))
        assert len(gpu.waits) >= 4
        there.requires_grad_()
        (there.square().sum() + there.to("cpu").sum()).backward()
        assert torch.equal(host(there.grad), torch.full((3,), 3.0))  # type: ignore[arg-type]


# All of training


@pytest.mark.parametrize("method", registry.names())
def test_training_resumes_on_a_gpu_and_ends_where_it_would_have(method: str, tmp_path: Path) -> None:
    config = tiny(method)
    with pretend_gpu() as gpu:
        whole = Trainer(config, TinySubject(), device="cuda")
        before = gpu.random.get_state(), torch.get_rng_state()
        whole.run()
        assert torch.equal(before[0], gpu.random.get_state())
        assert torch.equal(before[1], torch.get_rng_state())
        with pytest.raises(KeyboardInterrupt):
            Trainer(config, TinySubject(), tmp_path, [Keeper(stop=15)], "cuda").run()
        trainer = Trainer(config, TinySubject(), tmp_path, [Scalars(tmp_path), Previews(tmp_path)], "cuda", resume=True)
        assert 0 < trainer.iteration < 16
        trainer.run()
        assert trainer.iteration == trainer.method.iterations
        assert all(isinstance(p.detach(), OnGpu) for p in trainer.method.parameters())
    first, second = numbers(whole), numbers(trainer)
    assert all(torch.equal(first[name], second[name]) for name in first), "here nothing is added up in another order"


DENSIFIERS = [
    pytest.param(method, densify, marks=() if densify == "quota" or method == registry.DEFAULT else pytest.mark.slow)
    for method in registry.names()
    for densify in ("quota", "default", "mcmc")
]
"""All of them with the default method; of the others, whose clouds are the same arrays, one."""


@pytest.mark.parametrize(("method", "densify"), DENSIFIERS)
def test_every_densifier_grows_a_cloud_on_a_gpu(method: str, densify: str) -> None:
    config = tiny(
        method, f"gaussians.densify={densify}", "schedule.coarse=24", "schedule.fine=2", "gaussians.reset_every=0"
    )
    with pretend_gpu():
        trainer = Trainer(config, TinySubject(), device="cuda")
        first = [len(branch.params["means"]) for branch in trainer.method.each()]
        trainer.run()
        last = [len(branch.params["means"]) for branch in trainer.method.each()]
    assert last != first or densify != "quota", "the others' thresholds may let nothing through in so few steps"
    assert all(torch.isfinite(tensor).all() for tensor in numbers(trainer).values())


# The branches that CUDA takes, and the compiled ones


@EVERY
def test_values_and_gradients_are_those_of_the_compiled_path(variant: Sequence[str]) -> None:
    """Dense sampling, plain layers, plain losses: one picture and its gradient, in every stage."""
    config = tiny(*variant, *(["method.bf16=false"] if "method.bf16" in tiny(*variant).paths else []))
    on_cpu = Trainer(config, TinySubject(), device="cpu")
    awaken(on_cpu)
    with pretend_gpu():
        on_gpu = Trainer(config, TinySubject(), device="cuda")
        on_gpu.method.load_state_dict(on_cpu.method.state_dict())
        on_gpu.conditions.update(on_gpu.method, on_gpu.device)
        for stage in on_cpu.method.stages():
            for sample in samples(on_cpu.cache, on_cpu.subject.train, config.schedule, 0, 3, 5):
                found = [_gradients(trainer, sample, stage) for trainer in (on_cpu, on_gpu)]
                assert found[0].keys() >= found[1].keys()
                for name, mine in found[0].items():
                    if name not in found[1]:  # the compiled layers give zeros where nothing flows
                        assert not mine.any(), name
                        continue
                    scale = max(float(mine.abs().max()), 1e-3 if name in ("channels", "loss") else 1e-6)
                    apart = float((mine - found[1][name]).abs().max())
                    assert apart <= CLOSE * max(scale, 1.0 if name in ("channels", "loss") else 0.0) + 1e-7, name


def _gradients(trainer: Trainer, sample: Any, stage: Any) -> dict[str, torch.Tensor]:
    from dataclasses import replace

    method = trainer.method
    method.begin(stage)
    method.zero_grad(set_to_none=True)
    sample = replace(sample.to(trainer.device), compared=trainer.conditions.compared_with(sample.index))
    picture = trainer._render(trainer.cache, sample.index, stage.deforms, None, stage.branches)
    loss = method.losses(picture, sample, stage, trainer.perceptual).total()
    loss.backward()
    named = {name: host(p.grad).clone() for name, p in method.named_parameters() if p.grad is not None}
    return {"channels": host(picture.channels), "loss": host(loss), **named}


# Nothing waits


@EVERY
def test_no_step_waits_for_the_gpu(variant: Sequence[str]) -> None:
    """But for density control, which changes sizes, and the look at the end."""
    config = tiny(*variant, "gaussians.densify_from=1000", "gaussians.reset_every=0")
    with pretend_gpu() as gpu:
        trainer = Trainer(config, TinySubject(), device="cuda")
        edge = trainer.method.stages()[0].iterations
        for first in (0, edge):
            trainer.iteration = first
            cache = trainer.caches[trainer.size(first)]
            frames = samples(cache, trainer.subject.train, config.schedule, 0, first, first + 4, pinned=True)
            for number, sample in enumerate(frames):
                trainer.step(sample)
                if number == 0:  # what is made once
                    gpu.waits.clear()
            assert gpu.waits == [], "a step waited"


def test_a_report_is_read_once(tmp_path: Path) -> None:
    keeper = Keeper()
    with pretend_gpu() as gpu:
        trainer = Trainer(tiny(), TinySubject(), callbacks=[keeper], device="cuda")
        trainer.run()
        gpu.waits.clear()
        terms, psnr = keeper.reports[3].terms, keeper.reports[3].psnr
        assert terms == keeper.reports[3].terms
        assert np.isfinite([*terms.values(), psnr]).all()
        assert len(gpu.waits) == 1


def test_nan_stops_a_run_on_a_gpu_and_leaves_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU's rasterizer draws NaN without a word, and the loss is looked at every so often only."""
    monkeypatch.setattr(training, "CHECK_EVERY", 4)
    config = tiny().replace("schedule.checkpoint_every=2")
    with pretend_gpu():
        trainer = Trainer(config, TinySubject(), tmp_path, device="cuda")
        frames = samples(trainer.caches[trainer.size(0)], trainer.subject.train, config.schedule, 0, 0, 9)
        trainer.step(next(frames))
        trainer.step(next(frames))
        trainer.save()
        kept = (tmp_path / training.CHECKPOINT).read_bytes()
        with torch.no_grad():
            trainer.method.branch("head").params["sh0"].fill_(float("nan"))
        trainer.step(next(frames))
        with pytest.raises(UserError, match="checkpoint is kept"):
            trainer.save()
        with pytest.raises(UserError, match=r"Training stopped at iteration 3: the (loss is nan|cloud has NaN)"):
            trainer.step(next(frames))
        assert (tmp_path / training.CHECKPOINT).read_bytes() == kept


# One rule on both devices


def test_bfloat16_is_asked_of_the_device_that_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = torch.device("cuda", 0), torch.device("cuda", 1)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5) if device == old else (9, 0))
    assert (mlp.has_bf16(old), mlp.has_bf16(new)) == (False, True)


def test_layers_in_bfloat16_round_as_the_compiled_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """D1's later layers are in one precision: apart by a rounding or two of bfloat16, not by a layer's."""
    monkeypatch.setattr(mlp, "has_bf16", lambda _: True)
    g = torch.Generator().manual_seed(0)
    layers = mlp.DeformationMLP(48, 6, 14, 32, 8, g, bf16=True)
    torch.nn.init.normal_(layers.offset.weight, std=0.3, generator=g)
    static, extra = torch.randn(200, 48, generator=g), torch.randn(6, generator=g)
    compiled = layers(static, None, extra)
    weight, bias = layers.fold(None, extra)
    plain = layers.plain(static.bfloat16(), weight.bfloat16(), bias)
    whole = layers.plain(static, weight, bias)
    for mine, twin, exact in zip(compiled, plain, whole, strict=True):
        apart, rounding = (mine - twin).abs().mean(), (mine - exact).abs().mean()
        assert apart < 0.1 * rounding, "the twin rounds where the kernel does"


def test_rows_of_a_table_that_nothing_touches_wait_on_both_devices() -> None:
    g = torch.Generator().manual_seed(1)
    first = torch.randn(20, 8, generator=g)
    tables = [torch.nn.Parameter(first.clone()) for _ in range(2)]
    optimizers = [SparseAdam([table], lr=1e-2, distinct=True) for table in tables]
    for _ in range(12):
        rows = torch.randperm(20, generator=g)[:5]
        values = torch.randn(5, 8, generator=g)
        tables[0].grad = torch.sparse_coo_tensor(rows[None], values, (20, 8), is_coalesced=True, check_invariants=False)
        tables[1].grad = torch.zeros(20, 8).index_copy(0, rows, values)
        for optimizer in optimizers:
            optimizer.step()
    torch.testing.assert_close(tables[0], tables[1], atol=1e-6, rtol=1e-6)
    plain = torch.nn.Parameter(first.clone())
    assert not torch.allclose(tables[0], plain)


def test_a_row_that_is_touched_with_zeros_drifts_a_little_on_the_cpu_alone() -> None:
    """The one difference between sparse and whole gradients: ten steps' worth at most, after a row was last pulled."""
    rate = 1e-2
    tables = [torch.nn.Parameter(torch.zeros(3, 8)) for _ in range(2)]
    optimizers = [SparseAdam([table], lr=rate, distinct=True) for table in tables]
    rows = torch.tensor([1])
    for step in range(60):
        values = torch.full((1, 8), float(step < 3))
        tables[0].grad = torch.sparse_coo_tensor(rows[None], values, (3, 8), is_coalesced=True, check_invariants=False)
        tables[1].grad = torch.zeros(3, 8).index_copy(0, rows, values)
        for optimizer in optimizers:
            optimizer.step()
    apart = (tables[0] - tables[1]).detach().abs()
    assert torch.equal(apart[[0, 2]], torch.zeros(2, 8))
    assert rate < float(apart.max()) < 12 * rate


def test_the_global_generators_are_as_they_were() -> None:
    with pretend_gpu() as gpu:
        before = gpu.random.get_state(), torch.get_rng_state()
        with seeds.seeded_globally(5, torch.device("cuda")):
            assert gpu.random.initial_seed() == 5
            first = torch.rand(3)
        with seeds.seeded_globally(5, torch.device("cpu")):
            assert torch.equal(first, torch.rand(3))
        assert torch.equal(before[0], gpu.random.get_state())
        assert torch.equal(before[1], torch.get_rng_state())
