"""SyncTalk++: what its equations say, by independent references and known answers; and the map of its equations."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor
from torch.nn import functional

from audioplane.deform.planes import Planes, rows_at
from audioplane.errors import UserError
from audioplane.evaluation import leakage
from audioplane.experiments import tables
from audioplane.inference.talking_head import TalkingHead
from audioplane.methods.pose import pose_numbers
from audioplane.methods.synctalk_pp.attention import masked, stray
from audioplane.methods.synctalk_pp.model import CORE, FARTHEST, SyncTalkBranch
from audioplane.methods.synctalk_pp.paper import inspection, seam_table
from audioplane.methods.synctalk_pp.paper.capture import capture, compared
from audioplane.methods.types import Condition, Position
from audioplane.preprocess import landmarks
from audioplane.preprocess.landmarks import Track
from audioplane.subject import blendshapes
from audioplane.subject.torso import without_head
from audioplane.training.dataset import landmark_points, samples
from audioplane.training.trainer import Trainer
from tests.test_map import PLACE, cited, source
from tests.tiny_run import awaken, tiny
from tests.tiny_subject import TinySubject

MAP = Path(__file__).resolve().parents[2] / "audioplane/methods/synctalk_pp/README.md"


def run(*settings: str) -> tuple[Trainer, SyncTalkBranch]:
    trainer = Trainer(tiny("synctalk_pp", *settings), TinySubject())
    branch = trainer.method.branch("head")
    assert isinstance(branch, SyncTalkBranch)
    return trainer, branch


def condition(trainer: Trainer, seed: int = 0, **parts: Tensor) -> Condition:
    generator = torch.Generator().manual_seed(seed)
    own = {
        "audio": torch.randn(trainer.config.audio.code, generator=generator),
        "expression": torch.randn(len(trainer.method.expression), generator=generator),
        "pose": trainer.conditions.poses[0],
    }
    return Condition(**{**own, **parts})


# The map


def rows() -> dict[str, str]:
    lines = MAP.read_text(encoding="utf-8").split("\n| equation |", 1)[1].splitlines()[2:]
    return {line.split("|")[1].strip(): line for line in lines if line.startswith("|")}


def test_the_map_is_complete() -> None:
    assert list(rows()) == [str(number) for number in range(1, 30)]


@pytest.mark.parametrize("number", range(1, 30))
def test_each_equation_is_where_the_map_says(number: int) -> None:
    line = rows()[str(number)]
    places = PLACE.findall(line)
    assert bool(places) != ("not here yet" in line)
    for file, name in places:
        text = source(file, name)
        assert number in cited(text, "Eq"), f"{file}:{name} does not cite Eq. {number}"
        assert re.search(r"SyncTalk\+\+(,|:| \(|'s) ?", text), f"{file}:{name} does not say whose equation it is"


# Eq. 6


def test_masks_cut_at_the_nose() -> None:
    lips, face = torch.tensor([[1.0, -2.0], [3.0, 4.0]]), torch.tensor([[0.5], [0.25]])
    below = torch.tensor([[1.0], [0.0]])
    own, other = masked(lips, face, below)
    assert own.tolist() == [[1.0, -2.0], [0.0, 0.0]]
    assert other.tolist() == [[0.0], [0.25]]
    assert float(stray(lips, face, below)) == pytest.approx((3 + 4) / 4 + 0.5 / 2)
    assert float(stray(own, other, below)) == 0.0
    assert float(stray(lips, face[:, :0], below)) == pytest.approx(7 / 4)


def test_the_voice_moves_nothing_above_the_nose_and_the_expression_nothing_below() -> None:
    trainer, branch = run()
    awaken(trainer)
    below = branch.below()[:, 0] > 0
    assert 0 < int(below.sum()) < len(below)
    rest = branch.deform(condition(trainer)).pack()
    spoken = branch.deform(condition(trainer, audio=condition(trainer, 1).audio)).pack()
    looked = branch.deform(condition(trainer, expression=condition(trainer, 1).expression)).pack()
    assert torch.equal(spoken[~below], rest[~below])
    assert (spoken[below] - rest[below]).abs().amax(dim=1).min() > 1e-5
    assert torch.equal(looked[below], rest[below])
    assert (looked[~below] - rest[~below]).abs().amax(dim=1).min() > 1e-5


def test_without_masks_both_reach_everything() -> None:
    trainer, branch = run("method.mask=loss")
    awaken(trainer)
    rest = branch.deform(condition(trainer)).pack()
    for other in ("audio", "expression"):
        moved = branch.deform(condition(trainer, **{other: getattr(condition(trainer, 1), other)})).pack()
        assert (moved - rest).abs().amax(dim=1).min() > 1e-6


def test_the_nose_is_where_the_subjects_landmarks_have_it() -> None:
    trainer, branch = run()
    expected = landmark_points(trainer.subject, trainer.subject.train)[30, 1]
    assert float(branch.nose) == pytest.approx(float(expected))
    subject = TinySubject()
    subject.landmarks[:] = np.nan
    lost = Trainer(tiny("synctalk_pp"), subject).method.branch("head")
    assert isinstance(lost, SyncTalkBranch)
    assert float(lost.nose) == pytest.approx(lost.box.center[1])


# Eq. 16 to 18


def test_place_features_are_the_planes_side_by_side_or_multiplied() -> None:
    for fusion in ("concat", "multiply"):
        _, branch = run(f"method.fusion={fusion}", "method.bf16=false")
        at, own, expected = 2.0 * branch.points() - 1.0, branch.own, []
        for level in range(1, own.levels + 1):
            parts = []
            for name, axes in (("xy", [0, 1]), ("xz", [0, 2]), ("yz", [1, 2])):
                grid, table = at[:, axes][None, :, None], branch.planes.plane(level, name).permute(2, 0, 1)[None]
                parts.append(
                    functional.grid_sample(table, grid, align_corners=True, padding_mode="border")[0, :, :, 0].T
                )
            expected += parts if fusion == "concat" else [parts[0] * parts[1] * parts[2]]
        torch.testing.assert_close(branch.place_features(), torch.cat(expected, dim=1), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("strategy", ["none", "sh-opacity", "all"])
def test_f_can_stands_in_for_attributes_until_deformation_begins(strategy: str) -> None:
    trainer, branch = run(f"method.initialisation={strategy}", "gaussians.sh_degree=1")
    given = {
        "none": [],
        "sh-opacity": ["opacities", "sh0", "shN"],
        "all": ["quats", "scales", "opacities", "sh0", "shN"],
    }
    free = {name: p.detach().clone() for name, p in branch.params.items()}
    static, dynamic = trainer.method.stages()
    trainer.method.begin(static)
    trainer.render(trainer.subject.train.start, deforms=False)
    changed = [name for name, p in branch.params.items() if not torch.equal(p, free[name])]
    assert sorted(changed) == sorted(given[strategy])
    with torch.no_grad():
        for p in branch.params.values():
            p += 0.1
    seen = branch.cloud.detach()
    opacities = seen.opacities.clone()
    assert torch.equal(seen.means, branch.params["means"]), "positions are free"
    replaced = strategy != "none"
    assert torch.equal(seen.opacities, branch.params["opacities"]) != replaced
    trainer.method.begin(dynamic)
    torch.testing.assert_close(branch.params["opacities"], seen.opacities)
    with torch.no_grad():
        branch.params["opacities"] += 1.0
    trainer.method.begin(dynamic)
    assert torch.allclose(branch.cloud.opacities, opacities + 1.0), "ordinary parameters from then on"


def test_density_control_sees_the_gradient_of_what_f_can_gives() -> None:
    trainer, branch = run()
    trainer.method.begin(trainer.method.stages()[0])
    cloud = branch.cloud
    pull = torch.linspace(-1, 1, len(cloud.opacities))
    (cloud.opacities * pull).sum().backward()
    torch.testing.assert_close(branch.params["opacities"].grad, pull)
    assert branch.canonical is not None
    assert branch.canonical.last.weight.grad is not None


def test_a_run_ends_with_parameters_of_its_own() -> None:
    trainer, branch = run()
    trainer.run()
    assert bool(branch.settled)
    assert torch.equal(branch.cloud.opacities, branch.params["opacities"])


# Eq. 19: the pose


def test_the_pose_moves_the_head_within_what_was_seen() -> None:
    trainer, branch = run()
    awaken(trainer)
    mean, spread = branch.pose_mean, branch.pose_spread
    assert torch.allclose(mean, trainer.conditions.poses[:75].mean(dim=0))
    typical = branch.deform(condition(trainer, pose=mean)).pack()
    bare = Condition(condition(trainer).audio, expression=condition(trainer).expression)
    assert torch.equal(branch.deform(bare).pack(), typical)
    turned = branch.deform(condition(trainer, pose=mean + spread)).pack()
    assert (turned - typical).abs().max() > 1e-3
    far, farther = (branch.deform(condition(trainer, pose=mean + k * spread)).pack() for k in (FARTHEST, 10.0))
    torch.testing.assert_close(far, farther)
    trainer, branch = run("method.pose=false")
    awaken(trainer)
    one, two = (branch.deform(condition(trainer, pose=mean + k)).pack() for k in (0.0, 1.0))
    assert torch.equal(one, two)


def test_pose_numbers() -> None:
    views = np.tile(np.eye(4, dtype=np.float32), (2, 3, 1, 1))
    views[1, 2, :3, :3] = Rotation.from_rotvec([0.0, 0.3, -0.1]).as_matrix()
    views[1, 2, :3, 3] = (0.1, 0.2, 0.6)
    found = pose_numbers(views)
    assert found.shape == (2, 3, 6)
    assert np.allclose(found[0, 0], 0)
    assert np.allclose(found[1, 2], [0.0, 0.3, -0.1, 0.1, 0.2, 0.6], atol=1e-6)
    assert np.allclose(pose_numbers(views[1, 2]), found[1, 2])


def test_landmarks_on_the_head() -> None:
    """Points on the plane through the head's origin, filmed by cameras that shift, come back; lost ones are NaN."""
    subject = TinySubject()
    true = np.concatenate([np.random.default_rng(0).uniform(-0.1, 0.1, (68, 2)), np.zeros((68, 1))], axis=1)
    seen = (true[None] + subject.viewmats[:, None, :3, 3]) @ subject.K.T
    subject.landmarks = (seen[..., :2] / seen[..., 2:]).astype(np.float32)
    subject.landmarks[5, 3] = np.nan
    subject.landmarks[:, 4] = np.nan
    found = landmark_points(subject, subject.train).numpy()
    assert np.isnan(found[4]).all()
    kept = np.delete(np.arange(68), 4)
    assert np.abs(found[kept] - true[kept]).max() < 1e-5


