"""What preparing a video found: the head's path, and how far from the truth."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

AXES = ("nods", "turns", "tilts")


def trajectories(truth: NDArray, found: Mapping[str, NDArray], fps: float = 25.0) -> Figure:
    """The head's rotation over time and what was found of it.

    Args:
        truth: T x 3 degrees about x, y and z. found: by name, T x 3 errors in degrees.
        fps: frames a second.

    Returns:
        above, the true rotation; below, one row a name, the errors on one scale.
    """
    figure, rows = plt.subplots(
        1 + len(found), 1, figsize=(9, 1.5 + 1.0 * len(found)), sharex=True, layout="constrained",
        height_ratios=[1.6, *[1] * len(found)],
    )  # fmt: skip
    time = (np.arange(len(truth)) + 0.5) / fps
    for k, name in enumerate(AXES):
        rows[0].plot(time, truth[:, k] - truth[:, k].mean(), color=f"C{k}", linewidth=1.2, label=name)
    rows[0].legend(loc="upper right", ncols=3, fontsize=8, frameon=False)
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
    plt.close(figure)
    return figure
