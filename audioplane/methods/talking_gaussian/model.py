"""Stages and losses: each cloud by itself, at rest and then moving, and at last both on each other.

C = C_face + C_mouth (1 - O_face)           both premultiplied, over torso and background
L = L1 + w D-SSIM (+ w LPIPS in the second half of fusion; + w optical depth between the lips, for the face)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from audioplane.losses.terms import Perceptual, pixel_terms, structural_similarity
from audioplane.methods.base import Branch, Method
from audioplane.methods.talking_gaussian.branches import FaceBranch, MouthBranch
from audioplane.methods.talking_gaussian.config import BranchesConfig, TalkingGaussianConfig
from audioplane.methods.types import UPPER_FACE, Losses, Sample, Stage, Start, Term
from audioplane.splat.gaussians import Gaussians, Picture

if TYPE_CHECKING:
    from audioplane.config import Config

Window = Callable[[float], tuple[float, float]]
COLOURS = ("sh0", "shN")
SWEEPS = 8  # of the window of mouth openings over the face's motion stage
WIDEST = 0.9  # quantile of the mouth openings from which its inside is seen at first
LEAST_OPEN = 0.25  # quantile below which it is never seen
LIPS = 2  # pixels under the lips in which the mouth's inside may go on
LEAST_LIGHT = 1e-4  # share of light through the face that its optical depth tells from none
MOST_SCALE = 100.0  # of the mouth's terms, whose pixels are few


class TwoBranches(Method):
    """What methods with a face and the inside of a mouth share: stages, the mouth's losses and the fusion's."""

    @property
    def own(self) -> BranchesConfig:
        """The method's own settings."""
        return self.config.method  # type: ignore[return-value]

    @classmethod
    def branch_names(cls, config: Config) -> Sequence[str]:
        return ("face", "mouth")

    def shares(self) -> dict[str, float]:
        """Of the iterations before fusion, by branch, in the order in which they learn."""
        return {"face": 1.0 - self.own.mouth_share, "mouth": self.own.mouth_share}

    @classmethod
    def start(cls, config: Config, name: str) -> Start:
        """The mouth's cloud is a share of all Gaussians, and begins in the mouth."""
        own, cap = config.method, config.gaussians.cap
        assert isinstance(own, BranchesConfig)
        mouth = max(8, round(own.mouth_gaussians * cap))
        if name == "mouth":
            return Start(min(own.mouth_initial, mouth), mouth, "mouth", may_vanish=True)
        rest = max(8, cap - mouth)
        return Start(min(config.gaussians.initial, rest), rest)

    def static_shares(self) -> dict[str, float]:
        """Of a branch's iterations in which it rests, where they are not those of `schedule.coarse`."""
        return {"mouth": self.own.mouth_static}

    # Stages

    def stages(self) -> tuple[Stage, ...]:
        """Static initialisation and motion learning of each branch, then fusion, which learns colours alone."""
        own, schedule = self.own, self.config.schedule
        whole = schedule.coarse + schedule.fine
        fusion = round(own.fuse_share * whole) if schedule.fine else 0
        counts = {name: round(share * (whole - fusion)) for name, share in self.shares().items()}
        counts["face"] += whole - fusion - sum(counts.values())
        share, found = schedule.coarse / whole, []
        for name, count in counts.items():
            own = self.static_shares().get(name, share) if schedule.fine else share
            found += self.branch_stages(name, count, own)
        return (*found, *self.fusion_stages(fusion))

    def openings(self, name: str) -> tuple[Window | None, Window | None]:
        """Which frames a branch sees at rest and moving, as `Stage.opening`."""
        if name == "mouth":
            return (lambda done: (WIDEST, 1.0)), opening_downward
        return None, self.face_window() if name == "face" else None

    def branch_stages(self, name: str, iterations: int, share: float) -> tuple[Stage, ...]:
        """A branch at rest, then moving.

        Args:
            name: of the branch. iterations: of both. share: that is static.
        """
        static, moving = self.openings(name)
        first = round(share * iterations)
        trains = [f"tables-{name}", f"network-{name}", *["encoder"][: self.config.audio.fine_rate > 0.0]]
        small = bool(self.config.schedule.early_size) and name != "mouth"
        return (
            Stage(f"{name} static", first, False, (), (name,), small, (name,), (name,), opening=static),
            Stage(
                f"{name} motion",
                iterations - first,
                trains=tuple(trains),
                branches=(name,),
                opening=moving,
                foreign=name == "face",
            ),
        )

    def fusion_stages(self, iterations: int) -> tuple[Stage, ...]:
        """All layers on each other; the perceptual loss joins half way (TalkingGaussian; DEGSTalk, Sec. II-D)."""
        arrays = (*COLOURS, "opacities") if self.own.fuse_opacity else COLOURS
        half = iterations // 2
        return (
            Stage("fusion", half, arrays=arrays, foreign=False),
            Stage("fusion, perceptual", iterations - half, arrays=arrays, foreign=False),
        )

    def face_window(self) -> Window | None:
        """A window of mouth openings that moves upward, again and again; None where it holds all."""
        width = self.own.opening_window
        if width >= 1.0:
            return None

        def window(done: float) -> tuple[float, float]:
            low = (1.0 - width) * math.modf(done * SWEEPS)[0]
            return low, low + width

        return window

    # Losses

    def losses(self, picture: Picture, sample: Sample, stage: Stage, perceptual: Perceptual | None) -> Losses:
        """L1 and D-SSIM of the stage's branch against its part of the frame, or of all against the frame.

        LPIPS joins in the second half of fusion (TalkingGaussian; DEGSTalk, Eq. 9).
        """
        scale, weights, hole = 1.0, self.region_weights(stage), sample.regions["inner_mouth"]
        if stage.branches == ("mouth",):
            sample, scale = mouth_alone(sample)
            weights = (0.0, 0.0)
        elif stage.branches:
            sample = self.part_of(stage.branches[0], sample, stage)
        pixels = pixel_terms(picture, sample, weights[0], eyes_weight=weights[1])
        similarity = structural_similarity(pixels.image, pixels.target)
        terms = {"l1": Term(pixels.l1, scale), "dssim": Term(1.0 - similarity, scale * self.own.dssim_weight)}
        if stage.branches == ("face",) and self.own.hole_weight > 0.0:
            terms["hole"] = Term(depth_in_hole(picture, hole), self.own.hole_weight)
        is_network = self.config.loss.perceptual.startswith("lpips")
        if perceptual is not None and is_network and stage.name == "fusion, perceptual":
            terms["perceptual"] = Term(perceptual(pixels.image, pixels.target), self.own.lpips_weight)
        return Losses(terms, pixels.error)

    def part_of(self, branch: str, sample: Sample, stage: Stage) -> Sample:
        """A frame as a branch other than the mouth is to draw it."""
        raise NotImplementedError


