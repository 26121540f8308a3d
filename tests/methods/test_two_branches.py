"""Methods of several clouds: which frames, pixels and arrays each stage sees, and how layers lie on each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from audioplane import registry
from audioplane.config import Config
from audioplane.methods.talking_gaussian.model import LEAST_LIGHT, depth_in_hole
from audioplane.methods.types import Sample
from audioplane.splat.gaussians import Picture, layered
from audioplane.subject.masks import mouth_opening
from audioplane.training.dataset import samples
from audioplane.training.trainer import Trainer, by_opening
from tests.tiny_run import awaken, state, tiny
from tests.tiny_subject import TinySubject

SEVERAL = ("talking_gaussian", "degstalk")


def picture(seed: int, size: int = 5) -> Picture:
    generator = torch.Generator().manual_seed(seed)
    alpha = torch.rand(size, size, 1, generator=generator)
    return Picture(alpha * torch.rand(size, size, 3, generator=generator), alpha, {})


def test_layers_lie_on_each_other() -> None:
    """C = C_1 + (1 - O_1) (C_2 + (1 - O_2) (C_3 + ...)), over any background: one layer at a time gives the same."""
    layers = {str(k): picture(k) for k in range(3)}
    behind = torch.rand(5, 5, 3, generator=torch.Generator().manual_seed(9))
    expected = behind
    for layer in reversed(layers.values()):
        expected = layer.over(expected)
    whole = layered(layers)
    torch.testing.assert_close(whole.over(behind), expected)
    torch.testing.assert_close(1 - whole.alpha, torch.stack([1 - p.alpha for p in layers.values()]).prod(dim=0))
    assert list(whole.layers) == ["0", "1", "2"]
    with pytest.raises(ValueError, match="layers: expected"):
        layered({})


@pytest.mark.parametrize("method", SEVERAL)
def test_a_stage_changes_its_own_branches_and_arrays_alone(method: str) -> None:
    trainer = Trainer(tiny(method), TinySubject())
    feed = {}
    for stage in trainer.method.stages():
        before = state(trainer)
        start = trainer.iteration
        choose = trainer._choose(start)
        cache = trainer.caches[trainer.size(start)]
        frames = samples(
            cache, trainer.subject.train, replace(trainer.config.schedule), 0, start, start + 1, choose=choose
        )
        trainer.step(next(iter(frames)))
        after = state(trainer)
        feed[stage.name] = changed = {
            n for n in after if after[n].shape != before[n].shape or not after[n].equal(before[n])
        }
        for name in changed:
            _, branch, *rest = name.split(".")
            assert branch in (stage.branches or trainer.method.branches), (stage.name, name)
            if stage.arrays:
                assert rest[-1] in stage.arrays, (stage.name, name)
        trainer.iteration = start + stage.iterations
    assert any("params.means" in name for name in feed["face static"])
    assert not any("params.means" in name for name in feed["fusion"])
    assert any("params.sh0" in name for name in feed["fusion"])


def test_frames_are_chosen_by_the_opening_of_the_mouth() -> None:
    subject = TinySubject()
    trainer = Trainer(tiny("talking_gaussian"), subject)
    opening = mouth_opening(subject.landmarks)
    order = by_opening(subject)
    assert sorted(order) == list(subject.train)
    assert (np.diff(opening[order]) >= 0).all()
    stages, start = trainer.method.stages(), 0
    for stage in stages:
        choose = trainer._choose(start)
        if stage.name == "mouth static":
            seen = {choose(start + k) for k in range(60)}
            assert opening[list(seen)].min() >= np.quantile(opening[order], 0.85)
        elif stage.name == "mouth motion":
            late = {choose(start + stage.iterations - 1) for _ in range(1)} | {choose(start + k) for k in range(60)}
            assert opening[list(late)].min() >= np.quantile(opening[order], 0.24)
        elif stage.name != "face motion":
            assert choose is None, stage.name
        start += stage.iterations
    low, high = zip(*(stages[1].opening(done) for done in np.linspace(0, 0.99, 200)), strict=True)
    assert min(low) >= 0
    assert max(high) <= 1
    assert np.quantile(np.diff(low), 0.5) > 0, "the window moves upward"


def test_landmarks_that_nobody_found_leave_all_frames() -> None:
    subject = TinySubject()
    subject.landmarks[:] = np.nan
    trainer = Trainer(tiny("talking_gaussian"), subject)
    starts = np.cumsum([0, *(stage.iterations for stage in trainer.method.stages())])
    assert all(trainer._choose(int(start)) is None for start in starts[:-1])


@pytest.mark.parametrize("method", SEVERAL)
def test_each_branch_is_compared_with_its_own_pixels(method: str) -> None:
    """A picture that has a branch's pixels and nothing else is what its losses ask for."""
    trainer = Trainer(tiny(method), TinySubject())
    sample = sample_of(trainer)
    for stage in trainer.method.stages():
        if len(stage.branches) != 1 or stage.deforms:
            continue
        alone = stage.branches[0]
        region = {"hair": sample.regions["hair"], "mouth": sample.regions["inner_mouth"]}.get(alone)
        if region is None:
            region = sample.head * (1 - sample.regions["inner_mouth"])
            region = region * (1 - sample.regions["hair"]) if method == "degstalk" else region
        drawn = region[..., None]
        perfect = Picture(drawn * sample.target, drawn, {})
        losses = trainer.method.losses(perfect, sample, stage, None)
        wrong = Picture(drawn * (1 - sample.target), drawn, {})
        worse = trainer.method.losses(wrong, sample, stage, None)
        assert float(worse.total().detach()) > 3 * float(losses.total().detach()), stage.name
        if alone != "face" or method == "talking_gaussian":
            assert float(losses.terms["l1"].value.detach()) < 1e-3, stage.name


