"""What the lips do at each sound: the true mesh of a Subject measured where its phonemes are."""

# ruff: noqa: RUF001 (IPA)

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from audioplane.errors import UserError
from audioplane.subject import Subject

if TYPE_CHECKING:
    import pandas as pd

KINDS = {
    "lips meet (p b m)": "pbm",
    "lip to teeth (f v)": "fv",
    "rounded (u w ʃ …)": "uʊyʏwʃʒɥ",
    "spread (i e)": "iɪe",
    "open (a …)": "aɑæɐɒʌ",
}
"""Kinds of sounds by what the lips must do, and the letters of the IPA that such sounds begin with."""


def lips_at_sounds(subject: Subject) -> pd.DataFrame:
    """Measures the mouth at each sound of `KINDS`.

    Returns:
        One row a sound: ipa, kind, start (seconds), gap and width (millimetres: inner lips at the midline, up and down,
        least over the sound where lips must meet, else greatest; between the corners, in the middle of the sound).

    Raises:
        UserError: the Subject has no phonemes or no true mesh, as a real video has none.
    """
    import pandas as pd

    marks = subject.vertex_groups.get("landmarks")
    if marks is None or subject.phonemes is None:
        raise UserError(f"{subject.name!r} has no true mesh or no phonemes: only embedded speakers do")
    points = np.stack([np.asarray(subject.vertices(t))[marks] for t in range(subject.num_frames)])
    gap = 1000 * np.maximum(points[:, 66, 1] - points[:, 62, 1], 0)
    width = 1000 * np.linalg.norm(points[:, 54] - points[:, 48], axis=1)
    times = (np.arange(subject.num_frames) + 0.5) / subject.fps
    rows = []
    for p in subject.phonemes:
        kind = next((name for name, letters in KINDS.items() if p.ipa[:1] and p.ipa[0] in letters), None)
        if kind is None or p.end - p.start < 1 / subject.fps:
            continue
        within = np.interp(np.linspace(p.start, p.release or p.end, 9), times, gap)
        opening = within.min() if p.ipa[0] in "pbmfv" else within.max()
        rows.append((p.ipa, kind, p.start, opening, np.interp((p.start + p.end) / 2, times, width)))
    return pd.DataFrame(rows, columns=["ipa", "kind", "start", "gap", "width"])
