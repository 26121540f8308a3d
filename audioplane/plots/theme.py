"""One style for all figures: colours that colour-blind people can tell apart, and no needless frames."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.figure import Figure

P = ParamSpec("P")

PALETTE = "colorblind"
SETTINGS = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: the same letters on every machine
    "legend.frameon": False,
}


def themed(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draws a figure in the theme, and leaves it out of pyplot's list: a notebook would show it twice."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **settings: P.kwargs) -> Figure:
        with sns.axes_style("ticks", SETTINGS), sns.color_palette(PALETTE):
            figure = draw(*args, **settings)
        plt.close(figure)
        return figure

    return drawn
