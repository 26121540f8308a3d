"""Controls around a figure: a film with its sound, in a notebook and in a saved page."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from audioplane.widgets.figure_widget import FigureWidget, menu, slider

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from playwright.sync_api import Page

CONTROLS = [slider("t", "time", 0, 9), menu("map", "colours", {"viridis": "green", "magma": "purple"})]
# Notes [seconds of the sound, t] of each picture that is shown.
NOTE_PICTURES = """() => {
    globalThis.seen = [];
    const sound = document.querySelector('audio'), caption = document.querySelector('.ap-caption');
    new MutationObserver(() => seen.push([sound.currentTime, Number(caption.textContent.split(' ')[0])]))
        .observe(caption, { childList: true, characterData: true, subtree: true });
}"""


def squares(values: dict[str, Any]) -> tuple[Figure, str]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2, 2))
    figure.add_subplot().imshow(np.eye(int(values["t"]) + 2), cmap=values["map"])
    return figure, f"{values['t']} and {values['map']}"


def test_a_saved_figure_brings_its_pictures_along(tmp_path: Path, open_page: Callable[..., Page]) -> None:
    controls = [slider("t", "time", 0, 5), menu("map", "colours", {"viridis": "green", "magma": "purple"})]
    audio = 0.1 * np.sin(np.arange(3840) / 9).astype(np.float32)
    widget = FigureWidget(squares, controls, {"t": 0, "map": "magma"}, "Squares.", "t", audio)
    page = open_page(widget.save(tmp_path / "figure.html", {"t": [0, 2, 5]}), offline=True)
    assert page.get_by_label("colours").is_disabled()
    source = page.get_attribute("img.ap-figure", "src")
    page.get_by_label("time").fill("4")
    assert page.inner_text(".ap-caption") == "5 and magma"
    assert page.get_attribute("img.ap-figure", "src") != source
    assert page.get_attribute("img.ap-figure", "alt") == "Squares. 5 and magma"
    page.get_by_label("time").fill("0")
    page.click("text=Play")
    page.wait_for_function("document.querySelector('.ap-caption').textContent === '5 and magma'")


def test_all_controls_of_a_saved_figure_work(tmp_path: Path, open_page: Callable[..., Page]) -> None:
    audio = 0.1 * np.sin(np.arange(6400) / 9).astype(np.float32)
    widget = FigureWidget(squares, CONTROLS, {"t": 4, "map": "magma"}, "Squares.", "t", audio)
    page = open_page(widget.save(tmp_path / "figure.html"), offline=True)
    page.get_by_label("colours").select_option(label="green")
    assert page.inner_text(".ap-caption") == "4 and viridis"
    page.get_by_label("time").fill("8")  # of this colour there is no such moment: the nearest is shown, and said
    assert page.inner_text(".ap-caption") == "8 and magma"
    assert page.get_by_label("colours").locator("option:checked").inner_text() == "purple"
    page.get_by_label("time").fill("0")
    page.evaluate(NOTE_PICTURES)
    page.click("text=Play")
    page.wait_for_function("seen.some(([, t]) => t === 9)")
    late = page.evaluate("seen.map(([sound, t]) => sound * 25 - t)")
    assert min(late) > -0.5  # never before its sound
    assert [t for _, t in page.evaluate("seen")] == sorted({t for _, t in page.evaluate("seen")})


def in_a_loop(task: Coroutine[Any, Any, None]) -> None:
    """Runs a task as a kernel does; in a thread, because the browser's driver has a loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, task).result()


def test_a_film_is_drawn_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    widget: Any = FigureWidget(squares, CONTROLS, {"t": 0, "map": "magma"}, "Squares.", "t", np.zeros(6400, np.float32))

    async def asked() -> None:
        widget._asked(widget, {"kind": "film", "values": {"t": 2, "map": "viridis"}}, [])
        await widget._filming

    in_a_loop(asked())
    assert widget.film_facts["keys"] == [[t, "viridis"] for t in (2, 4, 6, 8, 9)]
    assert widget.film_facts["captions"][1] == "4 and viridis"
    assert widget.film_progress == [5, 5]
    assert widget.film_facts["ends"][-1] == len(widget.film_data)

    async def cancelled() -> None:
        widget._asked(widget, {"kind": "film", "values": {"t": 0, "map": "magma"}}, [])
        await asyncio.sleep(0)
        widget._asked(widget, {"kind": "cancel"}, [])
        with pytest.raises(asyncio.CancelledError):
            await widget._filming

    in_a_loop(cancelled())
    assert widget.film_facts["keys"][0] == [2, "viridis"]


