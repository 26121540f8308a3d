"""A surface as numbers on a grid: how far a point is from it, and which way out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

NEIGHBOURS = 10  # oriented points that say where the surface is near a place
FAR = 0.02  # metres; beyond, the distance to the nearest point is good enough
BAND = 0.010  # metres about the surface in which the grid is exact
CELLS = 88  # of a side of the grid


@dataclass(frozen=True)
class Surface:
    """A closed surface in head coordinates.

    Attributes:
        center: (3,) metres, of the grid. half: half its side, metres.
        grid: (1, 4, S, S, S) float32 over z, y, x: distance in metres, positive outside, and the way out (x, y, z).
        landmarks: (68, 3) metres, the person's, as fitted.
    """

    center: tuple[float, float, float]
    half: float
    grid: Tensor
    landmarks: NDArray[np.float64]

    def to(self, device: torch.device) -> Surface:
        """The same on a device."""
        return replace(self, grid=self.grid.to(device))

    def look(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Distance (N,) in metres, positive outside, and the way out (N, 3), of length 1, at `points` (N, 3).

        Points beyond the grid take its border's values, and their distance to the grid is added.
        """
        at = (points - points.new_tensor(self.center)) / self.half
        inside = at.clamp(-1.0, 1.0)
        found = F.grid_sample(self.grid.to(points), inside[None, :, None, None], align_corners=True)[0, :, :, 0, 0].T
        beyond = (at - inside).norm(dim=1) * self.half
        return found[:, 0] + beyond, F.normalize(found[:, 1:], dim=1)

    def distance(self, points: Tensor) -> Tensor:
        """Metres, positive outside: (N,)."""
        return self.look(points)[0]

    def nearest(self, points: Tensor, steps: int = 4) -> Tensor:
        """`points` (N, 3) moved onto the surface along the way out."""
        for _ in range(steps):
            distance, out = self.look(points)
            points = points - distance[:, None] * out
        return points

    @staticmethod
    def of_distances(
        distances: NDArray, center: tuple[float, float, float], half: float, landmarks: NDArray[np.float64]
    ) -> Surface:
        """From distances (S, S, S) over z, y, x at the nodes of a grid."""
        cell = 2.0 * half / (len(distances) - 1)
        z, y, x = np.gradient(distances, cell)
        out = np.stack([distances, x, y, z])
        out[1:] /= np.maximum(np.linalg.norm(out[1:], axis=0), 1e-6)
        return Surface(center, half, torch.from_numpy(out[None].astype(np.float32)), landmarks)


def nodes(center: tuple[float, float, float], half: float, cells: int = CELLS) -> NDArray[np.float64]:
    """Positions of a grid's nodes: (S, S, S, 3) metres over z, y, x."""
    axes = [c + np.linspace(-half, half, cells) for c in center]
    z, y, x = np.meshgrid(axes[2], axes[1], axes[0], indexing="ij")
    return np.stack([x, y, z], axis=-1)


def on_grid(tell: Callable[[NDArray], NDArray], center: tuple[float, float, float], half: float) -> NDArray[np.float64]:
    """Distances (S, S, S) at a grid's nodes: exact near the surface, between those of every other node elsewhere.

    Args:
        tell: places (..., 3) -> distances (...,).
    """
    from scipy.ndimage import zoom

    few = CELLS // 2
    rough: NDArray[np.float64] = np.asarray(zoom(tell(nodes(center, half, few)), CELLS / few, order=1))
    near = np.abs(rough) < BAND
    rough[near] = tell(nodes(center, half)[near])
    return rough


def distances(places: NDArray, points: NDArray, normals: NDArray) -> NDArray:
    """Signed distances (...,) of `places` (..., 3) from the smooth surface through oriented points (P, 3).

    A weighted mean of the distances to the tangent planes of the nearest points ("implicit moving least squares",
    Kolluri 2008); far away, the distance to the nearest point with its plane's sign.
    """
    from scipy.spatial import KDTree

    flat = places.reshape(-1, 3)
    tree = KDTree(points)
    away, index = tree.query(flat)
    signed = np.copysign(away, ((flat - points[index]) * normals[index]).sum(1))
    near = np.flatnonzero(away < FAR)
    away, index = tree.query(flat[near], k=NEIGHBOURS)
    width = np.maximum(away[:, 3:4], 0.004)
    weights = np.exp(-((away / width) ** 2))
    planes = ((flat[near, None] - points[index]) * normals[index]).sum(2)
    signed[near] = (weights * planes).sum(1) / np.maximum(weights.sum(1), 1e-12)
    return signed.reshape(places.shape[:-1])
