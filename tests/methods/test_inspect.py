"""What is read off a field: shares, ranks, bytes."""

import numpy as np
import pytest
import torch

from audioplane import config, plots
from audioplane.errors import UserError
from audioplane.evaluation import inspection
from audioplane.experiments import session
from audioplane.inference.talking_head import TalkingHead
from audioplane.methods.audio_plane.fields import build
from audioplane.methods.audio_plane.paper import inspection as field_inspection
from audioplane.splat.gaussians import splat
from audioplane.subject import sounds
from audioplane.training.trainer import Trainer
from tests.tiny_run import TINY
from tests.tiny_subject import TinySubject


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> TalkingHead:
    trainer = Trainer(TINY.replace(schedule__coarse=6, schedule__fine=4), TinySubject())
    trainer.run()
    path = tmp_path_factory.mktemp("inside") / "head.safetensors"
    TalkingHead.export(trainer, path)
    return TalkingHead.load(path, sparse=False)


def test_explained_is_one_where_sounds_decide_and_nothing_where_they_do_not():
    spoken = [*["p b m", sounds.SILENCE] * 50]
    decided = np.tile([[0.0, 3.0], [1.0, -1.0]], (50, 1))
    assert sounds.variance_explained(decided, spoken) == pytest.approx(1.0)
    noise = np.random.default_rng(0).normal(size=(100, 40))
    assert sounds.variance_explained(noise, spoken) < 0.05


def test_moments_run_from_closed_to_open_within_the_frames():
    opening = np.random.default_rng(1).random(100)
    chosen = sounds.frames_by_opening(opening, range(40, 80), 5)
    assert opening[chosen[0]] == opening[40:80].min()
    assert opening[chosen[-1]] == opening[40:80].max()
    assert list(opening[chosen]) == sorted(opening[chosen])


def test_memory_counts_what_the_fields_hold_and_what_a_second_adds():
    smoke = config.preset("smoke")
    table = field_inspection.memory(smoke, seconds=10)
    outputs = 11 + 3 * (smoke.gaussians.sh_degree + 1) ** 2
    field = build(smoke.method, smoke.audio.code, outputs, torch.Generator().manual_seed(0))
    total = sum(tensor.numel() for tensor in field.parameters()) * 4 / 2**20
    assert table.loc["Ours", ["tables", "networks"]].sum() == pytest.approx(total)
    H, D, levels = smoke.method.resolution, smoke.method.features, range(1, smoke.method.levels + 1)
    assert table.loc["(a) six planes", "per second"] == pytest.approx(
        25 * sum(3 * s * H * D for s in levels) * 4 / 2**20
    )
    assert table.loc["dense 4D grid", "tables"] == pytest.approx(250 * H**3 * D * 4 / 2**20)


def test_the_curves_of_memory_are_the_tables_numbers():
    table = field_inspection.memory(config.preset("smoke"), seconds=10)
    axes = plots.memory(table, [1.0, 10.0, 100.0]).axes[0]
    lines = {str(line.get_label()).split(":")[0]: np.asarray(line.get_ydata()) for line in axes.lines}
    growth = table["per second"]
    np.testing.assert_allclose(lines["Ours"], table.loc["Ours", "tables"])
    dense = lines["dense 4D grid, one cell a frame"]
    np.testing.assert_allclose(dense, growth["dense 4D grid"] * np.array([1.0, 10.0, 100.0]))
    np.testing.assert_allclose(dense[1], table.loc["dense 4D grid", "tables"])
    six = lines["(a) six planes, one cell a frame"]
    np.testing.assert_allclose(np.diff(six), growth["(a) six planes"] * np.array([9.0, 90.0]))
    assert "dense 4D grid" not in lines, "it has no size that does not grow"


def test_colors_follow_the_main_direction():
    features = torch.zeros(100, 8)
    features[:, 2] = torch.linspace(-1, 1, 100)
    red = inspection.as_colors(features + 1e-4 * torch.randn(100, 8, generator=torch.Generator().manual_seed(0)))[:, 0]
    assert abs(float(torch.corrcoef(torch.stack([red, features[:, 2]]))[0, 1])) > 0.99
    assert 0 <= red.min() <= red.max() <= 1


def test_the_preset_is_the_environments(monkeypatch):
    monkeypatch.setenv(session.VARIABLE, "smoke")
    assert session.is_quiet()
    assert session.settings().schedule.size == session.LENGTHS["smoke"][1]
    monkeypatch.delenv(session.VARIABLE)
    assert session.preset() == "demo"
    monkeypatch.setenv(session.VARIABLE, "quick")
    with pytest.raises(UserError, match="quick"):
        session.preset()


def test_visibility_is_the_share_of_the_picture_that_each_gaussian_makes_up(head):
    view = head.viewmats[0]
    seen = inspection.visibility(head, view.numpy())
    with torch.no_grad():
        alpha = splat(head.cloud, view, head.K, head.width, head.height).alpha
    assert seen.shape == (len(head.cloud),)
    assert seen.min() >= 0
    assert float(seen.sum()) == pytest.approx(float(alpha.sum()), rel=1e-4), "blending weights sum to alpha"
    values = torch.zeros(len(head.cloud), 1)
    chosen = int(seen.argmax())
    values[chosen] = 1.0
    drawn = inspection.splat_values(head, values, view.numpy())[..., 0] * alpha[..., 0].numpy()
    solid = (alpha[..., 0] > 0.5).numpy()
    assert drawn[solid].sum() <= float(seen[chosen]) * (1 + 1e-4)
    assert float(seen[chosen]) - drawn[solid].sum() < float(alpha[..., 0][~torch.from_numpy(solid)].sum()) + 1e-3


def test_tables_are_shown_where_gaussians_read_them(head):
    planes = field_inspection.branch_of(head.method).field.planes
    pictures, curves = field_inspection.table_pictures(head)
    at = field_inspection.branch_of(head.method).points().detach().clamp(0, 1)
    for level in (1, planes.levels):
        side = level * head.config.method.resolution
        picture = pictures["xy"][level - 1]
        assert picture.shape == (side, side, 3)
        # The four cells around each point, as grid_sample with aligned borders or half cells would read them.
        read = np.zeros((side, side), bool)
        for x, y in (at[:, :2] * (side - 1)).tolist():
            read[int(y) : int(y) + 2, int(x) : int(x) + 2] = True
        around = read.copy()
        around[1:] |= read[:-1]
        around[:-1] |= read[1:]
        around[:, 1:] |= around[:, :-1].copy()
        around[:, :-1] |= around[:, 1:].copy()
        assert (picture[~around] == 1).all(), "white where nobody reads"
        assert (picture[read] != 1).any(axis=1).mean() > 0.8
        line = planes.line(level, "z").detach()
        np.testing.assert_allclose(curves["z"][level - 1], line.square().mean(1).sqrt().numpy(), rtol=1e-6)
