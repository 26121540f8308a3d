"""Every widget in JupyterLab and Notebook 7, by keyboard and mouse: no key is lost to the notebook, no fault is silent.

In each, one notebook is run once; the tests follow each other on its page, and the last one restarts its kernel. Those
of Notebook 7 are slow. What a key or the mouse does is waited for, since a busy machine takes its time.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from audioplane.evaluation.user_study import CRITERIA
from audioplane.inference.talking_head import TalkingHead
from audioplane.training.trainer import Trainer
from tests.subject_cases import make_case, write_case
from tests.tiny_run import awaken, tiny
from tests.tiny_subject import TinySubject
from tests.widgets.conftest import LIMIT, Lab, run_all, wait_for_viewers
from tests.widgets.people import drive_explorer, rate, wav

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

CELLS = (
    """
import itertools
import numpy as np
from ipywidgets import HBox
from audioplane.evaluation.user_study import record
from audioplane.inference.talking_head import TalkingHead
from audioplane.subject import Subject
from audioplane.widgets import Driver, GaussianViewer, UserStudy, method_scrubber, plane_explorer, prototype_explorer
from audioplane.widgets import saliency_scrubber, speaker_scrubber
from audioplane.widgets.figure_widget import FigureWidget
from tests.tiny_subject import TinySubject
from tests.widgets.test_figure_widget import CONTROLS, squares
head, layered = (TalkingHead.load(f"{name}/head.safetensors", sparse=False) for name in ("whole", "layered"))
filmed = TinySubject()
filmed.phonemes, voice = [], filmed.audio[:16_000]
""",
    "viewer = GaussianViewer(head, voice, size=300); viewer",
    "figure = FigureWidget(squares, CONTROLS, {'t': 0, 'map': 'magma'}, 'Squares.', 't', voice[:6400]); figure",
    "driver = Driver({'ball': head}); driver",
    """
films = [record(*name, np.full((10, 48, 48, 3), 90, np.uint8), np.zeros(6400, np.float32))
         for name in itertools.product(("ann", "bob"), ("ours", "theirs"))]
