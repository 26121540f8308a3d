"""Audio-Plane (Shen et al., 2025), with its tri-plane and six-plane baselines.

What the paper states of each setting, and what we take where it is silent, stands in `paper_settings.md`.
Read `config`, `model` (what is trained and on which losses), then `field` (the audio plane, Eq. 6 to 12).
"""

from audioplane.config import MethodSpec
from audioplane.methods.audio_plane.config import AudioPlaneConfig

SPEC = MethodSpec(
    config=AudioPlaneConfig,
    title="Audio-Plane",
    paper="Shen et al., 2025, arXiv:2503.22605",
    model="audioplane.methods.audio_plane.model:AudioPlaneMethod",
    presets={
        "smoke": ("method.bf16=true", "method.resolution=16", "method.levels=2"),
        "demo": ("method.bf16=true", "method.expression=true", "schedule.closed_eyes=0.15", "schedule.wide_lips=0.35"),
        "paper": (
            "method.query=code",
            "audio.emphasis=1",
            "audio.pretrain_steps=0",
            "gaussians.start=box",
            "gaussians.densify_until=1",
            "gaussians.densify_fine_until=0.12",  # 3DGS' 15,000 iterations, 3,000 of them coarse
            "gaussians.prune_opacity=0.005",
            "gaussians.reset_every=3000",
            "loss.motion_mask=narrow",
        ),
    },
    tables="audioplane.methods.audio_plane.paper.tables:ALL",
    in_tables=("method.expression=false", "schedule.closed_eyes=0", "schedule.wide_lips=0"),
    computed={"table1": "audioplane.methods.audio_plane.paper.inspection:memory_table"},
    figures="audioplane.methods.audio_plane.paper.figures:FIGURES",
    numbers="audioplane.methods.audio_plane.paper",
    widgets={
        name: f"audioplane.methods.audio_plane.paper.widgets:{name}"
        for name in ("saliency_scrubber", "prototype_explorer", "plane_explorer")
    },
)
