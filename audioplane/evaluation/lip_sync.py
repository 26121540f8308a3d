"""Lip sync of clips under one sound, with the controls without which its numbers cannot be read.

Every clip is scored under its own sound and under unrelated sound, its own half a clip away. Of the truth it is also
said what it scores 1, 3 and 7 frames late.

Beside the network's scores: which movements of the lips follow (opening, width, pucker, jaw, the closing of p, b, m).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import find_peaks

from audioplane.audio.features import samples_of
from audioplane.evaluation.evaluate import Render
from audioplane.metrics.mouth import correlation, opening
from audioplane.metrics.sync import SyncScore
from audioplane.metrics.syncnet.scorers import FPS, SHORTEST, Scorer, late
from audioplane.runtime.threads import in_parallel

if TYPE_CHECKING:
    from audioplane.subject import Subject

SURE = 0.5  # probability of p, b or m from which on a peak counts
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


def mouth_movements(mouth: NDArray) -> dict[str, NDArray[np.float64]]:
    """Movements of the lips that a viewer notices, (T,) each in the unit of the landmarks.

    Args:
        mouth: (T, 20, 2), iBUG's landmarks 48 to 67, y down, seen from a head that is still (`MouthFrame.to_metres`).

    Returns:
        "opening" of the inner lips; "width" between the corners; "pucker", how much more of the lips is seen than usual
        for the width: their height without the opening, over the width (o, w, u); "jaw", how low the lower lip's middle
        lies.
    """
    apart = opening(mouth)
    width = np.linalg.norm(mouth[:, 6] - mouth[:, 0], axis=1)
    height = np.linalg.norm(mouth[:, 9] - mouth[:, 3], axis=1)
    return {
        "opening": apart,
        "width": width,
        "pucker": (height - apart) / np.maximum(width, 1e-9),
        "jaw": mouth[:, [8, 9, 10], 1].mean(axis=1),
    }


def movement_agreement(mouth: NDArray, truth: NDArray, ceiling: NDArray) -> dict[str, dict[str, float]]:
    """How well each movement of `mouth_movements` follows the truth.

    Args:
        mouth: (T, 20, 2) of a render, as `MouthReader` reads it.
        truth: (T, 20, 2) by the clip's landmarks; NaN where unknown.
        ceiling: (T, 20, 2) that the reader makes of the true pictures: what a perfect render would get.

    Returns:
        movement -> "r", "amplitude" (spread over that of the ceiling), and "ceiling r".
    """
    own, true, best = (mouth_movements(shapes) for shapes in (mouth, truth, ceiling))
    found = {}
    for name, values in true.items():
        known = np.isfinite(values)
        spread = float(best[name][known].std())
        found[name] = {
            "r": correlation(own[name], values),
            "amplitude": float(own[name][known].std()) / spread if spread else float("nan"),
            "ceiling r": correlation(best[name], values),
        }
    return found


def bilabial_frames(audio: NDArray[np.float32], fps: float, count: int) -> list[int]:
    """Frames in the middle of p, b or m, by the phonetic network: where nobody has written down who said what when.

    Args:
        audio: (n,) 16 kHz. fps, count: of the frames.
    """
    from audioplane.audio.phonetic import extract
    from audioplane.evaluation.audio_probe import viseme_probabilities

    likely = viseme_probabilities(extract(audio)[0])["p b m"]
    peaks, _ = find_peaks(likely, height=SURE)
    return sorted({frame for frame in (int(step * 0.02 * fps) for step in peaks) if frame < count})


def closing(apart: NDArray, frames: Sequence[int], reach: int = 2) -> float:
    """How open lips stay at sounds that shut them: 0 if they close each time, about 1 if they take no notice.

    Args:
        apart: (T,) opening; NaN where unknown.
        frames: in the middle of p, b, m. reach: frames to either side among which the lips may be shut.

    Returns:
        the mean over `frames` of the least opening near, above the least of all, over the mean opening above that.
    """
    lowest, usual = float(np.nanquantile(apart, 0.02)), float(np.nanmean(apart))
    near = [apart[max(0, t - reach) : t + reach + 1] for t in frames]
    least = [float(np.nanmin(some)) for some in near if np.isfinite(some).any()]
    if not least or usual - lowest <= 0:
        return float("nan")
    return float(np.mean(np.maximum(np.array(least) - lowest, 0.0))) / (usual - lowest)


def missing(fps: float, frames: int) -> str:
    """Why a clip of so many frames cannot be scored; "" where it can."""
    if fps != FPS:
        return f"lip sync is scored at {FPS:g} frames a second, these are {fps:g}"
    if frames < SHORTEST:
        return f"lip sync needs {SHORTEST / FPS:g} s of picture and sound, these have {frames / FPS:g} s"
    return ""


def _bytes(picture: NDArray) -> NDArray[np.uint8]:
    return picture if picture.dtype == np.uint8 else np.round(picture * 255).astype(np.uint8)
