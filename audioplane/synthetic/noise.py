"""Procedural noise, compiled: lattice hashes, value and gradient noise, strands.

Every function is a pure function of its coordinates (no tables, no state): the same point of a surface,
named by its rest coordinates, has the same texture in every frame, on every thread. Lattice noise has period
none and amplitude about [-1, 1] unless said otherwise. numba has no vector math library, so nothing here
calls exp or pow.
"""

from __future__ import annotations

import numpy as np

from audioplane.runtime.compiled import compiled

_MIX_X, _MIX_Y, _MIX_Z = 0x8DA6B343, 0xD8163841, 0xCB1AB31F
_MASK = 0xFFFFFFFF


@compiled(fastmath=True, inline="always")
def hash_unit(x, y, z):
    """A hash of an integer lattice point, uniform in [0, 1)."""
    h = (x * _MIX_X ^ y * _MIX_Y ^ z * _MIX_Z) & _MASK
    h = ((h ^ (h >> 16)) * 0x7FEB352D) & _MASK
    h = ((h ^ (h >> 15)) * 0x846CA68B) & _MASK
    return (h ^ (h >> 16)) * (1.0 / 4294967296.0)


@compiled(fastmath=True)
def noise_3d(x, y, z):
    """Smooth value noise in [-1, 1] with its gradient: (value, d/dx, d/dy, d/dz); one feature per unit."""
    fx, fy, fz = np.floor(x), np.floor(y), np.floor(z)
    i, j, k = np.int64(fx), np.int64(fy), np.int64(fz)
    x -= fx
    y -= fy
    z -= fz
    u, v, w = x * x * (3.0 - 2.0 * x), y * y * (3.0 - 2.0 * y), z * z * (3.0 - 2.0 * z)
    du, dv, dw = 6.0 * x * (1.0 - x), 6.0 * y * (1.0 - y), 6.0 * z * (1.0 - z)
    a, b = hash_unit(i, j, k), hash_unit(i + 1, j, k)
    c, d = hash_unit(i, j + 1, k), hash_unit(i + 1, j + 1, k)
    e, f = hash_unit(i, j, k + 1), hash_unit(i + 1, j, k + 1)
    g, h = hash_unit(i, j + 1, k + 1), hash_unit(i + 1, j + 1, k + 1)
    k1, k2, k3 = b - a, c - a, e - a
    k4, k5, k6, k7 = a - b - c + d, a - c - e + g, a - b - e + f, b + c + e + h - a - d - f - g
    value = a + k1 * u + k2 * v + k3 * w + k4 * u * v + k5 * v * w + k6 * w * u + k7 * u * v * w
    return (
        2.0 * value - 1.0,
        2.0 * du * (k1 + k4 * v + k6 * w + k7 * v * w),
        2.0 * dv * (k2 + k5 * w + k4 * u + k7 * w * u),
        2.0 * dw * (k3 + k6 * u + k5 * v + k7 * u * v),
    )


@compiled(fastmath=True)
def noise_2d(x, y):
    """Smooth value noise in [-1, 1]; one feature per unit."""
    fx, fy = np.floor(x), np.floor(y)
    i, j = np.int64(fx), np.int64(fy)
    x -= fx
    y -= fy
    u, v = x * x * (3.0 - 2.0 * x), y * y * (3.0 - 2.0 * y)
    a, b = hash_unit(i, j, 7), hash_unit(i + 1, j, 7)
    c, d = hash_unit(i, j + 1, 7), hash_unit(i + 1, j + 1, 7)
    return 2.0 * (a + (b - a) * u + (c - a) * v + (a - b - c + d) * u * v) - 1.0


@compiled(fastmath=True)
def strand_alpha(across, along):
    """How deep in its lock a point of hair lies, in [0, 1]: a surface of coverage q shows it where this is
    below q.

    `across` counts strands (about one strand a unit), `along` runs from root (0) to tip (1). Strands wander
    a little and end at different lengths, so a coverage that falls toward the tip frays it.
    """
    lock = noise_2d(across * 0.17, along * 4.0 + 31.0)
    fine = noise_2d(across * 0.6 + 1.5 * lock, along * 3.0)
    return min(1.0, max(0.0, 0.5 + 0.45 * fine + 0.2 * lock))
