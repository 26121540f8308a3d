"""The trained head in a browser: its Gaussians, what is known of each, and the head speaking, without a kernel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import numpy as np
import traitlets
from numpy.typing import NDArray

from audioplane.inference.arguments import voice
from audioplane.inference.poses import typical
from audioplane.media.marks import mark_stamp, put_mark
from audioplane.widgets import page
from audioplane.widgets.bake import bake_head, bake_talk, why_not

if TYPE_CHECKING:
    from audioplane.inference.talking_head import TalkingHead

COLORS = ("appearance", "dynamism", "displacement", "opacity", "scale", "density", "reach")
SHAPES = ("splats", "ellipsoids", "points")
CODE = page.script("elements.js", "parts.js", "field.js", "splats.js", "viewer.js")


class GaussianViewer(page.WithStill, anywidget.AnyWidget):
    """Orbits, colours and questions the Gaussians of a trained head; plays a voice and lets them move.

    The canonical cloud, the folded plane features and the small networks travel once, then 256 bytes a frame; the
    deformation runs in the browser. Without a kernel everything goes on working but for `speak` with another voice.

        viewer = GaussianViewer(head, load_voice("english_drive").audio[:80_000])
        viewer.save("talk.html")

    Args:
        head: trained. audio: (n,) 16 kHz mono float32 to speak, or None.
        poses: "still" or "natural". size: width on the page, CSS pixels.
        color: one of `COLORS`. shape: one of `SHAPES`.
        expression: of eyes and brows while it speaks: "natural", "none" or a capture (`TalkingHead.expressions`).

    Attributes:
        frame: shown. picked: number of the picked Gaussian in `head.cloud`, -1 for none. Both follow the page.
    """

    _esm = CODE
    _css = page.text("widgets.css")
    head_facts = traitlets.Dict().tag(sync=True)
    head_data = traitlets.Bytes().tag(sync=True)
    talk_facts = traitlets.Dict().tag(sync=True)
    talk_data = traitlets.Bytes().tag(sync=True)
    still = traitlets.Bytes().tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)
    size = traitlets.Int().tag(sync=True)
    color = traitlets.Enum(COLORS).tag(sync=True)
    shape = traitlets.Enum(SHAPES).tag(sync=True)  # ipywidgets has another "style"
    frame = traitlets.Int(0).tag(sync=True)
    picked = traitlets.Int(-1).tag(sync=True)

    def __init__(
        self,
        head: TalkingHead,
        audio: NDArray | None = None,
        poses: str = "still",
        size: int = 420,
        color: str = "appearance",
        shape: str = "splats",
        expression: str | NDArray = "natural",
    ) -> None:
        self.head = head
        baked, talk = bake_head(head), {}
        if audio is not None:
            talk = self._talk(audio, poses, expression)
        image = _still(head)
        super().__init__(
            head_facts=baked.facts,
            head_data=baked.data,
            still=page.png(image),
            size=size,
            color=color,
            shape=shape,
            label=f"Trained head {baked.facts['name']}, {baked.facts['count']} Gaussians, from the front.",
            **talk,
        )

    def speak(self, audio: NDArray, poses: str = "still", expression: str | NDArray = "natural") -> None:
        """Gives the head another voice.

        Args:
            audio: (n,) 16 kHz mono float32. poses: "still", or "natural" for a moving head.
            expression: of eyes and brows, as for `TalkingHead.expressions`.
        """
        with self.hold_sync():
            for name, value in self._talk(audio, poses, expression).items():
                setattr(self, name, value)
            self.frame = 0

    def save(self, path: str | Path) -> Path:
        """Writes the viewer as one HTML file that needs neither a kernel nor a network, sound and all."""
        names = (
            "head_facts",
            "head_data",
            "talk_facts",
            "talk_data",
            "still",
            "label",
            "size",
            "color",
            "shape",
            "frame",
            "picked",
        )
        values = {name: getattr(self, name) for name in names}
        return page.save(path, f"{self.head_facts['name']} speaks (synthetic)", CODE, values, self.still, self.label)

    def _talk(self, audio: NDArray, poses: str, expression: str | NDArray) -> dict[str, Any]:
        if poses not in ("still", "natural"):
            raise ValueError(f"poses are 'still' or 'natural' in the viewer, not {poses!r}")
        if why_not(self.head):
            return {}  # the widget says why
        audio = voice(audio, "audio")
        packed = bake_talk(self.head, audio, poses, expression)
        return {"talk_facts": packed.facts, "talk_data": packed.data}


def _still(head: TalkingHead) -> NDArray:
    """The head at rest from the front, marked."""
    views = head.viewmats.numpy()
    image = head.render(head.extras["codes"].mean(0), views[typical(views)])
    put_mark(image, mark_stamp(head.width))
    return np.ascontiguousarray(image)
