"""Figures of saliency splatting (Audio-Plane, Sec. III-E): mask m, dynamism map g, margin of the loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from audioplane.plots.theme import themed

MARGINS = (0.05, 0.1, 0.2, 0.3)


@themed
def dynamism(rows: Mapping[str, Sequence[NDArray]], titles: Sequence[str] = ()) -> Figure:
    """Rows of pictures (H, W, 3) or of maps (H, W) in [0, 1] with a colour bar; one column a frame."""
    count = max(len(row) for row in rows.values())
    figure, axes = plt.subplots(
        len(rows), count, figsize=(2.1 * count + 0.9, 2.1 * len(rows) + 0.2), layout="constrained", squeeze=False
    )
    image = None
    for line, (name, pictures) in zip(axes, rows.items(), strict=True):
        for cell, picture in zip(line, pictures, strict=True):
            drawn = cell.imshow(picture, cmap="viridis", vmin=0, vmax=1)
            image = drawn if picture.ndim == 2 else image
        line[0].set_ylabel(name)
    for cell in axes.ravel():
        cell.set(xticks=[], yticks=[])
        cell.spines[:].set_visible(False)
    for cell, title in zip(axes[0], titles, strict=False):
        cell.set_title(title, fontsize=10)
    if image is not None:
        figure.colorbar(image, ax=axes, shrink=0.5)
    return figure


@themed
def band(inside: NDArray, outside: NDArray, margin: float) -> Figure:
    """The margin loss over g for m = 1 and m = 0, by margin (Audio-Plane, Eq. 15), and a histogram of a trained g.

    Args:
        inside, outside: values of g at pixels of the mask, and of the head outside it. margin: of the run.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3), layout="constrained")
    g = np.linspace(0, 1, 401)
    for k, own in enumerate(MARGINS):
        shade = 0.25 + 0.75 * k / (len(MARGINS) - 1)
        left.plot(g, np.maximum(0, np.abs(1 - g) - own), color="C3", alpha=shade, label=f"m = 1, margin {own}")
        left.plot(g, np.maximum(0, np.abs(0 - g) - own), color="C0", alpha=shade, label=f"m = 0, margin {own}")
    left.set(xlabel="g", ylabel="loss of one pixel", xlim=(0, 1), ylim=(0, 1))
    left.legend(fontsize=6.5, loc="upper center", ncols=2)
    bins = np.linspace(0, 1, 51)
    for values, color, name in ((outside, "C0", "rest of the head, m = 0"), (inside, "C3", "mask, m = 1")):
        share = np.full(len(values), 1 / max(len(values), 1))
        right.hist(values, bins, weights=share, color=color, alpha=0.65, label=name)
    for low, high in ((0, margin), (1 - margin, 1)):
        right.axvspan(low, high, color="0.9", zorder=0)
    right.set(xlabel="g of the trained head", ylabel="share of pixels", xlim=(0, 1), yscale="log")
    right.legend(fontsize=8, loc="upper center", title=f"gray: free at margin {margin}")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


@themed
def margins(dynamism_map: NDArray, mask: NDArray, head: NDArray) -> Figure:
    """Where the margin loss pulls one map up (red), down (blue) or not (gray), by margin (Audio-Plane, Eq. 15)."""
    figure, axes = plt.subplots(1, len(MARGINS), figsize=(2.3 * len(MARGINS) + 0.9, 2.7), layout="constrained")
    gap = mask.astype(float) - dynamism_map
    for cell, margin in zip(axes, MARGINS, strict=True):
        excess = np.sign(gap) * np.maximum(0, np.abs(gap) - margin)
        cell.imshow(excess, cmap="RdBu_r", vmin=-0.6, vmax=0.6)
        cell.contour(mask, [0.5], colors="black", linewidths=0.7)
        cell.contour(head, [0.5], colors="0.6", linewidths=0.5)
        cell.set(xticks=[], yticks=[])
        cell.spines[:].set_visible(False)
        cell.set_title(f"margin {margin}\nloss {np.abs(excess).mean():.4f}", fontsize=9)
    figure.colorbar(axes[0].images[0], ax=axes, shrink=0.8, label="pull on g")
    return figure
