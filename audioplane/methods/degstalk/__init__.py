"""DEGSTalk (Deng et al., 2024): embedded Gaussians, expression coefficients, and hair as a layer of its own.

Read `config`, `branches` (Eq. 5 and 6), then `model` (Eq. 7 to 9). Stages and planes are TalkingGaussian's, as in the
paper.
"""

from audioplane.config import MethodSpec
from audioplane.methods.degstalk.config import DEGSTalkConfig

SMALL_LAYERS = (
    "method.mouth_share=0.1",
    "method.mouth_static=0.5",
    "method.mouth_initial=400",
    "method.bf16=true",
)
FOR_A_VOICE = ("method.coefficients=upper",)
"""What a new voice does not tell drives the face beside it; mouth shapes would have to be known beforehand."""

SPEC = MethodSpec(
    config=DEGSTalkConfig,
    title="DEGSTalk",
    paper="Deng et al., 2024, arXiv:2412.20148",
    model="audioplane.methods.degstalk.model:DEGSTalkMethod",
    presets={
        "smoke": (*SMALL_LAYERS, *FOR_A_VOICE, "method.resolution=16", "method.levels=2"),
        "demo": (*SMALL_LAYERS, *FOR_A_VOICE, "method.embedding_place=after", "schedule.closed_eyes=0.15"),
        "paper": (
            "schedule.coarse=6600",
            "schedule.fine=103400",
            "schedule.foreign_expression=0",
            "gaussians.initial=2000",
            "loss.perceptual=lpips-alex",
        ),
    },
    tables="audioplane.methods.degstalk.paper.tables:TABLES",
    in_tables=(
        "method.coefficients=all",
        "method.embedding_place=before",
        "schedule.foreign_expression=0",
        "schedule.closed_eyes=0",
    ),
    numbers="audioplane.methods.degstalk.paper",
)
