"""The error along the seam under a head: known values, and what it does not look at."""

from __future__ import annotations

import numpy as np
import pytest

from audioplane.evaluation.seam import seam_band, seam_error


def scene(count: int = 3) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Random frames of 64 pixels, and a head that moves."""
    draw = np.random.default_rng(0)
    rows, columns = np.ogrid[:64, :64]
    heads = [(rows - 24) ** 2 + (columns - 30 - k) ** 2 < 150 for k in range(count)]
    return [draw.integers(20, 230, (64, 64, 3), dtype=np.uint8) for _ in heads], heads


def test_known_errors() -> None:
    truths, heads = scene()
    same = seam_error(truths, truths, heads)
    assert (same.l1, same.psnr, same.flicker, same.frames) == (0.0, float("inf"), 0.0, 3)
    brighter = [np.where(seam_band(h)[..., None], t + np.uint8(4), t) for t, h in zip(truths, heads, strict=True)]
    found = seam_error(brighter, truths, heads)
    assert (found.l1, found.flicker) == (4.0, 0.0)
    assert found.psnr == pytest.approx(10 * np.log10(255**2 / 16))
    flickering = [truths[0], brighter[1], truths[2]]
    assert seam_error(flickering, truths, heads).flicker == 4.0


def test_only_the_seam_counts() -> None:
    truths, heads = scene()
    elsewhere = [np.where(seam_band(h)[..., None], t, np.uint8(0)) for t, h in zip(truths, heads, strict=True)]
    assert seam_error(elsewhere, truths, heads).l1 == 0.0
    assert not (seam_band(heads[0]) & heads[0]).any()
    assert seam_band(heads[0])[:24].sum() == 0


def test_what_cannot_be_measured() -> None:
    truths, heads = scene()
    with pytest.raises(ValueError, match="as many pictures as truths"):
        seam_error(truths[:2], truths, heads)
    with pytest.raises(ValueError, match="heads: expected one above a torso"):
        seam_error(truths, truths, [np.zeros((64, 64), bool)] * 3)
    assert np.isnan(seam_error(truths[:1], truths[:1], heads[:1]).flicker)
    some = seam_error(truths, truths, [heads[0], np.zeros((64, 64), bool), heads[2]])
    assert some.frames == 2
