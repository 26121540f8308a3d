"""Compiled structural similarity and its gradient: separable blurs over rows of interleaved colours, eight at a time.

Images come padded with zeros by the blur's reach on every side (see `losses.structural_similarity`), so no loop looks
at a border. A row holds `stride` floats, colours interleaved: the horizontal blur steps by three.
"""

from __future__ import annotations

import math

import numpy as np

from audioplane.runtime.compiled import compiled
from audioplane.splat.simd import LANES, load, splat, store, total

REACH = 5
TAPS = 2 * REACH + 1
SIDE = 3 * REACH  # floats left and right of a row
_BELL = [math.exp(-((k - REACH) ** 2) / (2 * 1.5**2)) for k in range(TAPS)]
KERNEL = np.array([b / sum(_BELL) for b in _BELL], dtype=np.float32)
C1, C2 = np.float32(0.01**2), np.float32(0.03**2)


@compiled(error_model="numpy")
def compare(start, stop, width, stride, x, y, a, b, c, sums):
    """SSIM of rows [start, stop) and its derivatives.

    `x`, `y` are flattened padded images (height + 10, stride). Writes dS/d(mean of x), dS/d(mean of x^2) and
    dS/d(mean of x y) at the padded places of `a`, `b`, `c`, and the sum of a row's S to `sums` (height,).
    """
    t0, t1 = np.empty(stride, np.float32), np.empty(stride, np.float32)
    t2, t3, t4 = np.empty(stride, np.float32), np.empty(stride, np.float32), np.empty(stride, np.float32)
    two, zero = splat(np.float32(2.0)), splat(np.float32(0.0))
    c1, c2 = splat(C1), splat(C2)
    count = 3 * width
    for row in range(start, stop):
        for j in range(0, stride, LANES):
            mx, my, xx, yy, xy = zero, zero, zero, zero, zero
            for k in range(TAPS):
                w = splat(KERNEL[k])
                p = load(x, (row + k) * stride + j)
                q = load(y, (row + k) * stride + j)
                wp, wq = w * p, w * q
                mx, my = mx + wp, my + wq
                xx, yy, xy = xx + wp * p, yy + wq * q, xy + wp * q
            store(t0, j, mx)
            store(t1, j, my)
            store(t2, j, xx)
            store(t3, j, yy)
            store(t4, j, xy)
        out = (row + REACH) * stride + SIDE
        similarity = np.float32(0.0)
        for j in range(0, count, LANES):
            mx, my, xx, yy, xy = zero, zero, zero, zero, zero
            for k in range(TAPS):
                w = splat(KERNEL[k])
                mx = mx + w * load(t0, j + 3 * k)
                my = my + w * load(t1, j + 3 * k)
                xx = xx + w * load(t2, j + 3 * k)
                yy = yy + w * load(t3, j + 3 * k)
                xy = xy + w * load(t4, j + 3 * k)
            n1, n2 = two * mx * my + c1, two * (xy - mx * my) + c2
            d1 = mx * mx + my * my + c1
            d2 = xx - mx * mx + yy - my * my + c2
            inverse = splat(np.float32(1.0)) / (d1 * d2)
            s = n1 * n2 * inverse
            vb = zero - s / d2
            vc = two * n1 * inverse
            va = two * my * n2 * inverse - two * mx * s / d1 - two * mx * vb - my * vc
            store(a, out + j, va)
            store(b, out + j, vb)
            store(c, out + j, vc)
            if j + LANES <= count:
                similarity += total(s)
            else:
                store(t0, 0, s)
                for i in range(count - j):
                    similarity += t0[i]
        for j in range(out + count, out + count + LANES):  # what the last eight wrote beyond the row
            a[j] = b[j] = c[j] = 0.0
        sums[row] = similarity


@compiled(error_model="numpy")
def spread(start, stop, width, stride, x, y, a, b, c, scale, gradient):
    """Gradient of scale x (sum of S) at the unpadded pixels of rows [start, stop) of `gradient` (height x 3 width)."""
    t0, t1, t2 = np.empty(stride, np.float32), np.empty(stride, np.float32), np.empty(stride, np.float32)
    two, zero, by = splat(np.float32(2.0)), splat(np.float32(0.0)), splat(np.float32(scale))
    count = 3 * width
    rest = np.empty(LANES, np.float32)
    for row in range(start, stop):
        for j in range(0, stride, LANES):
            va, vb, vc = zero, zero, zero
            for k in range(TAPS):
                w, at = splat(KERNEL[k]), (row + k) * stride + j
                va, vb, vc = va + w * load(a, at), vb + w * load(b, at), vc + w * load(c, at)
            store(t0, j, va)
            store(t1, j, vb)
            store(t2, j, vc)
        here = (row + REACH) * stride + SIDE
        for j in range(0, count, LANES):
            va, vb, vc = zero, zero, zero
            for k in range(TAPS):
                w = splat(KERNEL[k])
                va = va + w * load(t0, j + 3 * k)
                vb = vb + w * load(t1, j + 3 * k)
                vc = vc + w * load(t2, j + 3 * k)
            g = by * (va + two * load(x, here + j) * vb + load(y, here + j) * vc)
            if j + LANES <= count:
                store(gradient, row * count + j, g)
            else:
                store(rest, 0, g)
                for i in range(count - j):
                    gradient[row * count + j + i] = rest[i]
