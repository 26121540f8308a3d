"""Trained heads and methods side by side (Audio-Plane, Fig. 5 and 6), and any table as dots."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from audioplane.metrics.registry import PAPER_TITLES, Metric
from audioplane.plots.basic import box_around, empty
from audioplane.plots.theme import themed

OURS, PAPER = "#0072b2", "#d55e00"  # of Okabe and Ito, told apart by anyone
BOX = "#f0e442"
ACROSS, MANY = 4, 12  # panels beside each other, unless there are more rows than so many


@themed
def margin_heads(heads: Mapping[float, Mapping[str, NDArray]]) -> Figure:
    """Heads trained with different margins: the head, its mouth, where its Gaussians are, and its dynamism map.

    Audio-Plane, Fig. 5 (journal), beside Table IV.

    Args:
        heads: margin -> "head" (H, W, 3) in [0, 1] without its surroundings; "density" counts of Gaussians a cell
            (of any size); "dynamism" g, (H, W), may be NaN outside the head; "mask" m, (H, W) bool.
    """
    names = ("head", "mouth", "Gaussians", "dynamism $g$")
    figure, axes = plt.subplots(
        4,
        len(heads),
        figsize=(2.0 * len(heads) + 0.9, 7.5),
        layout="constrained",
        squeeze=False,
        height_ratios=[1, 0.75, 1, 1],
    )
    densest = max(float(np.percentile(own["density"], 99.7)) for own in heads.values())
    for column, (margin, own) in zip(axes.T, heads.items(), strict=True):
        height, width = own["mask"].shape
        place, around = (0, width, height, 0), box_around(np.isfinite(own["dynamism"]), 1.0, rim=width // 16)
        box, x, y = box_around(own["mask"], rim=max(2, width // 48)), np.arange(width) + 0.5, np.arange(height) + 0.5
        column[0].imshow(own["head"], extent=place)
        _frame(column[0], box, "0.4")
        column[1].imshow(own["head"][box], interpolation="bicubic")
        counts = column[2].imshow(own["density"], cmap="magma_r", vmin=0, vmax=max(densest, 1), extent=place)
        g = column[3].imshow(own["dynamism"], cmap="viridis", vmin=0, vmax=1, extent=place)
        for cell, colour in ((column[2], "#009e73"), (column[3], "#d55e00")):
            cell.contour(x, y, own["mask"], [0.5], colors=colour, linewidths=0.8)
        for cell in (column[0], column[2], column[3]):
            cell.set(xlim=(around[1].start, around[1].stop), ylim=(around[0].stop, around[0].start))
        inside = own["density"].sum() and _share(own["density"], own["mask"])
        column[2].set_xlabel(f"{inside:.0%} inside the mask", fontsize=8)
        column[0].set_title(f"margin {margin:g}", fontsize=10)
        for cell in column:
            empty(cell)
    for cell, name in zip(axes[:, 0], names, strict=True):
        cell.set_ylabel(name)
    for row, image, label in ((2, counts, "Gaussians a cell"), (3, g, "g; line: mask")):
        bar = figure.colorbar(image, ax=axes[row], shrink=0.85, aspect=14, label=label)
        bar.ax.tick_params(labelsize=7, length=2)
    return figure


def _share(density: NDArray, mask: NDArray) -> float:
    """The share of counts in cells whose middle lies in the mask."""
    rows, columns = (np.arange(count) + 0.5 for count in density.shape)
    i = (rows * mask.shape[0] / density.shape[0]).astype(int)
    j = (columns * mask.shape[1] / density.shape[1]).astype(int)
    return float(density[mask[np.ix_(i, j)]].sum() / density.sum())


@themed
def methods(rows: Mapping[str, Sequence[NDArray]], mouths: Sequence[NDArray], titles: Sequence[str] = ()) -> Figure:
    """The same frames by several methods, the mouth zoomed in, and the error of each picture.

    Audio-Plane, Fig. 6 (journal).

    Args:
        rows: name -> pictures (H, W, 3) uint8, one a frame; the first is the truth.
        mouths: masks (H, W) whose box is zoomed into. titles: of the frames.
    """
    names, count = list(rows), len(mouths)
    figure, axes = plt.subplots(
        len(rows),
        2 * count,
        figsize=(2.35 * count + 0.9, 1.6 * len(rows) + 0.3),
        layout="constrained",
        squeeze=False,
        width_ratios=[1, 0.53] * count,
    )
    truth, image = rows[names[0]], None
    for line, name in zip(axes, names, strict=True):
        for k in range(count):
            picture, box = rows[name][k], box_around(mouths[k], rim=max(4, len(mouths[k]) // 16))
            whole, side = line[2 * k], line[2 * k + 1]
            whole.imshow(picture)
            _frame(whole, box, BOX)
            empty(whole)
            side.set_axis_off()
            zoom = side.inset_axes((0, 0.52, 1, 0.48))
            zoom.imshow(picture[box], interpolation="bicubic")
            zoom.set(xticks=[], yticks=[])
            zoom.spines[:].set(color=BOX, linewidth=1.5)
            if name != names[0]:
                error = np.abs(picture.astype(float) - truth[k]).mean(-1)
                below = side.inset_axes((0, 0, 1, 0.5))
                image = below.imshow(error / 255, cmap="magma", vmin=0, vmax=0.16)
                below.text(0.04, 0.05, f"{error.mean():.1f}", color="white", fontsize=7, transform=below.transAxes)
                empty(below)
        line[0].set_ylabel(textwrap.fill(name, 22), fontsize=9)
    for cell, title in zip(axes[0, ::2], titles, strict=False):
        cell.set_title(title, fontsize=9)
    if image is not None:
        bar = figure.colorbar(image, ax=axes, shrink=0.5, aspect=25, ticks=[0, 0.16])
        bar.ax.set_yticklabels(["0", "41"])
        bar.set_label("error to the truth, of 255; number: mean", fontsize=8)
        bar.ax.tick_params(labelsize=7, length=2)
    return figure


def _frame(axes: Axes, box: tuple[slice, slice], colour: str) -> None:
    rows, columns = box
    axes.add_patch(
        Rectangle(
            (columns.start - 0.5, rows.start - 0.5),
            columns.stop - columns.start,
            rows.stop - rows.start,
            fill=False,
            edgecolor=colour,
            linewidth=1,
        )
    )


@dataclass(frozen=True)
class DotPanel:
    """One measure of a table.

    Attributes:
        metric: which. ours: row -> values, one a seed; rows may be empty. paper: row -> the paper's number.
        shortest: length that its scale has at least, so that differences without weight do not fill a panel.
    """

    metric: Metric
    ours: Mapping[str, Sequence[float]]
    paper: Mapping[str, float]
    shortest: float = 0.0

    @property
    def called(self) -> str:
        """What the paper calls the one beside it."""
        return PAPER_TITLES.get(self.metric.paper, "")

    @property
    def one_unit(self) -> bool:
        """Whether the paper's has the same unit ("head PSNR" beside "PSNR"), or one of its own ("LSE-C", "SyncNet")."""
        return bool(self.called) and self.metric.title.endswith(self.called)


