"""What each input of a head moves by itself: does a blink move the lips, does the voice move the eyes?

Nothing is trained here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from audioplane.evaluation import inspection

if TYPE_CHECKING:
    from audioplane.inference.talking_head import TalkingHead
    from audioplane.subject import Subject

VOICE, POSE = "voice", "head pose"
PUSHED = 3.0  # spreads from rest by which a blendshape is pushed alone
EVERY = 8  # frames of the test split between two poses that are tried


@torch.no_grad()
def moved_alone(head: TalkingHead, subject: Subject, codes: Tensor) -> dict[str, Tensor]:
    """How far each input alone moves the Gaussians, millimetres (N,), while the others rest.

    Args:
        head: of N Gaussians. subject: whose poses are tried. codes: (T, code) of a voice.

    Returns:
        `VOICE` and `POSE` -> standard deviation over the codes, and over poses of the test frames; blendshape ->
        displacement when it is pushed `PUSHED` spreads from rest.
    """
    quiet = codes.mean(dim=0)
    poses = subject.viewmats[subject.test.start : subject.test.stop : EVERY]
    rest = head.condition(quiet)
    (still,), _ = inspection.moved_under(head, [rest])
    found = {
        VOICE: _spread(inspection.moved_under(head, [head.condition(code) for code in codes])[0]),
        POSE: _spread(inspection.moved_under(head, [head.condition(quiet, viewmat=pose) for pose in poses])[0]),
    }
    for k, name in enumerate(head.expression_names):
        assert rest.expression is not None
        pushed = rest.expression.clone()
        pushed[k] += PUSHED
        (moved,), _ = inspection.moved_under(head, [replace(rest, expression=pushed)])
        found[name] = (moved - still).norm(dim=1)
    return found


def _spread(moved: Tensor) -> Tensor:
    return (moved - moved.mean(dim=0)).square().sum(dim=2).mean(dim=0).sqrt()


def moved_by_region(head: TalkingHead, subject: Subject, moved: Mapping[str, Tensor], t: int) -> pd.DataFrame:
    """What `moved_alone` gives, as a mean over parts of the picture of frame t, millimetres.

    Returns:
        a line for each input; columns "lips and chin", "eyes and brows" and "elsewhere on the head".
    """
    speech, eyes = subject.motion_mask(t), subject.eyes_mask(t)
    regions = {
        "lips and chin": speech & ~eyes,
        "eyes and brows": eyes & ~speech,
        "elsewhere on the head": subject.head_mask(t) & ~speech & ~eyes,
    }
    drawn = inspection.splat_values(head, torch.stack([*moved.values()], dim=1), subject.viewmats[t])
    return pd.DataFrame(
        {where: np.nanmean(drawn[mask], axis=0) for where, mask in regions.items()}, index=pd.Index(moved, name="input")
    )
