"""DEGSTalk's map of equations, its tables, and the three ways to show hair. Its stages: test_two_branches."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from audioplane.evaluation.heads import captured, renderer
from audioplane.evaluation.inspection import frame_picture
from audioplane.experiments.tables import find, jobs
from audioplane.inference.talking_head import TalkingHead
from audioplane.methods.degstalk.branches import FaceBranch
from audioplane.methods.degstalk.config import COEFFICIENTS
from audioplane.methods.degstalk.paper import inspection
from audioplane.methods.degstalk.paper.protocols import WAYS, hair_table, without_layer
from audioplane.subject import blendshapes
from audioplane.training.trainer import Trainer
from tests.test_map import PLACE, cited, source
from tests.tiny_run import awaken, tiny
from tests.tiny_subject import TinySubject

MAP = Path(__file__).resolve().parents[2] / "audioplane/methods/degstalk/README.md"


def rows() -> dict[str, str]:
    lines = MAP.read_text(encoding="utf-8").split("\n| equation |", 1)[1].splitlines()[2:]
    return {line.split("|")[1].strip(): line for line in lines if line.startswith("|")}


def test_the_map_is_complete() -> None:
    assert list(rows()) == [str(number) for number in range(1, 10)]


@pytest.mark.parametrize("number", range(1, 10))
def test_each_equation_is_where_the_map_says(number: int) -> None:
    places = PLACE.findall(rows()[str(number)])
    assert places
    for file, name in places:
        text = source(file, name)
        assert number in cited(text, "Eq"), f"{file}:{name} does not cite Eq. {number}"
        assert re.search(r"DEGSTalk, Eq", text), f"{file}:{name} does not say whose equation it is"


def test_coefficients_are_all_blendshapes_but_the_jaws() -> None:
    jaw = {name for name in blendshapes.NAMES if name.startswith("jaw")}
    assert set(COEFFICIENTS["all"]) == set(blendshapes.NAMES) - jaw
    assert len(COEFFICIENTS["all"]) == len(set(COEFFICIENTS["all"]))
    assert set(COEFFICIENTS["upper"]) == {n for n in blendshapes.NAMES if n.startswith(("brow", "eye"))}


def test_rows_of_the_ablation_change_one_thing_each() -> None:
    table = find("degstalk/table2")
    found = {row: job.config for (row, _, _), job in jobs(table, "demo", 1).items()}
    full = found.pop("w E, F, R, H")
    assert full.get("method.coefficients") == "all"
    changed = {row: set(config.differences(full)) for row, config in found.items()}
    assert changed == {
        "w/o F": {"method.coefficients", "schedule.foreign_expression"},
        "w/o R": {"method.fuse_share"},
        "w/o E": {"method.embedding"},
        "w/o H": {"method.hair"},
        "w E, F, R, H; z after the planes": {"method.embedding_place"},
    }
    methods = {row: job.config.method.NAME for (row, _, _), job in jobs(find("degstalk/table1"), "demo", 1).items()}
    assert methods["TalkingGaussian"] == "talking_gaussian"
    assert table.paper(table.rows[4], table.columns[0])["psnr"] == 37.3


def test_hair_is_shown_in_three_ways(tmp_path: Path) -> None:
    subject = TinySubject()
    trainer = Trainer(tiny("degstalk"), subject)
    trainer.run()
    TalkingHead.export(trainer, tmp_path / "head.safetensors")
    head = TalkingHead.load(tmp_path, sparse=False)
    found = hair_table(head, subject, range(75, 81))
    assert tuple(found.index) == WAYS
    assert found.loc["hair from the truth", "head_psnr"] > found.loc["nothing pasted", "head_psnr"]
    whole, bare = (renderer(one, subject)(77) for one in (head, without_layer(head, "hair")))
    hair = subject.hair_mask(77)
    away = np.abs(whole.astype(int) - bare).max(axis=2)
    assert away[hair].mean() > 3 * away[~hair].mean(), "what is left out is hair"
    assert list(head.branches) == ["hair", "face", "mouth"], "the head itself keeps its hair"


# What a trained head shows


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> TalkingHead:
    trainer = Trainer(tiny("degstalk"), TinySubject())  # type: ignore[arg-type]
    awaken(trainer)
    path = tmp_path_factory.mktemp("degstalk") / "head.safetensors"
    TalkingHead.export(trainer, path)
    return TalkingHead.load(path, sparse=False)


def test_layers_lie_on_each_other_as_equation_7_has_it(head: TalkingHead) -> None:
    subject = TinySubject()
    codes = head.encode(subject.audio)
    drawn = inspection.layers(head, subject, codes, 3)  # type: ignore[arg-type]
    assert list(drawn) == ["hair", "face", "mouth", inspection.TOGETHER]
    picture = frame_picture(head, codes[3], subject.viewmats[3], captured(head, subject)[3])  # type: ignore[arg-type,index]
    over = np.full(3, inspection.PAPER)
    for name in ("mouth", "face", "hair"):  # the last is in front
        layer = picture.layers[name]
        over = layer.rgb.numpy() + (1 - layer.alpha.numpy()) * over
    np.testing.assert_allclose(drawn[inspection.TOGETHER], np.clip(over, 0, 1), atol=1e-5)


def test_embeddings_are_drawn_where_gaussians_are(head: TalkingHead) -> None:
    for branch in head.method.each():
        z = branch.params["embedding"]
        z.data = torch.randn(z.shape, generator=torch.Generator().manual_seed(0))
    drawn = inspection.embeddings(head, TinySubject().viewmats[0])
    there = drawn[np.isfinite(drawn).all(axis=2)]
    assert len(there) > 20
    assert there.min() >= 0
    assert there.max() <= 1 + 1e-4
    assert there.std() > 0.01


def test_the_jaws_reading_is_the_one_that_the_loss_compares(head: TalkingHead) -> None:
    subject = TinySubject()
    codes, faces = head.encode(subject.audio), captured(head, subject)
    read, true = inspection.jaw_track(head, subject, codes, range(2, 6))  # type: ignore[arg-type]
    np.testing.assert_allclose(true, subject.blendshapes[2:6, blendshapes.index("jawOpen")])  # type: ignore[index]
    face = head.method.branch("face")
    assert isinstance(face, FaceBranch)
    condition = head.condition(codes[4], expression=faces[4], viewmat=subject.viewmats[4])  # type: ignore[index]
    assert read[2] == pytest.approx(float(face.jaw_opening(face.deformation(condition).offsets)), abs=1e-5)
