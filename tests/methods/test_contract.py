"""What holds for every method: it is trained, resumed, exported, folded and looked at through one interface."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

import audioplane
from audioplane import registry
from audioplane.config import preset
from audioplane.errors import UserError
from audioplane.evaluation import inspection
from audioplane.evaluation.heads import captured
from audioplane.inference import folding
from audioplane.inference.folding import FoldedBranch
from audioplane.inference.talking_head import TalkingHead
from audioplane.splat.gaussians import Gaussians
from audioplane.subject import blendshapes
from audioplane.training.checkpoint import CLOUD
from audioplane.training.dataset import samples
from audioplane.training.trainer import CHECKPOINT, Trainer
from tests.tiny_run import Keeper, awaken, every_variant, same, state, tiny, trained
from tests.tiny_subject import TinySubject

if TYPE_CHECKING:
    from playwright.sync_api import Page

EVERY = pytest.mark.parametrize("variant", every_variant(), ids=" ".join)
METHODS = pytest.mark.parametrize("method", registry.names())
OTHERS_ARE_SLOW = pytest.mark.parametrize(
    "method", [pytest.param(name, marks=[pytest.mark.slow] * (name != registry.DEFAULT)) for name in registry.names()]
)
DEFAULTS_AND_EXPRESSIONS = [one for one in every_variant() if not one[1:] or any("expression" in each for each in one)]


def trained_anew(variant: Sequence[str], folder: Path | None = None) -> Trainer:
    trainer = Trainer(tiny(*variant), TinySubject(), folder)
    trainer.run()
    return trainer


@EVERY
def test_stages_follow_each_other_and_all_is_trained(variant: Sequence[str]) -> None:
    keeper = Keeper()
    trainer = Trainer(tiny(*variant), TinySubject(), callbacks=[keeper])
    before = state(trainer)
    trainer.run()
    stages = trainer.method.stages()
    assert [r.stage for r in keeper.reports] == [stage.name for stage in stages for _ in range(stage.iterations)]
    assert all(np.isfinite(list(r.terms.values())).all() for r in keeper.reports)
    groups = {group.name: group for group in trainer.method.parameter_groups()}
    assert {name for stage in stages for name in stage.trains} <= groups.keys()
    names = {id(param): name for name, param in trainer.method.named_parameters()}
    for name in {name for stage in stages for name in stage.trains}:
        changed = [not torch.equal(param, before[names[id(param)]]) for param in groups[name].params]
        assert any(changed), name
    if not any("encoder" in stage.trains for stage in stages):
        assert all(torch.equal(p, before[f"encoder.{name}"]) for name, p in trainer.method.encoder.named_parameters())


@EVERY
def test_gradients_are_finite_and_reach_all_that_the_stage_trains(variant: Sequence[str]) -> None:
    """With last layers that say something: at the first step they are zero, and nothing behind them learns."""
    trainer = Trainer(tiny(*variant), TinySubject())
    awaken(trainer)
    groups = {group.name: group for group in trainer.method.parameter_groups()}
    names = {id(param): name for name, param in trainer.method.named_parameters()}
    unused = weights_unused(trainer)
    for stage in trainer.method.stages():
        branches = [trainer.method.branch(name) for name in stage.branches or trainer.method.branches]
        clouds = [
            p
            for branch in branches
            for name, p in branch.params.items()
            if (name in stage.arrays or not stage.arrays) and (name in CLOUD or stage.deforms)
        ]
        params = [p for name in stage.trains for p in groups[name].params if names[id(p)] not in unused]
        silent = {names[id(p)] for p in (*params, *clouds)}
        frames = samples(trainer.cache, trainer.subject.train, trainer.config.schedule, 0, 0, 3)
        for sample in (replace(sample, iteration=7 * sample.iteration) for sample in frames):
            trainer.method.begin(stage)
            trainer.method.zero_grad(set_to_none=True)
            picture = trainer._render(trainer.cache, sample.index, stage.deforms, None, stage.branches)
            sample = replace(sample, compared=trainer.conditions.compared_with(sample.index))
            trainer.method.losses(picture, sample, stage, None).total().backward()
            for param in [*params, *clouds]:
                assert param.grad is not None, names[id(param)]
                values = param.grad._values() if param.grad.is_sparse else param.grad
                assert torch.isfinite(values).all(), names[id(param)]
                if values.abs().sum() > 0:
                    silent.discard(names[id(param)])
        assert not silent, stage.name


def weights_unused(trainer: Trainer) -> set[str]:
    """Parameters of a branch's weight d, where it has none."""
    condition = trainer.conditions(trainer.method, 7)
    without = [name for name, branch in trainer.method.named() if branch.deformation(condition).weight is None]
    every = [name for name, _ in trainer.method.named_parameters()]
    return {name for name in every if "mlp.dynamism" in name and name.split(".")[1] in without}