def test_a_sliders_end_follows_another_control(tmp_path: Path, open_page: Callable[..., Page]) -> None:
    controls = [CONTROLS[1], slider("t", "row", 0, 9, limits=("map", {"viridis": 3, "magma": 9}))]
    widget = FigureWidget(squares, controls, {"t": 9, "map": "magma"}, "Squares.")
    page = open_page(widget.save(tmp_path / "figure.html"), offline=True)
    assert page.get_by_label("row").get_attribute("max") == "9"
    page.get_by_label("colours").select_option(label="green")
    assert page.get_by_label("row").get_attribute("max") == "3"


def test_an_es_module_needs_nothing_else(tmp_path: Path, open_page: Callable[..., Page]) -> None:
    """As a book loads it: MyST's `{anywidget}` gives it an element, here one in a shadow root."""
    widget = FigureWidget(squares, CONTROLS, {"t": 4, "map": "magma"}, "Squares.", "t", np.zeros(6400, np.float32))
    module = widget.save(tmp_path / "figure.mjs").read_text(encoding="utf-8")
    (tmp_path / "empty.html").write_text("<!doctype html><title>book</title><div></div>")
    page = open_page(tmp_path / "empty.html", offline=True)
    page.evaluate(
        """async (text) => {
            const shadow = document.querySelector('div').attachShadow({ mode: 'open' });
            const el = shadow.appendChild(document.createElement('div'));
            const url = URL.createObjectURL(new Blob([text], { type: 'text/javascript' }));
            (await import(url)).default.render({ model: {}, el });
        }""",
        module,
    )
    page.get_by_label("time").fill("8")
    assert page.inner_text(".ap-caption") == "8 and magma"


def test_a_dark_page_gets_dark_figures(tmp_path: Path) -> None:
    widget: Any = FigureWidget(squares, CONTROLS, {"t": 4, "map": "magma"}, "Squares.", "t", np.zeros(6400, np.float32))
    light, answers = bytes(widget.picture), widget.answered
    corner = lambda data: np.array(Image.open(io.BytesIO(data)))[2, 2].mean()  # noqa: E731
    assert corner(light) > 250
    widget.film_facts = {"keys": [[0]]}
    widget.dark = True
    assert corner(widget.picture) < 50
    assert (widget.answered, widget.film_facts) == (answers + 1, {}), "a film of light pictures is no use"
    widget.values = {"t": 5, "map": "magma"}
    assert corner(widget.picture) < 50
    widget.save(tmp_path / "figure.html", {"t": [0, 5]})  # a saved page is light
    assert corner(widget._drawn(widget.values)[0]) > 250
    widget.dark = False
    assert corner(widget.picture) > 250


def test_what_was_asked_already_is_not_waited_for(tmp_path: Path, open_page: Callable[..., Page]) -> None:
    """A kernel answers changes alone: who goes back and forth, or picks what is shown, is not told that it is gone."""
    widget = FigureWidget(squares, CONTROLS, {"t": 4, "map": "magma"}, "Squares.", "t")
    page = open_page(widget.save(tmp_path / "figure.html", {"t": [4]}))
    page.wait_for_selector("img.ap-figure")
    asked = page.evaluate("""() => {
        const { view } = document.querySelector("#widget"), on = {}, asked = [];
        const model = { ...view.model, isSaved: false, send() {}, off() {}, on(event, react) { on[event] = react; } };
        let own = view.model.get("values");
        model.get = (name) => (name === "values" ? own : name === "dark" ? false : view.model.get(name));
        model.set = (name, value) => { own = value; };
        model.save_changes = () => asked.push(own.t);
        const other = new view.constructor(model, document.createElement("div"));
        other.set("map", "magma");
        other.set("t", 5);  // asks
        other.set("t", 6);  // meanwhile
        on["change:answered"]();  // of 5: asks for 6
        other.set("t", 5);
        other.set("t", 6);
        on["change:answered"]();  // of 6, which is what is wanted
        return [asked, other.asked];
    }""")
    assert asked == [[5, 6], None]


def test_a_late_answer_takes_back_that_none_came(tmp_path: Path, open_page: Callable[..., Page]) -> None:
    widget = FigureWidget(squares, CONTROLS, {"t": 4, "map": "magma"}, "Squares.", "t")
    page = open_page(widget.save(tmp_path / "figure.html", {"t": [4]}))
    page.wait_for_selector("img.ap-figure")
    said = page.evaluate("""() => {
        const { view } = document.querySelector("#widget"), on = {}, waiting = [], { setTimeout } = globalThis;
        const model = { ...view.model, isSaved: false, off() {}, on(event, react) { on[event] = react; } };
        const other = new view.constructor(model, document.createElement("div"));
        globalThis.setTimeout = (react) => waiting.push(react);
        other.set("t", 5);
        globalThis.setTimeout = setTimeout;
        waiting.forEach((react) => react());
        const before = other.status.textContent;
        on["change:answered"]();
        return [before, other.status.textContent];
    }""")
    assert said[0].startswith("No kernel answers")
    assert said[1] == ""
