"""SyncTalk++'s own settings. Where the paper is silent, its authors' earlier code (SyncTalk) and GaussianTalker, whose
structure it follows, say what is usual."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from audioplane.config import MethodConfig, ours, paper


@dataclass(frozen=True)
class SyncTalkConfig(MethodConfig):
    """What moves the Gaussians, and what keeps lips and expression apart."""

    NAME: ClassVar[str] = "synctalk_pp"

    resolution: int = ours(64, "cells a side of the coarsest level; level s has s times as many", low=2, high=512)
    features: int = ours(16, "D, features of a plane cell", low=1, high=128)
    levels: int = ours(3, "L, levels of the planes", low=1, high=8)
    fusion: str = paper(
        "Eq. 17", "concat", "how the three planes join; GaussianTalker multiplies them", "concat", "multiply"
    )
    initialisation: str = paper(
        "Table IV",
        "sh-opacity",
        "what F_can gives of the canonical Gaussians in the static stage; they are free from then on",
        "none",
        "sh-opacity",
        "all",
    )
    canonical_hidden: int = ours(64, "width of F_can", low=1, high=1024)
    hidden: int = ours(64, "width of F_deform", low=1, high=1024)
    attention_hidden: int = ours(16, "width of the networks that give V", low=1, high=1024)
    mask: str = paper(
        "Eq. 6",
        "nose",
        "what keeps lips and expression apart: V is cut at the tip of the nose; a loss on V beyond it (SyncTalk's "
        "code); or nothing",
        "nose",
        "loss",
        "none",
    )
    mask_weight: float = ours(1e-4, "with mask=loss: its weight at the end, to which it grows; SyncTalk's code")
    expression: str = paper(
        "Eq. 5",
        "core",
        "blendshapes beside the voice: the seven of brows and lids, the lids alone (Table VI), all of eyes and brows, "
        "or none",
        "core",
        "blink",
        "upper",
        "none",
    )
    smoothing: bool = ours(True, "Savitzky-Golay filter (5 frames, degree 3) on captured blendshapes; SyncTalk's code")
    pose: bool = paper("Eq. 19", True, "whether the head's pose enters F_deform")
    position_scale: float = ours(0.1, "offset of position at output 1, in half box sides")
    rotation_scale: float = ours(0.1, "offset of the quaternion at output 1")
    scaling_scale: float = ours(0.2, "offset of log-scale at output 1")
    opacity_scale: float = ours(1.0, "offset of the opacity logit at output 1")
    color_scale: float = ours(0.3, "offset of the spherical harmonics at output 1")
    static_perceptual: float = ours(
        0.5, "the perceptual weight in the static stage, as a share of the later one (raised in Eq. 24)", high=1.0
    )
    structure_weight: float = ours(
        0.05, "weight of D-SSIM where the perceptual term is LPIPS; stands for L_perceptual, whose network is not told"
    )
    bf16: bool = ours(False, "bfloat16 for the large matrix products, where the processor has them")
