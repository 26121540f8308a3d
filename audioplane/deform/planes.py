"""Multi-resolution planes and lines over the head, and their values at points (static part of Audio-Plane, Eq. 10).

    products = Interp(P_ij) * f_k      for every level s and (i, j, k) in {(X, Y, Z), (X, Z, Y), (Y, Z, X)}

The audio does not appear: it multiplies the products afterwards, so for a head whose canonical points rest, everything
here is computed once. On the CPU a compiled kernel does the look-up and its gradient (a sparse one: only the cells
that points touch); on CUDA and in float64 `sample_dense` does, in plain torch: the two agree in values and gradients.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from audioplane.runtime import limits, threads
from audioplane.runtime.contracts import expect
from audioplane.runtime.threads import flat

TRIPLES = ((0, 1, 2), (0, 2, 1), (1, 2, 0))  # (i, j, k): the plane's two axes (column, row) and the line's axis
PLANE_NAMES = ("xy", "xz", "yz")
LINE_NAMES = ("z", "y", "x")


def make_layout(resolution: int, levels: int) -> np.ndarray:
    """(levels x 3, 6) int64: size, first plane row, first line row, axes i, j, k; levels outermost."""
    rows, plane, line = [], 0, 0
    for level in range(1, levels + 1):
        size = level * resolution
        for triple in TRIPLES:
            rows.append((size, plane, line, *triple))
            plane += size * size
            line += size
    return np.array(rows, dtype=np.int64)


def table_rows(layout: np.ndarray) -> tuple[int, int]:
    """How many rows the planes' and the lines' tables have."""
    return int((layout[:, 0] ** 2).sum()), int(layout[:, 0].sum())


class Planes(nn.Module):
    """P^s_XY, P^s_XZ, P^s_YZ as rows of one table, L^s_Z, L^s_Y, L^s_X of another.

    Audio-Plane, Eq. 9 (journal).

    Args:
        resolution: H, cells a side at level 1; level s has s x H.
        levels: number of levels.
        features: D.
        generator: of the initial values.
        has_lines: False for a plain tri-plane.
    """

    def __init__(
        self, resolution: int, levels: int, features: int, generator: torch.Generator, has_lines: bool = True
    ) -> None:
        super().__init__()
        self.levels, self.features = levels, features
        self.layout = make_layout(resolution, levels)
        plane_rows, line_rows = table_rows(self.layout)
        size = 4 * features * (plane_rows + line_rows)
        if size > limits.limit("model_bytes"):
            what = f"planes of {resolution} cells, {levels} levels, {features} features"
            raise limits.exceeded(f"{what} take {size} bytes", "model_bytes")
        # Products start near P, neither vanishing nor growing with the number of factors.
        self.planes = nn.Parameter(torch.randn(plane_rows, features, generator=generator) * 0.5)
        lines = 1.0 + torch.randn(line_rows, features, generator=generator) * 0.2
        self.lines = nn.Parameter(lines) if has_lines else None

    def plane(self, level: int, name: str) -> Tensor:
        """P^level_name as (rows, columns, D): for "xy" rows are y and columns x."""
        size, first = self.layout[3 * (level - 1) + PLANE_NAMES.index(name), :2]
        return self.planes[first : first + size * size].view(size, size, -1)

    def line(self, level: int, name: str) -> Tensor:
        """L^level_name as (cells, D)."""
        assert self.lines is not None
        size, _, first = self.layout[3 * (level - 1) + LINE_NAMES.index(name), :3]
        return self.lines[first : first + size]

    def forward(self, points: Tensor, lines: Tensor | None = None, short: bool = False) -> Tensor:
        """Products at `points` (N, 3) in [0, 1]^3: (N, levels x 3 x D). `lines` replaces the own ones."""
        return sample(points, self.planes, self.lines if lines is None else lines, self.layout, short)


def sample(points: Tensor, planes: Tensor, lines: Tensor | None, layout: np.ndarray, short: bool = False) -> Tensor:
    """Interp(P_ij) * f_k at points.

    Audio-Plane, Eq. 8 and 10 (journal), without the factor f_a.

    Args:
        points: (N, 3) in [0, 1]^3, x y z; points outside take the value of the border and pass no gradient on.
        planes: (plane rows, D). lines: (line rows, D), or None for the planes alone.
        layout: of `make_layout`. short: whether to round the products to bfloat16.

    Returns:
        (N, sets x D), sets in the order of `layout`.
    """
    if planes.device.type == "cpu" and planes.dtype == torch.float32 and planes.shape[1] % 8 == 0:
        return _Sample.apply(points, planes, lines, layout, short)
    products = sample_dense(points, planes, lines, layout)
    return products.bfloat16() if short else products


def sample_dense(points: Tensor, planes: Tensor, lines: Tensor | None, layout: np.ndarray) -> Tensor:
    """`sample` by `grid_sample`: the slow twin, any device, float32 or float64."""
    at, parts = 2.0 * points - 1.0, []
    own_planes = _cut(planes, layout[:, 0] ** 2)
    own_lines = None if lines is None else _cut(lines, layout[:, 0])
    for n, (size, _, _, i, j, k) in enumerate(layout.tolist()):
        grid = torch.stack([at[:, i], at[:, j]], dim=-1)
        value = _grid_sample(own_planes[n].view(size, size, -1), grid)
        if own_lines is not None:
            along = torch.stack([torch.zeros_like(at[:, k]), at[:, k]], dim=-1)
            value = value * _grid_sample(own_lines[n].view(size, 1, -1), along)
        parts.append(value)
    return torch.cat(parts, dim=1)


def _cut(table: Tensor, counts: np.ndarray) -> tuple[Tensor, ...]:
    """Each set's rows of a table, and what is left of it: in one operation, since the gradient of each slice would be a
    whole table of zeros."""
    return table.split([*counts.tolist(), len(table) - int(counts.sum())])


def _grid_sample(table: Tensor, grid: Tensor) -> Tensor:
    """(rows, columns, D) at grid (N, 2) in [-1, 1]: (N, D)."""
    values = functional.grid_sample(
        table.permute(2, 0, 1)[None], grid[None, :, None], mode="bilinear", padding_mode="border", align_corners=True
    )
    return values[0, :, :, 0].T


def rows_at(points: Tensor, planes: Planes) -> Tensor:
    """The rows of a `Planes`' table that points (N, 3) in [0, 1]^3 read, each once, in order."""
    from audioplane.deform import plane_kernels

    at, layout = points.detach().cpu().numpy(), planes.layout
    slots = np.full(len(planes.planes), -1, np.int32)
    rows, counts = np.empty((len(layout), 4 * len(at)), np.int64), np.zeros(len(layout), np.int64)
    corners = np.empty((len(layout), len(at), 4), np.int32)
    plane_kernels.touch(0, len(layout), at, layout, slots, rows, counts, corners)
    return torch.from_numpy((slots >= 0).nonzero()[0])