def test_rows_that_points_read_are_those_of_the_gradient() -> None:
    planes, generator = (
        Planes(8, 2, 8, torch.Generator().manual_seed(0), has_lines=False),
        torch.Generator().manual_seed(1),
    )
    points = torch.rand(5, 3, generator=generator)
    planes(points).sum().backward()
    assert planes.planes.grad is not None
    assert torch.equal(rows_at(points, planes), planes.planes.grad.coalesce().indices()[0])


# The Face-Sync Controller's expression, and the losses


def test_the_seven_core_blendshapes() -> None:
    trainer, _ = run()
    assert tuple(trainer.method.expression) == CORE
    assert [name for name in CORE if name.startswith("brow")] == [*CORE[:5]]
    assert CORE[5:] == ("eyeBlinkLeft", "eyeBlinkRight")


def test_captured_weights_are_smoothed() -> None:
    trainer, _ = run()
    times = np.linspace(0.0, 1.0, 40)
    cubic = np.stack([0.5 * times**3, 0.9 - 0.4 * times**2], axis=1)
    noise = 0.05 * np.random.default_rng(0).standard_normal(cubic.shape)
    assert np.allclose(trainer.method.smoothed(cubic), cubic), "a cubic passes"
    assert np.std(trainer.method.smoothed(cubic + noise) - cubic) < 0.85 * np.std(noise)
    assert np.array_equal(run("method.smoothing=false")[0].method.smoothed(cubic + noise), cubic + noise)
    assert len(trainer.method.smoothed(cubic[:3])) == 3


