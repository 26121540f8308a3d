from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from audioplane import registry
from audioplane.config import Config
from audioplane.errors import UserError
from audioplane.losses.terms import similarity_by_convolution
from audioplane.methods.base import Method
from audioplane.methods.types import Condition, Position, Sample, Stage
from audioplane.splat.gaussians import Box, Picture, random_gaussians
from audioplane.training import checkpoint
from audioplane.training.dataset import samples
from audioplane.training.report import Report
from audioplane.training.trainer import CHECKPOINT, Trainer
from tests.tiny_run import TINY, Keeper, same, state, tiny
from tests.tiny_subject import TinySubject


def test_it_learns() -> None:
    keeper = Keeper()
    config = TINY.replace(schedule__coarse=120, schedule__fine=160, gaussians__cap=300)
    trainer = Trainer(config, TinySubject(), callbacks=[keeper])
    trainer.run()
    psnr = [report.psnr for report in keeper.reports]
    assert [report.stage for report in keeper.reports] == ["coarse"] * 120 + ["fine"] * 160
    assert np.mean(psnr[100:120]) > np.mean(psnr[:10]) + 5
    assert np.mean(psnr[-20:]) > np.mean(psnr[100:120]) + 1
    assert keeper.reports[-1].gaussians == 300
    with torch.no_grad():
        picture = trainer.render(80)
    mask = torch.from_numpy(trainer.subject.motion_mask(80))
    assert picture.dynamism is not None
    assert picture.dynamism[mask].mean() > picture.dynamism[~mask].mean() + 0.2


def test_fine_starts_where_coarse_ended() -> None:
    """At initialisation of the field the head is exactly the static head, whoever speaks."""
    trainer = Trainer(TINY.replace(schedule__fine=0), TinySubject())
    trainer.run()
    with torch.no_grad():
        # The same cloud; with d as a fourth channel another kernel adds up, so the last bit may differ.
        branch, condition = trainer.method.branch("head"), Condition(torch.randn(6))
        assert torch.equal(branch.deform(condition).pack(), branch.cloud.pack())
        torch.testing.assert_close(trainer.render(3).rgb, trainer.render(3, deforms=False).rgb)
        assert torch.equal(trainer.render(3).rgb, trainer.method.render(condition, *_camera(trainer, 3)).rgb)


def _camera(trainer: Trainer, t: int) -> tuple[torch.Tensor, torch.Tensor, int, int]:
    return trainer.cache.viewmats[t], trainer.cache.K, trainer.cache.width, trainer.cache.height


def test_other_seed_other_bytes() -> None:
    finals = []
    for seed in (0, 1):
        trainer = Trainer(TINY.replace(seed=seed, schedule__fine=0, schedule__coarse=3), TinySubject())
        trainer.run()
        finals.append(state(trainer)["branches.head.params.means"])
    assert not torch.equal(*finals)


def test_global_generators_do_not_matter() -> None:
    finals = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        trainer = Trainer(TINY.replace(gaussians__densify="default", schedule__fine=2), TinySubject())
        trainer.run()
        finals.append(state(trainer))
    assert same(*finals)


@pytest.mark.parametrize("densify", ["default", "mcmc"])
def test_gsplats_strategies_run(densify: str) -> None:
    keeper = Keeper()
    Trainer(TINY.replace(gaussians__densify=densify), TinySubject(), callbacks=[keeper]).run()
    assert all(np.isfinite(report.terms["loss"]) for report in keeper.reports)
    assert all(report.gaussians <= 240 for report in keeper.reports)


def test_resume_refuses_another_run(tmp_path: Path) -> None:
    Trainer(TINY.replace(schedule__fine=0, schedule__coarse=2), TinySubject(), tmp_path).run()
    with pytest.raises(UserError, match=r"method\.margin=0\.2"):
        Trainer(
            TINY.replace(schedule__fine=0, schedule__coarse=2, method__margin=0.3),
            TinySubject(),
            tmp_path,
            resume=True,
        )
    with pytest.raises(UserError, match="another subject"):
        Trainer(TINY.replace(schedule__fine=0, schedule__coarse=2), TinySubject(seed=5), tmp_path, resume=True)


def test_nan_stops_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    trainer = Trainer(TINY, TinySubject(), tmp_path)

    class Poison(Keeper):
        def step(self, trainer: Trainer, report: Report) -> None:
            if report.iteration == 8:
                with torch.no_grad():
                    trainer.method.branch("head").params["sh0"][0] = torch.nan

    trainer.callbacks = [Poison()]
    with pytest.raises((UserError, ValueError)) as caught:
        trainer.run()
    assert isinstance(caught.value, UserError)
    assert "stopped at iteration" in str(caught.value)
    assert "checkpoint is kept" in str(caught.value)
    tensors, about = checkpoint.load(tmp_path / CHECKPOINT)
    assert about["iteration"] == 7
    assert all(torch.isfinite(t).all() for t in tensors.values() if t.is_floating_point())


def test_unusable_subjects_are_refused() -> None:
    subject = TinySubject()
    subject.viewmats[3, 0, 0] = np.nan
    with pytest.raises(UserError, match="NaN in its cameras"):
        Trainer(TINY, subject)
    subject = TinySubject()
    subject.train = range(0, 3)
    with pytest.raises(UserError, match="3 training frames"):
        Trainer(TINY, subject)


# The loss


