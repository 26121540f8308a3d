"""Scrubs through a Subject, frame by frame or from sound to sound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets

from audioplane.plots import frame_panel, theme
from audioplane.widgets import page
from audioplane.widgets.box import Box
from audioplane.widgets.given import subject_of

if TYPE_CHECKING:
    from audioplane.subject import Subject
    from audioplane.widgets.given import AnySubject


def speaker_scrubber(subject: AnySubject, start: int | None = None) -> Box:
    """A slider over the frames and a menu of the sounds; both show `frame_panel.draw` of the frame they are at.

    Args:
        subject: what to look at, or its folder.
        start: the frame shown first; None: in the first sound that opens the mouth widely, else the middle one.

    Returns:
        A widget. `children[0].value` is the picture (JPEG); without a kernel a page shows that of `start`.

    Raises:
        ValueError: `start` is no frame of the Subject.
    """
    subject = subject_of(subject)
    if start is None:
        start = _telling_frame(subject)
    if not 0 <= start < subject.num_frames:
        raise ValueError(f"start must be a frame of {subject.name!r}, 0 to {subject.num_frames - 1}; got {start}")
    picture = ipywidgets.Image(value=_jpeg(subject, start), format="jpeg", layout={"max_width": "960px"})
    frame = ipywidgets.IntSlider(
        start,
        0,
        subject.num_frames - 1,
        description="frame",
        continuous_update=False,
        layout={"width": "520px", "max_width": "98%"},
    )
    sounds = [(f"{p.ipa}   {p.start:.2f} s", _middle(subject, p.start, p.end)) for p in subject.phonemes or []]
    sound = ipywidgets.Dropdown(options=[("…", -1), *sounds], description="sound", layout={"width": "220px"})

    def show(_: Any) -> None:
        picture.value = _jpeg(subject, frame.value, box.keeper.dark)

    def jump(change: dict[str, Any]) -> None:
        if change["new"] >= 0:
            frame.value = change["new"]

    frame.observe(show, "value")
    sound.observe(jump, "value")
    box = Box([picture, ipywidgets.HBox([frame, sound], layout={"flex_flow": "row wrap"})])
    box.keeper.observe(show, "dark")
    box.still, box.label = bytes(picture.value), f"{subject.name}, frame {start}."
    return box


def _middle(subject: Subject, start: float, end: float) -> int:
    return min(int((start + end) / 2 * subject.fps), subject.num_frames - 1)


def _telling_frame(subject: Subject) -> int:
    wide = [p for p in subject.phonemes or [] if p.ipa[:1] in "aɑæɐ" and p.end - p.start > 0.06]  # noqa: RUF001
    return _middle(subject, wide[0].start, wide[0].end) if wide else subject.num_frames // 2


def _jpeg(subject: Subject, t: int, dark: bool = False) -> bytes:
    figure = frame_panel.draw(subject, t)
    pixels = page.figure_pixels(theme.darkened(figure) if dark else figure)
    return page.jpeg(pixels, quality=75)  # small: it travels at each move
