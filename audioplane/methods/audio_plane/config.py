"""Audio-Plane's own settings: the field (Sec. III-D) and saliency splatting (Sec. III-E)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from audioplane.config import MethodConfig, ours, paper


@dataclass(frozen=True)
class AudioPlaneConfig(MethodConfig):
    """What moves the Gaussians, and what holds still."""

    NAME: ClassVar[str] = "audio_plane"

    field: str = paper(
        "Fig. 2",
        "audio_plane",
        "audio planes, tri-plane + audio, or planes over time",
        "audio_plane",
        "tri_plane",
        "six_planes",
    )
    resolution: int = paper("Sec. IV-A", 64, "H, cells a side of the coarsest level", low=2, high=512)
    features: int = paper("Sec. IV-A", 16, "D, features of a plane cell", low=1, high=128)
    levels: int = paper("Eq. 10", 4, "scales s = 1..levels, of s H cells a side", low=1, high=8)
    fusion: str = paper("Table III", "concat", "how the three plane sets join", "concat", "add", "multiply")
    scores: str = paper("Table III", "attention", "where the prototypes' weights come from", "attention", "mlp")
    query: str = ours(
        "projected",
        "what asks the prototypes: a after a learned linear layer, or a itself (the paper), for which audio.code is D",
        "projected",
        "code",
    )
    hidden: int = ours(64, "width of D1", low=1, high=1024)
    dynamism_hidden: int = ours(16, "width of D2", low=1, high=1024)
    position_scale: float = ours(0.1, "offset of position at output 1, in half box sides")
    rotation_scale: float = ours(0.1, "offset of the quaternion at output 1")
    scaling_scale: float = ours(0.2, "offset of log-scale at output 1")
    opacity_scale: float = ours(1.0, "offset of the opacity logit at output 1")
    color_scale: float = ours(0.3, "offset of the spherical harmonics at output 1")
    bounded: bool = ours(False, "whether offsets pass a tanh, so that none goes beyond the five scales above")
    move_points: bool = ours(True, "whether the field's gradient also reaches the canonical positions it is sampled at")
    bf16: bool = ours(False, "bfloat16 for the large matrix products, where the processor has them")
    saliency: bool = paper("Table II", True, "saliency splatting; false: d = 1 and no mask loss (w/o SS)")
    margin: float = paper("Sec. IV-A", 0.2, "tolerance between dynamism map and mask (Eq. 15)", high=1.0)
    mask_weight: float = paper("Sec. IV-A", 0.1, "lambda_mask, weight of the mask loss (Eq. 17)")
    mask_moves_code: bool = ours(
        False,
        "whether D2's gradient, which is the mask loss' above all, reaches the audio code; with an encoder that learns "
        "it makes the code a constant, and the lips stand still",
    )
    expression: bool = ours(False, "whether blendshapes of eyes and brows drive the head beside the sound")
    eyes_margin: float = ours(0.2, "with expression: tolerance of the mask loss at eyes and brows", high=1.0)
    eyes_mask_weight: float = ours(0.1, "with expression: weight of the mask loss at eyes and brows")


_OLD_FIELD = (
    "resolution",
    "features",
    "levels",
    "fusion",
    "scores",
    "hidden",
    "dynamism_hidden",
    "position_scale",
    "rotation_scale",
    "scaling_scale",
    "opacity_scale",
    "color_scale",
    "move_points",
    "bf16",
)
AudioPlaneConfig.RENAMED = {
    **{f"field.{name}": f"method.{name}" for name in _OLD_FIELD},
    "field.kind": "method.field",
    "saliency.enabled": "method.saliency",
    "saliency.margin": "method.margin",
    "saliency.weight": "method.mask_weight",
    "loss.fade_weight": "",
}
