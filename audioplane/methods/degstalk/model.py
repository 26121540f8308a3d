"""Stages and losses: face, mouth and hair by themselves, then all on each other.

    C   = C_hair + C_face O_face + C_mouth (1 - O_face)               (DEGSTalk, Eq. 7)
    L_D = L1 + lambda L_D-SSIM + beta L_jaw                           (DEGSTalk, Eq. 8)
    L_F = L1 + lambda L_D-SSIM + gamma L_LPIPS, colours alone         (DEGSTalk, Eq. 9)

C_hair is pasted from each true frame in the authors' code, also where it is tested. Here it is a third branch that is
rendered as the others are, so that a head speaks where there is no true frame; how pasting changes the numbers is
`paper/protocols.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from audioplane.losses.terms import Perceptual
from audioplane.methods.base import Branch
from audioplane.methods.degstalk.branches import EMBEDDING, FaceBranch, HairBranch, MouthBranch
from audioplane.methods.degstalk.config import COEFFICIENTS, FLAME_JAW, DEGSTalkConfig
from audioplane.methods.talking_gaussian.model import TwoBranches, without
from audioplane.methods.types import Losses, Sample, Stage, Start, Term
from audioplane.splat.gaussians import Gaussians, Picture

if TYPE_CHECKING:
    from audioplane.config import Config

JAW = "jawOpen"
EDGE = 2  # pixels beyond a part of the head in which its outline may still be


class DEGSTalkMethod(TwoBranches):
    """Face and mouth as in TalkingGaussian, with embeddings; hair in front of both."""

    @property
    def own(self) -> DEGSTalkConfig:
        return self.config.method  # type: ignore[return-value]

    @property
    def expression(self) -> Sequence[str]:
        """f_e without identity and shape, which are the same in all frames of one person."""
        return COEFFICIENTS[self.own.coefficients]

    @property
    def compared(self) -> Sequence[str]:
        """The jaw's opening, for Eq. 8."""
        jaw = FLAME_JAW if self.own.coefficients == "flame" else JAW
        return (jaw,) if self.own.jaw_weight > 0 else ()

    @classmethod
    def branch_names(cls, config: Config) -> Sequence[str]:
        own = config.method
        assert isinstance(own, DEGSTalkConfig)
        return ("hair", "face", "mouth") if own.hair else ("face", "mouth")

    @classmethod
    def start(cls, config: Config, name: str) -> Start:
        """Hair is a share of all Gaussians, and begins in the hair."""
        own = config.method
        assert isinstance(own, DEGSTalkConfig)
        hair = max(8, round(own.hair_gaussians * config.gaussians.cap)) if own.hair else 0
        if name == "hair":
            return Start(min(config.gaussians.initial, hair), hair, "hair", may_vanish=True)
        start = super().start(config, name)
        if name == "mouth":
            return start
        cap = max(8, start.cap - hair)
        return replace(start, initial=min(start.initial, cap), cap=cap)

    @classmethod
    def own_arrays(cls, config: Config, name: str) -> dict[str, int]:
        own = config.method
        assert isinstance(own, DEGSTalkConfig)
        return {EMBEDDING: own.embedding} if own.embedding else {}

    def make_branch(self, name: str, cloud: Gaussians, generator: torch.Generator) -> Branch:
        if name == "face":
            return FaceBranch(self.config, cloud, self.box, generator, len(self.expression))
        kind = HairBranch if name == "hair" else MouthBranch
        return kind(self.config, cloud, self.box, generator)

    def shares(self) -> dict[str, float]:
        hair = {"hair": self.own.hair_share} if self.own.hair else {}
        mouth = self.own.mouth_share
        return {"face": 1.0 - mouth - sum(hair.values()), "mouth": mouth, **hair}

    def static_shares(self) -> dict[str, float]:
        return {**super().static_shares(), "hair": self.own.hair_static}

    def losses(self, picture: Picture, sample: Sample, stage: Stage, perceptual: Perceptual | None) -> Losses:
        """L1, D-SSIM and, where the face learns to move, the jaw's; LPIPS at the end.

        DEGSTalk, Eq. 8, and Eq. 9 in the fine-tuning stage.
        """
        found = super().losses(picture, sample, stage, perceptual)
        face = self.branch("face")
        moved = picture.offsets if stage.branches == ("face",) and stage.deforms else None
        if moved is not None and sample.compared is not None and isinstance(face, FaceBranch) and face.jaw is not None:
            jaw = (face.jaw_opening(moved) - sample.compared[0]).square()
            return replace(found, terms={**found.terms, "jaw": Term(jaw, self.own.jaw_weight)})
        return found

    def part_of(self, branch: str, sample: Sample, stage: Stage) -> Sample:
        """Hair alone; or the face without the inside of the mouth, going on a little under the hair (Sec. II-C)."""
        hair, inner = sample.regions["hair"], sample.regions["inner_mouth"]
        if branch == "hair":
            return alone(sample, hair)
        if not self.own.hair:
            return without(sample, inner)
        face = sample.head * (1.0 - hair)
        wide = widened(face, max(1, round(self.own.dilation * hair.shape[1])))
        return alone(sample, sample.head * wide * (1.0 - inner))


def widened(mask: Tensor, reach: int) -> Tensor:
    """A mask (H, W) and what is at most `reach` pixels from it, along rows and columns."""
    return functional.max_pool2d(mask[None, None], 2 * reach + 1, 1, reach)[0, 0]


def alone(sample: Sample, region: Tensor) -> Sample:
    """A part (H, W) of the head over the background; where the head ends elsewhere, it is known to be empty."""
    away = widened(region, EDGE) == 0
    hole = away | (sample.head * (1.0 - region) > 0)
    target = torch.where(hole[..., None], sample.background, sample.target)
    return replace(sample, target=target, known=sample.known | away, head=region)
