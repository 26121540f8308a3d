"""Figures of a training run: learning curves, held-out frames beside the truth, lip opening over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from audioplane.plots.basic import box_around
from audioplane.plots.theme import themed


@themed
def learning_curves(scalars: Mapping[str, NDArray], coarse: int) -> Figure:
    """Loss terms, PSNR of the head and Gaussians over the iterations; the coarse stage is shaded."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 2.8), layout="constrained")
    at = scalars["iteration"]
    for name, label in (("l1", "L1"), ("perceptual", "perceptual"), ("mask", "mask, Eq. 15")):
        if name in scalars:
            left.semilogy(at, _smooth(scalars[name]), label=label)
    left.legend(fontsize=8)
    left.set_ylabel("loss terms")
    middle.plot(at, scalars["psnr"], color="0.85", linewidth=0.6)
    middle.plot(at, _smooth(scalars["psnr"]), color="C0")
    middle.set_ylabel("PSNR of the head, dB")
    right.plot(at, scalars["gaussians"], color="C1")
    right.set(ylabel="Gaussians", ylim=(0, None))
    for axes in (left, middle, right):
        axes.axvspan(0, coarse, color="0.94", zorder=0)
        axes.set(xlabel="iteration", xlim=(0, at[-1]))
        axes.spines[["top", "right"]].set_visible(False)
    middle.text(coarse / 2, middle.get_ylim()[0], "coarse", ha="center", va="bottom", fontsize=8, color="0.5")
    return figure


@themed
def held_out_frames(
    truth: Sequence[NDArray], drawn: Sequence[NDArray], mouths: Sequence[NDArray], titles: Sequence[str]
) -> Figure:
    """Truth over render, whole and around the mouth, then the difference.

    Args:
        truth, drawn: (H, W, 3) uint8. mouths: masks (H, W) whose box is zoomed into. titles: of the columns.
    """
    names, count = ("truth", "ours", "truth", "ours", "difference x 4"), len(truth)
    figure, axes = plt.subplots(5, count, figsize=(2.0 * count, 8.6), layout="constrained", squeeze=False)
    for column in range(count):
        box = box_around(mouths[column])
        difference = 4 * np.abs(truth[column].astype(float) - drawn[column]).mean(-1) / 255
        zooms = [
            cv2.resize(picture[box], (160, 120), interpolation=cv2.INTER_CUBIC)
            for picture in (truth[column], drawn[column])
        ]
        for cell, picture in zip(axes[:, column], (truth[column], drawn[column], *zooms, difference), strict=True):
            cell.imshow(picture, cmap="magma", vmin=0, vmax=1)
            cell.set(xticks=[], yticks=[])
            cell.spines[:].set_visible(False)
        axes[0, column].set_title(titles[column], fontsize=9)
    for cell, name in zip(axes[:, 0], names, strict=True):
        cell.set_ylabel(name)
    return figure


@themed
def lip_opening(series: Mapping[str, NDArray], fps: float, start: float, correlation: float) -> Figure:
    """Opening of the mouth over the held-out seconds: the truth, and as read from the renders.

    Args:
        series: of `evaluate.evaluate`. fps: frames a second. start: second of the first frame.
        correlation: of the two, for the title.
    """
    figure, axes = plt.subplots(figsize=(10, 2.5), layout="constrained")
    times = start + (np.arange(len(series["opening"])) + 0.5) / fps
    axes.fill_between(times, 1e3 * series["opening_true"], color="0.85", linewidth=0, label="truth")
    axes.plot(times, 1e3 * series["opening"], color="C3", linewidth=1.2, label=f"ours, correlation {correlation:.2f}")
    axes.set(xlabel="seconds", ylabel="lips apart, mm", xlim=(times[0], times[-1]))
    axes.legend(fontsize=8, loc="upper right", ncols=2)
    return figure


def _smooth(values: NDArray, share: int = 40) -> NDArray:
    """Running mean that leaves NaN out and keeps the length."""
    window = np.ones(max(1, len(values) // share))
    known = np.isfinite(values)
    total = np.convolve(np.where(known, values, 0.0), window, "same")
    count = np.convolve(known.astype(float), window, "same")
    return np.where(known, total / np.maximum(count, 1), np.nan)
