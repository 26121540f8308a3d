"""Controls around a figure: the function that draws the static figure draws each of the widget's pictures."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import numpy as np
import traitlets
from numpy.typing import NDArray

from audioplane.audio.features import SAMPLE_RATE
from audioplane.widgets import page
from audioplane.widgets.bake import encode_sound

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from audioplane.subject import Subject

CODE = page.script("elements.js", "figure.js")
Draw = Callable[[dict[str, Any]], "tuple[Figure, str]"]


def slider(name: str, label: str, low: float, high: float, step: float = 1) -> dict[str, Any]:
    """A slider's description for the page."""
    return {"name": name, "label": label, "kind": "range", "low": low, "high": high, "step": step}


def menu(name: str, label: str, options: Mapping[Any, str]) -> dict[str, Any]:
    """A menu's description for the page; `options`: value -> words."""
    return {"name": name, "label": label, "kind": "choice", "options": [list(pair) for pair in options.items()]}


class FigureWidget(page.WithStill, anywidget.AnyWidget):
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
        self.observe(self._answer, "values")

    def _answer(self, change: dict[str, Any]) -> None:
        picture, caption = self._drawn(change["new"])
        with self.hold_sync():
            self.picture, self.caption = picture, caption
            self.answered += 1

    def _drawn(self, values: dict[str, Any]) -> tuple[bytes, str]:
        figure, caption = self._draw(values)
        return page.jpeg(page.figure_pixels(figure)), caption

    def save(self, path: str | Path, over: Mapping[str, list[Any]] | None = None) -> Path:
        """Writes the widget as one HTML file that needs neither a kernel nor a network.

        Args:
            path: of the file. over: names of controls -> the values whose pictures the page brings along, all
                combinations of them; the other controls are gray there. Default: twenty values of the first control.
        """
        over = over or self._first_control()
        keys = [list(key) for key in itertools.product(*over.values())]
        drawn = [self._drawn({**self.values, **dict(zip(over, key, strict=True))}) for key in keys]
        facts = {
            "names": list(over),
            "keys": keys,
            "captions": [caption for _, caption in drawn],
            "ends": np.cumsum([len(picture) for picture, _ in drawn]).tolist(),
        }
        names = ("controls", "values", "picture", "caption", "label", "time", "fps", "sound")
        values = {name: getattr(self, name) for name in names}
        values |= {"film_facts": facts, "film_data": b"".join(picture for picture, _ in drawn)}
        return page.save(path, self.label, CODE, values, self.still, self.label)

    def _first_control(self) -> dict[str, list[Any]]:
        first = self.controls[0]
        if first["kind"] == "choice":
            return {first["name"]: [value for value, _ in first["options"]]}
        steps = np.linspace(first["low"], first["high"], 20) / first["step"]
        return {first["name"]: sorted({float(round(step) * first["step"]) for step in steps})}


def checked_frames(subject: Subject, frames: range | None) -> range:
    """The frames to scrub through: those given, or the test split."""
    frames = subject.test if frames is None else frames
    if not len(frames) or frames.step != 1 or frames.start < 0 or frames.stop > subject.num_frames:
        raise ValueError(f"frames: expected neighbouring ones of 0 to {subject.num_frames - 1}, received {frames}")
    return frames


def sound_of(subject: Subject, frames: range) -> np.ndarray:
    """Their voice, (n,) at 16 kHz."""
    samples = int(SAMPLE_RATE / subject.fps)
    return subject.audio[frames.start * samples : frames.stop * samples]
