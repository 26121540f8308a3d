"""SyncTalk++ (Peng et al., 2025): masked attention, a tri-plane, and a canonical field, under voice, expression, pose.

Read `config`, `model` (what is trained and on which losses), then `attention` (Eq. 6) and `canonical` (Eq. 18).
`README.md` beside this file says where each equation stands.
"""

from audioplane.config import MethodSpec
from audioplane.methods.synctalk_pp.config import SyncTalkConfig

SPEC = MethodSpec(
    config=SyncTalkConfig,
    title="SyncTalk++",
    paper="Peng et al., 2025, arXiv:2506.14742",
    model="audioplane.methods.synctalk_pp.model:SyncTalkMethod",
    presets={
        "smoke": ("method.bf16=true", "method.resolution=16", "method.levels=2"),
        "demo": ("method.bf16=true", "schedule.closed_eyes=0.15"),
        "paper": ("audio.features=av", "audio.window=8"),
    },
    in_tables=("schedule.closed_eyes=0",),
    tables="audioplane.methods.synctalk_pp.paper.tables:TABLES",
    numbers="audioplane.methods.synctalk_pp.paper",
)
