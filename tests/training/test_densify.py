"""Where a cloud grows, how far, and when: both stages, the cap, resets, and MCMC's regularisers."""

from __future__ import annotations

import pytest
import torch

from audioplane.config import Config
from audioplane.experiments.tables import find, jobs
from audioplane.methods.types import Position, Stage
from audioplane.splat.gaussians import as_parameters, random_gaussians
from audioplane.training.densify import Densifier
from audioplane.training.trainer import Trainer
from tests.tiny_run import Keeper, tiny
from tests.tiny_subject import TinySubject


def run(*settings: str) -> tuple[Trainer, Keeper]:
    keeper = Keeper()
    trainer = Trainer(tiny("audio_plane", *settings), TinySubject(), callbacks=[keeper])
    trainer.run()
    return trainer, keeper


HOT = (
    "gaussians.densify=default",
    "gaussians.densify_from=2",
    "gaussians.densify_every=3",
    "gaussians.densify_until=1",
)


@pytest.mark.parametrize("cap", [61, 70, 100])
def test_3dgs_control_ends_at_the_cap(cap: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Densifier._gsplat_strategy

    def eager(self: Densifier) -> object:
        strategy = made(self)
        strategy.grow_grad2d = 1e-9  # all want to grow
        return strategy

    monkeypatch.setattr(Densifier, "_gsplat_strategy", eager)
    _, keeper = run(*HOT, f"gaussians.cap={cap}", "gaussians.prune_opacity=0")
    counts = [report.gaussians for report in keeper.reports]
    assert max(counts) == cap
    assert counts == sorted(counts)


def test_opacities_are_reset_as_often_as_asked() -> None:
    trainer = Trainer(tiny("audio_plane", *HOT, "gaussians.reset_every=6", "schedule.coarse=7"), TinySubject())
    highest = []

    class Look:
        def step(self, trainer: Trainer, report: object) -> None:
            highest.append(float(torch.sigmoid(next(trainer.method.each()).params["opacities"].detach()).max()))

        def close(self) -> None: ...

    trainer.callbacks.append(Look())
    trainer.run()
    assert highest[5] > 0.2
    assert highest[6] <= 2 * trainer.config.gaussians.prune_opacity + 1e-6


def test_a_cloud_may_grow_in_the_fine_stage_too() -> None:
    settings = ("gaussians.densify_until=0.5", "gaussians.cap=10000", "schedule.fine=20", "gaussians.densify_every=4")
    _, still = run(*settings)
    _, grown = run(*settings, "gaussians.densify_fine_until=0.6")
    for keeper, grows in ((still, False), (grown, True)):
        fine = [report.gaussians for report in keeper.reports if report.stage == "fine"]
        assert (fine[-1] > fine[0]) == grows
        assert len(set(fine[12:])) == 1, "and it ends where it was told to"


def test_steps_are_counted_through_both_stages_where_a_cloud_grows_in_both() -> None:
    for settings, before in ((("gaussians.densify_fine_until=0.5",), 16), ((), 0)):
        trainer = Trainer(tiny("audio_plane", *settings), TinySubject())
        coarse, fine = trainer.method.stages()
        assert trainer.method.position(3) == Position(coarse, 3, 0)
        assert trainer.method.position(coarse.iterations + 2) == Position(fine, 2, before)
        assert trainer.method.position(10_000) == Position(fine, fine.iterations, before)


def test_mcmc_has_its_regularisers() -> None:
    config = Config().replace("gaussians.densify=mcmc", "gaussians.regularise=0.02")
    params = torch.nn.ParameterDict(
        {"opacities": torch.nn.Parameter(torch.zeros(4)), "scales": torch.nn.Parameter(torch.full((4, 3), -1.0))}
    )
    found = Densifier(config, 0.5).regularisers(params)
    assert {name: term.weight for name, term in found.items()} == {"opacity": 0.02, "scale": 0.02}
    assert float(found["opacity"].value.detach()) == pytest.approx(0.5)
    assert float(found["scale"].value.detach()) == pytest.approx(2 * torch.tensor(-1.0).exp().item())
    assert Densifier(Config(), 0.5).regularisers(params) == {}
    _, keeper = run("gaussians.densify=mcmc")
    assert {"opacity", "scale"} <= keeper.reports[3].terms.keys()


@pytest.mark.parametrize("preset", ["smoke", "demo", "paper"])
def test_the_static_rows_cloud_grows_as_long_as_the_others(preset: str) -> None:
    cells = jobs(find("table2"), preset, 1)
    ends = set()
    for row in ("static", "+ AP & SS"):
        config = cells[row, "test set A", 0].config
        ends.add(Densifier(config, 1.0).last(Stage("coarse", config.schedule.coarse, deforms=False)))
    assert len(ends) == 1


# The quota


class Quota:
    """A cloud of twelve under the quota: a quarter of it may grow at steps 4, 7, 10, ..."""

    def __init__(self, size: float, share: float = 0.25) -> None:
        g = torch.Generator().manual_seed(0)
        self.params = as_parameters(random_gaussians(torch.rand(12, 3, generator=g), size, 0, g))
        self.optimizers = {name: torch.optim.Adam([value], lr=1e-3) for name, value in self.params.items()}
        own = ("gaussians.densify_from=4", "gaussians.densify_every=3", f"gaussians.densify_share={share}")
        config = tiny("audio_plane", "gaussians.densify=quota", "gaussians.prune_opacity=0.1", *own)
        self.densifier = Densifier(config, half=0.1, cap=100)

    def step(self, step: int, *hot: int) -> int:
        """A step in which some are pulled; returns how many there are then."""
        means2d = torch.zeros(1, len(self.params["means"]), 2, requires_grad=True)
        means2d.grad = torch.zeros_like(means2d)
        means2d.grad[0, list(hot)] = 1.0
        torch.manual_seed(step)  # gsplat's split draws from the global generator
        self.densifier._quota(self.params, self.optimizers, step, {"means2d": means2d})
        return len(self.params["means"])


def test_the_quota_grows_when_it_is_time_by_what_was_pulled_since() -> None:
    own = Quota(1e-4)
    assert [own.step(k, 0, 1, 2) for k in range(4)] == [12] * 4
    first = own.params["means"].detach().clone()
    assert own.step(4, 0, 1, 2) == 15
    assert torch.equal(own.params["means"].detach(), torch.cat([first, first[:3]])), "small ones are doubled in place"
    assert not own.densifier.state["heat"].any()
    assert [own.step(5, 7, 8, 9), own.step(6, 7, 8, 9)] == [15, 15]
    assert own.step(7, 9) == 18  # a quarter of 15
    assert torch.equal(own.params["means"].detach()[15:], first[7:10]), "of what was pulled since, not before"


def test_the_quota_splits_what_covers_too_much() -> None:
    own = Quota(0.01)
    before = {name: value.detach().clone() for name, value in own.params.items()}
    assert own.step(4, 3, 4, 5) == 15
    kept = torch.ones(12, dtype=torch.bool)
    kept[3:6] = False
    assert torch.equal(own.params["means"].detach()[:9], before["means"][kept]), "those that were split are gone"
    assert float(own.params["scales"].detach()[9:].max()) < float(before["scales"][3:6].max()) - 0.3


@pytest.mark.parametrize(("faint", "left"), [(2, 10), (5, 7), (6, 12), (11, 12)])
def test_the_quota_prunes_what_is_faint_unless_it_is_half_of_the_cloud(faint: int, left: int) -> None:
    own = Quota(1e-4, share=0.0)
    with torch.no_grad():
        own.params["opacities"][:faint] = -6.0
    assert own.step(4) == left
