"""Pictures of the audio factorization plane: tables, attention over a sentence, factors, what moves, bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from audioplane.plots.theme import themed

if TYPE_CHECKING:
    import pandas as pd

INK, PAPER = "#1b2a41", "0.93"


@themed
def planes(pictures: Mapping[str, Sequence[NDArray]], curves: Mapping[str, Sequence[NDArray]]) -> Figure:
    """What training wrote into planes and lines: one column a level, one row a plane, and the lines under them."""
    levels = len(pictures["xy"])
    figure, axes = plt.subplots(
        4, levels, figsize=(2.6 * levels, 9), layout="constrained", squeeze=False, height_ratios=[3, 3, 3, 1]
    )
    for level in range(levels):
        for cell, (name, own) in zip(axes[:3, level], pictures.items(), strict=True):
            # Stood up as one would look at the head: yz comes with rows z and columns y.
            picture, across, down = (own[level].transpose(1, 0, 2), "z", "y") if name == "yz" else (own[level], *name)
            cell.imshow(picture, interpolation="nearest")
            cell.set(xticks=[], yticks=[], xlabel=across, ylabel=down)
            cell.set_title(f"$P^{level + 1}_{{{name.upper()}}}$, {len(picture)} x {len(picture)}", fontsize=9)
        for name, own in curves.items():
            at = np.linspace(0, 1, len(own[level]))
            axes[3, level].plot(at, own[level], linewidth=1, label=f"$L_{name.upper()}$")
        top = 1.4 * max(own[level].max() for own in curves.values())
        axes[3, level].set(xlim=(0, 1), ylim=(0, top), xticks=[0, 1], xticklabels=["0", "box side"], yticks=[])
        _bare(axes[3, level])
    axes[3, 0].set_ylabel("change of lines")
    axes[3, -1].legend(fontsize=7, ncols=3, loc="upper right")
    return figure


@themed
def attention(
    audio: NDArray,
    rate: int,
    phonemes: Sequence,
    weights: NDArray,
    opening: NDArray,
    fps: float,
    start: float,
    stop: float,
) -> Figure:
    """A sentence from top to bottom: waveform with its sounds, attention over the prototypes, the true lips.

    Audio-Plane, Fig. 4 (journal).

    Args:
        audio: (n,). rate: its samples a second. phonemes: with `ipa`, `start`, `end` in seconds.
        weights: (T, sH) of the whole voice; prototypes are put in the order in which they have their largest weight.
        opening: (T,) of the mouth, in any unit. fps: frames a second. start, stop: seconds to show.
    """
    figure, (wave, grid, lips) = plt.subplots(
        3, 1, figsize=(10, 5), sharex=True, layout="constrained", height_ratios=[1.2, 3, 1]
    )
    draw_attention(wave, grid, lips, audio, rate, phonemes, weights, opening, fps, start, stop)
    return figure


def draw_attention(
    wave: Axes,
    grid: Axes,
    lips: Axes,
    audio: NDArray,
    rate: int,
    phonemes: Sequence,
    weights: NDArray,
    opening: NDArray,
    fps: float,
    start: float,
    stop: float,
    order: NDArray | None = None,
) -> NDArray:
    """`attention` into three axes, prototypes in the `order` given; returns their order from top to bottom."""
    first, last = round(start * fps), round(stop * fps)
    piece = audio[int(start * rate) : int(stop * rate)]
    wave.plot(start + np.arange(len(piece)) / rate, piece, color="0.6", linewidth=0.4)
    top = 1.05 * float(np.abs(piece).max()) or 1.0
    for phoneme in phonemes:
        if start <= phoneme.start and phoneme.end <= stop:
            wave.axvline(phoneme.start, color="0.85", linewidth=0.6, zorder=0)
            wave.text((phoneme.start + phoneme.end) / 2, 1.1 * top, phoneme.ipa, ha="center", fontsize=8, color=INK)
    wave.set(ylim=(-top, 1.35 * top), yticks=[], ylabel="voice")
    shown = weights[first:last].T
    if order is None:
        order = np.argsort(shown.argmax(axis=1), kind="stable")
    shown = shown[order]
    grid.imshow(
        shown,
        aspect="auto",
        cmap="magma",
        interpolation="nearest",
        extent=(first / fps, last / fps, len(shown), 0),
        norm=PowerNorm(0.5, 0, float(np.percentile(shown, 99.8))),
    )
    grid.set(yticks=[], ylabel=f"{len(shown)} prototypes of $A$")
    times = (np.arange(first, last) + 0.5) / fps
    lips.fill_between(times, opening[first:last], color="C3", alpha=0.7, linewidth=0)
    lips.set(yticks=[], ylim=(0, None), ylabel="lips (truth)", xlabel="seconds", xlim=(start, stop))
    for axes in (wave, lips):
        _bare(axes)
    return order


@themed
def factors(parts: Mapping[str, ArrayLike], moments: Mapping[str, Mapping[str, ArrayLike]]) -> Figure:
    """The factors of Audio-Plane, Eq. 10, at one Gaussian: P and f_k once, f_a and the product at several times.

    Args:
        parts: the method's `inspection.factors` at any frame, (levels, 3, D) each. moments: title -> the factors there.
    """
    blocks = [("$\\mathrm{Interp}(P_{ij})$", parts["P"]), ("$f_k$", parts["f_k"])]
    for title, own in moments.items():
        blocks += [(f"$f_a$  {title}", own["f_a"]), ("$=$ product", own["product"])]
    rows = (len(blocks) + 1) // 2
    figure, axes = plt.subplots(rows, 2, figsize=(10, 0.55 + 0.85 * rows), layout="constrained", squeeze=False)
    for cell, (title, block) in zip(axes.ravel(), blocks, strict=False):
        values = np.asarray(block)
        levels, _, features = values.shape
        table = values.transpose(1, 0, 2).reshape(3, levels * features)
        cell.imshow(table, aspect="auto", cmap="RdBu_r", vmin=-2, vmax=2, interpolation="nearest")
        for level in range(1, levels):
            cell.axvline(level * features - 0.5, color="white", linewidth=2)
        cell.set(xticks=(np.arange(levels) + 0.5) * features - 0.5, yticks=range(3))
        cell.set_xticklabels([f"s = {s + 1}" for s in range(levels)], fontsize=7)
        cell.set_yticklabels(["XY·Z", "XZ·Y", "YZ·X"], fontsize=7)
        cell.tick_params(length=0)
        cell.set_title(title, fontsize=9)
        cell.spines[:].set_visible(False)
    figure.colorbar(axes[0, 0].images[0], ax=axes, shrink=0.6, aspect=30)
    return figure


@themed
def deformation(pictures: Sequence[NDArray], moved: Sequence[NDArray], titles: Sequence[str], top: float) -> Figure:
    """Renders of several frames over how far each place moved.

    Args:
        pictures: (H, W, 3) each. moved: (H, W) millimetres each, NaN outside the head. titles: of the columns.
        top: end of the colour scale, mm.
    """
    count = len(pictures)
    figure, axes = plt.subplots(2, count, figsize=(2.1 * count + 0.8, 4.3), layout="constrained", squeeze=False)
    for column in range(count):
        axes[0, column].imshow(pictures[column])
        axes[0, column].set_title(titles[column], fontsize=10)
        axes[1, column].imshow(moved[column], cmap="magma", vmin=0, vmax=top)
    for cell in axes.ravel():
        cell.set(xticks=[], yticks=[], facecolor=PAPER)
        cell.spines[:].set_visible(False)
    figure.colorbar(axes[1, 0].images[0], ax=axes[1], label="moved, mm", shrink=0.9)
    return figure


@themed
def memory(table: pd.DataFrame, seconds: Sequence[float]) -> Figure:
    """MiB of each representation over the length of the clip (log-log); dashed: one cell a frame along time.

    Audio-Plane, Fig. 2 and Table I (journal).

    Args:
        table: a row a representation, MiB: `tables`, `per second`; `attrs["of any length"]` names what a clip of no
            length has of those that grow. seconds: lengths to draw.
    """
    figure, axes = plt.subplots(figsize=(7.5, 3.8), layout="constrained")
    length = np.asarray(seconds, float)
    styles = dict(zip(table.index, (("0.45", 1.5), ("C3", 1.5), ("C0", 5), (INK, 1.5)), strict=True))
    for name in table.index:
        row = table.loc[name]
        color, width = styles[name]
        size, slope = row["tables"], row["per second"]
        least = table.attrs["of any length"].get(name, size)
        if slope:
            label = f"{name}, one cell a frame: {slope:.1f} MiB more a second"
            axes.plot(length, least + slope * length, "--", color=color, label=label, linewidth=width)
        if least:
            flat = np.full_like(length, size)
            axes.plot(length, flat, color=color, label=f"{name}: {size:.1f} MiB", linewidth=width)
    axes.set(xscale="log", yscale="log", xlabel="seconds of video", ylabel="MiB of tables", ylim=(1, None))
    axes.grid(color="0.92", which="major")
    axes.legend(fontsize=9)
    _bare(axes)
    return figure


def _bare(axes: Axes) -> None:
    axes.tick_params(length=2)
