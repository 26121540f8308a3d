"""Figures from made-up arrays: what must be there to be read."""

from __future__ import annotations

import numpy as np
import pytest

from audioplane import plots
from audioplane.metrics import registry
from audioplane.metrics.statistics import over_frames
from audioplane.plots.basic import box_around


@pytest.mark.parametrize("ratio", [1.0, 4 / 3])
@pytest.mark.parametrize("seed", range(5))
def test_a_box_holds_its_mask_and_stays_in_the_picture(ratio, seed):
    generator = np.random.default_rng(seed)
    mask = np.zeros((60, 70), bool)
    y, x = generator.integers(0, 50, 2)
    mask[y : y + 9, x : x + 14] = True
    rows, columns = box_around(mask, ratio)
    assert mask[rows, columns].sum() == mask.sum()
    assert 0 <= rows.start < rows.stop <= 60
    assert 0 <= columns.start < columns.stop <= 70
    assert (columns.stop - columns.start) / (rows.stop - rows.start) == pytest.approx(ratio, rel=0.1)


def test_a_mask_as_large_as_the_picture_has_a_box():
    rows, columns = box_around(np.ones((30, 60), bool), 1.0)
    assert rows == slice(0, 30)
    assert columns.stop - columns.start == 30


def test_methods_show_each_name_and_the_error_of_each_but_the_truth():
    truth = [np.full((32, 32, 3), 100, np.uint8)] * 2
    mouth = np.zeros((32, 32), bool)
    mouth[18:24, 10:22] = True
    rows = {"truth": truth, "one": truth, "other": [picture + np.uint8(20) for picture in truth]}
    figure = plots.methods(rows, [mouth] * 2, ["a", "b"])
    names = [axes.get_ylabel() for axes in figure.axes]
    assert [name for name in names if name in rows] == list(rows)
    cells = [axes.child_axes for axes in figure.axes if axes.child_axes]
    numbers = [text.get_text() for inner in cells for axes in inner for text in axes.texts]
    assert numbers == ["0.0", "0.0", "20.0", "20.0"]


def test_dots_give_the_papers_numbers_a_scale_of_their_own():
    panels = [
        plots.DotPanel(registry.find("head_psnr"), {"with": [30.0, 32.0], "without": [29.0]}, {"with": 31.69}),
        plots.DotPanel(registry.find("lip_error"), {"with": [0.9], "without": []}, {}),
    ]
    figure = plots.table_dots(panels, "Table II")
    labels = [axes.get_xlabel() for axes in figure.axes]
    assert labels == ["ours: head PSNR, dB ↑", "ours: lip error, mm ↓", "paper: PSNR ↑"]
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["with", "without"]
    lines = [np.asarray(line.get_xdata(), float) for line in figure.axes[0].lines]
    assert any(np.array_equal(line, [31.0, 29.0]) for line in lines), "the means"
    half = np.std([30.0, 32.0], ddof=1)
    bars = [line for line in lines if len(line) > 2 and np.isfinite(line).any()]
    assert [np.nanmax(bar) - np.nanmin(bar) for bar in bars] == pytest.approx([2 * half])
    assert [round(float(x), 3) for dots in figure.axes[0].collections for x in dots.get_offsets()[:, 0]] == [30, 32, 29]
    assert list(figure.axes[2].lines[0].get_xdata()) == [31.69]
    assert figure.axes[1].get_title() == "not in the paper"


def test_dots_make_differences_comparable():
    psnr, sync = registry.find("head_psnr"), registry.find("lse_c")
    panels = [
        plots.DotPanel(psnr, {"a": [30.0], "b": [30.1], "nobody": []}, {"a": 31.0, "b": 33.0}),
        plots.DotPanel(sync, {"a": [0.40], "b": [0.41]}, {"a": 5.0, "b": 6.0}, 0.1),
    ]
    figure = plots.table_dots(panels)
    span = {axes.get_xlabel(): np.ptp(axes.get_xlim()) for axes in figure.axes}
    assert span["ours: head PSNR, dB ↑"] == pytest.approx(span["paper: PSNR ↑"])
    assert span["paper: PSNR ↑"] > 2.0
    assert span["ours: LSE-C ↑"] == pytest.approx(0.1)
    assert span["paper: SyncNet ↑"] > 1.0
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["a", "b"]


