"""Panels that the widgets redraw at every change: saliency of one frame, one prototype, one level of planes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from audioplane.plots.basic import empty
from audioplane.plots.field import INK, draw_attention
from audioplane.plots.theme import themed

TITLE = {"fontsize": 9, "color": INK}


@themed
def saliency_panel(
    frame: NDArray, render: NDArray, dynamism_map: NDArray, mask: NDArray, margin: float, trained: float, title: str
) -> Figure:
    """A frame, its render, the render's error, g, m, and the sign and size of the margin loss (Audio-Plane, Eq. 15).

    Args:
        frame, render: (H, W, 3) uint8. dynamism_map: g, (H, W). mask: m, (H, W) bool.
        margin: of the loss. trained: the margin of the run. title: of the frame.
    """
    figure, axes = plt.subplots(2, 3, figsize=(8.4, 5.9), layout="constrained")
    gap = mask.astype(float) - dynamism_map
    excess = np.sign(gap) * np.maximum(0, np.abs(gap) - margin)
    error = np.abs(frame.astype(float) - render).mean(-1) / 255
    own = " (as trained)" if np.isclose(margin, trained) else f" (trained: {trained:g})"
    parts = (
        (frame, title, {}),
        (render, "render", {}),
        (error, f"error, mean {255 * error.mean():.1f} / 255", MAGMA),
        (dynamism_map, "dynamism map g, Eq. 14", VIRIDIS),
        (1.0 * mask, "mask m", VIRIDIS),
        (excess, f"pull at margin {margin:.2f}{own}\nloss {np.abs(excess).mean():.4f}", PULL),
    )
    for cell, (picture, words, how) in zip(axes.ravel(), parts, strict=True):
        drawn = cell.imshow(picture, **how)
        cell.set_title(words, **TITLE)
        empty(cell)
        if how and words != "mask m":
            bar = figure.colorbar(drawn, ax=cell, shrink=0.75, pad=0.02)
            bar.ax.tick_params(labelsize=7, length=2)
            bar.outline.set_visible(False)  # type: ignore[operator]
    axes[1, 2].contour(mask, [0.5], colors="black", linewidths=0.7)
    return figure


VIRIDIS = {"cmap": "viridis", "vmin": 0, "vmax": 1}
MAGMA = {"cmap": "magma", "vmin": 0, "vmax": 0.25}
PULL = {"cmap": "RdBu_r", "vmin": -0.8, "vmax": 0.8}


@themed
def prototypes(
    sentence: Mapping,
    frame: int,
    chosen: int,
    sounds: Sequence[str],
    means: NDArray,
    face: NDArray,
    reach: NDArray,
    totals: NDArray,
    title: str,
) -> Figure:
    """A sentence and its attention; each sound's mean attention; the face, one prototype's reach, and all reaches.

    Args:
        sentence: arguments of `plots.attention`, "weights" of the level that is shown.
        frame: the time to mark. chosen: the prototype to mark. sounds: names of classes.
        means: (classes, sH), each class's mean attention. face: (H, W, 3) uint8. reach: (H, W) mm, NaN outside.
        totals: (sH,) mm, mean reach of each prototype. title: of the face.
    """
    figure = plt.figure(figsize=(10.4, 6.4), layout="constrained")
    halves: Any = figure.subfigures(1, 2, width_ratios=[2.35, 1])
    left, right = halves
    axes = left.subplots(4, 1, height_ratios=[1, 2.3, 0.7, 2.0])
    order = draw_attention(*axes[:3], **sentence)
    at, place = (frame + 0.5) / sentence["fps"], int(np.flatnonzero(order == chosen)[0])
    for cell in axes[:3]:
        cell.axvline(at, color="#0072b2", linewidth=1)
        cell.set_xlim(sentence["start"], sentence["stop"])
    for cell in axes[:2]:
        cell.tick_params(labelbottom=False)
    axes[2].set_ylabel("lips")
    axes[1].plot([0, 0.008], [place + 0.5] * 2, transform=axes[1].get_yaxis_transform(), color="#56b4e9", linewidth=5)
    shown = means[:, order]
    scale = PowerNorm(0.5, 0, max(float(shown.max()), 1e-6))
    sns.heatmap(shown, cmap="magma", norm=scale, cbar=False, yticklabels=list(sounds), ax=axes[3])
    axes[3].set_yticklabels(sounds, fontsize=7, rotation=0)
    axes[3].set(xticks=[place + 0.5], xticklabels=[f"{chosen}"], xlabel="mean attention by sound; prototypes as above")
    axes[3].tick_params(length=3)

    top, middle, bottom = right.subplots(3, 1, height_ratios=[1.5, 1.5, 0.9])
    top.imshow(face)
    top.set_title(title, **TITLE)
    drawn = middle.imshow(reach, cmap="viridis", vmin=0, vmax=max(float(np.nanmax(reach, initial=0)), 1e-3))
    middle.set_title(f"moved by prototype {chosen} alone, mm", **TITLE)
    middle.set_facecolor("0.93")
    for cell in (top, middle):
        empty(cell)
    right.colorbar(drawn, ax=middle, shrink=0.8).ax.tick_params(labelsize=7)
    bottom.bar(
        np.arange(len(totals)), totals[order], width=1.0, color=["#0072b2" if k == chosen else "0.75" for k in order]
    )
    bottom.set_title("mean reach of each, mm", **TITLE)
    bottom.set(xticks=[], xlim=(-0.5, len(totals) - 0.5))
    bottom.tick_params(labelsize=7)
    bottom.spines[["top", "right"]].set_visible(False)
    return figure


@themed
def plane_level(
    pictures: Mapping[str, NDArray],
    curves: Mapping[str, NDArray],
    points: NDArray,
    values: NDArray | None,
    level: int,
    what: str,
) -> Figure:
    """One level: its three planes with the Gaussians on them, and the three lines.

    Args:
        pictures: "xy", "xz", "yz": (sH, sH, 3). curves: "z", "y", "x": (sH,), or none for a field without lines.
        points: (n, 3) in [0, 1]^3, drawn where they look. values: (n,) their dynamism, or None for plain dots.
        level: s. what: the planes show.
    """
    figure = plt.figure(figsize=(10, 4.7), layout="constrained")
    cells = figure.subplots(2, 3, height_ratios=[3, 0.8])
    dots = None
    for cell, (name, picture) in zip(cells[0], pictures.items(), strict=True):
        across, down, shown = ("z", "y", picture.transpose(1, 0, 2)) if name == "yz" else (*name, picture)
        cell.imshow(shown, interpolation="nearest", extent=(0, 1, 1, 0))
        if len(points):
            x, y = (points[:, "xyz".index(axis)] for axis in (across, down))
            how = {"c": values, "cmap": "viridis", "vmin": 0, "vmax": 1} if values is not None else {"c": "#d55e00"}
            dots = cell.scatter(x, y, s=2.5, linewidths=0, alpha=0.6, **how)
        cell.set(xlim=(0, 1), ylim=(1, 0), xticks=[], yticks=[], xlabel=across, ylabel=down)
        cell.set_title(f"$P^{level}_{{{name.upper()}}}$, {len(picture)} x {len(picture)}: {what}", **TITLE)
    if dots is not None and values is not None:
        figure.colorbar(dots, ax=cells[0, 2], shrink=0.7, label="dynamism d")
    for cell, (name, curve) in zip(cells[1], curves.items(), strict=False):
        cell.plot((np.arange(len(curve)) + 0.5) / len(curve), curve, color=INK, linewidth=1)
        density, edges = np.histogram(points[:, "xyz".index(name)], 60, (0, 1))
        cell.fill_between(edges[:-1], curve.max() * density / max(density.max(), 1), step="post", color="0.9", zorder=0)
        cell.set(xlim=(0, 1), xticks=[0, 1], xlabel=name, yticks=[])
        cell.set_title(f"$L^{level}_{name.upper()}$; gray: where Gaussians are", **TITLE)
        cell.spines[["top", "right"]].set_visible(False)
    for cell in cells[1][len(curves) :]:
        cell.set_visible(False)
    return figure