def test_a_face_opens_its_mouth_though_opaque_gaussians_lie_behind_each_other() -> None:
    """L1 moves neither of two opaque layers of one colour; their optical depth has the same slope for both."""
    hole = torch.zeros(4, 4)
    hole[1:3, 1:3] = 1
    logits = torch.full((2,), 4.0, requires_grad=True)
    alphas = torch.sigmoid(logits)
    alpha = (1 - (1 - alphas).prod()).expand(4, 4, 1)
    seen = Picture(0.5 * alpha, alpha, {})
    (away,) = torch.autograd.grad((seen.over(torch.ones(3)) - 1).abs().mean(), logits, retain_graph=True)
    (deep,) = torch.autograd.grad(depth_in_hole(seen, hole), logits)
    assert bool((deep > 0.5 * hole.mean()).all())
    assert bool((deep > 100 * away).all())
    assert float(depth_in_hole(Picture(torch.zeros(4, 4, 3), torch.zeros(4, 4, 1), {}), hole)) == 0
    assert float(depth_in_hole(seen, torch.zeros(4, 4)).detach()) == 0


@pytest.mark.parametrize("method", SEVERAL)
def test_only_the_face_is_asked_for_a_hole(method: str) -> None:
    trainer = Trainer(tiny(method), TinySubject())
    sample = sample_of(trainer)
    drawn = sample.head[..., None]
    for stage in trainer.method.stages():
        terms = trainer.method.losses(Picture(drawn * sample.target, drawn, {}), sample, stage, None).terms
        assert ("hole" in terms) == (stage.branches == ("face",)), stage.name
        if "hole" in terms:
            share = float((sample.regions["inner_mouth"] * sample.head).mean())
            assert float(terms["hole"].value.detach()) == pytest.approx(-np.log(LEAST_LIGHT) * share, rel=1e-2)


def sample_of(trainer: Trainer) -> Sample:
    frames = samples(trainer.cache, trainer.subject.train, trainer.config.schedule, 0, 0, 30)
    return next(s for s in frames if s.regions["inner_mouth"].sum() > 8 and s.known.float().mean() < 1)


def test_hair_counts_in_every_seventh_step_while_the_face_moves() -> None:
    trainer = Trainer(tiny("talking_gaussian"), TinySubject())
    sample, stages = sample_of(trainer), {stage.name: stage for stage in trainer.method.stages()}
    hair = sample.regions["hair"] > 0
    assert hair.any()
    for iteration, counts in ((6, False), (7, True), (8, False), (14, True)):
        part = trainer.method.part_of("face", replace(sample, iteration=iteration), stages["face motion"])
        assert bool((part.known & hair).any()) == counts
        part = trainer.method.part_of("face", replace(sample, iteration=iteration), stages["face static"])
        assert (part.known & hair).any()