def test_the_perceptual_weight_rises_when_deformation_begins() -> None:
    trainer, _ = run("method.static_perceptual=0.25", "loss.perceptual_weight=0.2")
    sample = next(samples(trainer.cache, trainer.subject.train, trainer.config.schedule, 0, 0, 1))
    weights = {}
    for stage in trainer.method.stages():
        trainer.method.begin(stage)
        picture = trainer.render(sample.index, stage.deforms)
        terms = trainer.method.losses(picture, sample, stage, trainer.perceptual).terms
        assert list(terms) == ["l1", "perceptual"]
        weights[stage.name] = terms["perceptual"].weight
    assert weights == {"coarse": pytest.approx(0.05), "fine": pytest.approx(0.2)}


def test_what_strays_is_a_term_where_nothing_is_cut() -> None:
    trainer, branch = run("method.mask=loss", "method.mask_weight=0.5")
    sample = next(samples(trainer.cache, trainer.subject.train, trainer.config.schedule, 0, 0, 1))
    static, dynamic = trainer.method.stages()
    assert trainer.method.position(0) == Position(static, 0)
    halfway = replace(sample, iteration=static.iterations + dynamic.iterations // 2)
    terms = trainer.method.losses(trainer.render(sample.index), halfway, dynamic, None).terms
    lips, face = branch.attention(branch.place_features())
    below = branch.below()
    assert terms["stray"].weight == pytest.approx(0.25), "it grows"
    expected = (lips.abs() * (1 - below)).mean() + (face * below).mean()
    assert float(terms["stray"].value.detach()) == pytest.approx(float(expected.detach()))
    assert "stray" not in trainer.method.losses(trainer.render(sample.index), sample, static, None).terms


# Tables


def test_the_tables_claims_name_cells_and_cells_are_runs() -> None:
    found = {key.partition("/")[2]: table for key, table in tables.every().items() if table.method == "synctalk_pp"}
    assert list(found) == ["table1", "table3", "table4", "table6"]
    for table in found.values():
        cells = {(row.name, column.name) for row in table.rows if row.settings is not None for column in table.columns}
        assert table.claims
        assert all({claim.first, claim.second} <= cells for claim in table.claims), table.name
        jobs = tables.jobs(table, "demo", 1)
        assert {(row, column) for row, column, _ in jobs} == cells
        assert len({job.identity for job in jobs.values()}) == len(jobs), "no two cells are the same run"


def test_a_row_of_the_paper_and_ours_stand_beside_each_other() -> None:
    table = tables.find("synctalk_pp/table1")
    row = next(row for row in table.rows if row.name == "SyncTalk++")
    said = table.paper(row, table.columns[0])
    assert said == {"psnr": 36.3779, "lpips": 0.0201, "syncnet": 7.8298, "fps": 101.2}
    blink = next(row for row in tables.find("synctalk_pp/table6").rows if row.paper)
    assert tables.find("synctalk_pp/table6").paper(blink, table.columns[0])["psnr"] == 37.264


def test_audio_plane_is_run_once_for_both_papers() -> None:
    mine, theirs = (tables.find(key) for key in ("synctalk_pp/table1", "table5"))
    runs = [
        {job.identity for (row, _, _), job in tables.jobs(t, "demo", 1).items() if row == "Audio-Plane"}
        for t in (mine, theirs)
    ]
    assert runs[0] == runs[1]


# The capture beside the truth


def test_captured_blendshapes_are_compared_with_the_true_ones() -> None:
    times = np.arange(200) / 25
    true, found = np.zeros((200, 52)), np.zeros((200, 52))
    lid, brow, other = (blendshapes.index(name) for name in ("eyeBlinkLeft", "browInnerUp", "browDownLeft"))
    true[:, lid] = np.exp(-(((times - 3) / 0.1) ** 2))
    found[:, lid] = 0.5 * np.roll(true[:, lid], 2) + 0.1
    true[:, brow] = found[:, brow] = 0.3 * np.sin(times) ** 2
    found[50:53] = np.nan
    table = compared(found, true, ("eyeBlinkLeft", "browInnerUp", "browDownLeft"))
    assert table.loc["eyeBlinkLeft", "lag"] == 2, "two frames late"
    assert table.loc["eyeBlinkLeft", "spread"] == pytest.approx(0.5, abs=0.01)
    assert table.loc["browInnerUp", "r"] == pytest.approx(1.0, abs=1e-4)
    assert table.loc["browInnerUp", "error"] < 1e-3
    assert table.loc["browDownLeft", ["r", "lag"]].isna().all(), "it never moves"
    assert other != brow


def test_a_capture_looks_where_the_face_is_and_marks_lost_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    subject, asked = TinySubject(), []

    def follow(frames: Iterable[np.ndarray], finder: object, expected: np.ndarray, progress: object) -> Track:
        pictures = list(frames)
        asked.append((pictures, expected))
        weights = np.full((len(pictures), 52), 0.25, np.float32)
        points = np.zeros((len(pictures), 468, 3), np.float32)
        points[::2] = np.nan
        return Track(points, np.ones(len(pictures)), weights)

    monkeypatch.setattr(landmarks, "follow", follow)
    monkeypatch.setattr(landmarks, "landmarker", lambda kind: kind)
    found = capture(subject, range(10, 20))
    ((pictures, expected),) = asked
    assert np.array_equal(pictures[3], subject.frame(13))
    assert np.allclose(expected[0, :2], subject.landmarks[10:20].mean(axis=(0, 1)))
    assert 10 < expected[0, 2] < subject.width
    lost = np.arange(10) % 2 == 0
    assert np.isnan(found[lost]).all()
    assert np.allclose(found[~lost], 0.25)


# What a trained head shows


def _head(folder: Path) -> TalkingHead:
    trainer, _ = run()
    awaken(trainer)
    TalkingHead.export(trainer, folder / "head.safetensors")
    return TalkingHead.load(folder / "head.safetensors", sparse=False)


def test_each_input_moves_its_half_of_the_face_alone(tmp_path: Path) -> None:
    head, subject = _head(tmp_path), TinySubject()
    below = inspection.branch_of(head).below()[:, 0] > 0
    moved = leakage.moved_alone(head, subject, head.encode(subject.audio)[:8])  # type: ignore[arg-type]
    assert list(moved) == [leakage.VOICE, leakage.POSE, *CORE]
    assert moved[inspection.VOICE][below].max() > 1e-3 > moved[inspection.VOICE][~below].max()
    for name in CORE:
        assert moved[name][~below].max() > 1e-3 > moved[name][below].max()
    regions = leakage.moved_by_region(head, subject, moved, 0)  # type: ignore[arg-type]
    assert list(regions.index) == list(moved)
    assert (regions >= 0).all().all()


def test_attention_is_drawn_as_it_is(tmp_path: Path) -> None:
    head, view = _head(tmp_path), TinySubject().viewmats[0]
    maps = inspection.attention_maps(head, view)
    branch = inspection.branch_of(head)
    _, face = branch.attended(branch.place_features())
    for k, name in enumerate(CORE):
        shown = maps[name][np.isfinite(maps[name])]
        assert shown.min() >= -1e-5
        assert 0 < shown.max() <= float(face[:, k].max()) + 1e-4
    colours = inspection.place_features(head, view)
    assert np.array_equal(np.isnan(colours[..., 0]), np.isnan(maps[inspection.VOICE]))


def test_a_head_of_another_method_has_no_such_branch(tmp_path: Path) -> None:
    trainer = Trainer(tiny(), TinySubject())  # type: ignore[arg-type]
    TalkingHead.export(trainer, tmp_path / "head.safetensors")
    with pytest.raises(TypeError, match="audio_plane"):
        inspection.branch_of(TalkingHead.load(tmp_path / "head.safetensors"))


# The torso restorer's table (Table VII)


class Invisible:
    """A head that shows nothing but what is behind it."""

    expression_names = ()

    def render(
        self, code: Tensor, view: np.ndarray, behind: np.ndarray, expression: object = None, restorer: Any = None
    ) -> np.ndarray:
        assert expression is None
        return behind if restorer is None else restorer(behind)


def test_table_seven_shows_torsos_that_know_nothing_of_the_head(monkeypatch: pytest.MonkeyPatch) -> None:
    subject, frames = TinySubject(), [1, 3]
    found = seam_table.rows(
        cast(Any, Invisible()), cast(Any, subject), cast(Any, lambda picture: picture // 2), torch.zeros(2, 4), frames
    )
    assert list(found) == ["cut out", "painted", "restored"]
    for k, t in enumerate(frames):
        head = subject.head_mask(t)
        assert head.any()
        np.testing.assert_array_equal(found["cut out"][k][~head], subject.frame(t)[~head])
        np.testing.assert_array_equal(found["cut out"][k][head], subject.background[head])
        painted = without_head(subject.frame(t), subject.label(t), subject.background)
        np.testing.assert_array_equal(found["painted"][k], painted)
        np.testing.assert_array_equal(found["restored"][k], painted // 2)
    monkeypatch.setattr(seam_table, "brisque", lambda picture: float(picture.mean()))
    table = seam_table.measured(found, cast(Any, subject), frames)
    assert list(table.index) == ["truth", *found]
    assert table.loc["truth", "seam L1"] == 0
    assert table.loc["restored", "seam L1"] > table.loc["painted", "seam L1"]
    assert table.loc["truth", "BRISQUE"] == pytest.approx(subject.frame(1).mean())

    def missing(_: np.ndarray) -> float:
        raise UserError("there are no weights")

    monkeypatch.setattr(seam_table, "brisque", missing)
    assert set(seam_table.measured(found, cast(Any, subject), frames)["BRISQUE"]) == {"weights missing"}
