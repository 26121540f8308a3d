"""Figures from what was computed elsewhere: arrays in, a matplotlib Figure out, nothing trained or measured here."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from audioplane.plots.theme import themed


@themed
def training(losses: Sequence[float], counts: Sequence[int]) -> Figure:
    """The loss (log scale, with its running mean) and the number of Gaussians over the iterations."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 2.8), layout="constrained")
    window = max(1, len(losses) // 40)
    smooth = np.convolve(losses, np.ones(window) / window, "valid")
    left.semilogy(losses, color="0.8", linewidth=0.5)
    left.semilogy(np.arange(len(smooth)) + window // 2, smooth, color="C0")
    left.set(xlabel="iteration", ylabel="L1 loss")
    right.plot(counts, color="C1")
    right.set(xlabel="iteration", ylabel="Gaussians", ylim=(0, None))
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


@themed
def side_by_side(rows: dict[str, ArrayLike], titles: Sequence[str] = ()) -> Figure:
    """Rows of pictures under each other: each value is (V, H, W, 3) or (V, H, W) in [0, 1]; one column a picture."""
    arrays = {name: np.asarray(images) for name, images in rows.items()}
    columns = max(len(images) for images in arrays.values())
    figure, axes = plt.subplots(
        len(arrays), columns, figsize=(1.7 * columns, 1.75 * len(arrays)), squeeze=False, layout="constrained"
    )
    for row, (name, images) in zip(axes, arrays.items(), strict=True):
        for k, cell in enumerate(row):
            cell.set(xticks=[], yticks=[])
            cell.spines[:].set_visible(False)
            if k < len(images):
                cell.imshow(np.clip(images[k], 0, 1), cmap="viridis", vmin=0, vmax=1)
        row[0].set_ylabel(name)
    for cell, title in zip(axes[0], titles, strict=False):
        cell.set_title(title, fontsize=9)
    return figure


def box_around(mask: NDArray, ratio: float = 4 / 3, rim: int = 4) -> tuple[slice, slice]:
    """The box (rows, columns) around a mask (H, W), `ratio` times as wide as high, within the picture."""
    rows, columns = np.nonzero(mask)
    width = max(np.ptp(columns), ratio * np.ptp(rows)) + rim
    width = min(width, mask.shape[1], ratio * mask.shape[0])
    height = round(width / ratio)
    top = int(np.clip((rows.min() + rows.max() - height) // 2, 0, mask.shape[0] - height))
    left = int(np.clip((columns.min() + columns.max() - width) // 2, 0, mask.shape[1] - width))
    return slice(top, top + height), slice(left, left + round(width))


def empty(axes: Axes) -> None:
    """Takes ticks and frame away from axes that hold a picture."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
