"""Dense vertex motion in little space: a basis found while frames stream by, and one weight row a frame.

A talking face moves in few ways (blendshapes, a jaw on a hinge), so V x 3 offsets of thousands of frames lie
close to a space of some tens of dimensions. The basis grows greedily: whenever a frame's worst vertex is
further than `tolerance` from the space, that frame's remainder joins the basis. The bound then holds for
every vertex of every frame, unlike an SVD's mean square.
"""

from __future__ import annotations

import numpy as np

from audioplane.runtime.compiled import compiled

TOLERANCE = 2e-5  # metres; what is promised to readers is 5e-5


class MotionBasis:
    """Collects vertex positions frame by frame.

    Args:
        rest: V x 3 positions at rest, metres.
        tolerance: largest distance any stored vertex may have from the truth, metres.
        batch: frames that are projected together.
    """

    def __init__(self, rest: np.ndarray, tolerance: float = TOLERANCE, batch: int = 32) -> None:
        self._rest = np.asarray(rest, np.float32)
        self._tolerance = tolerance
        self._batch = batch
        self._waiting: list[np.ndarray] = []
        self._basis = np.zeros((16, self._rest.size), np.float32)  # rows beyond `_rank` are room to grow
        self._rank = 0
        self._weights: list[np.ndarray] = []
        self.count = 0

    def add(self, vertices: np.ndarray) -> None:
        """Appends one frame: V x 3 positions, metres.

        Raises:
            ValueError: another number of vertices than at rest, NaN or infinity.
        """
        vertices = np.asarray(vertices, np.float32)
        if vertices.shape != self._rest.shape:  # fewer would be spread over all
            raise ValueError(f"vertices: expected {self._rest.shape} as at rest, received {vertices.shape}")
        offsets = vertices - self._rest
        if not np.isfinite(offsets).all():
            raise ValueError(f"vertices of frame {self.count} contain NaN or infinite positions")
        self._waiting.append(offsets.reshape(-1))
        self.count += 1
        if len(self._waiting) == self._batch:
            self._project()

    def _project(self) -> None:
        remainder = np.stack(self._waiting)
        self._waiting = []
        weights = np.zeros((len(remainder), max(self._rank, 1)), np.float32)
        if self._rank:
            basis = self._basis[: self._rank]
            subtract_projection(remainder, basis, weights)
        while True:
            distance = np.sqrt((remainder.reshape(len(remainder), -1, 3) ** 2).sum(2).max(1))
            worst = int(distance.argmax())
            if distance[worst] <= self._tolerance:
                break
            direction = self._grow(remainder[worst])
            column = np.zeros((len(remainder), 1), np.float32)
            subtract_projection(remainder, direction[None], column)
            weights = np.column_stack([weights[:, : self._rank - 1], column])
        self._weights.extend(weights[:, : self._rank])

    def _grow(self, direction: np.ndarray) -> np.ndarray:
        direction = direction[None].copy()  # once more against rounding: the basis stays orthogonal
        subtract_projection(direction, self._basis[: self._rank], np.zeros((1, self._rank), np.float32))
        direction = direction[0] / np.linalg.norm(direction)
        if self._rank == len(self._basis):
            self._basis = np.concatenate([self._basis, np.zeros_like(self._basis)])
        self._basis[self._rank] = direction
        self._rank += 1
        return direction

    def finish(self) -> tuple[np.ndarray, np.ndarray]:
        """The basis, K x V x 3, and the weights, T x K; frame t is `rest + weights[t] @ basis`."""
        if self._waiting:
            self._project()
        weights = np.zeros((self.count, self._rank), np.float32)
        for row, values in zip(weights, self._weights, strict=True):
            row[: len(values)] = values
        return self._basis[: self._rank].reshape(-1, *self._rest.shape), weights


@compiled(fastmath=True)
def subtract_projection(rows, basis, weights):
    """Takes from rows (R, n) their projections on basis rows (K, n), one by one; weights (R, K): shares.

    Not a matrix product: BLAS would run threads of its own beside those that render, spinning as they wait.
    """
    for r in range(rows.shape[0]):
        for k in range(basis.shape[0]):
            share = np.float32(0.0)
            for n in range(rows.shape[1]):
                share += rows[r, n] * basis[k, n]
            weights[r, k] = share
            for n in range(rows.shape[1]):
                rows[r, n] -= share * basis[k, n]
