"""TalkingGaussian (Li et al., 2024): a face and the inside of its mouth, each a cloud with a field of its own.

Read `config`, `model` (stages and losses), then `branches` (what moves the two clouds).
"""

from audioplane.config import MethodSpec
from audioplane.methods.talking_gaussian.config import TalkingGaussianConfig

SMALL_MOUTH = ("method.mouth_share=0.15", "method.mouth_static=0.5", "method.mouth_initial=400", "method.bf16=true")
"""The inside of a mouth of a few hundred pixels takes fewer steps and points than that of a film of 512."""

SPEC = MethodSpec(
    config=TalkingGaussianConfig,
    title="TalkingGaussian",
    paper="Li et al., 2024, arXiv:2404.15264",
    model="audioplane.methods.talking_gaussian.model:TalkingGaussianMethod",
    presets={
        "smoke": (*SMALL_MOUTH, "method.resolution=16", "method.levels=2"),
        "demo": (*SMALL_MOUTH, "schedule.closed_eyes=0.15"),
        "paper": (
            "schedule.coarse=6600",
            "schedule.fine=103400",
            "gaussians.initial=2000",
            "loss.perceptual=lpips-alex",
        ),
    },
    in_tables=("schedule.closed_eyes=0",),
)