study = UserStudy(films, 'ratings.csv'); study
""",
    "speaker_scrubber(Subject.open('disc'), start=4)",
    "HBox([GaussianViewer(one, voice, size=150, group='a') for one in (layered, head)])",
    "saliency_scrubber(filmed, head, range(10))",
    "prototype_explorer(filmed, head, range(10))",
    "plane_explorer(head)",
    "method_scrubber(filmed, {'ours': head}, range(10))",
    "print('the last cell')",
)
VIEWER, FIGURE, DRIVER, STUDY, SCRUBBER, PAIR, *EXPLORERS = range(1, 11)
CANVAS = "document.querySelector('canvas.ap-canvas').viewer"
FOCUSABLE = ":is(button, input, select, textarea, canvas, summary, [role=slider], video):visible:not(:disabled)"


class Opened:
    """A notebook in one of the applications."""

    def __init__(self, page: Page, lab: Lab) -> None:
        self.page, self.lab, self.file = page, lab, lab.folder / f"{lab.application}-all.ipynb"

    def cell(self, number: int) -> Locator:
        return self.page.locator(".jp-Cell").nth(number)

    def cells(self) -> list[str]:
        return self.page.locator(".jp-Cell .jp-InputArea-editor").all_inner_texts()

    def until(self, condition: str) -> None:
        """Waits until a condition of the first viewer, `it`, holds."""
        self.page.wait_for_function(f"((it) => {condition})({CANVAS})")

    def middle(self, place: Locator) -> tuple[float, float]:
        """Of what is in sight, in pixels of the page."""
        place.scroll_into_view_if_needed()
        box = place.bounding_box()
        assert box is not None
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def drag(
        self, start: tuple[float, float], end: tuple[float, float], button: Literal["left", "right"] = "left"
    ) -> None:
        """With the mouse, in several steps."""
        self.page.mouse.move(*start)
        self.page.mouse.down(button=button)
        self.page.mouse.move(*end, steps=4)
        self.page.mouse.up(button=button)

    def python(self, name: str, what: str) -> Any:
        """What an expression is in the kernel."""
        self.run(f"import json; print('{name}', json.dumps({what}))")
        return json.loads(self.told(f"{name} ").inner_text().split(" ", 1)[1])

    def run(self, code: str) -> None:
        """Runs the last cell, after something is typed into it."""
        self.page.locator(".jp-Cell .cm-content").nth(len(CELLS) - 1).click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(code)
        self.page.keyboard.press("Control+Enter")
        self.page.keyboard.press("Escape")

    def told(self, words: str) -> Locator:
        """What the last cell has printed, with these words."""
        return self.cell(len(CELLS) - 1).locator(".jp-OutputArea pre", has_text=words)


@pytest.fixture(scope="module")
def opened(lab: Lab, browser: Browser, pytestconfig: pytest.Config) -> Iterator[Opened]:
    if lab.application == "Notebook" and not pytestconfig.getoption("--slow"):
        pytest.skip("slow: give --slow")
    if not (lab.folder / "disc").exists():
        for name, method, *changes in (
            ("whole", "audio_plane", "method.expression=true"),
            ("layered", "talking_gaussian"),
        ):
            trainer = Trainer(tiny(method, *changes), TinySubject())
            trainer.run()
            awaken(trainer)
            (lab.folder / name).mkdir()
            TalkingHead.export(trainer, lab.folder / name / "head.safetensors")
        write_case(lab.folder / "disc", make_case(frames=60))
    for left in (lab.folder / "ratings.csv", *lab.folder.glob("talk*.mp4")):
        left.unlink(missing_ok=True)
    context = browser.new_context(viewport={"width": 1300, "height": 5200}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(LIMIT)
    opened = Opened(page, lab)
    page.goto(lab("all.ipynb", *CELLS))
    run_all(page)
    page.locator(".jp-OutputArea-output", has_text="the last cell").wait_for()
    wait_for_viewers(page, 3)
    page.wait_for_function(f"document.querySelectorAll('img.ap-figure').length === {1 + len(EXPLORERS)}")
    yield opened
    context.close()


def test_keys_stay_in_the_widget(opened: Opened) -> None:
    page, before = opened.page, opened.cells()
    assert len(before) == len(CELLS)
    for number in (VIEWER, FIGURE, DRIVER, STUDY, SCRUBBER, PAIR, *EXPLORERS):
        cell = opened.cell(number)
        controls = cell.locator(".jp-OutputArea").locator(FOCUSABLE)
        assert controls.count() >= 2, number
        for k in range(controls.count()):
            control = controls.nth(k)
            control.focus()
            for key in ("d", "d", "x", "ArrowDown", "ArrowUp"):
                control.press(key)
            assert "jp-mod-active" in (cell.get_attribute("class") or "") or k == 0, (number, k)
        assert opened.cells() == before, number
    assert page.locator(".jp-Cell").count() == len(CELLS)


def test_pictures_hide_behind_living_widgets(opened: Opened) -> None:
    stills = opened.page.locator("figure.audioplane-still")
    assert stills.count() == 5 + len(EXPLORERS)
    for still in stills.all():
        still.wait_for(state="hidden")


def test_every_control_of_the_viewer(opened: Opened) -> None:
    page, cell, until = opened.page, opened.cell(VIEWER), opened.until
    state = lambda: page.evaluate(f"{CANVAS}.state")  # noqa: E731
    for name, yaw in (("three-quarter", 0.6), ("profile", 1.3), ("front", 0)):
        cell.get_by_role("button", name=name).click()
        until(f"it.state.yaw === {yaw}")
    for label, name in (("colour", "color"), ("drawn as", "style")):
        menu = cell.get_by_role("combobox", name=label)
        for value in menu.locator("option").evaluate_all("all => all.map((one) => one.value)"):
            menu.select_option(value)
            until(f"it.{name} === '{value}'")
    cell.get_by_label("drawn as").select_option("splats")
    cell.get_by_label("torso").uncheck()
    until("!it.torso")
    levels = cell.get_by_role("combobox", name="level")
    levels.select_option("1")
    for label, key in (("prototype", "row"), ("attention to it", "amount")):
        before = state()[key]
        cell.get_by_label(label, exact=True).press("ArrowRight")
        until(f"it.state.{key} > {before}")
    with page.expect_download() as download:
        cell.get_by_role("button", name="save picture").click()
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")
    cell.get_by_role("button", name="full screen").click()
    page.wait_for_function("document.fullscreenElement")
    page.keyboard.press("f")
    page.evaluate("void document.exitFullscreen()")
    page.wait_for_function("!document.fullscreenElement")
    canvas = cell.locator(".ap-canvas")
    canvas.click()
    until("it.state.picked >= 0")
    canvas.press("ArrowLeft")
    until("Math.abs(it.state.yaw + 0.08) < 1e-6")
    canvas.click(button="right")
    assert page.locator(".lm-Menu").count() == 0
    for key, name in (("Shift+ArrowUp", "panY"), ("+", "zoom"), ("ArrowDown", "pitch")):
        before = state()[name]
        canvas.press(key)
        until(f"it.state.{name} !== {before}")
    canvas.press("0")
    until("it.isFront")
    middle = opened.middle(canvas)
    for button, name in (("left", "yaw"), ("right", "panX")):
        opened.drag(middle, (middle[0] + 20, middle[1] + 5), button)
        until(f"it.state.{name} > 0")
    page.mouse.wheel(0, -100)  # it has the focus
    until("it.state.zoom > 1")
    canvas.press("0")
    until("it.state.zoom === 1")
    for slider in cell.get_by_role("group", name="eyes and brows").get_by_role("slider").all():
        slider.press("End")
    until("it.state.controls.length === 4 && it.state.controls.every((one) => one === 1)")
    cell.get_by_label("time").press("End")
    until("it.state.frame === 24")
    cell.get_by_text("Play").click()
    until("it.sound.ended && it.state.frame === 24")
    until("it.model.get('face').length === 4 && it.model.get('face').every((one) => one === 1)")
    until("it.model.get('steering').level === 1 && it.model.get('camera').yaw === 0")
    asked = "[viewer.frame, viewer.camera['yaw'], viewer.steering['level'], viewer.picked >= 0, viewer.face]"
    assert opened.python("told", asked) == [24, 0, 1, True, [1, 1, 1, 1]]
    canvas.press("Escape")
    until("it.state.picked === -1")
    canvas.press(" ")
    until("!it.sound.paused")
    canvas.press(" ")
    until("it.sound.paused")


def test_time_and_selection_of_the_viewer(opened: Opened) -> None:
    page, cell, until = opened.page, opened.cell(VIEWER), opened.until
    wave = cell.locator(".ap-wave")
    box = wave.bounding_box()
    assert box is not None
    wave.click(position={"x": box["width"] / 2, "y": 20})
    until("it.state.frame === 12")
    wave.drag_to(
        wave, source_position={"x": box["width"] / 4, "y": 20}, target_position={"x": box["width"] / 2, "y": 20}
    )
    until("it.model.get('loop').join() === '6,12'")
    assert opened.python("dragged", "viewer.loop") == [6, 12]
    cell.get_by_role("button", name="no repeat").click()
    cell.get_by_role("button", name="repeat from here").click()
    cell.get_by_label("time").press("End")
    until("it.state.frame === 24")
    cell.get_by_role("button", name="repeat to here").click()
    until("it.model.get('loop').join() === '12,24'")
    assert opened.python("loop", "viewer.loop") == [12, 24]
    with page.expect_download() as download:
        cell.get_by_role("button", name="save film").click()
    assert Path(download.value.path()).stat().st_size > 1000
    cell.get_by_role("button", name="no repeat").click()
    cell.locator("summary").click()
    limits = "JSON.stringify(it.selection.limits)"
    for label, value in (("opacity from", "0.2"), ("dynamism from", "0.1"), ("size up to", "0.9")):
        before = page.evaluate(f"((it) => {limits})({CANVAS})")
        cell.get_by_label(label).fill(value)
        until(f"{limits} !== '{before}'")
    cell.get_by_role("button", name="show all").click()
    canvas, shown = cell.locator(".ap-canvas"), cell.locator(".ap-selection output")
    canvas.click()
    until("it.state.picked >= 0")
    cell.get_by_role("button", name="add the picked").click()
    shown.filter(has_text=", 1 selected").wait_for()
    cell.get_by_label("brush radius").fill("40")
    cell.get_by_label("brush: drag selects").check()
    chosen = "it.model.get('selected')"
    canvas.click()
    until(f"{chosen}.length > 1")
    pressed = opened.python("pressed", "viewer.selected")
    x, y = opened.middle(canvas)
    opened.drag((x, y), (x, y + 60))  # what it passes comes along
    until(f"{chosen}.length > {len(pressed)}")
    dragged = opened.python("dragged_over", "viewer.selected")
    assert set(pressed) < set(dragged)
    x, y = opened.middle(canvas)
    page.keyboard.down("Alt")
    opened.drag((x, y + 60), (x, y + 65))  # lets go of what it passes, and of no other
    page.keyboard.up("Alt")
    until(f"0 < {chosen}.length && {chosen}.length < {len(dragged)}")
    left = opened.python("let_go", "viewer.selected")
    assert set(left) < set(dragged)
    assert not page.evaluate(f"{CANVAS}.state.yaw")  # a brush does not turn
    count = len(left)
    shown.filter(has_text=f", {count} selected").wait_for()
    cell.get_by_role("button", name="only these").click()
    until(f"it.selection.shown === {count}")
    with page.expect_download() as download:
        cell.get_by_role("button", name="save .ply").click()
    assert f"element vertex {count}\n".encode() in Path(download.value.path()).read_bytes()
    cell.get_by_role("button", name="show all").click()
    cell.get_by_role("button", name="hide these").click()
    until(f"it.selection.shown === it.facts.count - {count}")
    cell.get_by_role("button", name="let go").click()
    cell.get_by_role("button", name="show all").click()
    cell.get_by_label("brush: drag selects").uncheck()
    until(f"{chosen}.length === 0")
    assert opened.python("none", "viewer.selected") == []


def test_the_filmed_picture(opened: Opened) -> None:
    cell = opened.cell(VIEWER)
    filmed = cell.get_by_role("group", name="filmed picture")
    assert not filmed.is_visible()
    opened.python("compared", "viewer.compare(filmed, range(10))")
    filmed.wait_for()
    cell.get_by_role("button", name="front").click()
    for value in ("wipe", "difference"):
        filmed.get_by_role("combobox").select_option(value)
        opened.until("!it.truth.canvas.hidden")
    filmed.get_by_role("combobox").select_option("wipe")
    filmed.get_by_role("slider").press("Home")
    opened.until("it.truth.place.value === '0'")
    filmed.get_by_role("combobox").select_option("off")
    opened.until("it.truth.canvas.hidden")
    opened.python("spoken", "viewer.speak(voice)")
    filmed.wait_for(state="hidden")


def test_viewers_of_a_group_and_layers(opened: Opened) -> None:
    page, cell = opened.page, opened.cell(PAIR)
    views = "[...document.querySelectorAll('canvas.ap-canvas')].slice(1).map((canvas) => canvas.viewer)"
    cell.locator(".ap-canvas").nth(0).press("ArrowRight")
    page.wait_for_function(f"{views}.every((one) => Math.abs(one.state.yaw - 0.08) < 1e-6)")
    cell.get_by_label("time").nth(1).press("End")
    page.wait_for_function(f"{views}.every((one) => one.state.frame === 24)")
    cell.get_by_text("Play").nth(1).click()
    page.wait_for_function(f"{views}[1].sound.ended && {views}[0].state.frame === 24")
    assert page.evaluate(f"{views}[0].sound.paused")
    cell.locator("summary").first.click()
    layer = cell.get_by_role("combobox", name="layer")
    for number in layer.locator("option").evaluate_all("all => all.map((one) => one.value)")[1:]:
        layer.select_option(number)
        page.wait_for_function(
            f"(({{ shown, limits }}, all) => limits.layer === {number} && 0 < shown && shown < all)"
            f"({views}[0].selection, {views}[0].facts.count)"
        )


def test_figures_follow_the_theme(opened: Opened) -> None:
    page, image = opened.page, opened.cell(FIGURE).locator("img.ap-figure")
    speaker = opened.cell(SCRUBBER).locator("img.widget-image")
    is_so = """([image, isDark]) => {
        const pen = document.createElement("canvas").getContext("2d");
        if (!image.complete) return false;
        pen.drawImage(image, 0, 0);
        const [light] = pen.getImageData(2, 2, 1, 1).data;
        return isDark ? light < 60 : light > 250;
    }"""
    page.wait_for_function(is_so, arg=[image.element_handle(), False])
    for theme, is_dark in (("JupyterLab Dark", True), ("JupyterLab Light", False)):
        page.click('.lm-MenuBar-itemLabel:text-is("Settings")')
        page.hover('.lm-Menu-itemLabel:text-is("Theme")')
        page.click(f'.lm-Menu-itemLabel:text-is("{theme}")')
        for picture in (image, speaker):
            page.wait_for_function(is_so, arg=[picture.element_handle(), is_dark])


def test_python_moves_the_viewer(opened: Opened) -> None:
    opened.python(
        "set", "[setattr(viewer, 'frame', 7), setattr(viewer, 'camera', {'yaw': 0.5}), setattr(viewer, 'size', 280)]"
    )
    opened.until("it.state.frame === 7 && it.state.yaw === 0.5 && it.stage.clientWidth === 280")


def test_what_is_moved_while_a_cell_waits_goes_on(opened: Opened) -> None:
    """What is asked while a cell awaits something is answered, and so is what is asked later."""
    time, canvas = opened.cell(FIGURE).get_by_label("time"), opened.cell(VIEWER).locator(".ap-canvas")
    says = lambda words: opened.cell(FIGURE).locator(".ap-caption", has_text=words).wait_for()  # noqa: E731
    time.press("Home")
    says("0 and")
    canvas.press("0")
    opened.until("it.model.get('camera').yaw === 0")
    opened.run(
        "import asyncio; print('it waits')\n"
        "for _ in range(300):\n"
        "    if figure.values['t'] == 1 and viewer.camera['yaw']: break\n"
        "    await asyncio.sleep(0.1)\n"
        "print('it has waited')"
    )
    opened.told("it waits").wait_for()
    time.press("ArrowRight")
    canvas.press("ArrowRight")
    opened.told("it has waited").wait_for()
    says("1 and")
    for frame in (2, 3):
        time.press("ArrowRight")
        says(f"{frame} and")
    canvas.press("ArrowRight")
    opened.until("Math.abs(it.model.get('camera').yaw - 0.16) < 1e-6")
    assert opened.python("turned", "viewer.camera['yaw']") == pytest.approx(0.16)


def test_every_control_of_a_figure(opened: Opened) -> None:
    cell = opened.cell(FIGURE)
    says = lambda words: cell.locator(".ap-caption", has_text=words).wait_for()  # noqa: E731
    cell.get_by_label("colours").select_option(label="purple")
    cell.get_by_label("time").press("Home")
    says("0 and magma")
    cell.get_by_label("time").press("ArrowRight")
    says("1 and magma")
    cell.get_by_label("colours").select_option(label="green")
    says("1 and viridis")
    cell.get_by_role("button", name="Play").dblclick()  # the second press cancels what the first has begun
    says("1 and viridis")
    cell.get_by_role("button", name="Play").click()  # a film is drawn, then plays to its end
    says("9 and viridis")
    cell.get_by_role("button", name="Play").wait_for()


def test_every_control_of_the_driver(opened: Opened) -> None:
    cell = opened.cell(DRIVER)
    for source, label in (("a sound file", "choose a file"), ("a voice that ships", None)):
        cell.get_by_label("says").select_option(label=source)
        if label:
            cell.get_by_text(label).wait_for()
    cell.get_by_label("head pose").select_option("still")
    cell.get_by_role("button", name="Speak").click()
    cell.locator("text=/^\\d+ frames/").wait_for()
    cell.get_by_role("button", name="Stop").click()
    cell.get_by_text("Stopped: no film was made.").wait_for()
    assert cell.get_by_role("button", name="Save").is_disabled()
    for label in ("eyes", "voice", "head"):
        menu = cell.get_by_label(label, exact=True)
        menu.select_option(index=menu.locator("option").count() - 1)
    face = cell.locator("img.widget-image")
    before = face.get_attribute("src")
    for slider in cell.get_by_role("slider").all():
        slider.press("ArrowRight")
    opened.page.wait_for_function("([image, before]) => image.src !== before", arg=[face.element_handle(), before])
    cell.get_by_label("says").select_option(index=2)
    cell.get_by_label("text", exact=True).fill("A d d x.")
    cell.get_by_label("spoken by").select_option(index=1)
    cell.get_by_label("says").select_option(label="a sound file")
    with opened.page.expect_file_chooser() as chooser:  # the button's own input is not part of the page
        cell.locator(".widget-upload").click()
    chooser.value.set_files({"name": "voice.wav", "mimeType": "audio/wav", "buffer": wav(0.4)})
    cell.get_by_role("button", name="Speak").click()
    cell.get_by_text("10 frames, 0.4 s, marked as synthetic").wait_for()
    cell.get_by_label("file", exact=True).fill("talk.mp4")
    for name in ("talk.mp4", "talk-2.mp4"):  # the first one is not replaced
        cell.get_by_role("button", name="Save").click()
        cell.get_by_text(re.compile(f"saved as .*/{name}$")).wait_for()
    assert len({(opened.lab.folder / name).read_bytes() for name in ("talk.mp4", "talk-2.mp4")}) == 1


def test_the_scrubber(opened: Opened) -> None:
    cell = opened.cell(SCRUBBER)
    picture = cell.locator("img.widget-image")
    before = picture.get_attribute("src")
    cell.get_by_role("slider").press("ArrowRight")
    opened.page.wait_for_function("([image, before]) => image.src !== before", arg=[picture.element_handle(), before])
    menu = cell.locator("select")
    readout = cell.locator(".widget-readout")
    shown = readout.inner_text()
    menu.select_option(index=2)
    opened.page.wait_for_function("([one, shown]) => one.innerText !== shown", arg=[readout.element_handle(), shown])
    assert "." not in readout.inner_text()


@pytest.mark.parametrize("number", EXPLORERS)
def test_every_control_of_an_explorer(opened: Opened, number: int) -> None:
    drive_explorer(opened.cell(number))
    assert opened.page.locator(".jp-Cell").count() == len(CELLS)


def test_ratings_are_confirmed_by_the_kernel(opened: Opened) -> None:
    cell = opened.cell(STUDY)
    rate(cell, groups=2)
    assert "Your ratings are stored" in cell.inner_text()
    assert len((opened.lab.folder / "ratings.csv").read_text().splitlines()) == 1 + 4 * 3
    cell.get_by_role("button", name="Next participant").click()


def saved_without_state(opened: Opened) -> str:
    """The notebook as it is saved by a key that is pressed in a widget."""
    opened.cell(VIEWER).locator(".ap-canvas").focus()
    opened.page.keyboard.press("Control+s")
    for _ in range(LIMIT // 100):
        if opened.file.read_text().count("audioplane-still") >= 5 + len(EXPLORERS):
            break
        opened.page.wait_for_timeout(100)
    book = json.loads(opened.file.read_text())
    book["metadata"].pop("widgets", None)
    for cell in book["cells"]:
        for output in cell.get("outputs", ()):  # of models that no kernel knows
            view = output.get("data", {}).get("application/vnd.jupyter.widget-view+json")
            if view:
                view["model_id"] = view["model_id"][::-1]
    return json.dumps(book)


@pytest.mark.parametrize("trusted", [True, False])
def test_a_notebook_that_was_not_run_shows_pictures(opened: Opened, trusted: bool) -> None:
    import nbformat
    from nbformat.sign import NotebookNotary

    text = saved_without_state(opened)
    name = f"trusted-{trusted}.ipynb"
    (opened.lab.folder / name).write_text(text)
    if trusted:
        NotebookNotary(data_dir=str(opened.lab.folder / "data")).sign(nbformat.reads(text, 4))
    page = opened.page.context.new_page()  # the application writes its own line on missing models to the console
    page.set_default_timeout(LIMIT)
    page.goto(opened.lab.at(name))
    for number in (VIEWER, FIGURE, DRIVER, STUDY, SCRUBBER, *EXPLORERS):
        cell = page.locator(".jp-Cell").nth(number)
        cell.locator("img").first.wait_for()
        page.wait_for_function(
            "(image) => image.complete && image.naturalWidth > 20", arg=cell.locator("img").first.element_handle()
        )
        cell.locator("figcaption", has_text="trust it and run the cell").wait_for()
    page.close()


def test_a_converted_notebook_shows_pictures(opened: Opened, tmp_path: Path, open_page: Callable[..., Page]) -> None:
    import nbformat

    nbconvert = pytest.importorskip("nbconvert")
    body, _ = nbconvert.HTMLExporter().from_notebook_node(nbformat.reads(saved_without_state(opened), 4))
    body = re.sub(r'<script[^>]*src="https?:[^>]*></script>', "", body)  # what no network brings
    (tmp_path / "all.html").write_text(body)
    page = open_page(tmp_path / "all.html", offline=True)
    stills = page.locator("figure.audioplane-still img")
    assert stills.count() == 5 + len(EXPLORERS)
    assert all(still.is_visible() for still in stills.all())


def test_a_restarted_kernel_is_noticed(opened: Opened) -> None:
    """Last: nobody is thanked for ratings that are lost, and every control says that nothing answers."""
    page, lab = opened.page, opened.lab
    for kernel in lab.ask("kernels"):
        lab.ask(f"kernels/{kernel['id']}/restart", "POST")
    for number in (DRIVER, SCRUBBER):
        opened.cell(number).locator("select").nth(int(number == DRIVER)).press("ArrowDown")
    opened.cell(FIGURE).get_by_label("time").press("Home")
    for number in (DRIVER, SCRUBBER, FIGURE):
        opened.cell(number).get_by_text("No kernel answers").wait_for()
    cell = opened.cell(STUDY)
    cell.get_by_label("participant code").fill("p 8")
    cell.get_by_role("button", name="Begin").click()
    for button in ("Next group", "Finish"):
        for letter, criterion in itertools.product("AB", CRITERIA):
            cell.get_by_role("radio", name=f"clip {letter}, {criterion}: 4 of 6").check()
        cell.get_by_role("button", name=button).click()
    cell.get_by_text("Your ratings are not stored yet").wait_for()
    assert "Thank you" not in cell.inner_text()
    with page.expect_download() as download:
        cell.get_by_text("Download the ratings").click()
    assert Path(download.value.path()).read_text().count("p 8") == 4 * 3