@pytest.mark.parametrize(("preset_name", "face", "mouth", "fusion"), [("paper", 50_000, 50_000, 10_000)])
def test_the_papers_schedule(preset_name: str, face: int, mouth: int, fusion: int) -> None:
    from audioplane.config import preset

    config = preset(preset_name, "talking_gaussian")
    method = Trainer(tiny("talking_gaussian"), TinySubject()).method
    method.config = config
    counts: dict[str, int] = {}
    for stage in method.stages():
        kind = stage.name.split()[0].rstrip(",")
        counts[kind] = counts.get(kind, 0) + stage.iterations
    assert counts == {"face": face, "mouth": mouth, "fusion": fusion}
    assert method.stages()[0].iterations == 3000
    assert method.stages()[2].iterations == 3000


def test_a_static_row_has_static_stages_alone() -> None:
    config: Config = tiny("degstalk", "schedule.coarse=40", "schedule.fine=0")
    stages = [s for s in Trainer(config, TinySubject()).method.stages() if s.iterations]
    assert not any(stage.deforms for stage in stages)
    assert sum(stage.iterations for stage in stages) == 40


def test_embeddings_start_at_zero_and_go_from_parent_to_child() -> None:
    trainer = Trainer(tiny("degstalk"), TinySubject())
    for _, branch in trainer.method.named():
        assert not branch.params["embedding"].any()
    awaken(trainer)
    params, densifier = trainer.method.branch("face").params, trainer.densifiers["face"]
    count = len(params["means"])
    before = params["embedding"].detach().clone()
    meta = {"means2d": torch.zeros(1, count, 2)}
    meta["means2d"].grad = torch.rand(1, count, 2, generator=torch.Generator().manual_seed(0))
    at = trainer.method.position(0)
    step = trainer.config.gaussians.densify_from
    densifier._quota(params, trainer.optimizers.clouds["face"], step, meta)
    after = params["embedding"].detach()
    assert at.stage.densifies == ("face",)
    assert len(after) == len(params["means"]) > count
    assert all((row == before).all(dim=1).any() for row in after), "each is one of the parents'"


def test_the_jaw_loss_moves_the_deformation() -> None:
    """Eq. 8: its gradient reaches the field, and following it brings the opening that is read to the true one."""
    trainer = Trainer(tiny("degstalk"), TinySubject())
    awaken(trainer)
    stage = next(s for s in trainer.method.stages() if s.name == "face motion")
    sample = replace(sample_of(trainer), compared=torch.tensor([0.7]))
    face = trainer.method.branch("face")
    optimizer = torch.optim.Adam(face.mlp.parameters(), lr=3e-3)
    found = []
    for _ in range(60):
        optimizer.zero_grad()
        drawn = trainer._render(trainer.cache, sample.index, True, None, ("face",))
        jaw = trainer.method.losses(drawn, sample, stage, None).terms["jaw"]
        assert jaw.weight == trainer.config.get("method.jaw_weight") == 1e-3
        jaw.value.backward()
        assert float(face.mlp.first.weight.grad.abs().sum()) > 0
        optimizer.step()
        found.append(float(jaw.value.detach()))
    assert found[-1] < 0.05 * found[0]


def test_a_film_without_hair_is_learned_all_the_same() -> None:
    subject = TinySubject()
    subject.hair_mask = lambda t: np.zeros((40, 40), bool)  # type: ignore[method-assign]
    trainer = Trainer(tiny("degstalk", "schedule.coarse=120"), subject)
    trainer.run()
    assert trainer.iteration == trainer.method.iterations
    assert registry.spec("degstalk").title == "DEGSTalk"


def test_a_layer_is_empty_where_another_part_of_the_head_ends() -> None:
    """The ring around the head, where a random background cannot be trusted, is doubtful for no other layer."""
    from audioplane.methods.degstalk.model import alone, widened

    trainer = Trainer(tiny("degstalk"), TinySubject())
    sample = sample_of(trainer)
    hair = sample.regions["hair"]
    own = alone(sample, hair)
    away = widened(hair, 2) == 0
    assert (away & ~sample.known).any(), "the ring goes on around the chin"
    assert own.known[away].all()
    assert torch.equal(own.known[~away], sample.known[~away])
    assert torch.equal(own.target[away], torch.broadcast_to(sample.background, own.target.shape)[away])
    assert torch.equal(own.target[hair > 0], sample.target[hair > 0])
    assert torch.equal(own.head, hair)
