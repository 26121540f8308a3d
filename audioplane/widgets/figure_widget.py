"""Controls around a figure: the function that draws the static figure draws each of the widget's pictures."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets
from numpy.typing import NDArray

from audioplane.audio.features import SAMPLE_RATE
from audioplane.plots import theme
from audioplane.widgets import page
from audioplane.widgets.bake import encode_sound
from audioplane.widgets.base import Widget

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from audioplane.subject import Subject

CODE = page.script("elements.js", "figure.js")
PIECE, EVERY = 5.0, 2  # seconds that are drawn ahead at most, and frames from one picture of a film to the next
FILM_MOST, SAVED_STEPS = 125, 9  # pictures along time in a saved page, and of each other control
FILM_QUALITY = 75  # of JPEG
Draw = Callable[[dict[str, Any]], "tuple[Figure, str]"]


def slider(
    name: str,
    label: str,
    low: float,
    high: float,
    step: float = 1,
    limits: tuple[str, Mapping[Any, float]] | None = None,
) -> dict[str, Any]:
    """A slider's description for the page.

    Args:
        name: of the value. label: beside it. low, high, step: in the value's unit.
        limits: another control's name, and for each of its values the highest of this one; or `high` always.
    """
    own: dict[str, Any] = {"name": name, "label": label, "kind": "range", "low": low, "high": high, "step": step}
    if limits is not None:
        own["limits"] = {"by": limits[0], "high": {str(value): most for value, most in limits[1].items()}}
    return own


def menu(name: str, label: str, options: Mapping[Any, str]) -> dict[str, Any]:
    """A menu's description for the page; `options`: value -> words."""
    return {"name": name, "label": label, "kind": "choice", "options": [list(pair) for pair in options.items()]}