class TalkingGaussianMethod(TwoBranches):
    """Face and hair in one branch, the inside of the mouth in the other."""

    @property
    def own(self) -> TalkingGaussianConfig:
        return self.config.method  # type: ignore[return-value]

    @property
    def expression(self) -> Sequence[str]:
        """Eyes and brows: what the paper's action units tell."""
        return UPPER_FACE if self.own.expression else ()

    def make_branch(self, name: str, cloud: Gaussians, generator: torch.Generator) -> Branch:
        if name == "mouth":
            return MouthBranch(self.config, cloud, self.box, generator)
        return FaceBranch(self.config, cloud, self.box, generator, len(self.expression))

    def part_of(self, branch: str, sample: Sample, stage: Stage) -> Sample:
        """The frame without the inside of the mouth; hair counts in every seventh step of motion learning."""
        sample = without(sample, sample.regions["inner_mouth"])
        if stage.deforms and sample.iteration % self.own.hair_every:
            sample = replace(sample, known=sample.known & (sample.regions["hair"] == 0))
        return sample


def opening_downward(done: float) -> tuple[float, float]:
    """The mouth's frames while it learns to move: from the widest open ones down to the 25th percentile."""
    return WIDEST + (LEAST_OPEN - WIDEST) * min(1.0, 2.0 * done), 1.0


def without(sample: Sample, hole: Tensor) -> Sample:
    """A frame with its background in a hole (H, W), where the branch in front is to let light through."""
    target = torch.where(hole[..., None] > 0, sample.background, sample.target)
    return replace(sample, target=target, head=sample.head * (1.0 - hole))


def depth_in_hole(picture: Picture, hole: Tensor) -> Tensor:
    """Mean optical depth, -log(1 - alpha), of what a branch draws into a hole (H, W) of its picture.

    L1 alone does not open it: behind one opaque Gaussian lies another, so that making either fainter changes nothing.
    The depth is a sum over Gaussians, and each has its own gradient.
    """
    return -(torch.log1p(-picture.alpha[..., 0] * (1.0 - LEAST_LIGHT)) * hole).mean()


def mouth_alone(sample: Sample) -> tuple[Sample, float]:
    """The inside of the mouth over the background, free to go on a little under the lips; and its terms' weight."""
    inner = sample.regions["inner_mouth"]
    wide = functional.max_pool2d(inner[None, None], 2 * LIPS + 1, 1, LIPS)[0, 0]
    target = torch.where(inner[..., None] > 0, sample.target, sample.background)
    known = (inner > 0) | (wide == 0)
    scale = min(MOST_SCALE, inner.numel() / max(float(wide.sum()), 1.0))
    return replace(sample, target=target, known=known, head=inner), scale