def test_margins_say_how_many_gaussians_lie_in_the_mask():
    mask = np.zeros((40, 40), bool)
    mask[20:30, 10:30] = True
    counts = np.zeros((10, 10), int)
    counts[6, 5], counts[1, 1] = 3, 1
    g = np.where(mask, 1.0, np.nan)
    g[2:38, 2:38] = np.nan_to_num(g[2:38, 2:38])
    own = {"head": np.ones((40, 40, 3)), "density": counts, "dynamism": g, "mask": mask}
    figure = plots.margin_heads({0.05: own, 0.3: own})
    assert [axes.get_xlabel() for axes in figure.axes if "mask" in axes.get_xlabel()] == ["75% inside the mask"] * 2
    images = [axes.images[0].get_clim() for axes in figure.axes if "inside" in axes.get_xlabel()]
    assert len(set(images)) == 1, "one scale for all"


def test_sensitivity_colours_a_larger_lip_error_as_worse():
    """Direction is the registry's: green and red do not depend on who draws."""
    values = {
        "as it is": {"lip_error": 1.0, "lpips": 0.1, "head_psnr": 30.0},
        "degraded": {"lip_error": 2.0, "lpips": 0.2, "head_psnr": 31.0},
    }
    figure = plots.sensitivity(values)
    colours = [axes.patches[1].get_facecolor() for axes in figure.axes]
    assert colours[0] == colours[1] != colours[2]
    assert [axes.get_title()[-1] for axes in figure.axes] == ["↓", "↓", "↑"]


def test_differences_show_interval_and_verdict():
    generator = np.random.default_rng(0)
    ours = 1.0 + 0.1 * generator.standard_normal(100)
    found = over_frames(ours, np.zeros(100), higher_is_better=False)
    figure = plots.differences({"degraded": found}, "mm")
    assert figure.axes[0].texts[0].get_text() == "worse"
    assert list(figure.axes[0].lines[0].get_xdata()) == [found.low, found.high]


def test_the_theme_leaves_the_users_settings_alone():
    import matplotlib.pyplot as plt

    before, open_figures = plt.rcParams.copy(), plt.get_fignums()
    plots.sync_curves({"a": np.linspace(1, 2, 31)}, "x")
    plots.confidence_by_length([1.0, 2.0], {"own": np.array([[1.0, 2.0], [2.0, np.nan]])}, "x")
    assert plt.rcParams == before
    assert plt.get_fignums() == open_figures


def test_curves_of_blendshapes_are_those_given():
    true, said = np.random.default_rng(0).random((2, 30, 3))
    figure = plots.blendshape_curves(true, said, ("a", "b", "c"), {"c": "jaw", "a": "brows"}, 25.0)
    for panel, column in zip(figure.axes, (2, 0), strict=True):
        first, second = panel.lines
        np.testing.assert_array_equal(first.get_ydata(), true[:, column])
        np.testing.assert_array_equal(second.get_ydata(), said[:, column])
        assert np.asarray(first.get_xdata())[1] == pytest.approx(1.5 / 25)
    assert [panel.get_ylabel() for panel in figure.axes] == ["jaw", "brows"]


def test_usage_of_a_codebook_falls_and_sums_to_one():
    figure = plots.codebook_usage({"one": np.array([1, 0, 3]), "none": np.zeros(3, int)})
    one, none = (np.asarray(line.get_ydata()) for line in figure.axes[0].lines)
    np.testing.assert_allclose(one, [0.75, 0.25, 0])
    assert not none.any()
