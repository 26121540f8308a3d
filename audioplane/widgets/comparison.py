"""Several heads of one subject beside the truth, frame by frame; drawn by `plots.methods`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from audioplane import plots
from audioplane.errors import UserError
from audioplane.evaluation.heads import renderer
from audioplane.subject import sounds
from audioplane.subject.masks import lips_mask
from audioplane.widgets.figure_widget import FigureWidget, slider, sound_of
from audioplane.widgets.given import checked_frames, head_of, subject_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from audioplane.widgets.given import AnyHead, AnySubject

STEP = 8  # frames between the three that are shown


def method_scrubber(
    subject: AnySubject, heads: Mapping[str, AnyHead], frames: Iterable[int] | None = None
) -> FigureWidget:
    """Three frames of the truth and of each head, mouths zoomed in, with sound.

    Args:
        subject: whose voice and poses, or its folder. heads: name -> head, or its file.
        frames: to scrub through; default the test split.

    Raises:
        UserError: `heads` are none. ValueError: no head, or `frames` are none of the subject's.
    """
    if not heads:
        raise ValueError("heads: expected one head at least, received none")
    if not isinstance(heads, Mapping):
        raise UserError(f"heads: expected names and their heads, received {type(heads).__name__}")
    subject = subject_of(subject)
    frames = checked_frames(subject, frames)
    draws = {name: renderer(head_of(head), subject) for name, head in heads.items()}
    spoken = sounds.sounds(subject)

    def draw(values: dict[str, Any]) -> tuple[Figure, str]:
        middle = int(values["frame"])
        moments = [int(np.clip(middle + k * STEP, frames.start, frames.stop - 1)) for k in (-1, 0, 1)]
        rows = {"truth": [subject.frame(t) for t in moments]}
        rows |= {name: [picture(t) for t in moments] for name, picture in draws.items()}
        mouths = [lips_mask(subject, t) for t in moments]
        figure = plots.methods(rows, mouths, [f"frame {t}, sound: {spoken[t]}" for t in moments])
        error = {name: np.abs(own[1].astype(float) - rows["truth"][1]).mean() for name, own in rows.items()}
        words = ", ".join(f"{name} {value:.2f}" for name, value in error.items() if name != "truth")
        return figure, f"Frame {middle}: mean error of 255: {words}."

    return FigureWidget(
        draw,
        [slider("frame", "time", frames.start, frames.stop - 1)],
        {"frame": frames.start + len(frames) // 2},
        f"Heads of {subject.name} beside the truth.",
        "frame",
        sound_of(subject, frames),
        subject.fps,
    )