def sample(motion: torch.Tensor, background: torch.Tensor | None = None) -> tuple[Picture, Sample]:
    generator = torch.Generator().manual_seed(0)
    rgb, alpha = torch.rand(12, 12, 3, generator=generator), torch.rand(12, 12, 1, generator=generator)
    channels = torch.cat([rgb * alpha, torch.rand(12, 12, 1, generator=generator)], dim=2)
    picture = Picture(channels, alpha, {})
    target = torch.rand(12, 12, 3, generator=generator)
    behind = torch.rand(3, generator=generator) if background is None else background
    ones = torch.ones(12, 12)
    return picture, Sample(0, target, behind, ones > 0, ones, motion, 0 * ones)


def untrained(config: Config) -> Method:
    """The method of a config over a handful of Gaussians."""
    kind = registry.load(registry.spec(config.method.NAME).model)
    cloud = random_gaussians(torch.zeros(4, 3), 0.1, 0, torch.Generator().manual_seed(0))
    own = replace(config, method=replace(config.method, resolution=4, levels=1))
    return kind(own, {"head": cloud}, Box((0.0, 0.0, 0.0), 1.0), 4, torch.Generator().manual_seed(0))


def test_equations_16_and_17() -> None:
    motion = (torch.arange(144).view(12, 12) % 3 == 0).float()
    picture, one = sample(motion)
    config = Config().replace(loss__mouth_weight=0.0)
    image = picture.rgb + (1 - picture.alpha) * one.background
    l1 = (image - one.target).abs().mean()
    dssim = 1 - similarity_by_convolution(image, one.target)
    assert picture.dynamism is not None
    mask = torch.relu((motion - picture.dynamism).abs() - 0.2).mean()
    perceptual = lambda a, b: 1 - similarity_by_convolution(a, b)  # noqa: E731
    method = untrained(config)
    coarse, fine = (method.losses(picture, one, stage, perceptual).total() for stage in method.stages())
    torch.testing.assert_close(coarse, l1 + 0.05 * dssim)
    torch.testing.assert_close(fine, l1 + 0.05 * dssim + 0.1 * mask)


def test_unknown_pixels_do_not_matter() -> None:
    picture, one = sample(torch.zeros(12, 12))
    known = one.known.clone()
    known[:, 6:] = False
    target = one.target.clone()
    target[:, 6:] = 9.0
    method = untrained(Config())
    values = [
        method.losses(picture, replace(one, target=t, known=known), method.stages()[0], None).total()
        for t in (one.target, target)
    ]
    assert torch.equal(*values)


# The loader


def test_order_is_a_permutation_an_epoch_and_can_start_anywhere() -> None:
    from audioplane.training.dataset import order

    numbers = order(range(10, 17), seed=3)
    first = [next(numbers) for _ in range(21)]
    assert sorted(first[:7]) == sorted(first[7:14]) == list(range(10, 17))
    assert first[:7] != first[7:14]
    later = order(range(10, 17), seed=3, start=9)
    assert [next(later) for _ in range(12)] == first[9:]


@pytest.mark.parametrize("background", ["random", "subject", "mixed"])
def test_samples_show_the_head_over_the_background(background: str) -> None:
    from audioplane.training.dataset import FrameCache

    subject = TinySubject()
    cache = FrameCache(subject, 0, 100)
    config = TINY.replace(schedule__background=background).schedule
    for sample in samples(cache, subject.train, config, 0, 0, 6):
        head = torch.from_numpy(subject.head_mask(sample.index))
        assert torch.equal(sample.head > 0, head)
        truth = torch.from_numpy(subject.frame(sample.index)).float() / 255
        torch.testing.assert_close(sample.target[head], truth[head])
        behind = sample.background.expand(40, 40, 3)
        far = ~head & sample.known
        assert (sample.target - behind).abs()[far].max() < (1e-6 if background == "random" else 1.1)
        if sample.background.dim() == 3:
            torch.testing.assert_close(behind, torch.from_numpy(subject.without_head(sample.index)).float() / 255)


def test_a_small_cache_is_only_slower() -> None:
    from audioplane.training.dataset import FrameCache

    subject = TinySubject()
    config = TINY.schedule
    results = [
        [s.target.sum() for s in samples(FrameCache(subject, 20, mib), subject.train, config, 0, 0, 30)]
        for mib in (0, 100)
    ]
    assert results[0] == results[1]


def test_box_holds_the_head() -> None:
    from audioplane.training.dataset import head_box, points_inside

    subject = TinySubject()
    center, half = head_box(subject, subject.train)
    assert 0.7 * 0.15 < half < 1.4 * 0.15  # the ball's radius is .7 of the half picture, which shows .15 m at .6 m
    points = points_inside(subject, subject.train, center, half, 50, torch.Generator().manual_seed(0))
    assert points.shape == (50, 3)
    assert (points - torch.tensor(center)).norm(dim=1).max() < 1.8 * half
    assert (points[:, :2] - torch.tensor(center[:2])).norm(dim=1).max() < 1.2 * half


@pytest.mark.parametrize("arrays", [(), ("sh0",), ("means", "opacities")])
@pytest.mark.parametrize("branches", [(), ("face",)])
def test_a_stage_moves_what_it_names_of_the_clouds(arrays: tuple[str, ...], branches: tuple[str, ...]) -> None:
    trainer = Trainer(tiny("talking_gaussian"), TinySubject())
    clouds = {name: branch.params for name, branch in trainer.method.named()}
    before = {name: {own: p.detach().clone() for own, p in params.items()} for name, params in clouds.items()}
    for param in trainer.method.parameters():
        param.grad = torch.ones_like(param)
    trainer.optimizers.step(Position(Stage("one", 4, branches=branches, arrays=arrays), 0))
    moved = {
        (name, own) for name, params in clouds.items() for own in params if (params[own] != before[name][own]).any()
    }
    named = set(arrays) or set(clouds["face"])
    assert moved == {(name, own) for name in branches or clouds for own in clouds[name] if own in named}