@EVERY
def test_folded_is_unfolded(variant: Sequence[str], tmp_path: Path) -> None:
    trainer = trained(*variant)
    awaken(trainer)
    TalkingHead.export(trainer, tmp_path / "head.safetensors")
    head = TalkingHead.load(tmp_path, sparse=False)
    with torch.no_grad():
        for t in (0, 33, 89):
            condition = trainer.conditions(trainer.method, t)
            code = condition.audio  # of training: what `encode` makes of the voice beyond it is no matter of folding
            unfolded = Gaussians.joined([branch.deform(condition) for branch in trainer.method.each()])
            face = captured(head, trainer.subject)
            own = None if face is None else face[t]
            folded = head.deform(code, condition.time, own, trainer.cache.viewmats[t])
            assert (folded.means - head.cloud.means).abs().max() > 1e-4, "something moves"
            torch.testing.assert_close(folded.pack(), unfolded.pack(), atol=2e-3, rtol=2e-3)
            expected = trainer.render(t).over(torch.zeros(3)).clamp(0, 1).numpy()
            black = np.zeros((head.height, head.width, 3), np.uint8)
            got = head.render(code, trainer.cache.viewmats[t], black, time=condition.time, expression=own)
            assert np.abs(got / 255 - expected).max() < 0.5 / 255 + 2e-3


@EVERY
def test_the_wiring_is_the_modulation(variant: Sequence[str]) -> None:
    trainer = trained(*variant)
    for branch in trainer.method.each():
        if branch.static_features() is None:
            continue
        vector = branch.vector(trainer.conditions(trainer.method, 7))
        mine, wired = branch.modulation(vector), branch.wiring().modulation(vector)
        for a, b in ((mine.gain, wired.gain), (mine.extra, wired.extra)):
            assert (a is None) == (b is None)
            if a is not None and b is not None:
                torch.testing.assert_close(a, b)
        if trainer.method.expression:
            face = trainer.conditions(trainer.method, 7).expression
            assert face is not None
            assert torch.equal(vector[-len(trainer.method.expression) :], face), "it stands at the vector's end"
        for handle in branch.wiring().handles:
            assert handle.first + handle.rows.shape[1] <= len(vector)


@EVERY
def test_same_bytes_with_one_thread_or_two_and_after_a_stop(variant: Sequence[str], tmp_path: Path) -> None:
    config, before, finals = tiny(*variant), torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            finals.append(state(trained_anew(variant, tmp_path / "whole" if threads == 2 else None)))
    finally:
        torch.set_num_threads(before)
    cut = Trainer(config, TinySubject(), tmp_path / "cut", [Keeper(18)])
    with pytest.raises(KeyboardInterrupt):
        cut.run()
    resumed = Trainer(config, TinySubject(), tmp_path / "cut", resume=True)
    assert resumed.iteration == 14
    resumed.run()
    finals.append(state(resumed))
    assert same(finals[0], finals[1])
    assert same(finals[0], finals[2])
    files = [(tmp_path / folder / CHECKPOINT).read_bytes() for folder in ("whole", "cut")]
    assert files[0] == files[1]


@EVERY
def test_only_the_rows_that_are_read_travel(variant: Sequence[str], tmp_path: Path) -> None:
    trainer = trained(*variant)
    TalkingHead.export(trainer, tmp_path / "head.safetensors")
    head, view = TalkingHead.load(tmp_path), trainer.cache.viewmats[3]
    again = TalkingHead.load(tmp_path, sparse=False)
    for name, rows in trainer.method.rows_read().items():
        table = trainer.method.tables()[name]
        assert 0 < len(rows) < len(table)
        torch.testing.assert_close(dict(again.method.named_parameters())[name][rows], table[rows])
    code = again.encode(trainer.subject.audio)[3]
    ours, theirs = (one.render(code, view).astype(float) for one in (head, again))
    assert np.square(ours - theirs).mean() < 2.0, "sparse evaluation is close"
    moved, weight = inspection.movement(again, again.extras["codes"][:2])
    assert moved.shape == (2, len(again.cloud), 3)
    assert weight.shape == (2, len(again.cloud))


