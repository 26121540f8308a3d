"""What measures do: tables of how they move, sync curves, protocols, and error bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

ALIKE = 0.005
"""Share of the yardstick's value below which a change is drawn as none."""


def damage(values: Mapping[str, Mapping[str, float]], better: Mapping[str, int]) -> Figure:
    """How each measure moves when a rendering is spoilt, one small panel a measure.

    Args:
        values: rendering -> measure -> value; the first rendering is the yardstick.
        better: measure -> 1 where larger is better, -1 where smaller is.
    """
    names, methods = list(better), list(values)
    figure, axes = plt.subplots(1, len(names), figsize=(1.75 * len(names), 2.6), layout="constrained", squeeze=False)
    for cell, name in zip(axes[0], names, strict=True):
        numbers = [values[method][name] for method in methods]
        gains = [better[name] * (n - numbers[0]) / (abs(numbers[0]) + 1e-9) for n in numbers]
        colours = ["0.35", *("0.7" if abs(g) < ALIKE else "C2" if g > 0 else "C3" for g in gains[1:])]
        cell.barh(range(len(methods)), numbers, color=colours)
        low, high = min(0.0, *numbers), max(0.0, *numbers)
        if low == 0.0 and min(numbers) > 0.6 * high:  # all large: show where they differ
            low = min(numbers) - 0.5 * (high - min(numbers) + 1e-6)
        cell.set(xlim=(low, high + 0.05 * (high - low)), yticks=range(len(methods)))
        cell.set_yticklabels(methods if cell is axes[0, 0] else [])
        cell.set_title(f"{name} {'↑' if better[name] > 0 else '↓'}", fontsize=9)
        cell.tick_params(labelsize=8)
        cell.invert_yaxis()
        cell.spines[["top", "right"]].set_visible(False)
    plt.close(figure)
    return figure


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
    axes.legend(fontsize=8, frameon=False, ncols=2)
    axes.spines[["top", "right"]].set_visible(False)
    plt.close(figure)
    return figure


def by_length(seconds: Sequence[float], confidences: Mapping[str, ArrayLike], scorer: str) -> Figure:
    """Confidence against the clip's length: mean and spread over clips of that length, one line a kind of clip.

    Args:
        seconds: lengths. confidences: kind -> (lengths, clips). scorer: whose numbers these are.
    """
    figure, axes = plt.subplots(figsize=(6, 2.8), layout="constrained")
    for k, (name, values) in enumerate(confidences.items()):
        array = np.asarray(values, float)
        mean, deviation = np.nanmean(array, axis=1), np.nanstd(array, axis=1)
        axes.plot(seconds, mean, "o-", color=f"C{k}", label=name, markersize=4)
        axes.fill_between(seconds, mean - deviation, mean + deviation, color=f"C{k}", alpha=0.15, linewidth=0)
    axes.set(xlabel="clip, seconds", ylabel=f"confidence ({scorer})", ylim=(0, None))
    axes.legend(fontsize=8, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    plt.close(figure)
    return figure


def differences(rows: Mapping[str, tuple[float, float, float, str]], unit: str) -> Figure:
    """Mean differences with their intervals, coloured by the verdict.

    Args:
        rows: name -> (mean, low, high, verdict). unit: of the axis.
    """
    colours = {"better": "C2", "worse": "C3", "not distinguishable": "0.5"}
    figure, axes = plt.subplots(figsize=(7, 0.45 * len(rows) + 0.9), layout="constrained")
    for k, (mean, low, high, verdict) in enumerate(rows.values()):
        axes.plot([low, high], [k, k], color=colours[verdict], linewidth=2.5, solid_capstyle="round")
        axes.plot(mean, k, "o", color=colours[verdict])
        axes.annotate(verdict, (high, k), (6, 0), textcoords="offset points", fontsize=8, va="center")
    axes.axvline(0, color="0.7", linewidth=0.8, zorder=0)
    axes.set(yticks=range(len(rows)), yticklabels=list(rows), xlabel=unit)
    axes.margins(x=0.25)
    axes.invert_yaxis()
    axes.spines[["top", "right", "left"]].set_visible(False)
    plt.close(figure)
    return figure


def renderings(columns: Mapping[str, Sequence[NDArray]]) -> Figure:
    """The same moments in several renderings: a row a rendering."""
    rows = len(columns)
    count = len(next(iter(columns.values())))
    figure, axes = plt.subplots(rows, count, figsize=(1.5 * count, 1.5 * rows), layout="constrained", squeeze=False)
    for row, (name, pictures) in zip(axes, columns.items(), strict=True):
        for cell, picture in zip(row, pictures, strict=True):
            cell.imshow(picture)
            cell.set(xticks=[], yticks=[])
            cell.spines[:].set_visible(False)
        row[0].set_ylabel(name, fontsize=8)
    plt.close(figure)
    return figure
