"""A filmed person under another's voice: nobody filmed that, so only what needs no truth is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from audioplane.audio.features import SAMPLE_RATE
from audioplane.evaluation import audio_probe, lip_sync
from audioplane.evaluation.heads import SHIFT, captured, time_in_clip
from audioplane.evaluation.protocols import DEFAULT
from audioplane.metrics.mouth import correlation, opening
from audioplane.metrics.syncnet.scorers import Scorer
from audioplane.runtime.threads import in_parallel

if TYPE_CHECKING:
    from audioplane.inference.talking_head import TalkingHead
    from audioplane.metrics.mouth import MouthReader
    from audioplane.subject import Subject

SPOKEN_BY = "adam"  # whose lips are known for every voice that ships


def judge(
    head: TalkingHead, subject: Subject, voice: str, seconds: float, reader: MouthReader
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Lip sync by the scorer that ships, and whether the lips open when an embedded speaker's do who says the same.

    Args:
        head: of the filmed person. subject: that person, of the head's size; poses, expression and torso are those of
            its held-out frames. voice: name of a voice that ships. seconds: that are spoken; no more than the held-out
            frames last. reader: of the subject.

    Returns:
        measures and series, named as those of a clip with a truth are.
    """
    spoken = audio_probe.reference_performance(SPOKEN_BY, seconds, voice)
    frames = subject.test[: len(spoken.opening)]
    samples = round(len(frames) / subject.fps * SAMPLE_RATE)
    audio, truth = spoken.audio[:samples], spoken.opening[: len(frames)]
    faces, openings = captured(head, subject), {}
    pictures: list[np.ndarray] = []
    for shift in (SHIFT, 0.0):
        codes = head.encode(np.roll(audio, round(shift * SAMPLE_RATE)))

        def draw(k: int, codes: Any = codes) -> np.ndarray:
            t, face = frames[k], None if faces is None else faces[frames[k]]
            code = codes[min(k, len(codes) - 1)]
            behind, moment = subject.without_head(t), time_in_clip(subject, t)
            return head.render(code, subject.viewmats[t], behind, subject.width, moment, face)

        pictures = list(in_parallel(draw, range(len(frames))))
        openings[shift] = opening(np.stack([reader(shown, t) for shown, t in zip(pictures, frames, strict=True)]))
    measures: dict[str, Any] = {
        "protocol": DEFAULT.name,
        "opening_correlation": correlation(openings[0.0], truth),
        "shifted_correlation": correlation(openings[SHIFT], truth),
    }
    series = {"opening": openings[0.0], "opening_true": truth}
    why = lip_sync.missing(subject.fps, len(frames))
    if why:
        return measures | {"sync": f"missing: {why}"}, series
    marks = subject.landmarks[frames.start : frames.stop]
    found = lip_sync.lip_sync(Scorer.built_in(), audio, {"head": lip_sync.Clip(pictures, marks)})
    own, unrelated = found.scores["head"], found.scores[f"head, {lip_sync.UNRELATED}"]
    measures |= {
        "sync": found.scorer,
        "sync_seconds": found.seconds,
        "lse_c": own.confidence,
        "lse_d": own.distance,
        "unrelated_lse_c": unrelated.confidence,
        "unrelated_lse_d": unrelated.distance,
        "sync_offset": own.offset,
        "sync_at_zero": own.at_zero,
    }
    return measures, series | {
        "sync_distance": found.distances["head"],
        "sync_unrelated": found.unrelated["head"],
    }
