"""Compiled bilinear look-up in planes and lines, forward and backward, for the CPU.

One row of a table is one cell's D features. A *set* is one (level, triple) of Eq. 10: a plane P_ij and the line L_k
of the remaining axis. `layout` (sets, 6) int64 says for each: cells a side, first row of the plane, first row of the
line, axes i, j, k.

Forward cuts the points into ranges. Backward must add many points into the same cell, so it is cut by table: one
table is walked by one thread in the order of the points, which makes sums exact to the bit whatever the number of
threads, without atomics. Only rows that some point touches get a gradient: those are numbered first (`touch`).
"""

from __future__ import annotations

import numpy as np
from numba import njit

SIZE, PLANE, LINE, AXIS_I, AXIS_J, AXIS_K = range(6)


@njit(inline="always")
def _cell(u, size):
    """Left cell and weight of the right one at u in [0, 1] (clamped) on `size` cells; the slope du -> weight."""
    x = u * (size - 1)
    top = np.float32(size - 1)
    slope = np.float32(size - 1)
    if x <= 0.0:
        x, slope = np.float32(0.0), np.float32(0.0)
    elif x >= top:
        x, slope = top, np.float32(0.0)
    left = min(int(x), size - 2)
    return left, np.float32(x - left), slope


@njit(cache=True, nogil=True, fastmath={"contract", "nsz"}, error_model="numpy")
def sample(start, stop, points, layout, planes, lines, use_lines, plane_values, line_values, products):
    """Values of P_ij and L_k at points [start, stop), and their product (Eq. 8 without f_a)."""
    features = planes.shape[1]
    for n in range(start, stop):
        for s in range(layout.shape[0]):
            size = layout[s, SIZE]
            column, wx, _ = _cell(points[n, layout[s, AXIS_I]], size)
            row, wy, _ = _cell(points[n, layout[s, AXIS_J]], size)
            r00 = layout[s, PLANE] + row * size + column
            r10 = r00 + size
            w11 = wx * wy
            w10 = wy - w11
            w01 = wx - w11
            w00 = np.float32(1.0) - wx - wy + w11
            base = s * features
            if use_lines:
                cell, wz, _ = _cell(points[n, layout[s, AXIS_K]], size)
                z = layout[s, LINE] + cell
                wa = np.float32(1.0) - wz
                for c in range(features):
                    p = w00 * planes[r00, c] + w01 * planes[r00 + 1, c] + w10 * planes[r10, c] + w11 * planes[r10 + 1, c]
                    q = wa * lines[z, c] + wz * lines[z + 1, c]
                    plane_values[n, base + c] = p
                    line_values[n, base + c] = q
                    products[n, base + c] = p * q
            else:
                for c in range(features):
                    products[n, base + c] = (
                        w00 * planes[r00, c] + w01 * planes[r00 + 1, c] + w10 * planes[r10, c] + w11 * planes[r10 + 1, c]
                    )


@njit(cache=True, nogil=True, error_model="numpy")
def touch(start, stop, points, layout, slots, rows, counts):
    """Numbers the plane rows that points touch, in order of first touch, for each set of [start, stop).

    `slots` (plane rows,) comes filled with -1 and gets each touched row's number within its set; `rows` (sets, most)
    gets the rows by number, `counts` (sets,) how many.
    """
    for s in range(start, stop):
        size = layout[s, SIZE]
        count = 0
        for n in range(points.shape[0]):
            column, _, _ = _cell(points[n, layout[s, AXIS_I]], size)
            row, _, _ = _cell(points[n, layout[s, AXIS_J]], size)
            r = layout[s, PLANE] + row * size + column
            for corner in (r, r + 1, r + size, r + size + 1):
                if slots[corner] < 0:
                    slots[corner] = count
                    rows[s, count] = corner
                    count += 1
        counts[s] = count


@njit(cache=True, nogil=True, fastmath={"contract", "nsz", "reassoc"}, error_model="numpy")
def scatter(start, stop, points, layout, planes, lines, use_lines, move, plane_values, line_values, v_products,
            slots, first, v_planes, v_lines, v_points):  # fmt: skip
    """Gradients of sets [start, stop): of touched plane rows, of lines, and of each point by set.

    `first` (sets,) is where each set's rows begin in `v_planes` (touched rows, D); `v_planes` and `v_lines` come
    zeroed; `v_points` (sets, N, 3) is written where `move`.
    """
    features = planes.shape[1]
    g = np.empty(features, dtype=np.float32)
    h = np.empty(features, dtype=np.float32)
    for s in range(start, stop):
        size = layout[s, SIZE]
        base = s * features
        ai, aj, ak = layout[s, AXIS_I], layout[s, AXIS_J], layout[s, AXIS_K]
        for n in range(points.shape[0]):
            column, wx, slope_x = _cell(points[n, ai], size)
            row, wy, slope_y = _cell(points[n, aj], size)
            r00 = layout[s, PLANE] + row * size + column
            r10 = r00 + size
            w11 = wx * wy
            w10 = wy - w11
            w01 = wx - w11
            w00 = np.float32(1.0) - wx - wy + w11
            if use_lines:
                cell, wz, slope_z = _cell(points[n, ak], size)
                z = layout[s, LINE] + cell
                wa = np.float32(1.0) - wz
                for c in range(features):
                    g[c] = v_products[n, base + c] * line_values[n, base + c]
                    h[c] = v_products[n, base + c] * plane_values[n, base + c]
                for c in range(features):
                    v_lines[z, c] += wa * h[c]
                for c in range(features):
                    v_lines[z + 1, c] += wz * h[c]
                if move:
                    dz = np.float32(0.0)
                    for c in range(features):
                        dz += h[c] * (lines[z + 1, c] - lines[z, c])
                    v_points[s, n, ak] = dz * slope_z
            else:
                for c in range(features):
                    g[c] = v_products[n, base + c]
                if move:
                    v_points[s, n, ak] = np.float32(0.0)
            t00 = first[s] + slots[r00]
            t01 = first[s] + slots[r00 + 1]
            t10 = first[s] + slots[r10]
            t11 = first[s] + slots[r10 + 1]
            for c in range(features):
                v_planes[t00, c] += w00 * g[c]
            for c in range(features):
                v_planes[t01, c] += w01 * g[c]
            for c in range(features):
                v_planes[t10, c] += w10 * g[c]
            for c in range(features):
                v_planes[t11, c] += w11 * g[c]
            if move:
                dx = np.float32(0.0)
                dy = np.float32(0.0)
                for c in range(features):
                    p00, p01 = planes[r00, c], planes[r00 + 1, c]
                    p10, p11 = planes[r10, c], planes[r10 + 1, c]
                    twist = p11 - p10 - p01 + p00
                    dx += g[c] * (p01 - p00 + wy * twist)
                    dy += g[c] * (p10 - p00 + wx * twist)
                v_points[s, n, ai] = dx * slope_x
                v_points[s, n, aj] = dy * slope_y
