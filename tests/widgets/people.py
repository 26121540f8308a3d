"""What people do with widgets: they bring a sound, rate, and move every control of a figure."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from audioplane.evaluation.user_study import CRITERIA

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page


def wav(seconds: float) -> bytes:
    """A tone as a WAV file."""
    out = io.BytesIO()
    soundfile.write(out, 0.1 * np.sin(np.arange(int(22_050 * seconds)) / 20), 22_050, format="WAV")
    return out.getvalue()


def rate(place: Page | Locator, groups: int = 2, clips: int = 2) -> None:
    """Rates every clip in a study: the first of each group 5, the second 2."""
    place.get_by_label("participant code").fill("p 7")
    place.get_by_role("button", name="Begin").click()
    for group in range(groups):
        place.get_by_text(f"Group {group + 1} of {groups}").wait_for()
        submit = place.locator("button[type=submit]")
        if group == 0:  # nobody gets on with a rating missing
            submit.click()
            place.locator(".ap-status", has_text="has no rating for").wait_for()
        for position, criterion in itertools.product(range(clips), CRITERIA):
            name = f"clip {'ABCD'[position]}, {criterion}: {max(5 - 3 * position, 1)} of 6"
            place.get_by_role("radio", name=name).check()
        submit.click()
    place.get_by_text("Thank you").wait_for()


def drive_explorer(cell: Locator) -> None:
    """Moves every slider of a figure by keyboard and mouse, picks from every menu, and plays what has a sound."""
    picture, status = cell.locator("img.ap-figure"), cell.locator(".ap-status")

    def drawn_anew(act: Callable[[], object]) -> None:
        shown = picture.get_attribute("src")
        act()
        cell.page.wait_for_function(
            "([image, shown]) => image.src !== shown && image.complete", arg=[picture.element_handle(), shown]
        )

    for slider in cell.locator("input[type=range]:visible").all():
        slider.press("Home")
        low = slider.input_value()
        slider.press("ArrowRight")
        assert slider.input_value() != low
        box = slider.bounding_box()
        assert box is not None
        width, middle = box["width"], box["height"] / 2
        drawn_anew(lambda one=slider, x=0.8 * width, y=middle: one.click(position={"x": x, "y": y}))
        assert float(slider.input_value()) > float(low)
    for menu in cell.locator("select:visible").all():
        for value in menu.locator("option").evaluate_all("all => all.map((one) => one.value)"):
            if menu.input_value() != value:
                drawn_anew(lambda one=menu, to=value: one.select_option(to))
    cell.page.wait_for_function("(status) => !status.innerText", arg=status.element_handle())
    for play in cell.get_by_role("button", name="Play").all():  # a film is drawn, then plays to its end
        time = cell.get_by_label("time")
        time.press("Home")
        play.click()
        cell.get_by_text(re.compile("Drawing the film: picture")).wait_for()
        cell.page.wait_for_function("(time) => time.value === time.max", arg=time.element_handle())
        cell.get_by_role("button", name="Play").wait_for()
