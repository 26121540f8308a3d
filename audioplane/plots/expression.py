"""Blendshapes from a voice beside the true ones, and how often a codebook's entries are used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from audioplane.plots.audio_features import PREDICTED
from audioplane.plots.field import INK
from audioplane.plots.theme import themed


@themed
def blendshape_curves(
    true: NDArray, said: NDArray, names: Sequence[str], shown: Mapping[str, str], fps: float
) -> Figure:
    """True and predicted weights of some blendshapes over time, a panel each.

    Args:
        true, said: (T, K). names: of the columns. shown: those to show, and their panels' titles. fps: frames a second.
    """
    figure, axes = plt.subplots(
        len(shown), 1, figsize=(9, 1.25 * len(shown)), sharex=True, squeeze=False, layout="constrained"
    )
    times = (np.arange(len(true)) + 0.5) / fps
    for panel, (name, title) in zip(axes[:, 0], shown.items(), strict=True):
        column = list(names).index(name)
        panel.plot(times, true[:, column], color=INK, linewidth=1.0, label="true")
        panel.plot(times, said[:, column], color=PREDICTED, linewidth=1.2, label="from the voice")
        panel.set_ylabel(title, fontsize=8)
    axes[0, 0].legend(fontsize=8, loc="upper right", ncols=2, frameon=False)
    axes[-1, 0].set_xlabel("seconds")
    return figure


@themed
def codebook_usage(uses: Mapping[str, NDArray]) -> Figure:
    """How often entries are used, from the most used to the least, as shares.

    Args:
        uses: a line's name -> (N,) counts.
    """
    figure, panel = plt.subplots(figsize=(6, 2.2), layout="constrained")
    for name, counts in uses.items():
        panel.plot(np.sort(counts / max(counts.sum(), 1))[::-1], linewidth=1.2, label=name)
    panel.set(xlabel="entries, the most used first", ylabel="share of all uses")
    panel.legend(fontsize=8, frameon=False)
    return figure