@themed
def table_dots(panels: Sequence[DotPanel], title: str = "") -> Figure:
    """A table as dots: one panel a measure, one line a row; ours with its spread over seeds, and the paper's number.

    The two were measured on other people, at other sizes, by other networks: the paper's have a scale of their own, at
    the top of each panel. Where both have one unit, the two scales are equally long, so that differences compare.
    """
    filled = {row for panel in panels for row, values in panel.ours.items() if len(values)}
    filled |= {row for panel in panels for row in panel.paper}
    names = [row for row in dict.fromkeys(row for panel in panels for row in panel.ours) if row in filled]
    columns = min(len(panels), ACROSS if len(names) <= MANY else len(panels))
    lines = -(-len(panels) // columns)
    size = (1.3 + 2.15 * columns, 0.3 + lines * (1.2 + 0.3 * len(names)))
    figure, axes = plt.subplots(lines, columns, figsize=size, layout="constrained", squeeze=False, sharey=True)
    for cell in axes.ravel()[len(panels) :]:
        cell.set_visible(False)
    for cell, panel in zip(axes.ravel(), panels, strict=False):
        _seeds(cell, panel, names)
        scales = [cell]
        if panel.paper:
            above = _paper_scale(cell, panel, names)
            scales += [above] if panel.one_unit else []
        else:
            cell.set_title("not in the paper", fontsize=8, color="0.5")
        _lengthen(scales, panel.shortest)
        cell.tick_params(axis="x", labelsize=7, length=2)
        cell.tick_params(axis="y", length=0, labelsize=9)
        cell.locator_params(axis="x", nbins=4)
        cell.spines["left"].set_visible(False)
        cell.spines["top"].set_visible(bool(panel.paper))
    axes[0, 0].set(ylim=(len(names) - 0.5, -0.5))
    if title:
        figure.suptitle(title, fontsize=10)
    figure.supxlabel(
        "filled: ours, mean and standard deviation over seeds, each seed a small dot\n"
        "hollow: the paper, on a scale of its own, as long as ours where the unit is the same",
        fontsize=7.5,
    )
    return figure


def _seeds(axes: Axes, panel: DotPanel, names: Sequence[str]) -> None:
    """Ours: each seed, and their mean with its spread."""
    data = pd.DataFrame(
        [(row, value) for row in names for value in panel.ours.get(row, ()) if np.isfinite(value)],
        columns=["row", "value"],
    )
    shared: dict[str, Any] = {"data": data, "x": "value", "y": "row", "order": list(names), "color": OURS, "ax": axes}
    sns.stripplot(**shared, size=3.5, alpha=0.45, jitter=False)
    sns.pointplot(**shared, errorbar="sd", linestyle="none", markersize=4, capsize=0.2, err_kws={"linewidth": 1.3})
    axes.set_ylabel("")
    axes.set_xlabel(f"ours: {panel.metric.heading}", fontsize=8, color=OURS)
    axes.grid(axis="y", color="0.92")
    axes.margins(x=0.15)


def _lengthen(scales: Sequence[Axes], least: float) -> None:
    """Makes the scales as long as the longest of them, and at least `least`, around their middles."""
    limits = [axes.get_xlim() for axes in scales]
    half = max(least, *(high - low for low, high in limits)) / 2
    for axes, (low, high) in zip(scales, limits, strict=True):
        axes.set_xlim((low + high) / 2 - half, (low + high) / 2 + half)


def _paper_scale(axes: Axes, panel: DotPanel, names: Sequence[str]) -> Axes:
    above = axes.twiny()
    points = [(panel.paper[row], k - 0.26) for k, row in enumerate(names) if row in panel.paper]
    above.plot(*zip(*points, strict=True), "D", markerfacecolor="none", color=PAPER, markersize=5, linestyle="none")
    above.set_xlabel(f"paper: {panel.called} {panel.metric.arrow}".rstrip(), fontsize=8, color=PAPER)
    above.margins(x=0.15)
    above.tick_params(axis="x", labelsize=7, length=2)
    above.locator_params(axis="x", nbins=4)
    above.spines["left"].set_visible(False)
    return above
