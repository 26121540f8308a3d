"""SyncTalk++, Table VII: the seam between head and torso, without and with the torso restorer.

The paper has measures without a truth. The torso of an embedded speaker is known, so here the seam has an error too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from torch import Tensor

from audioplane.errors import UserError
from audioplane.evaluation.heads import captured
from audioplane.evaluation.seam import seam_error
from audioplane.metrics.perceptual import brisque
from audioplane.subject.torso import without_head

if TYPE_CHECKING:
    from audioplane.inference.talking_head import TalkingHead
    from audioplane.restore.restorer import Restorer
    from audioplane.subject import Subject

MISSING = "weights missing"


def rows(
    head: TalkingHead, subject: Subject, restorer: Restorer, codes: Tensor, frames: Sequence[int]
) -> dict[str, list[np.ndarray]]:
    """Frames of a head over torsos that know nothing of what it hides.

    Args:
        head: that speaks. subject: of the head's size; its frames, less the head, are behind it.
        restorer: of the subject. codes: (T, code) of any voice. frames: of the subject; frame k of them takes code k.

    Returns:
        (H, W, 3) uint8 each: "cut out" (the background is seen through the gap), "painted" (the neck drawn upward, as
        for filmed people), and "restored" (the same with the band along the head inpainted, SyncTalk++, Eq. 28).
    """
    faces, found = captured(head, subject), dict[str, list[np.ndarray]]()
    for code, t in zip(codes[: len(frames)], frames, strict=True):
        frame, label = subject.frame(t), subject.label(t)
        face = None if faces is None else faces[t]
        cut = np.where(subject.head_mask(t)[..., None], subject.background, frame)
        painted = without_head(frame, label, subject.background)
        for name, behind, repair in (
            ("cut out", cut, None),
            ("painted", painted, None),
            ("restored", painted, restorer),
        ):
            picture = head.render(code, subject.viewmats[t], behind, expression=face, restorer=repair)
            found.setdefault(name, []).append(picture)
    return found


def measured(pictures: Mapping[str, list[np.ndarray]], subject: Subject, frames: Sequence[int]) -> pd.DataFrame:
    """A line each of `rows`: the seam's error against the true torso; BRISQUE of whole pictures, or what it lacks."""
    truths, heads = [subject.frame(t) for t in frames], [subject.head_mask(t) for t in frames]
    lines = {}
    for name, drawn in {"truth": truths, **pictures}.items():
        seam = asdict(seam_error(drawn, truths, heads))
        try:
            natural: float | str = float(np.mean([brisque(picture) for picture in drawn[::4]]))
        except UserError:
            natural = MISSING
        lines[name] = {"seam L1": seam["l1"], "seam PSNR": seam["psnr"], "flicker": seam["flicker"], "BRISQUE": natural}
    return pd.DataFrame(lines).T
