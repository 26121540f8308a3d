"""A trained head on its subject's held-out frames: the one way in which tables, reports and notebooks measure it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from audioplane.audio.features import SAMPLE_RATE
from audioplane.evaluation.evaluate import Evaluation, Render, evaluate_all, spaced
from audioplane.evaluation.protocols import DEFAULT, Protocol
from audioplane.evaluation.resized import at_size_of
from audioplane.inference import drawing
from audioplane.metrics.mouth import MouthReader
from audioplane.metrics.speed import Speed, measure
from audioplane.training.conditions import driving_track

if TYPE_CHECKING:
    from torch import Tensor

    from audioplane.inference.talking_head import TalkingHead
    from audioplane.subject import Subject

SHIFT = 1.0  # seconds by which the control's audio is late
TIMED_FRAMES = 50
TIMED = ("deformation", "rasterization", "compositing")


def evaluate_head(
    head: TalkingHead,
    subject: Subject,
    shifts: Sequence[float] = (0.0,),
    reader: MouthReader | None = None,
    frames: range | None = None,
    protocol: Protocol = DEFAULT,
) -> list[tuple[Evaluation, dict[str, NDArray]]]:
    """Measures a head at its size, under the subject's own audio, and that audio late.

    Args:
        head: with every Gaussian evaluated (`sparse=False`), as it was trained.
        subject: the truth.
        shifts: seconds by which the audio is late, one evaluation each; (0, `SHIFT`) for the head and its control.
        reader: of this subject, where one is at hand already.
        frames: default the test split.
        protocol: how pictures are made and compared.

    Returns:
        for each shift the summary and its series, as `evaluate.evaluate` gives them.
    """
    subject = at_size_of(head, subject)
    asked = subject.test if frames is None else frames
    renders = [renderer(head, subject, shift, protocol, asked) for shift in shifts]
    return evaluate_all(subject, renders, frames, reader, protocol)


def renderer(
    head: TalkingHead,
    subject: Subject,
    shift: float = 0.0,
    protocol: Protocol = DEFAULT,
    ahead: Sequence[int] = (),
) -> Render:
    """What draws frame t of a subject as the head speaks it, in its size: over the truth's torso, or the head's own.

    A head that is driven by an expression is given the frame's own, as its pose. `ahead`: frames that will be asked
    for, each once and about in order: a GPU draws them in batches.
    """
    codes, faces = codes_late(head, subject, shift), captured(head, subject)
    last = len(codes) - 1

    def shot(t: int) -> drawing.Shot:
        behind = subject.without_head(t) if still is None else still
        face = None if faces is None else faces[t]
        return drawing.Shot(codes[min(t, last)], subject.viewmats[t], behind, time_in_clip(subject, t), face)

    def render(t: int) -> np.ndarray:
        own = shot(t)
        return head.render(own.code, own.view, own.behind, subject.width, own.time, own.face)

    width, height, _ = drawing.camera(head, subject.width)
    still = drawing.torso(head, 0, width, height) if protocol.pasted == "nothing" else None
    return render if head.device.type == "cpu" else drawing.DrawnAhead(head, shot, ahead, subject.width)


def codes_late(head: TalkingHead, subject: Subject, shift: float) -> Tensor:
    """Codes (T, code) of the subject's voice, so many seconds late; its end comes first.

    Features that lie in a file are as late as the sound would be.
    """
    if head.config.audio.features == "deepspeech":
        return head.encode(subject.audio).roll(round(shift * head.fps), dims=0)
    return head.encode(np.roll(subject.audio, round(shift * SAMPLE_RATE)))


def captured(head: TalkingHead, subject: Subject) -> NDArray | None:
    """The subject's expression in every frame, (T, E) weights; None where there is none, or the head takes none."""
    if not head.expression_names or subject.weights(head.expression_names) is None:
        return None
    return driving_track(subject, head.method)


def time_in_clip(subject: Subject, t: int) -> float:
    """When frame t is shown, 0 and 1 being the ends of the training split: the time that planes over time get."""
    return (t - subject.train.start) / max(len(subject.train) - 1, 1)


def head_speed(head: TalkingHead, subject: Subject) -> Speed:
    """Frames a second, one after the other: deformation, rasterization and compositing.

    Sound is encoded, and what lies behind the head is read from its file, before the clock runs.
    """
    codes, frames, faces = head.encode(subject.audio), spaced(subject.test, TIMED_FRAMES), captured(head, subject)
    behind = subject.without_head(frames[0])

    def draw(k: int) -> object:
        t = frames[k]
        code = codes[min(t, len(codes) - 1)]
        face = None if faces is None else faces[t]
        return head.render(code, subject.viewmats[t], behind, subject.width, time_in_clip(subject, t), face)

    return measure(draw, len(frames), TIMED, head.cloud.means.device)
