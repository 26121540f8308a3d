"""One style for all figures: colours that colour-blind people can tell apart, and no needless frames."""

from __future__ import annotations

import colorsys
import functools
from collections.abc import Callable
from typing import Any, ParamSpec

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

P = ParamSpec("P")

PALETTE = "colorblind"
DARK, DIM = "#1c1f26", "#2b303a"  # what a figure lies on in a dark page, and what is shaded in it
READABLE = 7.0  # contrast of letters (WCAG 2.2, AAA): in a narrow page they are drawn smaller, and paler
GREY = 0.2  # saturation below which a colour has no hue to keep
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


def darkened(figure: Figure) -> Figure:
    """The figure for a dark page: what is white turns dark, and dark lines and letters turn light; pictures stay.

    Colours keep their hue, and become as light as can be read on `DARK`.
    """
    from matplotlib.axes import Axes
    from matplotlib.collections import Collection
    from matplotlib.image import AxesImage
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.text import Text

    figure.set_facecolor(DARK)
    for axes in figure.findobj(Axes):
        on_picture = {*axes.texts, *axes.lines, *axes.patches, *axes.collections} if axes.findobj(AxesImage) else set()
        axes.set_facecolor(DARK if _lightness(axes.get_facecolor()) > 0.97 else DIM)
        for part in axes.findobj(lambda one: isinstance(one, (Text, Line2D, Patch, Collection))):
            if part is not axes.patch and part not in on_picture:  # those have colours that were chosen for it
                _relight(part)
    for text in figure.texts:
        _relight(text)
    return figure


def _relight(part: Any) -> None:
    """Gives an artist colours that can be read on `DARK`."""
    from matplotlib.collections import Collection
    from matplotlib.patches import Patch

    if not isinstance(part, (Patch, Collection)):
        part.set_color(_light(part.get_color()))
        return
    if getattr(part, "get_array", lambda: None)() is not None:
        return  # coloured by numbers
    for kind in ("facecolor", "edgecolor"):
        colours = np.atleast_2d(getattr(part, f"get_{kind}")())
        if colours.size:
            changed = [_light(colour) for colour in colours]
            getattr(part, f"set_{kind}")(changed if isinstance(part, Collection) else changed[0])


def _light(colour: Any) -> tuple[float, float, float, float]:
    """A colour of the same hue that can be read on `DARK`; black becomes white."""
    red, green, blue, alpha = to_rgba(colour)
    hue, lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
    if saturation < GREY:
        lightness = max(lightness, 1 - lightness)
    while contrast(colorsys.hls_to_rgb(hue, lightness, saturation), DARK) < READABLE and lightness < 1:
        lightness = min(1.0, lightness + 0.02)
    return (*colorsys.hls_to_rgb(hue, lightness, saturation), alpha)


def contrast(one: Any, other: Any) -> float:
    """Contrast of two colours, 1 to 21 (WCAG 2.2)."""

    def luminance(colour: Any) -> float:
        rgb = np.array(to_rgba(colour)[:3])
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return float(linear @ (0.2126, 0.7152, 0.0722))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _lightness(colour: Any) -> float:
    return colorsys.rgb_to_hls(*to_rgba(colour)[:3])[1]
