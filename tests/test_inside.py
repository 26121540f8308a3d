"""What is read off a field: shares, ranks, bytes."""

import numpy as np
import pytest
import torch

from audioplane import config, inside, notebook
from audioplane.errors import UserError
from audioplane.fields import build


def test_explained_is_one_where_sounds_decide_and_nothing_where_they_do_not():
    spoken = [*["p b m", inside.SILENCE] * 50]
    decided = np.tile([[0.0, 3.0], [1.0, -1.0]], (50, 1))
    assert inside.explained(decided, spoken) == pytest.approx(1.0)
    noise = np.random.default_rng(0).normal(size=(100, 40))
    assert inside.explained(noise, spoken) < 0.05


def test_moments_run_from_closed_to_open_within_the_frames():
    opening = np.random.default_rng(1).random(100)
    chosen = inside.moments(opening, range(40, 80), 5)
    assert opening[chosen[0]] == opening[40:80].min()
    assert opening[chosen[-1]] == opening[40:80].max()
    assert list(opening[chosen]) == sorted(opening[chosen])


def test_memory_counts_what_the_fields_hold_and_what_a_second_adds():
    smoke = config.preset("smoke")
    table = inside.memory(smoke, seconds=10)
    outputs = 11 + 3 * (smoke.gaussians.sh_degree + 1) ** 2
    field = build(smoke.field, smoke.audio.code, outputs, torch.Generator().manual_seed(0))
    total = sum(tensor.numel() for tensor in field.parameters()) * 4 / 2**20
    assert table.loc["Ours", ["tables", "networks"]].sum() == pytest.approx(total)
    H, D, levels = smoke.field.resolution, smoke.field.features, range(1, smoke.field.levels + 1)
    assert table.loc["(a) six planes", "per second"] == pytest.approx(
        25 * sum(3 * s * H * D for s in levels) * 4 / 2**20
    )
    assert table.loc["dense 4D grid", "tables"] == pytest.approx(250 * H**3 * D * 4 / 2**20)


def test_colors_follow_the_main_direction():
    features = torch.zeros(100, 8)
    features[:, 2] = torch.linspace(-1, 1, 100)
    red = inside.as_colors(features + 1e-4 * torch.randn(100, 8, generator=torch.Generator().manual_seed(0)))[:, 0]
    assert abs(float(torch.corrcoef(torch.stack([red, features[:, 2]]))[0, 1])) > 0.99
    assert 0 <= red.min() <= red.max() <= 1


def test_the_preset_is_the_environments(monkeypatch):
    monkeypatch.setenv(notebook.VARIABLE, "smoke")
    assert notebook.is_quiet()
    assert notebook.settings().schedule.size == notebook.LENGTHS["smoke"][1]
    monkeypatch.delenv(notebook.VARIABLE)
    assert notebook.preset() == "demo"
    monkeypatch.setenv(notebook.VARIABLE, "quick")
    with pytest.raises(UserError, match="quick"):
        notebook.preset()
