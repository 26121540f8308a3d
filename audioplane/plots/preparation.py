"""Results of `audioplane prepare`: head rotation and its error, weights of landmarks, the prepared frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from audioplane.plots.theme import themed

if TYPE_CHECKING:
    from audioplane.subject import Subject

AXES = ("nods", "turns", "tilts")


@themed
def head_rotation(truth: NDArray, found: Mapping[str, NDArray], fps: float = 25.0) -> Figure:
    """The head's rotation over time, and the errors of estimates of it.

    Args:
        truth: T x 3 degrees about x, y and z. found: name -> T x 3 errors in degrees.
        fps: frames a second.

    Returns:
        above, the true rotation; below, one row a name, the errors on one scale.
    """
    figure, rows = plt.subplots(
        1 + len(found),
        1,
        figsize=(9, 1.5 + 1.0 * len(found)),
        sharex=True,
        layout="constrained",
        height_ratios=[1.6, *[1] * len(found)],
    )
    time = (np.arange(len(truth)) + 0.5) / fps
    for k, name in enumerate(AXES):
        rows[0].plot(time, truth[:, k] - truth[:, k].mean(), color=f"C{k}", linewidth=1.2, label=name)
    rows[0].legend(loc="upper right", ncols=3, fontsize=8)
    rows[0].set_ylabel("truth, degrees", fontsize=8)
    most = max(float(np.abs(error).max()) for error in found.values())
    for axes, (name, error) in zip(rows[1:], found.items(), strict=True):
        axes.axhline(0, color="0.8", linewidth=0.8)
        for k in range(3):
            axes.plot(time, error[:, k], color=f"C{k}", linewidth=0.9)
        axes.set(ylim=(-1.05 * most, 1.05 * most))
        spread = float(np.sqrt((error**2).sum(1).mean()))
        axes.set_title(f"{name}: {spread:.2f} degrees off", fontsize=9, loc="left", pad=2)
        axes.set_ylabel("error", fontsize=8)
    rows[-1].set_xlabel("seconds")
    for axes in rows:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
    return figure


@themed
def landmark_weights(frame: NDArray, landmarks: NDArray, weights: NDArray) -> Figure:
    """A frame with its landmarks (68 x 2 pixels), coloured by their weights in pose estimation (68, in [0, 1])."""
    figure, axes = plt.subplots(figsize=(3.6, 3.6), layout="constrained")
    axes.imshow(frame)
    colours = np.where(weights >= 1, "white", np.where(weights > 0, "0.5", "C3"))
    axes.scatter(*(landmarks - 0.5).T, s=12, c=colours, edgecolors="black", linewidths=0.3)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    return figure


@themed
def prepared_frames(subject: Subject, frames: NDArray, axes: NDArray) -> Figure:
    """Frames with the head's axes drawn into them, their labels, and what is behind the head.

    Args:
        subject: whose frames. frames: which, V. axes: V x 4 x 2 pixels, the origin and the ends of x, y and z.
    """
    from audioplane.plots.contact_sheet import label_overlay

    figure, rows = plt.subplots(3, len(frames), figsize=(1.6 * len(frames), 5), layout="constrained", squeeze=False)
    for k, t in enumerate(frames):
        rows[0, k].imshow(subject.frame(int(t)))
        for end, colour in zip(axes[k, 1:], ("C3", "C2", "C0"), strict=True):
            rows[0, k].plot(*zip(axes[k, 0] - 0.5, end - 0.5, strict=True), color=colour, linewidth=1.5)
        rows[1, k].imshow(label_overlay(subject, int(t)))
        rows[2, k].imshow(subject.without_head(int(t)))
        rows[0, k].set_title(f"{t / subject.fps:.1f} s", fontsize=8)
    for row, name in zip(rows, ("pose", "labels", "without head"), strict=True):
        row[0].set_ylabel(name, fontsize=9)
        for cell in row:
            cell.set(xticks=[], yticks=[])
            cell.spines[:].set_visible(False)
    return figure
