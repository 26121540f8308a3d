"""Notebooks in JupyterLab and in Notebook 7: every slider moves, what can be clicked is clicked, what plays plays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.widgets.conftest import LIMIT, Lab, run_all, wait_for_viewers
from tests.widgets.people import drive_explorer, rate, wav

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SETUP = """
from audioplane.experiments import session
from audioplane.inference.talking_head import TalkingHead
from audioplane.widgets import Driver, GaussianViewer, method_scrubber, plane_explorer, prototype_explorer
from audioplane.widgets import saliency_scrubber, speaker_scrubber
subject = session.subject("adam")
head = TalkingHead.load(session.trained(subject, session.settings()), sparse=False)
frames = range(200, 220)
"""
VIEWER = "document.querySelector('canvas.ap-canvas').viewer"


def image(page: Page, cell: int) -> str:
    """A fingerprint of the figure under a cell."""
    return page.evaluate(
        """async (cell) => {
            const picture = document.querySelectorAll('.jp-Cell')[cell].querySelector('img.ap-figure');
            const bytes = await (await fetch(picture.src)).arrayBuffer();
            return Array.from(new Uint8Array(bytes)).join();
        }""",
        cell,
    )


def told(page: Page) -> list[str]:
    """The text of each cell of the notebook."""
    return page.locator(".jp-Cell .jp-InputArea-editor").all_inner_texts()


QUICK = """
import numpy as np
from audioplane.inference.talking_head import TalkingHead
from audioplane.widgets import GaussianViewer
from audioplane.widgets.figure_widget import FigureWidget
from tests.widgets.test_figure_widget import CONTROLS, squares
head = TalkingHead.load({path!r}, sparse=False)
"""


def test_no_cell_is_lost(ball_file: Path, lab: Callable[..., str], open_page: Callable[..., Page]) -> None:
    """What continuous integration sees of a notebook: a viewer and a figure by keyboard; the rest is slow."""
    cells = (
        QUICK.format(path=str(ball_file)),
        "viewer = GaussianViewer(head, np.zeros(16_000), size=200); viewer",
        "FigureWidget(squares, CONTROLS, {'t': 0, 'map': 'magma'}, 'Squares.')",
    )
    page = open_page(lab("quick.ipynb", *cells), viewport={"width": 900, "height": 1200})
    page.set_default_timeout(LIMIT)
    run_all(page)
    wait_for_viewers(page)
    page.wait_for_selector("img.ap-figure")
    before = told(page)
    assert len(before) == len(cells)
    for control in (page.locator(".ap-canvas"), *page.get_by_label("time").all(), page.get_by_label("colours")):
        control.focus()
        for key in ("d", "d", "x", "ArrowDown"):
            control.press(key)
        assert told(page) == before
    page.locator(".ap-canvas").press("ArrowLeft")
    page.wait_for_function(f"{VIEWER}.state.yaw < 0")
    page.get_by_label("time").nth(1).press("ArrowRight")
    page.locator(".ap-caption", has_text="1 and").wait_for()


def test_a_slow_page_hears_its_kernel(lab: Lab, browser: Browser) -> None:
    """anywidget gives a module two seconds to load; here none at all."""
    context = browser.new_context(viewport={"width": 900, "height": 1200})
    context.add_init_script(
        "const { timeout } = AbortSignal;"
        "AbortSignal.timeout = (time) => (time === 2000 ? AbortSignal.abort() : timeout.call(AbortSignal, time));"
        "const add = AbortSignal.prototype.addEventListener;"
        "AbortSignal.prototype.addEventListener = function (name, react, ...rest) {"
        "    if (this.aborted && name === 'abort') react();"
        "    else add.call(this, name, react, ...rest);"
        "};"
    )
    page = context.new_page()
    page.set_default_timeout(LIMIT)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(error.message))
    cells = (
        "from audioplane.widgets.figure_widget import FigureWidget\n"
        "from tests.widgets.test_figure_widget import CONTROLS, squares",
        "FigureWidget(squares, CONTROLS, {'t': 0, 'map': 'magma'}, 'Squares.')",
    )
    page.goto(lab("slow.ipynb", *cells))
    run_all(page)
    page.wait_for_selector("img.ap-figure")
    for words in ("1 and magma", "2 and magma"):
        page.get_by_label("time").press("ArrowRight")
        page.locator(".ap-caption", has_text=words).wait_for()
    assert any("Failed to initialize model" in words for words in errors), "it was not slow"
    context.close()


@pytest.mark.slow
def test_sliders_move_and_heads_speak(
    smoke: object, lab: Callable[..., str], open_page: Callable[..., Page], tmp_path: Path
) -> None:
    address = lab(
        "widgets.ipynb",
        SETUP,
        "viewer = GaussianViewer(head, session.sound_of(subject, frames)); viewer",
        "saliency = saliency_scrubber(subject, head, frames); saliency",
        "prototypes = prototype_explorer(subject, head, frames); prototypes",
        "planes = plane_explorer(head); planes",
        "driver = Driver({'adam': head}); driver",
    )
    page = open_page(address, viewport={"width": 1300, "height": 3600})
    page.set_default_timeout(LIMIT)
    run_all(page)
    wait_for_viewers(page)
    before = page.evaluate(f"{VIEWER}.pixels().data")
    viewer = page.locator(".jp-Cell").nth(1)
    viewer.get_by_label("time").fill("11")
    assert page.evaluate(f"{VIEWER}.pixels().data") != before
    for name, value in (("prototype", "4"), ("attention to it", "0.8")):
        before = page.evaluate(f"{VIEWER}.state.row + {VIEWER}.state.amount")
        viewer.get_by_label(name, exact=True).fill(value)
        assert page.evaluate(f"{VIEWER}.state.row + {VIEWER}.state.amount") != before
    viewer.get_by_text("Play").click()
    page.wait_for_function(f"{VIEWER}.sound.ended && {VIEWER}.state.frame === 19")

    page.wait_for_function("document.querySelectorAll('img.ap-figure').length === 3")
    moves = {
        2: {"time": "7", "margin": "0.4"},
        3: {"time": "9", "prototype": "6", "attention led to it": "0.5"},
        4: {"level": "1", "planes show": "1", "Gaussians": "2"},
    }
    for cell, controls in moves.items():
        place = page.locator(".jp-Cell").nth(cell)
        for label, value in controls.items():
            before, control = image(page, cell), place.get_by_label(label, exact=True)
            source = place.locator("img.ap-figure").get_attribute("src")
            if control.evaluate("(element) => element.tagName") == "SELECT":
                control.select_option(value)
            else:
                control.fill(str(200 + int(value)) if label == "time" else value)
            picture = place.locator("img.ap-figure").element_handle()
            page.wait_for_function("([picture, source]) => picture.src !== source", arg=[picture, source])
            assert image(page, cell) != before, (cell, label)
            assert place.locator(".ap-status").inner_text() == ""

    driver = page.locator(".jp-Cell").nth(5)
    driver.get_by_label("says").select_option(index=1)
    (tmp_path / "voice.wav").write_bytes(wav(0.4))
    with page.expect_file_chooser() as chooser:  # the button's own input is not part of the page
        driver.locator(".widget-upload").click()
    chooser.value.set_files(tmp_path / "voice.wav")
    driver.get_by_text("Speak", exact=True).click()
    page.wait_for_selector("text=10 frames, 0.4 s, marked as synthetic")
    page.wait_for_function("document.querySelector('.jp-OutputArea video').readyState >= 2")


@pytest.mark.slow
def test_explorers_by_keyboard_and_mouse(
    smoke: object, lab: Callable[..., str], open_page: Callable[..., Page]
) -> None:
    """Every control of every explorer: no key reaches the notebook; arrows and the mouse move sliders."""
    cells = (
        SETUP,
        "saliency = saliency_scrubber(subject, head, frames); saliency",
        "prototypes = prototype_explorer(subject, head, frames); prototypes",
        "planes = plane_explorer(head); planes",
        "methods = method_scrubber(subject, {'ours': head}, frames); methods",
        "speaker_scrubber(subject, start=200)",
    )
    page = open_page(lab("explorers.ipynb", *cells), viewport={"width": 1300, "height": 4600})
    page.set_default_timeout(LIMIT)
    run_all(page)
    page.wait_for_function("document.querySelectorAll('img.ap-figure').length === 4")
    page.wait_for_selector(".jp-OutputArea img.widget-image")
    before = told(page)
    assert len(before) == len(cells)
    for number in range(1, len(cells)):
        place = page.locator(".jp-Cell").nth(number).locator(".jp-OutputArea")
        controls = place.locator(":is(button, select, input, [role=slider]):visible:not(:disabled)")
        assert controls.count() >= 1, number
        for k in range(controls.count()):
            control = controls.nth(k)
            control.focus()
            for key in ("d", "d", "x", "ArrowDown", "ArrowUp"):
                control.press(key)
            assert told(page) == before, (number, k)
    for number in range(1, len(cells) - 1):
        drive_explorer(page.locator(".jp-Cell").nth(number))
    assert told(page) == before


@pytest.mark.slow
def test_the_user_studys_notebook(
    smoke: object, lab: Callable[..., str], open_page: Callable[..., Page], repository: Path
) -> None:
    path = repository / "notebooks" / "20_user_study.ipynb"
    page = open_page(lab("study.ipynb", notebook=path), viewport={"width": 1300, "height": 2400})
    page.set_default_timeout(LIMIT)
    run_all(page)
    page.wait_for_selector("text=participant code")
    rate(page, groups=1, clips=4)
