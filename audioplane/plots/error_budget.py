"""Where the decibels go, region by region, of one head or several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from audioplane.plots.theme import themed


class Budgeted(Protocol):
    """What `evaluation.error_budget.error_budget` gives."""

    @property
    def psnr(self) -> float: ...
    @property
    def shares(self) -> dict[str, float]: ...
    @property
    def without(self) -> dict[str, float]: ...


@themed
def error_budget(budgets: Mapping[str, Budgeted]) -> Figure:
    """Shares of the squared error as stacked bars, one a head, and the PSNR that each perfect region would give.

    Args:
        budgets: name of a head -> its budget, all of the same regions.
    """
    names = list(next(iter(budgets.values())).shares)
    height = 0.9 + 0.55 * len(budgets)
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, height), layout="constrained", sharey=True)
    rows = np.arange(len(budgets))
    start = np.zeros(len(budgets))
    for k, name in enumerate(names):
        shares = np.array([budget.shares[name] for budget in budgets.values()])
        color = to_rgba(f"C{k}")  # of this theme; a line would look it up when it is drawn
        left.barh(rows, 100 * shares, left=100 * start, color=color, label=name)
        for row, share, begin in zip(rows, shares, start, strict=True):
            if share > 0.06:
                left.text(100 * (begin + share / 2), row, f"{100 * share:.0f}", ha="center", va="center", color="white")
        start += shares
        better = [budget.without[name] for budget in budgets.values()]
        right.plot(better, rows, "o", color=color, alpha=0.8)
    now = [budget.psnr for budget in budgets.values()]
    right.plot(now, rows, "|", color="0.2", markersize=18, label="as it is")
    left.set(yticks=rows, yticklabels=list(budgets), xlabel="share of the squared error, %", xlim=(0, 100))
    right.set(xlabel="head PSNR if one region were perfect, dB")
    left.invert_yaxis()
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=len(names), frameon=False)
    return figure
