"""What figures draw is what they were given: lines, bars, marks, pictures, titles; not pixels."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from audioplane.metrics import registry
from audioplane.metrics.statistics import BETTER, OPEN, WORSE, Difference
from audioplane.plots import basic, field, measures, preparation, saliency, training_run, widget_panels
from tests.strategies import arrays, fewer, generators


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    plt.close("all")


def lines(figure: Figure, panel: int = 0) -> list[np.ndarray]:
    """(x, y) of each line of a panel."""
    found = [np.array([line.get_xdata(), line.get_ydata()], float) for line in figure.axes[panel].lines]
    plt.close(figure)
    return found


@fewer
@given(arrays(st.integers(2, 90), low=0.1, high=1.0))
def test_training_draws_every_loss_and_its_running_mean(losses):
    counts = np.arange(len(losses)) + 5
    figure = basic.training(losses, counts)
    left, right = figure.axes
    raw, smooth = (line.get_ydata() for line in left.lines)
    np.testing.assert_array_equal(raw, losses)
    window = max(1, len(losses) // 40)
    wanted = [losses[k : k + window].mean() for k in range(len(losses) - window + 1)]
    np.testing.assert_allclose(np.asarray(smooth, float), wanted)
    np.testing.assert_array_equal(right.lines[0].get_ydata(), counts)
    assert left.get_yscale() == "log"
    assert right.get_ylim()[0] == 0
    plt.close(figure)


@fewer
@given(st.dictionaries(st.text("abcdef", min_size=1), st.integers(1, 4), min_size=1, max_size=3), generators)
def test_side_by_side_shows_each_picture_in_its_row(rows, generator):
    pictures = {name: generator.random((count, 5, 6, 3)) for name, count in rows.items()}
    columns = max(rows.values())
    titles = [f"column {k}" for k in range(columns)]
    figure = basic.side_by_side(pictures, titles)
    cells = np.reshape(figure.axes, (len(rows), columns))
    for row, (name, images) in zip(cells, pictures.items(), strict=True):
        assert row[0].get_ylabel() == name
        for k, cell in enumerate(row):
            shown = cell.get_images()
            assert len(shown) == (k < len(images))
            if shown:
                np.testing.assert_allclose(shown[0].get_array(), images[k])
    assert [cell.get_title() for cell in cells[0]] == titles
    plt.close(figure)


@fewer
@given(arrays(3, 31, low=5.0, high=12.0))
def test_sync_curves_run_over_their_shifts_and_mark_the_least(curves):
    drawn = lines(measures.sync_curves(dict(zip("abc", curves, strict=True)), "a scorer"))
    for k, curve in enumerate(curves):
        line, mark = drawn[2 * k], drawn[2 * k + 1]
        np.testing.assert_array_equal(line, [np.arange(-15, 16), curve])
        np.testing.assert_array_equal(mark, [[curve.argmin() - 15], [curve.min()]])


@fewer
@given(arrays(3, st.integers(2, 6), low=1.0, high=9.0))
def test_confidence_by_length_draws_the_means_of_its_clips(values):
    figure = measures.confidence_by_length([2, 5, 10], {"true": values}, "a scorer")
    drawn = [line for line in figure.axes[0].lines if len(np.asarray(line.get_xdata())) == 3]
    np.testing.assert_allclose(np.asarray(drawn[0].get_xdata(), float), [2, 5, 10])
    np.testing.assert_allclose(np.asarray(drawn[0].get_ydata(), float), values.mean(axis=1))
    assert "a scorer" in figure.axes[0].get_ylabel()
    plt.close(figure)


@fewer
@given(arrays(4, low=-3.0, high=3.0), arrays(4, low=0.1, high=2.0))
def test_differences_span_their_intervals_in_the_verdicts_colour(means, halves):
    verdicts = [BETTER, WORSE, OPEN, BETTER]
    rows = {
        f"claim {k}": Difference(m, m - h, m + h, 0.01, v)
        for k, (m, h, v) in enumerate(zip(means, halves, verdicts, strict=True))
    }
    figure = measures.differences(rows, "dB")
    drawn, axes = figure.axes[0].lines, figure.axes[0]
    colours = {verdict: set() for verdict in verdicts}
    for k, one in enumerate(rows.values()):
        interval, middle = drawn[2 * k], drawn[2 * k + 1]
        np.testing.assert_allclose(np.asarray(interval.get_xdata(), float), [one.low, one.high])
        np.testing.assert_allclose(np.asarray(middle.get_xdata(), float), [one.mean])
        np.testing.assert_allclose(np.asarray(middle.get_ydata(), float), [k])
        colours[one.verdict] |= {interval.get_color(), middle.get_color()}
    assert all(len(own) == 1 for own in colours.values())
    assert len(set.union(*colours.values())) == 3
    assert [tick.get_text() for tick in axes.get_yticklabels()] == list(rows)
    assert axes.get_xlabel() == "dB"
    assert [text.get_text() for text in axes.texts] == verdicts
    assert axes.yaxis_inverted(), "the first row is on top"
    plt.close(figure)


@fewer
@given(arrays(3, low=0.1, high=9.0), arrays(3, low=0.1, high=9.0))
def test_sensitivity_has_a_bar_a_rendering_as_long_as_its_value(psnr, lips):
    names = ["as it is", "blurred", "late"]
    values = {name: {"head_psnr": a, "lip_error": b} for name, a, b in zip(names, psnr, lips, strict=True)}
    figure = measures.sensitivity(values)
    for cell, metric, wanted in zip(figure.axes, ("head_psnr", "lip_error"), (psnr, lips), strict=True):
        bars = sorted(cell.patches, key=lambda bar: bar.get_y())
        np.testing.assert_allclose([bar.get_width() for bar in bars], wanted)
        assert cell.get_title() == registry.find(metric).heading
        right = cell.get_xlim()[1]
        assert right >= wanted.max()
    plt.close(figure)


@fewer
@given(st.integers(1, 3), st.integers(1, 4), generators)
def test_renderings_have_a_row_each(rows, count, generator):
    columns = {f"row {k}": list(generator.integers(0, 256, (count, 4, 5, 3), np.uint8)) for k in range(rows)}
    figure = measures.renderings(columns)
    shown = [axes.get_images()[0].get_array() for axes in figure.axes]
    wanted = [picture for pictures in columns.values() for picture in pictures]
    assert len(shown) == rows * count
    for own, picture in zip(shown, wanted, strict=True):
        np.testing.assert_array_equal(own, picture)
    plt.close(figure)


def test_empty_axes_have_neither_ticks_nor_frame():
    figure, axes = plt.subplots()
    basic.empty(axes)
    assert list(axes.get_xticks()) == list(axes.get_yticks()) == []
    assert not any(spine.get_visible() for spine in axes.spines.values())
    plt.close(figure)


# Preparation, training, saliency, planes


def xy(line: object) -> np.ndarray:
    return np.array([line.get_xdata(), line.get_ydata()], float)  # type: ignore[attr-defined]


@fewer
@given(arrays(st.integers(3, 30), 3, low=-20.0, high=20.0), generators)
def test_head_rotation_draws_truth_and_every_error_on_one_scale(truth, generator):
    found = {name: generator.standard_normal(truth.shape) for name in ("one", "two")}
    figure = preparation.head_rotation(truth, found)
    above, *rows = figure.axes
    for k in range(3):
        time, angle = xy(above.lines[k])
        np.testing.assert_allclose(time, (np.arange(len(truth)) + 0.5) / 25)
        np.testing.assert_allclose(angle, truth[:, k] - truth[:, k].mean())
    for row, (name, error) in zip(rows, found.items(), strict=True):
        np.testing.assert_allclose([xy(line)[1] for line in row.lines[1:]], error.T)
        spread = np.sqrt((error**2).sum(1).mean())
        assert row.get_title(loc="left") == f"{name}: {spread:.2f} degrees off"
    assert rows[0].get_ylim() == rows[1].get_ylim()
    assert rows[0].get_ylim()[1] >= max(np.abs(error).max() for error in found.values())
    plt.close(figure)


@fewer
@given(generators)
def test_landmark_weights_has_a_dot_a_landmark_in_its_weights_colour(generator):
    landmarks, weights = generator.uniform(0, 20, (68, 2)), generator.choice([0.0, 0.5, 1.0], 68)
    figure = preparation.landmark_weights(np.zeros((20, 20, 3), np.uint8), landmarks, weights)
    dots = figure.axes[0].collections[0]
    np.testing.assert_allclose(np.asarray(dots.get_offsets()), landmarks - 0.5)
    colours = [tuple(colour) for colour in dots.get_facecolors()]  # type: ignore[attr-defined]
    assert len({(colour, weight) for colour, weight in zip(colours, weights, strict=True)}) == len(set(weights))
    plt.close(figure)


@fewer
@given(generators)
def test_margins_draws_the_pull_and_its_mean(generator):
    mask = generator.random((9, 8)) > 0.5
    mask[0, 0], mask[-1, -1] = True, False
    dynamism = generator.random((9, 8))
    figure = saliency.margins(dynamism, mask, mask)
    for cell, margin in zip(figure.axes, saliency.MARGINS, strict=False):
        shown = np.asarray(cell.get_images()[0].get_array())
        gap = mask - dynamism
        np.testing.assert_allclose(np.abs(shown), np.maximum(0, np.abs(gap) - margin))
        assert (shown * gap >= 0).all(), "towards the mask"
        assert cell.get_title() == f"margin {margin}\nloss {np.abs(shown).mean():.4f}"
    plt.close(figure)


@fewer
@given(arrays(4, st.integers(60, 120), low=0.1, high=1.0))
def test_learning_curves_run_over_the_iterations(values):
    at = np.arange(values.shape[1])
    scalars = dict(zip(("l1", "psnr", "gaussians", "mask"), values, strict=True)) | {"iteration": at}
    figure = training_run.learning_curves(scalars, 20)
    left, middle, right = figure.axes
    assert [line.get_label() for line in left.lines] == ["L1", "mask, Eq. 15"], "a term that there is not has no line"
    np.testing.assert_allclose(xy(middle.lines[0]), [at, scalars["psnr"]])
    np.testing.assert_allclose(xy(right.lines[0]), [at, scalars["gaussians"]])
    smooth = xy(middle.lines[1])[1]
    assert scalars["psnr"].min() - 1e-9 <= np.nanmin(smooth) <= np.nanmax(smooth) <= scalars["psnr"].max() + 1e-9
    assert all(axes.get_xlim() == (0, at[-1]) for axes in figure.axes)
    plt.close(figure)


@fewer
@given(generators)
def test_held_out_frames_show_truth_render_and_difference(generator):
    truth, drawn = generator.integers(0, 256, (2, 2, 40, 40, 3), np.uint8)
    mouths = np.zeros((2, 40, 40), bool)
    mouths[:, 20:26, 12:24] = True
    figure = training_run.held_out_frames(list(truth), list(drawn), list(mouths), ["a", "b"])
    cells = np.reshape(figure.axes, (5, 2))
    for k in range(2):
        shown = [np.asarray(cell.get_images()[0].get_array()) for cell in cells[:, k]]
        np.testing.assert_array_equal(shown[0], truth[k])
        np.testing.assert_array_equal(shown[1], drawn[k])
        np.testing.assert_allclose(shown[4], 4 * np.abs(truth[k].astype(float) - drawn[k]).mean(-1) / 255)
    assert [cell.get_title() for cell in cells[0]] == ["a", "b"]
    plt.close(figure)


@fewer
@given(arrays(2, st.integers(3, 30), high=0.01), st.floats(0, 50))
def test_lip_opening_is_drawn_in_millimetres(pair, start):
    figure = training_run.lip_opening({"opening": pair[0], "opening_true": pair[1]}, 25.0, start, 0.5)
    axes = figure.axes[0]
    times = start + (np.arange(pair.shape[1]) + 0.5) / 25
    np.testing.assert_allclose(xy(axes.lines[0]), [times, 1000 * pair[0]])
    filled = axes.collections[0].get_paths()[0].vertices
    assert np.asarray(filled)[:, 1].max() == pytest.approx(1000 * pair[1].max())
    assert "0.50" in axes.get_legend().get_texts()[1].get_text()  # type: ignore[union-attr]
    plt.close(figure)


@fewer
@given(generators, st.booleans(), st.booleans())
def test_a_plane_level_shows_its_planes_lines_and_points(generator, has_lines, has_values):
    pictures = {name: generator.random((6, 6, 3)) for name in ("xy", "xz", "yz")}
    curves = {name: generator.random(6) for name in "zyx"} if has_lines else {}
    points, values = generator.random((9, 3)), generator.random(9) if has_values else None
    figure = widget_panels.plane_level(pictures, curves, points, values, 2, "energy")
    planes, lines_below = figure.axes[:3], figure.axes[3:6]
    for cell, (name, picture) in zip(planes, pictures.items(), strict=True):
        shown = np.asarray(cell.get_images()[0].get_array())
        np.testing.assert_allclose(shown, picture.transpose(1, 0, 2) if name == "yz" else picture)
        at = np.asarray(cell.collections[0].get_offsets())
        axes = [cell.get_xlabel(), cell.get_ylabel()]
        np.testing.assert_allclose(at, points[:, ["xyz".index(axis) for axis in axes]])
        assert "6 x 6: energy" in cell.get_title()
    for cell, curve in zip(lines_below, curves.values(), strict=False):
        np.testing.assert_allclose(xy(cell.lines[0])[1], curve)
    assert all(cell.get_visible() == has_lines for cell in lines_below)
    plt.close(figure)


@fewer
@given(generators, st.integers(1, 3))
def test_factors_are_drawn_set_by_set(generator, levels):
    block = lambda: generator.standard_normal((levels, 3, 4))  # noqa: E731
    parts, moments = {"P": block(), "f_k": block()}, {"at 1 s": {"f_a": block(), "product": block()}}
    figure = field.factors(parts, moments)
    blocks = [parts["P"], parts["f_k"], moments["at 1 s"]["f_a"], moments["at 1 s"]["product"]]
    for cell, own in zip(figure.axes, blocks, strict=False):
        shown = np.asarray(cell.get_images()[0].get_array())
        assert shown.shape == (3, 4 * levels)
        for level in range(levels):
            np.testing.assert_allclose(shown[:, 4 * level : 4 * level + 4], own[level])
        assert [tick.get_text() for tick in cell.get_xticklabels()] == [f"s = {s + 1}" for s in range(levels)]
    assert "at 1 s" in figure.axes[2].get_title()
    plt.close(figure)


@fewer
@given(generators)
def test_attention_is_ordered_by_the_time_of_each_prototypes_peak(generator):
    weights, opening = generator.random((50, 6)), generator.random(50)
    audio = generator.standard_normal(2 * 16_000)
    figure, (wave, grid, lips) = plt.subplots(3)
    order = field.draw_attention(wave, grid, lips, audio, 16_000, [], weights, opening, 25.0, 0.4, 1.6)
    shown = np.asarray(grid.get_images()[0].get_array())
    np.testing.assert_allclose(shown, weights[10:40].T[order])
    peaks = shown.argmax(axis=1)
    assert (np.diff(peaks) >= 0).all()
    np.testing.assert_allclose(xy(wave.lines[0])[1], audio[6400:25_600])
    assert grid.get_ylabel().startswith("6 prototypes")
    plt.close(figure)