@EVERY
def test_an_expression_moves_what_takes_one(variant: Sequence[str], tmp_path: Path) -> None:
    """Of two expressions a head makes two clouds, and rests in its person's rest pose; without one nothing changes."""
    trainer = trained(*variant)
    awaken(trainer)
    head = TalkingHead.export(trainer, tmp_path / "head.safetensors")
    code, subject = head.extras["codes"][0], trainer.subject
    rest = head.deform(code).pack()
    if not head.expression_names:
        assert head.own_range is None
        assert head.expressions(subject.audio) is None
        with pytest.raises(UserError, match="trained without an expression"):
            head.expressions(subject.audio, subject.blendshapes)
        return
    own = head.own_range
    assert own is not None
    assert torch.equal(head.deform(code, expression=own.rest).pack(), rest)
    closed = own.steered(np.array([[1.0, 0, 0, 0]]))[0]
    assert (head.deform(code, expression=closed).pack() - rest).abs().max() > 1e-3
    with pytest.raises(UserError, match="expression: "):
        head.deform(code, expression=closed[:-1])
    filmed = head.expressions(subject.audio, subject.blendshapes)
    assert filmed is not None
    assert filmed.shape == (subject.num_frames, len(head.expression_names))
    lid = filmed[:, list(head.expression_names).index("eyeBlinkLeft")]
    assert np.corrcoef(lid, subject.blendshapes[:, blendshapes.index("eyeBlinkLeft")])[0, 1] > 0.99
    natural = [head.expressions(subject.audio, seed=seed) for seed in (0, 0, 1)]
    assert np.array_equal(natural[0], natural[1])
    assert not np.array_equal(natural[0], natural[2])


@pytest.mark.parametrize("variant", DEFAULTS_AND_EXPRESSIONS, ids=" ".join)
def test_a_subject_without_blendshapes_makes_a_head_that_speaks_with_still_eyes(
    variant: Sequence[str], tmp_path: Path
) -> None:
    subject = TinySubject()
    subject.blendshapes = None
    trainer = Trainer(tiny(*variant), subject)
    trainer.run()
    head = TalkingHead.export(trainer, tmp_path / "head.safetensors")
    assert head.expressions(subject.audio) is None
    assert head.render(head.extras["codes"][0], head.viewmats[0]).shape == (40, 40, 3)


def test_gaussians_that_rest_keep_their_mean_offset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = trained(registry.DEFAULT)
    awaken(trainer)
    head = TalkingHead.export(trainer, tmp_path / "head.safetensors")
    full = FoldedBranch(next(head.method.each()))
    conditions = [head.condition(code) for code in head.extras["codes"]]
    rows = torch.stack([full.deform(condition).pack() for condition in conditions])
    strayed = ((rows - rows.mean(dim=0)).abs() / full.branch.units).amax(dim=2).quantile(0.98, dim=0)
    monkeypatch.setattr(folding, "STILL", float(strayed.median()))
    sparse = FoldedBranch(full.branch, conditions)
    rests = strayed <= strayed.median()
    assert torch.equal(sparse.moving, (~rests).nonzero()[:, 0])
    for condition, expected in zip(conditions, rows, strict=True):
        got = sparse.deform(condition).pack()
        torch.testing.assert_close(got[rests], rows.mean(dim=0)[rests], atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(got[~rests], expected[~rests], atol=1e-3, rtol=1e-3)


KILLED = """
import sys, time
sys.path.insert(0, sys.argv[1])
from tests.tiny_run import tiny, Keeper
from tests.tiny_subject import TinySubject
from audioplane.training.trainer import Trainer
class Slow(Keeper):
    def step(self, trainer, report):
        print(report.iteration, flush=True)
        time.sleep(0.02)
Trainer(tiny(*sys.argv[3:]), TinySubject(), sys.argv[2], [Slow()]).run()
"""


@OTHERS_ARE_SLOW  # `test_same_bytes_...` stops and resumes every method, in this process
@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is a POSIX signal")
def test_killed_and_resumed_ends_in_the_same_bytes(method: str, tmp_path: Path, repository: Path) -> None:
    whole = trained(method)
    command = [sys.executable, "-c", KILLED, str(repository), str(tmp_path / "cut"), method]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=repository) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= 17:
                break
        process.send_signal(signal.SIGKILL)
    resumed = Trainer(tiny(method), TinySubject(), tmp_path / "cut", resume=True)
    assert resumed.iteration in (7, 14)
    resumed.run()
    assert same(state(whole), state(resumed))


