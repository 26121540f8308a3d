"""How measures behave: their sensitivity, sync curves, confidence by length, and error bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from audioplane.metrics import registry
from audioplane.metrics.statistics import Difference
from audioplane.plots.theme import themed

REFERENCE, SAME, BETTER, WORSE = "#595959", "#b3b3b3", "#0072b2", "#d55e00"
ALIKE = 0.005
"""Share of the reference's value below which a change is drawn as none."""


@themed
def sensitivity(values: Mapping[str, Mapping[str, float]]) -> Figure:
    """How each measure changes when a rendering is degraded, one small panel a measure.

    Args:
        values: rendering -> measure (a name of `metrics.registry`) -> value; the first rendering is the reference.
    """
    methods = list(values)
    metrics = [registry.find(name) for name in values[methods[0]]]
    size = (1.75 * len(metrics), 2.6)
    figure, axes = plt.subplots(1, len(metrics), figsize=size, layout="constrained", squeeze=False, sharey=True)
    for cell, metric in zip(axes[0], metrics, strict=True):
        numbers = [values[method][metric.name] for method in methods]
        gains = [metric.sign * (n - numbers[0]) / (abs(numbers[0]) + 1e-9) for n in numbers]
        colours = [REFERENCE, *(SAME if abs(g) < ALIKE else BETTER if g > 0 else WORSE for g in gains[1:])]
        sns.barplot(x=numbers, y=methods, hue=methods, palette=colours, legend=False, saturation=1, ax=cell)
        low, high = min(0.0, *numbers), max(0.0, *numbers)
        if low == 0.0 and min(numbers) > 0.6 * high:  # all large: show where they differ
            low = min(numbers) - 0.5 * (high - min(numbers) + 1e-6)
        cell.set(xlim=(low, high + 0.05 * (high - low)))
        cell.set_title(metric.heading, fontsize=8)
        cell.tick_params(labelsize=8)
    return figure


@themed
def sync_curves(curves: Mapping[str, ArrayLike], scorer: str) -> Figure:
    """Mean distance of pictures and sounds at each shift, one line a clip; the least of each is marked.

    Args:
        curves: clip -> (2 most + 1,) distances. scorer: whose numbers these are.
    """
    figure, axes = plt.subplots(figsize=(8, 3), layout="constrained")
    for k, (name, curve) in enumerate(curves.items()):
        values = np.asarray(curve, float)
        shifts = np.arange(len(values)) - len(values) // 2
        axes.plot(shifts, values, color=f"C{k}", label=name)
        axes.plot(shifts[values.argmin()], values.min(), "o", color=f"C{k}", markersize=5)
    axes.axvline(0, color="0.8", linewidth=0.8, zorder=0)
    axes.set(xlabel="sound after picture, frames", ylabel=f"distance ({scorer})")
    axes.legend(fontsize=8, ncols=2)
    return figure


@themed
def confidence_by_length(seconds: Sequence[float], confidences: Mapping[str, ArrayLike], scorer: str) -> Figure:
    """Confidence against the clip's length: mean and spread over clips of that length, one line a kind of clip.

    Args:
        seconds: lengths. confidences: kind -> (lengths, clips). scorer: whose numbers these are.
    """
    figure, axes = plt.subplots(figsize=(6, 2.8), layout="constrained")
    rows = [
        (length, kind, value)
        for kind, values in confidences.items()
        for length, own in zip(seconds, np.asarray(values, float), strict=True)
        for value in own
    ]
    data = pd.DataFrame(rows, columns=["seconds", "clip", "confidence"]).dropna()
    kinds: dict[str, Any] = {"hue": "clip", "style": "clip", "markers": True, "dashes": False}
    sns.lineplot(data, x="seconds", y="confidence", errorbar="sd", **kinds, ax=axes)
    axes.set(xlabel="clip, seconds", ylabel=f"confidence ({scorer})", ylim=(0, None))
    axes.legend(fontsize=8)
    return figure


@themed
def differences(rows: Mapping[str, Difference], unit: str) -> Figure:
    """Mean differences with their intervals, coloured by the verdict.

    Args:
        rows: by name. unit: of the axis.
    """
    colours = {"better": BETTER, "worse": WORSE, "not distinguishable": SAME}
    figure, axes = plt.subplots(figsize=(7, 0.45 * len(rows) + 0.9), layout="constrained")
    for k, one in enumerate(rows.values()):
        axes.plot([one.low, one.high], [k, k], color=colours[one.verdict], linewidth=2.5, solid_capstyle="round")
        axes.plot(one.mean, k, "o", color=colours[one.verdict])
        axes.annotate(one.verdict, (one.high, k), (6, 0), textcoords="offset points", fontsize=8, va="center")
    axes.axvline(0, color="0.7", linewidth=0.8, zorder=0)
    axes.set(yticks=range(len(rows)), yticklabels=list(rows), xlabel=unit)
    axes.margins(x=0.25)
    axes.invert_yaxis()
    axes.spines["left"].set_visible(False)
    return figure


@themed
def renderings(columns: Mapping[str, Sequence[NDArray]]) -> Figure:
    """The same frames in several renderings: a row a rendering."""
    rows = len(columns)
    count = len(next(iter(columns.values())))
    figure, axes = plt.subplots(rows, count, figsize=(1.5 * count, 1.5 * rows), layout="constrained", squeeze=False)
    for row, (name, pictures) in zip(axes, columns.items(), strict=True):
        for cell, picture in zip(row, pictures, strict=True):
            cell.imshow(picture)
            cell.set(xticks=[], yticks=[])
            cell.spines[:].set_visible(False)
        row[0].set_ylabel(name, fontsize=8)
    return figure
