"""The user study: ratings by method and criterion (Audio-Plane, Fig. 7), and the rating form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from audioplane.plots.theme import themed


@themed
def user_study(
    summary: pd.DataFrame,
    agreement: Mapping[str, float],
    methods: Sequence[str],
    title: str = "",
    scale: tuple[int, int] = (1, 6),
) -> Figure:
    """Mean rating of each method on each criterion with 95 % intervals; Krippendorff's alpha under each criterion.

    Audio-Plane, Fig. 7 (journal).

    Args:
        summary: of `evaluation.user_study.summary`. agreement: of its `agreement`. methods: in the order of the bars.
        title: above. scale: lowest and highest rating.
    """
    criteria, width = list(agreement), 0.8 / len(methods)
    figure, axes = plt.subplots(figsize=(9, 3.6), layout="constrained")
    table = summary.set_index(["criterion", "method"])
    for k, method in enumerate(methods):
        rows = [table.loc[(criterion, method)] for criterion in criteria]
        at = np.arange(len(criteria)) + (k - (len(methods) - 1) / 2) * width
        means = np.array([row["mean"] for row in rows])
        ends = np.abs(np.array([[row["low"], row["high"]] for row in rows]).T - means)
        axes.bar(
            at,
            means,
            0.92 * width,
            yerr=ends,
            color=f"C{k}",
            label=method,
            error_kw={"elinewidth": 1, "capsize": 2},
        )
        for x, mean in zip(at, means, strict=True):
            axes.text(x, scale[0] + 0.06, f"{mean:.1f}", ha="center", va="bottom", fontsize=7, color="white")
    names = [f"{name}\n" + r"Krippendorff's $\alpha$ " + f"{alpha:.2f}" for name, alpha in agreement.items()]
    axes.set_xticks(range(len(criteria)), names, fontsize=9)
    axes.set(ylim=scale, yticks=range(scale[0], scale[1] + 1), ylabel="mean rating")
    count = int(summary["participants"].to_numpy().max())
    axes.set_title(f"{title}{' · ' if title else ''}{count} participant{'s' if count > 1 else ''}", fontsize=10)
    axes.legend(fontsize=8, ncols=len(methods), loc="upper center", bbox_to_anchor=(0.5, -0.22))
    axes.tick_params(length=0)
    return figure


@themed
def rating_form(criteria: Sequence[str], scale: tuple[int, int], clips: int) -> Figure:
    """The empty rating form of a study: a row a clip, a ring a rating, a panel a criterion.

    Args:
        criteria: by name. scale: lowest and highest rating. clips: of one identity.
    """
    figure, panels = plt.subplots(1, len(criteria), figsize=(9, 0.9 + 0.36 * clips), layout="constrained")
    values = range(scale[0], scale[1] + 1)
    for cell, name in zip(panels, criteria, strict=True):
        for k in range(clips):
            cell.plot(values, [k] * len(values), "o", markersize=11, markerfacecolor="white", color="0.45")
        cell.set_title(name, fontsize=10)
        cell.set(xlim=(scale[0] - 0.6, scale[1] + 0.6), ylim=(clips - 0.4, -0.6), xticks=values)
        cell.set_yticks(range(clips), [f"clip {chr(65 + k)}" for k in range(clips)], fontsize=9)
        cell.tick_params(length=0)
        cell.spines[:].set_visible(False)
    figure.suptitle("Nobody has rated yet: the form, for the clips of one identity", fontsize=10)
    return figure
