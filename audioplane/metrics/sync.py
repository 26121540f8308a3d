"""SyncNet's distance and confidence, from codes of what is seen and what is heard.

The protocol of `syncnet_python` (`SyncNetInstance.evaluate`): row i of both codes belongs to frames i to i + 4; each
picture is compared with the sounds up to 15 frames before and after it; the distances are averaged over the clip at
each shift. LSE-D is the least of these 31 means, the offset where it lies, LSE-C their median minus the least.

Two traps. A constant lag costs nothing in either number: read `at_zero` and the offset beside them. And the least of 31
means lies lower, the median of them less clearly, the shorter the clip: compare clips of one length only.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHIFTS = 15
"""Largest shift, frames."""


@dataclass(frozen=True)
class SyncScore:
    """One clip's lip sync.

    Attributes:
        distance: LSE-D, smaller is better. confidence: LSE-C, larger is better.
        offset: frames by which the video comes late (what it shows was said that long before).
        at_zero: the mean distance without any shift: what a viewer gets.
        windows: five-frame windows that were averaged.
        curve: 31 mean distances, shifts -15 to 15: entry 15 + s compares frame i with the sound of frame i + s.
    """

    distance: float
    confidence: float
    offset: int
    at_zero: float
    windows: int
    curve: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "curve": [round(value, 4) for value in self.curve]}


def shift_distances(sights: NDArray, sounds: NDArray, most: int = SHIFTS, beyond: str = "zeros") -> NDArray[np.float64]:
    """Euclidean distances of each picture's code to those of the sounds around it.

    Args:
        sights, sounds: (n, D) codes of the same frames. most: largest shift.
        beyond: what a picture is compared with where no sound is: "zeros" (syncnet_python pads so) or "nothing" (NaN).

    Returns:
        (n, 2 most + 1); column most + s holds the distance to the sound s frames later. As in torch's
        `pairwise_distance`, 1e-6 is added to each difference.

    Raises:
        ValueError: other shapes, or nothing to compare.
    """
    sights, sounds = np.asarray(sights), np.asarray(sounds)
    if sights.ndim != 2 or sights.shape != sounds.shape or not len(sights):
        raise ValueError(f"sights, sounds: expected one shape (n, D), received {sights.shape} and {sounds.shape}")
    if beyond not in ("zeros", "nothing"):
        raise ValueError(f"beyond: expected 'zeros' or 'nothing', received {beyond!r}")
    fill = 0.0 if beyond == "zeros" else np.nan
    padded = np.pad(sounds.astype(np.float64), ((most, most), (0, 0)), constant_values=fill)
    columns = [np.linalg.norm(sights - padded[s : s + len(sights)] + 1e-6, axis=1) for s in range(2 * most + 1)]
    return np.stack(columns, axis=1)


def score(distances: NDArray) -> SyncScore:
    """LSE-D, LSE-C and offset of a clip.

    Args:
        distances: (n, 2 most + 1) of `shift_distances`; NaN where there was nothing to compare.

    Raises:
        ValueError: a shift has nothing to compare: the clip is too short.
    """
    distances = np.asarray(distances)
    if distances.ndim != 2 or not len(distances) or np.isnan(distances).all(axis=0).any():
        raise ValueError(f"distances: expected a comparison at every shift, received shape {distances.shape}")
    curve = np.nanmean(distances, axis=0)
    most, best = len(curve) // 2, int(curve.argmin())
    return SyncScore(
        distance=float(curve[best]),
        confidence=float(np.median(curve) - curve[best]),
        offset=most - best,
        at_zero=float(curve[most]),
        windows=len(distances),
        curve=tuple(float(value) for value in curve),
    )


def roc_auc(right: NDArray, wrong: NDArray) -> float:
    """The chance that a true pair's value lies above a wrong one's; ties count half (Mann-Whitney).

    Raises:
        ValueError: one of them is empty.
    """
    from scipy.stats import rankdata

    if not len(right) or not len(wrong):
        raise ValueError("right, wrong: expected values in both, one is empty")
    ranks = rankdata(np.concatenate([right, wrong]))[: len(right)]
    return float((ranks.sum() - len(right) * (len(right) + 1) / 2) / (len(right) * len(wrong)))
