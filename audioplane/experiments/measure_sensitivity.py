"""One head, spoilt in known ways, and what each measure makes of it: the material of notebook 90."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audioplane.evaluation import inspection, protocols
from audioplane.evaluation.evaluate import Evaluation, evaluate_all, samples_of
from audioplane.experiments.runs import renderer
from audioplane.metrics.mouth import MouthReader
from audioplane.metrics.statistics import Difference, paired_difference, paired_over_seeds, spread
from audioplane.metrics.sync import SyncScore, shift_distances
from audioplane.metrics.sync import score as score_distances
from audioplane.pretrained.syncnet.scorers import FPS, Scorer, controls
from audioplane.runtime.threads import in_parallel

if TYPE_CHECKING:
    from audioplane.inference.talking_head import TalkingHead
    from audioplane.subject import Subject

Render = Callable[[int], NDArray]

LATE = 5
"""Frames by which the late rendering comes after its sound: a fifth of a second."""

BETTER = {
    "head_psnr": 1,
    "head_ssim": 1,
    "mouth_psnr": 1,
    "haarpsi": 1,
    "gmsd": -1,
    "lip_error": -1,
    "opening_correlation": 1,
    "LSE-D": -1,
    "LSE-C": 1,
    "distance at 0": -1,
}


def renderings(subject: Subject, head: TalkingHead) -> dict[str, Render]:
    """The head as it is, `LATE` frames late, with its mouth held still, and with the true hair and torso pasted in."""
    own = renderer(head, subject)
    late = renderer(head, subject, shift=LATE / subject.fps)
    still = renderer(inspection.at_rest(head), subject)

    def pasted(t: int) -> NDArray:
        cover = subject.hair_mask(t) | ~subject.head_mask(t)
        return protocols.paste(own(t), subject.frame(t), cover)

    return {"as it is": own, f"{LATE} frames late": late, "mouth held still": still, "hair pasted": pasted}


def evaluated(
    subject: Subject, renders: Mapping[str, Render]
) -> tuple[dict[str, Evaluation], dict[str, dict[str, NDArray]]]:
    """Each rendering's measures on the held-out frames, and their series."""
    both = dict(zip(renders, evaluate_all(subject, list(renders.values())), strict=True))
    return {name: one[0] for name, one in both.items()}, {name: one[1] for name, one in both.items()}


def synced(subject: Subject, renders: Mapping[str, Render], scorer: Scorer) -> dict[str, SyncScore]:
    """Each rendering's lip sync on the held-out frames, then the truth's with its controls."""
    frames = subject.test
    landmarks = subject.landmarks[frames.start : frames.stop]
    audio = subject.audio[samples_of(frames, FPS)]
    count = scorer.count(len(frames), len(audio))
    sounds = scorer.hear(audio, count)
    found = {
        name: scorer.score(scorer.see(in_parallel(render, frames), landmarks)[:count], sounds)
        for name, render in renders.items()
    }
    unrelated = subject.audio[: len(audio)]
    return found | controls(scorer, map(subject.frame, frames), landmarks, audio, unrelated)


def table(measures: Mapping[str, Evaluation], sync: Mapping[str, SyncScore]) -> dict[str, dict[str, float]]:
    """Rendering -> measure -> value, of the measures in `BETTER`."""
    found: dict[str, dict[str, float]] = {}
    for name, one in measures.items():
        values: dict[str, Any] = one.to_dict() | {
            "LSE-D": sync[name].distance,
            "LSE-C": sync[name].confidence,
            "distance at 0": sync[name].at_zero,
        }
        found[name] = {key: float(values[key]) for key in BETTER}
    return found


def sync_table(scores: Mapping[str, SyncScore]) -> pd.DataFrame:
    """LSE-D, LSE-C, offset and distance at 0, one row a clip."""
    rows = {
        name: {"LSE-D": s.distance, "LSE-C": s.confidence, "offset": s.offset, "at 0": s.at_zero}
        for name, s in scores.items()
    }
    return pd.DataFrame(rows).T.astype({"offset": int}).round(3)


def by_protocol(subject: Subject, head: TalkingHead, names: Sequence[str] = tuple(protocols.PROTOCOLS)) -> pd.DataFrame:
    """PSNR, SSIM and HaarPSI of one head under each protocol, and of the same head with its mouth held still."""
    still, reader, rows = inspection.at_rest(head), MouthReader(subject), {}
    for name in names:
        protocol = protocols.find(name)
        draw = [renderer(one, subject, protocol=protocol) for one in (head, still)]
        (own, _), (rest, _) = evaluate_all(subject, draw, reader=reader, protocol=protocol)
        rows[name] = {"PSNR": own.psnr, "held still": rest.psnr, "SSIM": own.ssim, "HaarPSI": own.haarpsi}
    return pd.DataFrame(rows).T.astype(float).round(3)


def confidence_by_length(
    subject: Subject, scorer: Scorer, seconds: Sequence[float], seed: int = 0, draws: int = 12
) -> dict[str, NDArray[np.float64]]:
    """LSE-C of pieces of the true clip, under its own sound and under that of another moment: (lengths, draws).

    The search over shifts finds something in every piece: the shorter it is, the more.
    """
    generator = np.random.default_rng(seed)
    count = scorer.count(subject.num_frames, len(subject.audio))
    sights = scorer.see(map(subject.frame, range(subject.num_frames)), subject.landmarks)[:count]
    sounds = scorer.hear(subject.audio, count)
    found = {"own sound": np.empty((len(seconds), draws)), "another moment's sound": np.empty((len(seconds), draws))}
    for row, length in enumerate(seconds):
        n = round(length * FPS)
        for column in range(draws):
            a = int(generator.integers(0, count - n + 1))
            b = (a + int(generator.integers(min(50, count // 3), count - min(50, count // 3)))) % (count - n + 1)
            for name, start in (("own sound", a), ("another moment's sound", b)):
                piece = shift_distances(sights[a : a + n], sounds[start : start + n], beyond="nothing")
                found[name][row, column] = score_distances(piece).confidence
    return found


def against(
    series: Mapping[str, Mapping[str, NDArray]], first: str, measure: str, block: int = 10
) -> dict[str, tuple[float, float, float, str]]:
    """Each rendering's difference from the first in one measure, over frames: mean, low, high, verdict."""
    return {
        name: _row(paired_difference(one[measure], series[first][measure], block))
        for name, one in series.items()
        if name != first
    }


def over_seeds(ours: Sequence[NDArray], theirs: Sequence[NDArray], block: int = 10) -> tuple[float, float, float, str]:
    """The difference of two methods over seeds and frames: mean, low, high, verdict."""
    return _row(paired_over_seeds(ours, theirs, block))


def seeds_table(found: Mapping[str, Sequence[NDArray]]) -> pd.DataFrame:
    """Mean and standard deviation over seeds of each method's mean over frames."""
    return (
        pd.DataFrame(
            {
                name: {
                    "mean": (s := spread([float(np.mean(one)) for one in values])).mean,
                    "deviation": s.deviation,
                    "seeds": s.count,
                }
                for name, values in found.items()
            }
        )
        .T.astype({"seeds": int})
        .round(3)
    )


def _row(difference: Difference) -> tuple[float, float, float, str]:
    return difference.mean, difference.low, difference.high, difference.verdict
