"""What a trained DEGSTalk head holds: its layers, its embeddings, and what the jaw's loss taught it.

Nothing is trained here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audioplane.evaluation import inspection
from audioplane.evaluation.heads import captured
from audioplane.methods.degstalk.branches import EMBEDDING, FaceBranch
from audioplane.methods.degstalk.model import JAW
from audioplane.subject import blendshapes

if TYPE_CHECKING:
    from audioplane.inference.talking_head import TalkingHead
    from audioplane.subject import Subject

PAPER = 0.95  # grey behind the layers
TOGETHER = "together"


@torch.no_grad()
def layers(head: TalkingHead, subject: Subject, codes: Tensor, t: int) -> dict[str, NDArray]:
    """Each layer of frame t over light grey, those in front first, and all of them on each other: (H, W, 3) in [0, 1].

    DEGSTalk, Eq. 7.
    """
    faces = captured(head, subject)
    picture = inspection.frame_picture(head, codes[t], subject.viewmats[t], None if faces is None else faces[t])
    drawn = {**picture.layers, TOGETHER: picture}
    return {name: one.over(torch.full((3,), PAPER)).clamp(0, 1).numpy() for name, one in drawn.items()}


@torch.no_grad()
def embeddings(head: TalkingHead, view: NDArray) -> NDArray:
    """The three main directions of z as red, green and blue: (H, W, 3) in [0, 1], NaN where no head is.

    DEGSTalk, Sec. II-B.
    """
    z = torch.cat([branch.params[EMBEDDING] for branch in head.method.each()])
    return inspection.splat_values(head, inspection.as_colors(z), view)


@torch.no_grad()
def jaw_track(head: TalkingHead, subject: Subject, codes: Tensor, frames: range) -> tuple[NDArray, NDArray]:
    """The jaw's opening as the face's displacements tell it, and the true one, (T,) each.

    What the loss L_jaw compares (DEGSTalk, Eq. 8).

    Raises:
        ValueError: the head has no jaw loss, or the subject no blendshapes.
    """
    face = head.method.branch("face")
    if not isinstance(face, FaceBranch) or face.jaw is None or subject.blendshapes is None:
        raise ValueError("head and subject: expected a jaw loss and blendshapes, received none")
    expression, read = captured(head, subject), []
    for t in frames:
        shapes = None if expression is None else expression[t]
        condition = head.condition(codes[t], expression=shapes, viewmat=subject.viewmats[t])
        read.append(float(face.jaw_opening(head.branches["face"].deformation(condition).offsets)))
    truth = np.asarray(subject.blendshapes[frames.start : frames.stop], np.float64)[:, blendshapes.index(JAW)]
    return np.array(read), truth
