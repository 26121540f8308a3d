"""GaussianTalker (Cho et al., 2024): plane features attend to what a frame says, and all attributes move.

Read `config`, then `model`.
"""

from audioplane.config import MethodSpec
from audioplane.methods.gaussian_talker.config import GaussianTalkerConfig

SPEC = MethodSpec(
    config=GaussianTalkerConfig,
    title="GaussianTalker",
    paper="Cho et al., 2024, arXiv:2404.16012",
    model="audioplane.methods.gaussian_talker.model:GaussianTalkerMethod",
    presets={
        "smoke": ("method.resolution=16", "method.features=16"),
        "demo": ("schedule.closed_eyes=0.15",),
        "paper": ("loss.perceptual=lpips-alex",),
    },
    in_tables=("schedule.closed_eyes=0",),
)
