"""Measures take what people hold in their hands: arrays of any layout and precision, lists, tensors; or say why not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given

from audioplane.metrics.eyes import blink_statistics, events, half_closed, lid_opening
from audioplane.metrics.face import aue, deformation, iou, lip_vertex_error, lmd
from audioplane.metrics.image import gmsd, haarpsi, psnr, squared_error, ssim, ssim_map
from audioplane.metrics.mouth import best_lag, correlation, opening
from audioplane.metrics.perceptual import frechet_distance
from audioplane.metrics.statistics import spread, t_interval
from audioplane.metrics.sync import roc_auc, score, shift_distances
from tests.strategies import fewer, generators

Given = tuple[np.ndarray, ...]


def _pictures(g: np.random.Generator) -> Given:
    return g.random((19, 17, 3)), g.random((19, 17, 3))


def _blinks(g: np.random.Generator) -> np.ndarray:
    closed = 0.1 * g.random(60)
    closed[20:24] = 0.8 + 0.2 * g.random(4)
    return closed


MEASURES: dict[str, tuple[Callable[..., Any], Callable[[np.random.Generator], Given]]] = {
    "psnr": (psnr, _pictures),
    "ssim": (ssim, _pictures),
    "ssim of a region": (ssim, lambda g: (*_pictures(g), np.eye(19, 17) > 0)),
    "ssim_map": (ssim_map, _pictures),
    "squared_error": (squared_error, _pictures),
    "gmsd": (gmsd, _pictures),
    "haarpsi": (haarpsi, _pictures),
    "lid_opening": (lid_opening, lambda g: (100 * g.random((9, 68, 2)),)),
    "half_closed": (half_closed, lambda g: (1 - _blinks(g),)),
    "events": (lambda o: events(o, 0.5), lambda g: (1 - _blinks(g),)),
    "blink_statistics": (lambda c: blink_statistics(c, 25.0), lambda g: (_blinks(g),)),
    "correlation": (correlation, lambda g: (g.random(20), g.random(20))),
    "best_lag": (lambda a, b: best_lag(a, b, 3), lambda g: (g.random(20), g.random(20))),
    "opening": (opening, lambda g: (g.random((9, 20, 2)),)),
    "lmd": (lmd, lambda g: (100 * g.random((4, 68, 2)), 100 * g.random((4, 68, 2)))),
    "aue": (aue, lambda g: (g.random((4, 52)), g.random((4, 52)))),
    "lip_vertex_error": (lip_vertex_error, lambda g: (g.random((4, 7, 3)), g.random((4, 7, 3)))),
    "deformation": (
        lambda p, w, v: deformation(p, w, v, np.arange(4), reach=1.0),
        lambda g: (g.random((4, 9, 3)), 0.1 + g.random(9), g.random((4, 7, 3))),
    ),
    "iou": (iou, lambda g: (g.random((5, 6)) < 0.5, g.random((5, 6)) < 0.5)),
    "frechet_distance": (frechet_distance, lambda g: (g.random((9, 5)), g.random((8, 5)))),
    "shift_distances": (lambda a, b: shift_distances(a, b, 3), lambda g: (g.random((12, 4)), g.random((12, 4)))),
    "score": (score, lambda g: (g.random((12, 7)),)),
    "roc_auc": (roc_auc, lambda g: (g.random(7), g.random(9))),
    "spread": (spread, lambda g: (g.random(7),)),
    "t_interval": (t_interval, lambda g: (g.random(7), g.random(7))),
}


def _fixed(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.setflags(write=False)
    return x


KINDS: dict[str, Callable[[np.ndarray], Any]] = {
    "a list": np.ndarray.tolist,
    "a tensor": lambda x: torch.from_numpy(x.copy()),
    "single precision": lambda x: x.astype(np.float32) if x.dtype == np.float64 else x,
    "by columns": np.asfortranarray,
    "every second": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "backwards": lambda x: x[::-1].copy()[::-1],
    "read-only": _fixed,
}


def _numbers(value: Any) -> np.ndarray:
    if hasattr(value, "__dataclass_fields__"):
        value = [np.nan if v is None or isinstance(v, str) else v for v in np.hstack([*astuple(value)]).tolist()]
    return np.array(np.nan if value is None else value, np.float64)


@pytest.mark.parametrize("name", MEASURES)
@fewer
@given(generators)
def test_the_same_values_give_the_same_result(name: str, generator: np.random.Generator) -> None:
    measure, draw = MEASURES[name]
    values = tuple(x if x.dtype == bool else x.astype(np.float32).astype(np.float64) for x in draw(generator))
    expected = _numbers(measure(*values))
    for kind, change in KINDS.items():
        got = _numbers(measure(*(change(x) for x in values)))
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6, err_msg=f"{name} of {kind}")


@pytest.mark.parametrize("name", MEASURES)
def test_nothing_at_all_is_no_crash(name: str) -> None:
    """No frames, no pixels: an empty result, or a sentence about the argument."""
    measure, draw = MEASURES[name]
    empty = [x[:0] for x in draw(np.random.default_rng(0))]
    try:
        result = measure(*empty)
    except ValueError as error:
        assert "expected" in str(error)  # noqa: PT017
    else:
        assert name in ("lid_opening", "half_closed", "events", "blink_statistics", "best_lag", "opening", "iou")
        assert np.size(result) <= 1


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: lid_opening(np.zeros((68, 2))), r"landmarks: expected \(T, 68, 2\), received \(68, 2\)"),
        (lambda: opening(np.zeros((9, 21, 2))), r"mouth: expected \(T, 20, 2\).* received \(9, 21, 2\)"),
        (lambda: psnr(np.zeros((4, 4)), np.zeros((4, 4))), r"expected one shape \(H, W, C\)"),
        (lambda: psnr([[[3]]], [[[4]]]), r"picture: expected uint8 or float in \[0, 1\], received int64"),
    ],
)
def test_what_is_no_picture_and_no_series_is_said(call: Callable[[], Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        call()
