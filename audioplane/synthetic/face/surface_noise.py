"""Smooth random fields over points: value noise on a lattice, seeded by a hash, the same on every machine."""

from __future__ import annotations

import numpy as np


def lattice_noise(points: np.ndarray, seed: int) -> np.ndarray:
    """Smooth noise in about [-1, 1] at points (n, d <= 3) given in lattice cells."""
    points = np.asarray(points, float)
    cell = np.floor(points).astype(np.int64)
    t = points - cell
    t = t * t * t * (t * (6 * t - 15) + 10)
    out = np.zeros(len(points))
    for corner in np.ndindex(*(2,) * points.shape[1]):
        weight = np.prod(np.where(np.array(corner) == 1, t, 1 - t), axis=1)
        out += weight * _hash(cell + np.array(corner), seed)
    return out


def _hash(cell: np.ndarray, seed: int) -> np.ndarray:
    h = np.full(len(cell), np.uint64((seed * 0x9E3779B97F4A7C15 + 0x1234567) & 0xFFFFFFFFFFFFFFFF))
    for k, prime in enumerate((0x8DA6B343, 0xD8163841, 0xCB1AB31F)[: cell.shape[1]]):
        h ^= cell[:, k].astype(np.uint64) * np.uint64(prime)
        h ^= h >> np.uint64(29)
        h *= np.uint64(0xBF58476D1CE4E5B9)
    h ^= h >> np.uint64(32)
    return (h >> np.uint64(11)).astype(float) / 2**52 - 1.0