def _check(points: Tensor, planes: Tensor, lines: Tensor | None, layout: np.ndarray) -> None:
    """Raises ValueError for tables that are shorter than their layout says, or points that the kernels cannot take."""
    if layout.ndim != 2 or layout.shape[1] != 6 or layout.dtype != np.int64:
        raise ValueError(f"layout: expected int64 of shape (sets, 6), received {layout.dtype} {layout.shape}")
    if len(layout) == 0 or layout[:, 0].min() < 2 or layout[:, 1:].min() < 0 or layout[:, 3:].max() > 2:
        raise ValueError("layout: expected 2 cells a side or more, and axes 0 to 2; see `make_layout`")
    plane_rows = int((layout[:, 1] + layout[:, 0] ** 2).max())
    line_rows = int((layout[:, 2] + layout[:, 0]).max())
    expect("points", points, (None, 3))
    expect("planes", planes, (max(plane_rows, len(planes)), None))
    if lines is not None:
        expect("lines", lines, (max(line_rows, len(lines)), planes.shape[1]))


class _Sample(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, points: Tensor, planes: Tensor, lines: Tensor | None, layout: np.ndarray, short: bool
    ) -> Tensor:
        from audioplane.deform import plane_kernels

        _check(points, planes, lines, layout)
        vectors, use_lines = (0,) * (planes.shape[1] // 8), lines is not None
        dtype = torch.bfloat16 if short else torch.float32
        products = points.new_empty(len(points), len(layout) * planes.shape[1], dtype=dtype)
        threads.run(
            plane_kernels.sample,
            threads.split(len(points), 4 * torch.get_num_threads()),
            points.detach().contiguous().numpy(),
            layout,
            vectors,
            flat(planes),
            flat(planes[:0] if lines is None else lines),
            use_lines,
            flat(products),
        )
        ctx.save_for_backward(points, planes, lines)
        ctx.state = (layout.copy(), vectors, use_lines)
        return products

    @staticmethod
    def backward(ctx: Any, v_products: Tensor) -> tuple[Any, ...]:  # type: ignore[override]
        from audioplane.deform import plane_kernels

        points, planes, lines = ctx.saved_tensors
        lines = planes[:0] if lines is None else lines
        layout, vectors, use_lines = ctx.state
        sets, count, at = len(layout), len(points), points.detach().contiguous().numpy()
        each = [(s, s + 1) for s in reversed(range(sets))]  # the largest tables first
        slots = np.full(len(planes), -1, dtype=np.int32)
        rows = np.empty((sets, min(4 * count, int(layout[:, 0].max()) ** 2)), dtype=np.int64)
        counts = np.zeros(sets, dtype=np.int64)
        corners = np.empty((sets, count, 4), dtype=np.int32)
        threads.run(plane_kernels.touch, each, at, layout, slots, rows, counts, corners)
        first = np.concatenate([[0], np.cumsum(counts)])

        v_planes, v_lines = planes.new_empty(int(first[-1]), planes.shape[1]), planes.new_zeros(lines.shape)
        v_points = points.new_empty(sets, count, 3)
        threads.run(
            plane_kernels.scatter,
            each,
            at,
            layout,
            vectors,
            flat(planes),
            flat(lines),
            use_lines,
            flat(v_products),
            corners,
            first,
            v_planes.view(-1).numpy(),
            v_lines.view(-1).numpy(),
            v_points.numpy(),
        )
        touched = torch.from_numpy(np.concatenate([rows[s, : counts[s]] for s in range(sets)]))
        # Sets do not share rows and each names a row once: nothing is left to coalesce.
        sparse = torch.sparse_coo_tensor(
            touched[None], v_planes, planes.shape, is_coalesced=True, check_invariants=False
        )
        return v_points.sum(0), sparse, (v_lines if use_lines else None), None, None
