"""How good captured blendshapes are, where the truth is known: on embedded speakers (the Facial Animation Capturer)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from audioplane.methods.synctalk_pp.model import CORE
from audioplane.subject import blendshapes

if TYPE_CHECKING:
    from audioplane.subject import Subject

FARTHEST = 3  # frames either way, in which a lag is looked for


def capture(subject: Subject, frames: range) -> np.ndarray:
    """Blendshapes that MediaPipe finds in a subject's frames, (T, 52); NaN where it finds no face.

    SyncTalk++, Eq. 4.

    Raises:
        UserError: no frame shows a face, or MediaPipe's package or file is missing.
    """
    from audioplane.preprocess.landmarks import follow, landmarker

    marks = subject.landmarks[frames.start : frames.stop]
    middle, size = np.nanmean(marks, axis=(0, 1)), float(np.nanmedian(np.ptp(marks, axis=1).max(axis=1)))
    expected = np.tile([*middle, size], (len(frames), 1))
    track = follow((subject.frame(t) for t in frames), landmarker("mediapipe"), expected, lambda _: None)
    assert track.blendshapes is not None  # the mesh always gives them
    return np.where(track.found[:, None], track.blendshapes, np.nan)


def compared(captured: np.ndarray, true: np.ndarray, names: Sequence[str] = CORE) -> pd.DataFrame:
    """Captured blendshapes beside the true ones.

    Args:
        captured: (T, 52), NaN for lost frames. true: (T, 52). names: which are compared.

    Returns:
        A line a blendshape: `r` at no lag, `spread` (of the captured over that of the true one), `error` (mean absolute
        difference, of weights less their medians), `lag` in frames with the largest r (positive: the capture is late).
        A shape that never moves has NaN.
    """
    lines = {}
    for name in names:
        own, truth = (track[:, blendshapes.index(name)].astype(np.float64) for track in (captured, true))
        known = np.isfinite(own)
        own, truth = np.interp(np.arange(len(own)), np.flatnonzero(known), own[known]), truth - np.median(truth)
        own = own - np.median(own)
        moves = truth.std() > 1e-6 and own.std() > 1e-6
        lags = {lag: _correlation(own, truth, lag) for lag in range(-FARTHEST, FARTHEST + 1)} if moves else {0: np.nan}
        lines[name] = {
            "r": lags[0],
            "spread": own.std() / truth.std() if moves else np.nan,
            "error": np.abs(own - truth).mean(),
            "lag": max(lags, key=lambda lag: lags[lag]) if moves else np.nan,
        }
    return pd.DataFrame(lines).T


def _correlation(own: np.ndarray, truth: np.ndarray, lag: int) -> float:
    """Of `own`, which comes `lag` frames late, with the truth."""
    first, last = max(lag, 0), len(own) + min(lag, 0)
    return float(np.corrcoef(own[first:last], truth[first - lag : last - lag])[0, 1])
