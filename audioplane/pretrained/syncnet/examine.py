"""How well a scorer tells true pairs from shifted and from unrelated ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioplane.metrics.sync import roc_auc, shift_distances
from audioplane.metrics.syncnet.network import FRAMES
from audioplane.metrics.syncnet.scorers import Scorer
from audioplane.pretrained.syncnet.data import Mouth

WINDOW = 25  # frames: a second
SHIFT = 5  # frames


def window_means(values: NDArray, window: int = WINDOW) -> NDArray[np.float64]:
    """Means over the five-frame windows that fit into each whole stretch of `window` frames: (n, ...)."""
    inside = window - FRAMES + 1
    return np.array([np.nanmean(values[k : k + inside], axis=0) for k in range(0, len(values) - inside + 1, window)])


def discrimination(scorer: Scorer, mouths: Sequence[Mouth]) -> dict[str, Any]:
    """ROC-AUC of single seconds of clips, by their mean distance without any search for the best shift.

    Args:
        scorer: whose codes are compared.
        mouths: clips that it has not learnt from; each is paired with the sound of the next as unrelated.

    Returns:
        auc_shifted (true against the same sound 5 frames early or late), auc_unrelated (against another's), auc (both);
        offsets_found (share of whole clips whose offset comes out within a frame of 0), mean distances and confidence.
    """
    codes = []
    for mouth in mouths:
        count = scorer.count(len(mouth.frames), len(mouth.audio))
        colour = (np.repeat(frame[..., None], 3, axis=2) for frame in mouth.frames)
        codes.append((scorer.embed_frames(colour, mouth.landmarks)[:count], scorer.embed_audio(mouth.audio, count)))
    true, shifted, unrelated, scores = [], [], [], []
    for k, (visual, sounds) in enumerate(codes):
        distances = shift_distances(visual, sounds, beyond="nothing")
        middle = distances.shape[1] // 2
        means = window_means(distances[SHIFT:-SHIFT, [middle, middle - SHIFT, middle + SHIFT]])
        true.append(means[:, 0])
        shifted.append(means[:, 1:].ravel())
        other = codes[(k + 1) % len(codes)][1]
        n = min(len(visual), len(other))
        unrelated.append(window_means(np.linalg.norm(visual[:n] - other[:n], axis=1)))
        scores.append(scorer.score(visual, sounds))
    right, late, wrong = (-np.concatenate(part) for part in (true, shifted, unrelated))
    return {
        "scorer": scorer.name,
        "window_seconds": WINDOW / 25,
        "clips": len(mouths),
        "seconds": len(right),
        "auc": roc_auc(right, np.concatenate([late, wrong])),
        "auc_shifted": roc_auc(right, late),
        "auc_unrelated": roc_auc(right, wrong),
        "offsets_found": float(np.mean([abs(score.offset) <= 1 for score in scores])),
        "distance_true": float(-right.mean()),
        "distance_shifted": float(-late.mean()),
        "distance_unrelated": float(-wrong.mean()),
        "confidence": float(np.mean([score.confidence for score in scores])),
    }
