"""What a trained SyncTalk++ head holds, as pictures: f_mu, V_lip and V_exp.

Nothing is trained here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from numpy.typing import NDArray

from audioplane.evaluation import inspection
from audioplane.evaluation.leakage import VOICE
from audioplane.methods.synctalk_pp.model import SyncTalkBranch

if TYPE_CHECKING:
    from audioplane.inference.talking_head import TalkingHead


def branch_of(head: TalkingHead) -> SyncTalkBranch:
    """The one branch of a SyncTalk++ head.

    Raises:
        TypeError: the head is of another method.
    """
    branch = next(head.method.each())
    if not isinstance(branch, SyncTalkBranch):
        raise TypeError(f"head: expected one of SyncTalk++, received one of {head.config.method.NAME}")
    return branch


@torch.no_grad()
def place_features(head: TalkingHead, view: NDArray) -> NDArray:
    """The three main directions of f_mu as red, green and blue: (H, W, 3) in [0, 1], NaN where no head is.

    SyncTalk++, Fig. 6.
    """
    return inspection.splat_values(head, inspection.as_colors(branch_of(head).place_features().float()), view)


@torch.no_grad()
def attention_maps(head: TalkingHead, view: NDArray) -> dict[str, NDArray]:
    """V_lip and V_exp drawn on the face, each (H, W), NaN where no head is.

    SyncTalk++, Eq. 6.

    Returns:
        `VOICE` -> the length of V_lip over that of ones; blendshape -> its V_exp.
    """
    branch = branch_of(head)
    lips, face = branch.attended(branch.place_features().float())
    values = torch.cat([lips.norm(dim=1, keepdim=True) / lips.shape[1] ** 0.5, face], dim=1)
    drawn = inspection.splat_values(head, values, view)
    return {name: drawn[..., k] for k, name in enumerate((VOICE, *head.expression_names))}