@EVERY
def test_the_browser_moves_what_python_moves(
    variant: Sequence[str], tmp_path: Path, open_page: Callable[..., Page]
) -> None:
    from audioplane.widgets import GaussianViewer
    from audioplane.widgets.bake import why_not

    trainer = trained(*variant)
    awaken(trainer)
    TalkingHead.export(trainer, tmp_path / "head.safetensors")
    head, voice = TalkingHead.load(tmp_path, sparse=False), TinySubject().audio[:16_000]
    page = open_page(GaussianViewer(head, voice).save(tmp_path / "talk.html"))
    if why_not(head):
        page.wait_for_function("document.querySelector('.ap-status')?.textContent.includes('cannot speak')")
        return
    page.wait_for_function("document.querySelector('canvas')?.viewer?.cloud")
    codes, faces = head.encode(voice), head.expressions(voice)
    for t in (0, 9, 21):
        page.evaluate(f"document.querySelector('canvas').viewer.seek({t})")
        rows, order = page.evaluate(
            "(v => [Array.from(v.cloud.rows), Array.from(v.parts.order.data)])(document.querySelector('canvas').viewer)"
        )
        mine = np.array(rows).reshape(len(order), -1)
        face = None if faces is None else faces[t]
        expected = head.deform(codes[t], expression=face).pack().numpy()[np.array(order, int)]
        assert np.abs(expected - head.cloud.pack().numpy()[np.array(order, int)]).max() > 0.01
        assert np.abs(mine - expected)[:, :3].max() < 1e-4
        assert np.abs(mine - expected).max() < 2e-2


@METHODS
def test_every_setting_is_read_somewhere(method: str) -> None:
    """A setting that no line reads does nothing, whatever its text says."""
    package = Path(audioplane.__file__).parent
    read = {
        node.attr
        for file in package.rglob("*.py")
        if file.name != "config.py"
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
    }
    paths = preset("demo", method).paths
    assert not [path for path in paths if path != "method.name" and path.rpartition(".")[2] not in read]


def test_a_method_from_a_folder_is_a_method(toy: str, tmp_path: Path, open_page: Callable[..., Page]) -> None:
    """It is trained, resumed, exported, and speaks in Python and in the browser; nothing else was touched."""
    assert toy in registry.names()
    test_same_bytes_with_one_thread_or_two_and_after_a_stop((toy,), tmp_path / "bytes")
    for name, test in (("folded", test_folded_is_unfolded), ("rows", test_only_the_rows_that_are_read_travel)):
        (tmp_path / name).mkdir()
        test((toy,), tmp_path / name)
    test_the_wiring_is_the_modulation((toy,))
    (tmp_path / "page").mkdir()
    test_the_browser_moves_what_python_moves((toy,), tmp_path / "page", open_page)
    head = TalkingHead.load(tmp_path / "page")
    film = head.speak(TinySubject().audio[:16_000], tmp_path / "talk.mp4")
    assert film.stat().st_size > 1000
    assert head.config.method == replace(head.config.method, hidden=16)


def test_a_method_from_a_folder_fills_a_table(toy: str, tmp_path: Path, empty_home: Path) -> None:
    """In processes of their own, which learn of the method by the environment."""
    from audioplane.experiments import runner, tables
    from audioplane.experiments.runs import Clip
    from audioplane.subject import SubjectWriter
    from tests.subject_cases import fill, make_case

    with SubjectWriter(tmp_path / "disc", "disc", 48, 48, licence="CC0-1.0", provenance={"made_by": "us"}) as writer:
        fill(writer, make_case(110))
        writer.set_split((0, 75), (75, 110))
    assert f"{toy}/table1" in tables.every()
    found = runner.reproduce([f"{toy}/table1"], "smoke", 1, 1, Clip.of(tmp_path / "disc"), quiet=True)
    (result,) = found.values()
    assert not result.failed
    assert {record.config["method"]["hidden"] for record in result.records} == {8, 16}
    text = result.markdown()
    assert "narrow" in text
    assert "wide" in text
