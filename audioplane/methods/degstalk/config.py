"""Settings: the embedding, the coefficients, the jaw loss and the hair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from audioplane.config import ours, paper
from audioplane.methods.talking_gaussian.config import BranchesConfig
from audioplane.methods.types import UPPER_FACE

LOWER_FACE: tuple[str, ...] = (
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "mouthClose", "mouthDimpleLeft", "mouthDimpleRight",
    "mouthFrownLeft", "mouthFrownRight", "mouthFunnel", "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight",
    "mouthPressLeft", "mouthPressRight", "mouthPucker", "mouthRight", "mouthRollLower", "mouthRollUpper",
    "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft",
    "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight", "noseSneerLeft", "noseSneerRight", "tongueOut",
)  # fmt: skip
"""Blendshapes (ARKit's names) beside eyes and brows, without the jaw's, which the paper leaves out of f_e."""

FLAME: tuple[str, ...] = (
    "flameEyelidLeft",
    "flameEyelidRight",
    *(f"flameExpression{k:02}" for k in range(50)),
)
"""Coefficients of FLAME that a tracker gave (`subject.flame`), without the jaw's."""

FLAME_JAW = "flameJawOpen"

COEFFICIENTS = {"all": (*UPPER_FACE, *LOWER_FACE), "upper": UPPER_FACE, "flame": FLAME, "none": ()}
"""What f_e holds, by the setting `coefficients`."""


@dataclass(frozen=True)
class DEGSTalkConfig(BranchesConfig):
    """What DEGSTalk adds to two branches with tri-planes."""

    NAME: ClassVar[str] = "degstalk"

    embedding: int = paper("Sec. III-A", 32, "d, numbers of z, learned for each Gaussian; 0: none (w/o E)", high=512)
    embedding_place: str = paper(
        "Eq. 5", "before", "whether z joins the position before or, as in the authors' code, after its encoding",
        "before", "after",
    )  # fmt: skip
    embedding_rate: float = ours(2e-3, "Adam's learning rate of z")
    coefficients: str = paper(
        "Sec. II-B",
        "all",
        "f_e: all blendshapes but the jaw's (for the paper's coefficients of FLAME), those of eyes and brows, FLAME's "
        "expression and eyelids from files (`audioplane subject flame`), or none",
        *COEFFICIENTS,
    )
    jaw_weight: float = paper("Sec. III-A", 1e-3, "beta, weight of the jaw loss (Eq. 8)", high=1000)
    dssim_weight: float = paper("Sec. III-A", 0.5, "lambda, weight of D-SSIM (Eq. 8 and 9)", high=100)
    lpips_weight: float = paper("Sec. III-A", 0.2, "gamma, weight of LPIPS (Eq. 9), if loss.perceptual has it")
    hair: bool = paper("Eq. 7", True, "hair as a layer of its own; false: the face's branch draws it (w/o H)")
    hair_share: float = ours(0.15, "share of the iterations before fusion, the hair's", high=0.9)
    hair_static: float = ours(0.6, "share of the hair's iterations in which it rests", high=1)
    hair_gaussians: float = ours(0.3, "share of gaussians.cap that is the hair's", low=0.01, high=0.9)
    dilation: float = ours(0.01, "how far the face goes on under the hair, in picture widths (Sec. II-C)", high=0.2)
