"""Settings of the two clouds, of what moves them, and of the stages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from audioplane.config import MethodConfig, ours, paper

CODE = "the authors' code"


@dataclass(frozen=True)
class BranchesConfig(MethodConfig):
    """Two clouds, face and inside of the mouth, with tri-planes; shared by the methods that build on it."""

    resolution: int = ours(64, "cells a side of the coarsest plane; the paper hashes its planes", low=2, high=512)
    features: int = ours(8, "features of a plane cell", low=1, high=128)
    levels: int = ours(4, "scales s = 1..levels, of s x resolution cells a side", low=1, high=8)
    hidden: int = ours(64, "width of the MLP that moves the Gaussians", low=8, high=1024)
    position_scale: float = paper(CODE, 0.1, "offset of position, half boxes")
    rotation_scale: float = ours(0.1, "offset of the quaternion at output 1")
    scaling_scale: float = ours(0.2, "offset of log-scale at output 1")
    bf16: bool = ours(False, "bfloat16 for the large matrix products, where the processor has them")
    mouth_initial: int = paper(CODE, 10_000, "random points of the mouth's cloud", low=4, high=5_000_000)
    mouth_gaussians: float = ours(0.15, "share of gaussians.cap that is the mouth's", low=0.01, high=0.9)
    mouth_share: float = paper(CODE, 0.5, "share of the iterations before fusion, the mouth's", high=0.9)
    mouth_static: float = paper(CODE, 0.06, "share of the mouth's iterations in which it rests", high=1)
    fuse_share: float = paper(CODE, 1 / 11, "share of the iterations of fusion", high=0.9)
    fuse_opacity: bool = ours(False, "whether fusion also learns opacities, as the code does; the paper: colours alone")
    opening_window: float = paper(
        CODE,
        0.2,
        "share of the mouth openings that the face sees at a time; 1: all frames in turn",
        high=1,
    )
    hole_weight: float = ours(
        0.05, "weight of the face's optical depth where the inside of the mouth is seen: it opens the mouth", high=100
    )
    dssim_weight: float = ours(0.2, "weight of D-SSIM, as in 3DGS", high=100)
    lpips_weight: float = paper(CODE, 0.5, "weight of LPIPS in the second half of fusion, if loss.perceptual has it")


@dataclass(frozen=True)
class TalkingGaussianConfig(BranchesConfig):
    """What moves the face and the inside of its mouth."""

    NAME: ClassVar[str] = "talking_gaussian"

    attention_hidden: int = ours(16, "width of the two networks that weigh sound and expression", low=1, high=1024)
    expression: bool = paper(CODE, True, "whether blendshapes of eyes and brows drive the face beside the sound")
    hair_every: int = paper(CODE, 7, "steps between two that see hair while the face learns to move", low=1, high=1000)