class FigureWidget(page.WithStill, Widget):
    """A figure that is drawn anew, by a kernel, when a control moves.

    Args:
        draw: values of the controls -> the figure, and a sentence on what it says.
        controls: of `slider` and `menu`. values: at first.
        label: what the whole shows, for readers who do not see it.
        time: name of the slider that counts frames, and `audio` (n,) at 16 kHz from its lowest frame on, `fps`.
    """

    _esm = CODE
    _css = page.text("widgets.css")
    controls = traitlets.List().tag(sync=True)
    values = traitlets.Dict().tag(sync=True)
    picture = traitlets.Bytes().tag(sync=True)
    caption = traitlets.Unicode().tag(sync=True)
    answered = traitlets.Int(0).tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)
    time = traitlets.Unicode().tag(sync=True)
    fps = traitlets.Float(25.0).tag(sync=True)
    sound = traitlets.Bytes().tag(sync=True)
    film_facts = traitlets.Dict().tag(sync=True)
    film_data = traitlets.Bytes().tag(sync=True)
    film_progress = traitlets.List([0, 0]).tag(sync=True)
    dark = traitlets.Bool(False).tag(sync=True)  # the page says so

    def __init__(
        self,
        draw: Draw,
        controls: list[dict[str, Any]],
        values: dict[str, Any],
        label: str,
        time: str = "",
        audio: NDArray | None = None,
        fps: float = 25.0,
    ) -> None:
        self._draw = draw
        picture, caption = self._drawn(values)
        sound = b"" if audio is None else encode_sound(audio).tobytes()
        super().__init__(
            controls=controls,
            values=values,
            picture=picture,
            caption=caption,
            label=label,
            time=time,
            fps=fps,
            sound=sound,
        )
        self.still = picture
        self._filming: asyncio.Task[None] | None = None
        self.observe(lambda _: self._answer(self.values), "values")
        self.observe(self._turn_dark, "dark")
        self.on_msg(self._asked)

    def _answer(self, values: dict[str, Any]) -> None:
        picture, caption = self._drawn(values, dark=self.dark)
        with self.hold_sync():
            self.picture, self.caption = picture, caption
            self.answered += 1

    def _turn_dark(self, _: Any) -> None:
        self.film_facts = {}  # its pictures are of the other theme
        self._answer(self.values)

    def _asked(self, _: Any, content: dict[str, Any], buffers: Any) -> None:
        """The page wants a film, or no longer."""
        if self._filming is not None:
            self._filming.cancel()
        if content.get("kind") == "film":
            self._filming = asyncio.get_running_loop().create_task(self._film(content["values"]))

    async def _film(self, values: dict[str, Any]) -> None:
        """Draws what is played from these values on; between two pictures the kernel answers others."""
        times = self._times(int(values[self.time]))[: int(PIECE * self.fps / EVERY) + 1]
        self.film_progress, drawn = [0, len(times)], []
        for t in times:
            await asyncio.sleep(0)
            drawn.append(self._drawn({**values, self.time: t}, FILM_QUALITY, self.dark))
            self.film_progress = [len(drawn), len(times)]
        facts, data = _strip([*values], [[*{**values, self.time: t}.values()] for t in times], drawn)
        with self.hold_sync():
            self.film_data, self.film_facts = data, facts

    def _times(self, first: int) -> list[int]:
        """The frames of a film, the last one among them."""
        last = int(next(own["high"] for own in self.controls if own["name"] == self.time))
        return [*range(first, last, EVERY), last]

    def _drawn(self, values: dict[str, Any], quality: int = 86, dark: bool = False) -> tuple[bytes, str]:
        figure, caption = self._draw(values)
        if dark:
            figure = theme.darkened(figure)
        return page.jpeg(page.figure_pixels(figure), quality), caption

    def save(self, path: str | Path, over: Mapping[str, list[Any]] | None = None) -> Path:
        """Writes the widget as one HTML file that needs neither a kernel nor a network.

        Args:
            path: of the file. over: names of controls -> the values whose pictures the page brings along, all
                combinations of them; the other controls are gray there. Default: a film along time as the other
                controls stand, and pictures of each control's values as the others stand.
        """
        if over is None:
            names, keys = list(self.values), self._along_each()
        else:
            names, keys = list(over), [list(key) for key in itertools.product(*over.values())]
        drawn = [self._drawn({**self.values, **dict(zip(names, key, strict=True))}, FILM_QUALITY) for key in keys]
        facts, data = _strip(names, keys, drawn)
        own = ("controls", "values", "picture", "caption", "label", "time", "fps", "sound")
        values = {name: getattr(self, name) for name in own} | {"film_facts": facts, "film_data": data}
        return page.save(path, self.label, CODE, values, self.still, self.label)

    def _along_each(self) -> list[list[Any]]:
        """Values of all controls: one after the other is led through its own, while the others stay as they are."""
        keys = [list(self.values.values())]
        for control in self.controls:
            for value in self._steps(control):
                key = [*self._limited({**self.values, control["name"]: value}).values()]
                if key not in keys:
                    keys.append(key)
        return keys

    def _limited(self, values: dict[str, Any]) -> dict[str, Any]:
        """The values, those of sliders that end earlier by another control at their end."""
        most = {own["name"]: _highest(own, values) for own in self.controls if own["kind"] == "range"}
        return {name: min(value, most[name]) if name in most else value for name, value in values.items()}

    def _steps(self, control: dict[str, Any]) -> list[Any]:
        if control["kind"] == "choice":
            return [value for value, _ in control["options"]]
        low, high = control["low"], _highest(control, self.values)
        if control["name"] == self.time:
            times = self._times(int(low))
            return times[:: -(-len(times) // FILM_MOST)]
        count = min(SAVED_STEPS, round((high - low) / control["step"]) + 1)
        steps = np.round(np.linspace(low, high, count) / control["step"]) * control["step"]
        return [int(step) if isinstance(control["step"], int) else round(float(step), 6) for step in steps]


def _highest(control: dict[str, Any], values: dict[str, Any]) -> float:
    """Where a slider ends."""
    limits = control.get("limits")
    return control["high"] if limits is None else limits["high"].get(str(values[limits["by"]]), control["high"])


def _strip(names: list[str], keys: list[list[Any]], drawn: list[tuple[bytes, str]]) -> tuple[dict[str, Any], bytes]:
    """Pictures behind each other, and what each was drawn of."""
    facts = {
        "names": names,
        "keys": keys,
        "captions": [caption for _, caption in drawn],
        "ends": np.cumsum([len(picture) for picture, _ in drawn]).tolist(),
    }
    return facts, b"".join(picture for picture, _ in drawn)


def sound_of(subject: Subject, frames: range) -> np.ndarray:
    """Their voice, (n,) at 16 kHz."""
    samples = int(SAMPLE_RATE / subject.fps)
    return subject.audio[frames.start * samples : frames.stop * samples]
