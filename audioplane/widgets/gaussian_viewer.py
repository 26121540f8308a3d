"""The trained head in a browser: its Gaussians, what is known of each, and the head speaking, without a kernel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import traitlets
from numpy.typing import NDArray

from audioplane.inference.arguments import voice
from audioplane.inference.poses import typical
from audioplane.media.marks import mark_stamp, put_mark
from audioplane.widgets import page
from audioplane.widgets.bake import Packed, bake_comparison, bake_head, bake_talk, why_not
from audioplane.widgets.base import Widget
from audioplane.widgets.given import checked_frames, head_of, own_subject, subject_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from os import PathLike

    from torch import Tensor

    from audioplane.inference.talking_head import TalkingHead
    from audioplane.synthetic import voice as synthetic
    from audioplane.widgets.given import AnyHead, AnySubject

Voice: TypeAlias = "NDArray | Sequence[float] | Tensor | str | PathLike[str] | synthetic.Voice"
COLORS = ("appearance", "dynamism", "displacement", "opacity", "scale", "density", "reach")
SHAPES = ("splats", "ellipsoids", "points")
SIZES = 32, 2160  # CSS pixels
COMPARED = 125  # frames of a comparison: a picture of each travels to the page
CAMERA = {"yaw": (-(10**6), 10**6), "pitch": (-1.5, 1.5), "zoom": (0.3, 20), "panX": (-100, 100), "panY": (-100, 100)}
CODE = page.script(
    *("elements.js", "parts.js", "dense.js", "field.js", "cloud.js", "splats.js", "raster.js"),
    *("workers.js", "film.js", "timeline.js", "truth.js", "selection.js", "picked.js", "viewer.js"),
)


class GaussianViewer(page.WithStill, Widget):
    """Orbits, colours and questions the Gaussians of a trained head; plays a voice and lets them move.

    The canonical cloud, the folded plane features and the small networks travel once, then each frame's vector, two
    bytes a number; the deformation runs in the browser. Without a kernel everything goes on working but for `speak`
    with another voice.

        viewer = GaussianViewer(head, load_voice("english_drive"))
        viewer.save("talk.html")
        viewer.compare(subject)  # its own sentences, with the filmed pictures to wipe over the drawn ones

    Args:
        head: trained, or its file.
        audio: to speak: a sound file, (n,) 16 kHz mono as array, list or tensor, or an embedded voice (`load_voice`),
            whose sounds are then named along the time; None: silent.
        poses: "still" or "natural". size: width on the page, CSS pixels.
        color: one of `COLORS`. shape: one of `SHAPES`.
        expression: of eyes and brows while it speaks: "natural", "none" or a capture (`TalkingHead.expressions`).
        group: viewers of one group on a page turn and speak together, with one sound; "": each alone.

    Attributes:
        frame: shown, 0 to the voice's last. picked: number of the picked Gaussian in `head.cloud`, -1 for none.
        camera: {"yaw", "pitch"} radians from the trained view, {"zoom"}, {"panX", "panY"} widths of the picture; what
            is left out is as in the trained view.
        steering: {"level", "row", "amount"} of the audio prototypes, amount 0 to 1. face: what is added to eyes and
            brows, -1 to 1 each, in the order of the page's sliders.
        loop: (first, last) frame of the piece that is repeated, () for none. selected: numbers of the Gaussians in
            `head.cloud` that the brush selected.

        All of them, `size`, `color` and `shape` follow the page, and the page follows them. What is out of bounds is
        refused (`traitlets.TraitError`).
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
    camera = traitlets.Dict().tag(sync=True)
    steering = traitlets.Dict().tag(sync=True)
    face = traitlets.List().tag(sync=True)
    loop = traitlets.List().tag(sync=True)
    selected = traitlets.List().tag(sync=True)
    group = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        head: AnyHead,
        audio: Voice | None = None,
        poses: str = "still",
        size: int = 420,
        color: str = "appearance",
        shape: str = "splats",
        expression: str | NDArray = "natural",
        group: str = "",
    ) -> None:
        self.head = head = head_of(head)
        baked, talk = bake_head(head), {}
        if audio is not None:
            talk = self._talk(audio, poses, expression)
        image = _still(head)
        super().__init__(
            head_facts=baked.facts,
            head_data=baked.data,
            still=page.jpeg(image),
            size=size,
            color=color,
            shape=shape,
            group=group,
            label=f"Trained head {baked.facts['name']}, {baked.facts['count']} Gaussians, from the front.",
            **talk,
        )

    @traitlets.validate("frame")
    def _check_frame(self, proposal: Any) -> int:
        return _between("frame", proposal["value"], 0, self.talk_facts.get("frames", 1) - 1)

    @traitlets.validate("picked")
    def _check_picked(self, proposal: Any) -> int:
        return _between("picked", proposal["value"], -1, self.head_facts["count"] - 1)

    @traitlets.validate("size")
    def _check_size(self, proposal: Any) -> int:
        return _between("size", proposal["value"], *SIZES)

    @traitlets.validate("camera")
    def _check_camera(self, proposal: Any) -> dict[str, float]:
        return _checked("camera", proposal["value"], CAMERA)

    @traitlets.validate("steering")
    def _check_steering(self, proposal: Any) -> dict[str, float]:
        handles, wanted = self.head_facts.get("handles") or [], {"level": 0, "row": 0, "amount": 0.0}
        if not handles and proposal["value"]:
            raise traitlets.TraitError("steering: this head has no audio prototypes to steer")
        wanted |= _checked(
            "steering", proposal["value"], {"level": (0, len(handles) - 1), "row": None, "amount": (0, 1)}
        )
        for name in ("level", "row"):
            _whole(f"steering[{name!r}]", wanted[name])
        if handles:
            _between("steering['row']", wanted["row"], 0, handles[int(wanted["level"])]["rows"] - 1)
        return wanted if handles else {}

    @traitlets.validate("face")
    def _check_face(self, proposal: Any) -> list[float]:
        sliders = self.head_facts.get("controls") or []
        if len(proposal["value"]) not in (0, len(sliders)):
            raise traitlets.TraitError(f"face: expected {len(sliders)} numbers, received {len(proposal['value'])}")
        for slider, value in zip(sliders, proposal["value"], strict=False):
            _between(f"face ({slider['title']})", value, slider["least"], 1)
        return list(proposal["value"])

    @traitlets.validate("loop")
    def _check_loop(self, proposal: Any) -> list[int]:
        ends, last = list(proposal["value"]), self.talk_facts.get("frames", 1) - 1
        if len(ends) not in (0, 2):
            raise traitlets.TraitError(f"loop: expected its first and last frame, received {len(ends)} numbers")
        return sorted(_whole("loop", _between("loop", end, 0, last)) for end in ends)

    @traitlets.validate("selected")
    def _check_selected(self, proposal: Any) -> list[int]:
        last = self.head_facts["count"] - 1
        return sorted({_whole("selected", _between("selected", number, 0, last)) for number in proposal["value"]})

    def speak(self, audio: Voice, poses: str = "still", expression: str | NDArray = "natural") -> None:
        """Gives the head another voice.

        Args:
            audio: a sound file, or (n,) 16 kHz mono. poses: "still", or "natural" for a moving head.
            expression: of eyes and brows, as for `TalkingHead.expressions`.
        """
        self._take(self._talk(audio, poses, expression))

    def compare(self, subject: AnySubject, frames: Iterable[int] | None = None) -> None:
        """Lets the head speak as a Subject was filmed, with the filmed pictures for a wipe or a difference.

        Args:
            subject: the one that the head was trained on, of any size, or its folder.
            frames: that follow each other, each of which sends its picture; default the first five seconds of the
                test split.

        Raises:
            ValueError: `frames` are none of the Subject's, do not follow each other, or are too many.
            UserError: the Subject is of somebody else.
        """
        subject = own_subject(self.head, subject_of(subject))
        asked = checked_frames(subject, subject.test[:COMPARED] if frames is None else frames)
        if len(asked) > 2 * COMPARED:
            raise ValueError(
                f"frames: expected at most {2 * COMPARED}, each of which sends a picture, received {asked}"
            )
        if not why_not(self.head):  # the widget says why
            self._take(_traits(bake_comparison(self.head, subject, asked)))

    def _take(self, talk: dict[str, Any]) -> None:
        with self.hold_sync():
            self.frame, self.loop = 0, []
            for name, value in talk.items():
                setattr(self, name, value)

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
            "camera",
            "steering",
            "face",
            "loop",
            "selected",
            "group",
        )
        values = {name: getattr(self, name) for name in names}
        return page.save(path, f"{self.head_facts['name']} speaks (synthetic)", CODE, values, self.still, self.label)

    def _talk(self, audio: Voice, poses: str, expression: str | NDArray) -> dict[str, Any]:
        if poses not in ("still", "natural"):
            raise ValueError(f"poses are 'still' or 'natural' in the viewer, not {poses!r}")
        if why_not(self.head):
            return {}  # the widget says why
        sounds = getattr(audio, "phonemes", ())
        heard = voice(getattr(audio, "audio", audio), "audio")
        return _traits(bake_talk(self.head, heard, poses, expression, [(p.start, p.end, p.ipa) for p in sounds]))


