"""The settings of the shortest run that a table could make, and the Subject that it learns."""

from __future__ import annotations

from pathlib import Path

from audioplane.config import preset
from audioplane.subject import SubjectWriter
from tests.subject_cases import fill, make_case

TINY = preset("smoke").replace(
    "schedule.coarse=20",
    "schedule.fine=20",
    "schedule.checkpoint_every=10",
    "schedule.size=48",
    "gaussians.initial=100",
    "gaussians.cap=120",
    "audio.pretrain_steps=5",
    "method.levels=1",
)


def write_disc(path: Path, learnt: int = 75) -> Path:
    """A Subject of 130 frames, of which 55 are held out, enough for lip sync, or others than the `learnt`."""
    with SubjectWriter(path, "disc", 48, 48, licence="CC0-1.0", provenance={"made_by": "a test"}) as writer:
        fill(writer, make_case(130))
        writer.set_split((0, learnt), (learnt, 130))
    return path
