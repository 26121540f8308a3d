"""Compiled parts of D1 and D2 between their matrix products. `DeformationMLP.plain` is the twin.

Rows come flattened, widths are multiples of eight. int16 arrays hold bfloat16 numbers (`splat.simd`). Sums over rows
are kept per block of a fixed size, so that they do not depend on the number of threads.
"""

from __future__ import annotations

import numpy as np

from audioplane.runtime.compiled import compiled
from audioplane.splat.simd import LANES, load, splat, store, total, where

BLOCK = 512  # rows that are added up together


@compiled(error_model="numpy")
def gate(start, stop, mixed, bias, wide, narrow, weight, offset, first, second, dynamism):
    """Rows [start, stop) of the first layers: bias and rectifier for D1's (N, wide) and D2's (N, narrow), and d (N,).

    `mixed` (N, wide + narrow) are both layers' products, `weight` (narrow,) and `offset` D2's last layer.
    """
    zero, one = splat(np.float32(0.0)), np.float32(1.0)
    for n in range(start, stop):
        row = n * (wide + narrow)
        for c in range(0, wide, LANES):
            x = load(mixed, row + c) + load(bias, c)
            store(first, n * wide + c, where(x > zero, x, zero))
        said = zero
        for c in range(0, narrow, LANES):
            x = load(mixed, row + wide + c) + load(bias, wide + c)
            x = where(x > zero, x, zero)
            store(second, n * narrow + c, x)
            said = said + x * load(weight, c)
        dynamism[n] = one / (one + np.exp(-(total(said) + offset)))


@compiled(error_model="numpy")
def gate_backward(start, stop, first, second, dynamism, weight, wide, narrow, v_first, v_dynamism, v_mixed, sums):
    """Gradients of blocks [start, stop): of `mixed`, and in `sums` (blocks, wide + 2 x narrow + 8) those of the bias,
    of `weight` and, in the first of the last eight, of `offset`.
    """
    zero, one = splat(np.float32(0.0)), np.float32(1.0)
    width = wide + 2 * narrow + LANES
    for block in range(start, stop):
        own = block * width
        for c in range(0, width, LANES):
            store(sums, own + c, zero)
        for n in range(block * BLOCK, min(len(dynamism), (block + 1) * BLOCK)):
            row = n * (wide + narrow)
            for c in range(0, wide, LANES):
                v = where(load(first, n * wide + c) > zero, load(v_first, n * wide + c), zero)
                store(v_mixed, row + c, v)
                store(sums, own + c, load(sums, own + c) + v)
            pull = v_dynamism[n] * dynamism[n] * (one - dynamism[n])
            pulls = splat(pull)
            for c in range(0, narrow, LANES):
                hidden = load(second, n * narrow + c)
                v = where(hidden > zero, pulls * load(weight, c), zero)
                store(v_mixed, row + wide + c, v)
                store(sums, own + wide + c, load(sums, own + wide + c) + v)
                at = own + wide + narrow + c
                store(sums, at, load(sums, at) + pulls * hidden)
            sums[own + wide + 2 * narrow] += pull


@compiled(error_model="numpy")
def rectify(start, stop, mixed, bias, width, hidden):
    """Rows [start, stop) of a layer: bias and rectifier for (N, width)."""
    zero = splat(np.float32(0.0))
    for row in range(start * width, stop * width, width):
        for c in range(0, width, LANES):
            x = load(mixed, row + c) + load(bias, c)
            store(hidden, row + c, where(x > zero, x, zero))


@compiled(error_model="numpy")
def rectify_backward(start, stop, hidden, width, values, sums):
    """Blocks [start, stop) of `values` (N, width): nothing where `hidden` is 0; and sums over rows (blocks, width)."""
    zero = splat(np.float32(0.0))
    for block in range(start, stop):
        own = block * width
        for c in range(0, width, LANES):
            store(sums, own + c, zero)
        for at in range(block * BLOCK * width, min(len(hidden), (block + 1) * BLOCK * width), width):
            for c in range(0, width, LANES):
                v = where(load(hidden, at + c) > zero, load(values, at + c), zero)
                store(values, at + c, v)
                store(sums, own + c, load(sums, own + c) + v)