def _traits(talk: Packed) -> dict[str, Any]:
    return {"talk_facts": talk.facts, "talk_data": talk.data}


def _between(name: str, value: Any, least: float, most: float) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not least <= value <= most:
        raise traitlets.TraitError(f"{name}: expected a number from {least:g} to {most:g}, received {value!r}")
    return value.item() if isinstance(value, np.number) else value


def _whole(name: str, value: float) -> int:
    if value != int(value):
        raise traitlets.TraitError(f"{name}: expected a whole number, received {value!r}")
    return int(value)


def _checked(name: str, given: dict[str, Any], bounds: dict[str, tuple[float, float] | None]) -> dict[str, Any]:
    """The numbers of a dictionary, each within its bounds (None: another check's)."""
    unknown = set(given) - set(bounds)
    if unknown:
        raise traitlets.TraitError(f"{name}: expected {', '.join(bounds)}, received {sorted(unknown)[0]!r}")
    return {key: _between(f"{name}[{key!r}]", value, *(bounds[key] or (0, 2**31))) for key, value in given.items()}


def _still(head: TalkingHead) -> NDArray:
    """The head at rest from the front, marked."""
    views = head.viewmats.numpy()
    image = head.render(head.extras["codes"].mean(0), views[typical(views)])
    put_mark(image, mark_stamp(head.width))
    return np.ascontiguousarray(image)
