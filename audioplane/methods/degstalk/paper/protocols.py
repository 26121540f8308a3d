"""Three ways to show hair, and what each does to the numbers.

The authors' scripts paste the true hair into every frame that is measured. That is no property of the method: a voice
that nobody filmed has no true frames. So every number is to be given three times.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pandas as pd

from audioplane.evaluation import protocols
from audioplane.evaluation.evaluate import evaluate_all
from audioplane.evaluation.heads import renderer

if TYPE_CHECKING:
    import numpy as np

    from audioplane.inference.talking_head import TalkingHead
    from audioplane.metrics.mouth import MouthReader
    from audioplane.subject import Subject

HAIR = "hair"
WAYS = ("nothing pasted", "hair from the truth", "hair as learned")
SHOWN = ("psnr", "ssim", "head_psnr", "mouth_psnr", "lip_error")


def without_layer(head: TalkingHead, name: str) -> TalkingHead:
    """A head that leaves out one of its layers; a head without that layer as it is."""
    bare = copy.copy(head)
    bare.branches = {own: branch for own, branch in head.branches.items() if own != name}
    return bare


def hair_table(
    head: TalkingHead, subject: Subject, frames: range | None = None, reader: MouthReader | None = None
) -> pd.DataFrame:
    """A head measured over the true torso, its hair in each of `WAYS`.

    Args:
        head: with every Gaussian evaluated, at the subject's size. subject: the truth.
        frames: default the test split. reader: of this subject, where one is at hand.

    Returns:
        a row for each of `WAYS`, columns `SHOWN`.
    """
    bare, learned = (renderer(one, subject, 0.0, protocols.DEFAULT) for one in (without_layer(head, HAIR), head))

    def pasted(t: int) -> np.ndarray:
        return protocols.paste(bare(t), subject.frame(t), subject.hair_mask(t))

    whole = protocols.find("torso")
    found = evaluate_all(subject, [bare, pasted, learned], frames, reader, whole)
    rows = [{name: summary.to_dict()[name] for name in SHOWN} for summary, _ in found]
    return pd.DataFrame(rows, index=pd.Index(WAYS, name="hair"))
