"""Compiled bilinear look-up in planes and lines, forward and backward, for the CPU.

One row of a table is one cell's D features, D a multiple of eight. A *set* is one (level, triple): a plane
P_ij and the line L_k of the remaining axis. `layout` (sets, 6) int64 says for each: cells a side, first row of the
plane, first row of the line, axes i, j, k. Tables and products come flattened. `vectors` is any tuple of length
D / 8: the compiler then knows D.

Forward cuts the points into ranges. Backward must add many points into the same cell, so it is cut by table: one
table is walked by one thread in the order of the points, which makes sums exact to the bit whatever the number of
threads, without atomics. Only rows that some point touches get a gradient: those are numbered first (`touch`).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from audioplane.runtime.compiled import compiled
from audioplane.splat.simd import LANES, load, prefetch, splat, store, total

SIZE, PLANE, LINE, AXIS_I, AXIS_J, AXIS_K = range(6)
AHEAD = 8  # points between asking for their cells and needing them: the tables are larger than the caches


@njit(inline="always")
def _cell(u, size):
    """Left cell and weight of the right one at u in [0, 1] (clamped) on `size` cells; the slope du -> weight."""
    slope = np.float32(size - 1)
    x = u * slope
    if not x > np.float32(0.0):
        return 0, np.float32(0.0), np.float32(0.0)
    if x >= slope:
        return size - 2, np.float32(1.0), np.float32(0.0)
    left = int(x)
    return left, x - np.float32(left), slope


@njit(inline="always")
def _fetch(array, row, features):
    """Brings two neighbouring rows into the cache."""
    prefetch(array, row * features)
    prefetch(array, (row + 1) * features)


@compiled(error_model="numpy")
def sample(start, stop, points, layout, vectors, planes, lines, use_lines, products):
    """P_ij times L_k (Audio-Plane, Eq. 8, without f_a) at points [start, stop)."""
    one = np.float32(1.0)
    sets, features = layout.shape[0], len(vectors) * LANES
    for n in range(start, stop):
        for s in range(sets):
            size = layout[s, SIZE]
            column, wx, _ = _cell(points[n, layout[s, AXIS_I]], size)
            row, wy, _ = _cell(points[n, layout[s, AXIS_J]], size)
            a = (layout[s, PLANE] + row * size + column) * features
            b = a + size * features
            w00, w01 = splat((one - wx) * (one - wy)), splat(wx * (one - wy))
            w10, w11 = splat((one - wx) * wy), splat(wx * wy)
            out = (n * sets + s) * features
            soon = min(n + AHEAD, points.shape[0] - 1)
            column, _, _ = _cell(points[soon, layout[s, AXIS_I]], size)
            row, _, _ = _cell(points[soon, layout[s, AXIS_J]], size)
            _fetch(planes, layout[s, PLANE] + row * size + column, features)
            _fetch(planes, layout[s, PLANE] + (row + 1) * size + column, features)
            if use_lines:
                cell, wz, _ = _cell(points[n, layout[s, AXIS_K]], size)
                z = (layout[s, LINE] + cell) * features
                wa, wb = splat(one - wz), splat(wz)
                for c in range(0, features, LANES):
                    p = w00 * load(planes, a + c) + w01 * load(planes, a + features + c)
                    p = p + (w10 * load(planes, b + c) + w11 * load(planes, b + features + c))
                    store(products, out + c, p * (wa * load(lines, z + c) + wb * load(lines, z + features + c)))
            else:
                for c in range(0, features, LANES):
                    p = w00 * load(planes, a + c) + w01 * load(planes, a + features + c)
                    p = p + (w10 * load(planes, b + c) + w11 * load(planes, b + features + c))
                    store(products, out + c, p)


@compiled(error_model="numpy")
def touch(start, stop, points, layout, slots, rows, counts, corners):
    """Numbers the plane rows that points touch, in order of first touch, for each set of [start, stop).

    `slots` (plane rows,) comes filled with -1 and gets each touched row's number within its set; `rows` (sets, most)
    gets the rows by number, `counts` (sets,) how many, `corners` (sets, N, 4) the numbers of each point's four rows.
    """
    for s in range(start, stop):
        size = layout[s, SIZE]
        count = 0
        for n in range(points.shape[0]):
            column, _, _ = _cell(points[n, layout[s, AXIS_I]], size)
            row, _, _ = _cell(points[n, layout[s, AXIS_J]], size)
            r = layout[s, PLANE] + row * size + column
            for k, corner in enumerate((r, r + 1, r + size, r + size + 1)):
                if slots[corner] < 0:
                    slots[corner] = count
                    rows[s, count] = corner
                    count += 1
                corners[s, n, k] = slots[corner]
        counts[s] = count


@njit(inline="always")
def _add(array, index, value):
    store(array, index, load(array, index) + value)


@compiled(error_model="numpy")
def scatter(start, stop, points, layout, vectors, planes, lines, use_lines, v_products, corners, first,
            v_planes, v_lines, v_points):  # fmt: skip
    """Gradients of sets [start, stop): of touched plane rows, of lines, and of each point by set.

    `first` (sets + 1,) is where each set's rows begin in `v_planes` (touched rows x D); `v_lines` comes
    zeroed, `v_planes` and `v_points` (sets, N, 3) are overwritten.
    """
    one, zero = np.float32(1.0), np.float32(0.0)
    sets, features = layout.shape[0], len(vectors) * LANES
    for s in range(start, stop):
        size = layout[s, SIZE]
        for c in range(first[s] * features, first[s + 1] * features, LANES):
            store(v_planes, c, splat(zero))
        ai, aj, ak = layout[s, AXIS_I], layout[s, AXIS_J], layout[s, AXIS_K]
        start_plane, start_line, start_row = layout[s, PLANE], layout[s, LINE], first[s]
        for n in range(points.shape[0]):
            column, wx, slope_x = _cell(points[n, ai], size)
            row, wy, slope_y = _cell(points[n, aj], size)
            cell, wz, slope_z = _cell(points[n, ak], size)
            r = start_plane + row * size + column
            a, b = r * features, (r + size) * features
            t00, t01 = (start_row + corners[s, n, 0]) * features, (start_row + corners[s, n, 1]) * features
            t10, t11 = (start_row + corners[s, n, 2]) * features, (start_row + corners[s, n, 3]) * features
            w00, w01 = splat((one - wx) * (one - wy)), splat(wx * (one - wy))
            w10, w11 = splat((one - wx) * wy), splat(wx * wy)
            ux, uy, wa, wb = splat(wx), splat(wy), splat(one - wz), splat(wz)
            z = (start_line + cell) * features
            v = (n * sets + s) * features
            dx, dy, dz = splat(zero), splat(zero), splat(zero)
            soon = min(n + AHEAD, points.shape[0] - 1)
            column, _, _ = _cell(points[soon, ai], size)
            row, _, _ = _cell(points[soon, aj], size)
            _fetch(planes, start_plane + row * size + column, features)
            _fetch(planes, start_plane + (row + 1) * size + column, features)
            prefetch(v_products, (soon * sets + s) * features)
            for k in range(4):
                prefetch(v_planes, (start_row + corners[s, soon, k]) * features)
            for c in range(0, features, LANES):
                g = load(v_products, v + c)
                p00, p01 = load(planes, a + c), load(planes, a + features + c)
                p10, p11 = load(planes, b + c), load(planes, b + features + c)
                if use_lines:
                    h = g * (w00 * p00 + w01 * p01 + w10 * p10 + w11 * p11)
                    za, zb = load(lines, z + c), load(lines, z + features + c)
                    _add(v_lines, z + c, wa * h)
                    _add(v_lines, z + features + c, wb * h)
                    dz = dz + (h * (zb - za))
                    g = g * (wa * za + wb * zb)
                _add(v_planes, t00 + c, w00 * g)
                _add(v_planes, t01 + c, w01 * g)
                _add(v_planes, t10 + c, w10 * g)
                _add(v_planes, t11 + c, w11 * g)
                twist = p11 - p10 - p01 + p00
                dx = dx + (g * (p01 - p00 + uy * twist))
                dy = dy + (g * (p10 - p00 + ux * twist))
            v_points[s, n, ai] = total(dx) * slope_x
            v_points[s, n, aj] = total(dy) * slope_y
            v_points[s, n, ak] = total(dz) * slope_z
