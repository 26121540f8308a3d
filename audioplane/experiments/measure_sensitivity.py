"""Sensitivity of the measures: one head, degraded in known ways (late, mouth held still, true hair pasted in).

Notebook 90 shows what each measure makes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audioplane.errors import UserError
from audioplane.evaluation import inspection, lip_sync, protocols
from audioplane.evaluation.evaluate import Evaluation, evaluate_all
from audioplane.evaluation.heads import renderer
from audioplane.metrics import registry
from audioplane.metrics.mouth import MouthReader
from audioplane.metrics.statistics import Difference, over_frames, spread
from audioplane.metrics.sync import SyncScore, shift_distances
from audioplane.metrics.sync import score as score_distances
from audioplane.metrics.syncnet.scorers import FPS, Scorer

if TYPE_CHECKING:
    from audioplane.inference.talking_head import TalkingHead
    from audioplane.subject import Subject

Render = Callable[[int], NDArray]

APART = 50  # least distance, in frames, of a piece of the clip and an unrelated one: 2 s
LATE = 5
"""Frames by which the late rendering comes after its sound: a fifth of a second."""

MEASURES = (
    "head_psnr",
    "head_ssim",
    "mouth_psnr",
    "haarpsi",
    "gmsd",
    "lip_error",
    "opening_correlation",
    "lse_d",
    "lse_c",
    "sync_at_zero",
)


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
    """Each rendering's lip sync on the held-out frames and the truth's, with controls (`evaluation.lip_sync`)."""
    return lip_sync.of_subject(scorer, subject, renders).scores


def table(measures: Mapping[str, Evaluation], sync: Mapping[str, SyncScore]) -> dict[str, dict[str, float]]:
    """Rendering -> measure -> value, of `MEASURES`."""
    found: dict[str, dict[str, float]] = {}
    for name, one in measures.items():
        score = sync[name]
        values: dict[str, Any] = one.to_dict() | {
            "lse_d": score.distance,
            "lse_c": score.confidence,
            "sync_at_zero": score.at_zero,
        }
        found[name] = {key: float(values[key]) for key in MEASURES}
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
    most = round(max(seconds) * FPS)
    if count < most + APART:
        raise UserError(
            f"pieces of {max(seconds):g} s and as much of another moment need a longer clip; {subject.name} has "
            f"{subject.num_frames / subject.fps:g} s"
        )
    visual = scorer.embed_frames(map(subject.frame, range(subject.num_frames)), subject.landmarks)[:count]
    sounds = scorer.embed_audio(subject.audio, count)
    found = {"own sound": np.empty((len(seconds), draws)), "another moment's sound": np.empty((len(seconds), draws))}
    for row, length in enumerate(seconds):
        n = round(length * FPS)
        for column in range(draws):
            a, b = two_starts(generator, count - n + 1)
            for name, start in (("own sound", a), ("another moment's sound", b)):
                piece = shift_distances(visual[a : a + n], sounds[start : start + n], beyond="nothing")
                found[name][row, column] = score_distances(piece).confidence
    return found


def two_starts(generator: np.random.Generator, starts: int) -> tuple[int, int]:
    """Random starts of two pieces of a clip, at least `APART` frames (or a third of all starts) apart.

    Args:
        generator: of the draws.
        starts: frames at which a piece can begin, 3 or more.
    """
    a = int(generator.integers(starts))
    apart = np.flatnonzero(np.abs(np.arange(starts) - a) >= min(APART, starts // 3))
    return a, int(generator.choice(apart))


def against(series: Mapping[str, Mapping[str, NDArray]], first: str, measure: str) -> dict[str, Difference]:
    """Each rendering's difference from the first in one measure, over frames."""
    better = registry.find(measure).higher_is_better is not False
    return {
        name: over_frames(one[measure], series[first][measure], better) for name, one in series.items() if name != first
    }


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
