"""Lip sync of clips under one sound, with the controls without which its numbers cannot be read.

Every clip is scored under its own sound and under unrelated sound, its own half a clip away. Of the truth it is also
said what it scores 1, 3 and 7 frames late.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from audioplane.evaluation.evaluate import Render, samples_of
from audioplane.metrics.sync import SyncScore
from audioplane.metrics.syncnet.scorers import FPS, SHORTEST, Scorer, late
from audioplane.runtime.threads import in_parallel

if TYPE_CHECKING:
    from audioplane.subject import Subject

TRUTH, UNRELATED = "truth", "unrelated audio"


@dataclass(frozen=True)
class Clip:
    """Pictures of a clip: T pictures (H, W, 3) uint8, 25 a second, and landmarks (T, 68, 2) in their pixels."""

    frames: Iterable[NDArray[np.uint8]]
    landmarks: NDArray


@dataclass(frozen=True)
class LipSync:
    """The scores by one scorer.

    Attributes:
        scorer: its name, which stands beside every number.
        seconds: of the clips.
        scores: of each clip, of the truth "1 late" and so on, and of each clip under "unrelated audio".
        distances, unrelated: of each clip, of its windows of five frames to their own and to unrelated sound, (n,).
    """

    scorer: str
    seconds: float
    scores: dict[str, SyncScore]
    distances: dict[str, NDArray[np.float64]]
    unrelated: dict[str, NDArray[np.float64]]

    def to_dict(self) -> dict[str, Any]:
        return {"clip_seconds": self.seconds, **{name: score.to_dict() for name, score in self.scores.items()}}


def lip_sync(scorer: Scorer, audio: NDArray[np.floating], clips: Mapping[str, Clip]) -> LipSync:
    """Scores clips that show the same seconds.

    Args:
        scorer: a network.
        audio: (n,) 16 kHz, from the clips' first frame on.
        clips: by name; the one called "truth" is also scored late.

    Raises:
        UserError: they are shorter than two seconds.
    """
    frames = min(len(clip.landmarks) for clip in clips.values())
    count = scorer.count(frames, len(audio))
    own, other = scorer.embed_audio(audio, count), scorer.embed_audio(np.roll(audio, len(audio) // 2), count)
    scores: dict[str, SyncScore] = {}
    controls: dict[str, SyncScore] = {}
    distances, unrelated = {}, {}
    for name, clip in clips.items():
        visual = scorer.embed_frames(clip.frames, clip.landmarks)[:count]
        scores[name] = scorer.score(visual, own)
        if name == TRUTH:
            scores |= {f"{name} {key}": score for key, score in late(scorer, visual, own).items()}
        controls[f"{name}, {UNRELATED}"] = scorer.score(visual, other)
        distances[name] = np.linalg.norm(visual - own, axis=1)
        unrelated[name] = np.linalg.norm(visual - other, axis=1)
    return LipSync(scorer.name, frames / FPS, scores | controls, distances, unrelated)


def of_subject(scorer: Scorer, subject: Subject, renders: Mapping[str, Render]) -> LipSync:
    """The same for renders of a subject's held-out frames, and for the truth.

    Args:
        scorer: a network.
        subject: the truth; see `missing`.
        renders: frame number -> (H, W, 3) uint8 or float in [0, 1], by name.
    """
    frames = subject.test
    landmarks = subject.landmarks[frames.start : frames.stop]
    clips = {
        name: Clip(in_parallel(lambda t, draw=draw: _bytes(draw(t)), frames), landmarks)
        for name, draw in (*renders.items(), (TRUTH, subject.frame))
    }
    return lip_sync(scorer, subject.audio[samples_of(frames, FPS)], clips)


def missing(fps: float, frames: int) -> str:
    """Why a clip of so many frames cannot be scored; "" where it can."""
    if fps != FPS:
        return f"lip sync is scored at {FPS:g} frames a second, these are {fps:g}"
    if frames < SHORTEST:
        return f"lip sync needs {SHORTEST / FPS:g} s of picture and sound, these have {frames / FPS:g} s"
    return ""


def _bytes(picture: NDArray) -> NDArray[np.uint8]:
    return picture if picture.dtype == np.uint8 else np.round(picture * 255).astype(np.uint8)
