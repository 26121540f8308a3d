"""What property tests share: random arrays, other layouts of the same values, and how many examples are tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, is_dataclass
from typing import Any

import numpy as np
import torch
from hypothesis import settings
from hypothesis import strategies as st
from numpy.typing import NDArray

few = settings(max_examples=25)
"""For what takes about a millisecond."""

fewer = settings(max_examples=8)
"""For what takes about ten."""

seeds = st.integers(0, 2**32 - 1)
generators = seeds.map(np.random.default_rng)
torch_generators = seeds.map(lambda seed: torch.Generator().manual_seed(seed))

Size = int | st.SearchStrategy[int]


@st.composite
def arrays(draw: st.DrawFn, *shape: Size, low: float = 0.0, high: float = 1.0, dtype: Any = np.float64) -> NDArray[Any]:
    """Uniform values in [low, high) of a shape whose sizes may be drawn.

    They come from a seed: hypothesis picks sizes and seeds, which is a hundred times as fast as picking each value.
    """
    sizes = [size if isinstance(size, int) else draw(size) for size in shape]
    return (low + (high - low) * draw(generators).random(sizes)).astype(dtype)


def rotation(generator: np.random.Generator, dimensions: int = 3) -> NDArray[np.float64]:
    """A random rotation matrix."""
    q, r = np.linalg.qr(generator.standard_normal((dimensions, dimensions)))
    q *= np.sign(np.diag(r))
    q[:, 0] *= np.linalg.det(q)
    return q


def layouts(x: NDArray[Any]) -> list[NDArray[Any]]:
    """The same values: by columns, every second of a larger array, backwards in memory, read-only."""
    fixed = x.copy()
    fixed.setflags(write=False)
    return [np.asfortranarray(x), np.repeat(x, 2, axis=-1)[..., ::2], x[::-1].copy()[::-1], fixed]


def in_any_layout(function: Callable[..., Any], *inputs: NDArray[Any]) -> Any:
    """The result for contiguous arrays, after a check that every other layout gives it too and no input is changed."""
    given = [x.copy() for x in inputs]
    expected = function(*given)
    for form in range(4):
        _same(function(*(layouts(x)[form] for x in inputs)), expected)
    for x, before in zip(given, inputs, strict=True):
        np.testing.assert_array_equal(x, before)
    return expected


def _same(got: Any, expected: Any) -> None:
    if is_dataclass(expected) and not isinstance(expected, type):
        got, expected = astuple(got), astuple(expected)
    if isinstance(expected, (tuple, list)):
        assert len(got) == len(expected)
        for one, other in zip(got, expected, strict=True):
            _same(one, other)
    elif isinstance(expected, (np.ndarray, float, int)):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)
    else:
        assert got == expected
