"""Figures for dark pages can be read, and their pictures stay as they are."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from audioplane.plots.theme import DARK, READABLE, contrast, darkened, themed


@themed
def drawn(*, picture: bool = True) -> Figure:
    figure = Figure(figsize=(6, 3), dpi=80, facecolor="white")
    left, middle, right = figure.subplots(1, 3)
    left.plot([0, 1], [1, 0], color="#1b2a41", label="ink")
    left.plot([0, 1], [0, 1], color="#0000c0", label="blue")
    left.bar([0.5], [0.4], color="C0")
    left.set(title="title", xlabel="x", ylabel="y")
    left.legend()
    middle.scatter([0, 1], [0, 1], c=[0.0, 1.0], cmap="magma")
    if picture:
        right.imshow(np.full((8, 8, 3), 200, np.uint8))
        right.text(1, 1, "on the picture", color="black")
        right.set_title("above the picture", color="#1b2a41")
    figure.suptitle("above", color="#22262e")
    return figure


def pixels(figure: Figure) -> np.ndarray:
    from audioplane.widgets.page import figure_pixels

    return figure_pixels(figure)


def test_letters_and_lines_can_be_read() -> None:
    figure = darkened(drawn())
    texts = [one for one in figure.findobj(Text) if one.get_text() and one.get_text() != "on the picture"]
    assert {"title", "x", "y", "ink", "blue", "above", "above the picture"} <= {one.get_text() for one in texts}
    for text in texts:
        assert contrast(text.get_color(), DARK) >= READABLE, text
    left = figure.axes[0]
    for line in left.lines:
        assert contrast(line.get_color(), DARK) >= READABLE
    red, green, blue = left.lines[1].get_color()[:3]
    assert blue > max(red, green), "it keeps its hue"


def test_pictures_and_maps_stay() -> None:
    light, dark = drawn(), darkened(drawn())
    picture = dark.axes[2].images[0].get_array()
    np.testing.assert_array_equal(picture, light.axes[2].images[0].get_array())
    assert dark.axes[2].texts[0].get_color() == "black", "its colour was chosen for the picture"
    pixels(light), pixels(dark)  # which gives numbers their colours
    np.testing.assert_array_equal(
        dark.axes[1].collections[0].get_facecolor(), light.axes[1].collections[0].get_facecolor()
    )


def test_the_page_is_dark() -> None:
    dark, light = pixels(darkened(drawn(picture=False))), pixels(drawn(picture=False))
    assert np.median(light) == 255
    assert np.median(dark) < 60
    assert (dark.max(2) > 150).mean() > 0.005, "something stands out"


@pytest.mark.parametrize(("one", "other", "expected"), [("black", "white", 21.0), ("#777777", "white", 4.48)])
def test_contrast_is_that_of_the_standard(one: str, other: str, expected: float) -> None:
    assert contrast(one, other) == pytest.approx(expected, abs=0.01)
    assert contrast(other, one) == contrast(one, other)
