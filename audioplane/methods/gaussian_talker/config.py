"""Settings of the planes, the attention and what moves the Gaussians."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from audioplane.config import MethodConfig, ours, paper

CODE = "the authors' code"


@dataclass(frozen=True)
class GaussianTalkerConfig(MethodConfig):
    """What moves the Gaussians."""

    NAME: ClassVar[str] = "gaussian_talker"

    resolution: int = paper(CODE, 64, "cells a side of the coarser planes", low=2, high=512)
    levels: int = paper(CODE, 2, "scales s = 1..levels, of s x resolution cells a side", low=1, high=8)
    features: int = paper(CODE, 32, "features of a plane cell", low=1, high=128)
    width: int = ours(32, "width of queries, keys and values", low=8, high=512)
    hidden: int = ours(64, "width of the MLP that gives the offsets", low=8, high=1024)
    expression: bool = paper(CODE, True, "whether blendshapes of eyes and brows give the eye token; false: none")
    position_scale: float = ours(0.1, "offset of position at output 1, in half box sides")
    rotation_scale: float = ours(0.1, "offset of the quaternion at output 1")
    scaling_scale: float = ours(0.2, "offset of log-scale at output 1")
    opacity_scale: float = ours(1.0, "offset of the opacity logit at output 1")
    color_scale: float = ours(0.3, "offset of the spherical harmonics at output 1")
