"""Which Gaussians touch which tiles, front to back.

A Gaussian is visible where its opacity times exp(-sigma) reaches 1/255: inside an ellipse. Here each ellipse is cut
exactly into the tiles it reaches (not the bounding square that gsplat visits), and the tiles' lists are filled in depth
order by a stable counting sort, which gives the same lists whatever the number of threads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from audioplane.runtime import threads
from audioplane.runtime.compiled import compiled
from audioplane.runtime.contracts import expect

LOG2_E = math.log2(math.e)
LOG2_255 = math.log2(255.0)
TINY = 1e-20
SLACK = 1e-2  # pixels by which ellipses are taken too large here; the exact test is the compositor's

# Columns of a footprint. With (dx, dy) = pixel - centre, log2(alpha) = PEAK - A (dx + SX dy)^2 - GY dy^2. The ellipse
# alpha >= 1/255 has the half extents HALF_X and HALF_Y; at a given dx it spans dy = -SY dx +- sqrt(RY - QY dx^2), and
# at a given dy dx = -SX dy +- sqrt(RX - QX dy^2).
CX, CY, PEAK, A, SX, GY, HALF_X, HALF_Y, SY, RX, QX, RY, QY, COLUMNS = range(14)

_f = np.float32


@compiled(error_model="numpy")
def _footprints(start, stop, means2d, conics, opacities, radii, footprints):
    """Completes the square of each entry's conic, in float64: thin ellipses cancel badly otherwise."""
    for n in range(start, stop):
        if radii[n, 0] == 0:
            continue
        a, b, c = np.float64(conics[n, 0]), np.float64(conics[n, 1]), np.float64(conics[n, 2])
        peak = math.log2(max(np.float64(opacities[n]), 1e-30))
        reach = max(peak + LOG2_255, 0.0)
        half = 0.5 * LOG2_E
        gy, gx = half * max(c - b * b / a, TINY), half * max(a - b * b / c, TINY)
        row = footprints[n]
        row[CX], row[CY], row[PEAK] = means2d[n, 0], means2d[n, 1], peak
        row[A], row[SX], row[GY] = half * a, b / a, gy
        row[HALF_X], row[HALF_Y] = math.sqrt(reach / gx), math.sqrt(reach / gy)
        row[SY] = b / c
        row[RX], row[QX] = reach / (half * a), gy / (half * a)
        row[RY], row[QY] = reach / (half * c), gx / (half * c)


@njit(inline="always")
def extent(low, high, half, slope_to_top, slope, reach, fall):
    """The span along one axis of the part of an ellipse within the band [low, high] of the other axis.

    Serves for rows within columns and for columns within rows. `low` and `high` are relative to the centre and the band
    must reach into the ellipse; `half` is its half extent along the wanted axis, `slope_to_top`, `slope`, `reach` and
    `fall` are SX, SY, RY, QY for rows, SY, SX, RX, QX for columns. Returns (smallest, largest) relative to the centre.
    """
    top = -slope_to_top * half  # where along the band's axis the ellipse is highest; lowest at minus that
    at = min(max(top, low), high)
    largest = math.sqrt(max(_f(0.0), reach - fall * at * at)) - slope * at
    at = min(max(-top, low), high)
    smallest = -math.sqrt(max(_f(0.0), reach - fall * at * at)) - slope * at
    return smallest, largest


@njit(inline="always")
def pixels(centre, smallest, largest, first, last):
    """The pixels [first, last) whose own centres lie within [smallest, largest] of a centre, as a half-open range."""
    start = np.int32(np.ceil(max(_f(first), centre + smallest - _f(0.5 + SLACK))))
    stop = np.int32(np.floor(min(_f(last - 1), centre + largest - _f(0.5 - SLACK)))) + 1
    return start, stop


@njit(inline="always")
def _rows(row, tile_size, height):
    """The rows of tiles that a footprint reaches, as a half-open range."""
    first, last = pixels(row[CY], -row[HALF_Y], row[HALF_Y], 0, height)
    return first // tile_size, (last - 1) // tile_size + 1 if last > first else 0


@njit(inline="always")
def _columns(row, tile_row, tile_size, width, height):
    """The columns of tiles that a footprint reaches in one row of tiles, as a half-open range."""
    low = _f(tile_row * tile_size) + _f(0.5) - row[CY]
    high = _f(min((tile_row + 1) * tile_size, height)) - _f(0.5) - row[CY]
    smallest, largest = extent(low, high, row[HALF_X], row[SY], row[SX], row[RX], row[QX])
    first, last = pixels(row[CX], smallest, largest, 0, width)
    return first // tile_size, (last - 1) // tile_size + 1 if last > first else 0


@compiled(error_model="numpy")
def _row_positions(order, footprints, height, tile_size, positions):
    """Where the spans of each sorted entry begin, one span for every row of tiles it reaches."""
    position = 0
    for k in range(order.shape[0]):
        positions[k] = position
        first, stop = _rows(footprints[order[k]], tile_size, height)
        position += max(0, stop - first)
    positions[order.shape[0]] = position


@compiled(error_model="numpy")
def _count(
    start, stop, bounds, order, images, footprints, positions, size, tile_size, grid, spans, histogram, tiles_per_gauss
):
    """Cuts chunks [start, stop) of the sorted entries into spans of tiles and counts them by tile and by entry."""
    width, height = size
    tiles_x, tiles_y = grid
    for chunk in range(start, stop):
        counts = histogram[chunk]
        for k in range(bounds[chunk], bounds[chunk + 1]):
            n = order[k]
            row = footprints[n]
            first, _ = _rows(row, tile_size, height)
            pairs = 0
            for position in range(positions[k], positions[k + 1]):
                y = first + position - positions[k]
                x0, x1 = _columns(row, y, tile_size, width, height)
                base = (images[n] * tiles_y + y) * tiles_x
                spans[position, 0], spans[position, 1] = base + x0, base + max(x0, x1)
                for tile in range(base + x0, base + x1):
                    counts[tile] += 1
                pairs += max(0, x1 - x0)
            tiles_per_gauss[n] = pairs


@compiled()
def _offsets(histogram, tiles_per_gauss, offsets, starts):
    """Turns counts into positions: of each tile's list, of each chunk within it, of each entry's own pairs."""
    position = 0
    for tile in range(histogram.shape[1]):
        offsets[tile] = position
        for chunk in range(histogram.shape[0]):
            count = histogram[chunk, tile]
            histogram[chunk, tile] = position
            position += count
    offsets[histogram.shape[1]] = position
    position = 0
    for n in range(tiles_per_gauss.shape[0]):
        starts[n] = position
        position += tiles_per_gauss[n]
    starts[tiles_per_gauss.shape[0]] = position


@compiled(error_model="numpy")
def _fill(start, stop, bounds, order, images, positions, spans, cursors, starts, depth_bits, tiles, image_shift,
          isect_ids, flatten_ids, slots):  # fmt: skip
    """Writes the pairs of chunks [start, stop), each to its place in its tile's list."""
    for chunk in range(start, stop):
        cursor = cursors[chunk]
        for k in range(bounds[chunk], bounds[chunk + 1]):
            n = order[k]
            slot = starts[n]
            image = np.int64(images[n])
            key = (image << image_shift) - image * tiles
            bits = np.int64(depth_bits[n])
            for position in range(positions[k], positions[k + 1]):
                for tile in range(spans[position, 0], spans[position, 1]):
                    at = cursor[tile]
                    cursor[tile] = at + 1
                    flatten_ids[at] = n
                    isect_ids[at] = ((key + tile) << 32) | bits
                    slots[at] = slot
                    slot += 1


@compiled()
def _depth_order(depths, radii):
    """Visible entries by depth, nearest first, ties in order of index: a radix sort on the bits of the depths."""
    visible = 0
    for n in range(depths.shape[0]):
        visible += radii[n, 0] != 0
    keys, order = np.empty(visible, np.uint32), np.empty(visible, np.int32)
    other_keys, other = np.empty(visible, np.uint32), np.empty(visible, np.int32)
    counts = np.zeros((3, 2048), np.int64)
    k = 0
    for n in range(depths.shape[0]):
        if radii[n, 0] != 0:
            key = depths[n]
            keys[k], order[k] = key, n
            counts[0, key & 2047] += 1
            counts[1, (key >> 11) & 2047] += 1
            counts[2, key >> 22] += 1
            k += 1
    for digit in range(3):
        position = 0
        for value in range(2048):
            count = counts[digit, value]
            counts[digit, value] = position
            position += count
        for k in range(visible):
            value = (keys[k] >> (11 * digit)) & 2047
            position = counts[digit, value]
            counts[digit, value] = position + 1
            other_keys[position], other[position] = keys[k], order[k]
        keys, other_keys = other_keys, keys
        order, other = other, order
    return order


_FINDINGS = (
    "",
    "images: expected indices of images that there are",
    "conics: expected a > 0 and c > 0 wherever the radius is not 0",
    "means2d: holds NaN or infinity; expected finite values",
    "conics: holds NaN or infinity; expected finite values",
    "opacities: holds NaN or infinity; expected finite values",
)


@compiled()
def _find(means2d, conics, opacities, radii, images, n_images):
    """The number in `_FINDINGS` of what is wrong with the entries, in one pass; 0 for nothing."""
    found = 0
    for n in range(images.shape[0]):
        a, b, c = conics[n, 0], conics[n, 1], conics[n, 2]
        if images[n] < 0 or images[n] >= n_images:
            return 1
        if radii[n, 0] != 0 and not (a > 0 and c > 0):
            found = 2
        elif not (np.isfinite(means2d[n, 0]) and np.isfinite(means2d[n, 1])):
            found = 3
        elif not (np.isfinite(a) and np.isfinite(b) and np.isfinite(c)):
            found = 4
        elif not np.isfinite(opacities[n]):
            found = 5
    return found


@dataclass(frozen=True)
class Pairs:
    """The tiles' lists: pair p says that entry `flatten_ids[p]` touches the tile whose range in `offsets` holds p.

    `slots[p]` numbers the pairs entry by entry instead of tile by tile, `starts` says where each entry's begin:
    gradients are written there and added up in a fixed order.
    """

    footprints: NDArray[np.float32]  # (M, COLUMNS)
    offsets: NDArray[np.int32]  # (tiles + 1,)
    flatten_ids: NDArray[np.int32]  # (P,)
    isect_ids: NDArray[np.int64]  # (P,) image, tile and depth bits, as gsplat packs them
    slots: NDArray[np.int32]  # (P,)
    starts: NDArray[np.int32]  # (M + 1,)
    tiles_per_gauss: NDArray[np.int32]  # (M,)


def _check(
    means2d: Tensor,
    conics: Tensor,
    opacities: Tensor,
    radii: Tensor,
    depths: Tensor,
    images: NDArray[np.int32],
    n_images: int,
) -> list[NDArray[Any]]:
    """Returns the first four, flattened, as kernels take them."""
    lead = tuple(opacities.shape)
    for name, tensor, last in (("means2d", means2d, (2,)), ("conics", conics, (3,)), ("depths", depths, ())):
        expect(name, tensor, (*lead, *last))
    expect("opacities", opacities, lead)
    expect("radii", radii, (*lead, 2), torch.int32)
    if images.dtype != np.int32 or images.shape != (opacities.numel(),):
        raise ValueError(f"images: expected int32 ({opacities.numel()},), received {images.dtype} {images.shape}")
    flat = (means2d.reshape(-1, 2), conics.reshape(-1, 3), opacities.reshape(-1), radii.reshape(-1, 2))
    arrays = [t.detach().contiguous().numpy() for t in flat]
    finding = _FINDINGS[_find(*arrays, images, n_images)]
    if finding:
        raise ValueError(finding)
    return arrays


def intersect(
    means2d: Tensor,
    conics: Tensor,
    opacities: Tensor,
    radii: Tensor,
    depths: Tensor,
    images: NDArray[np.int32],
    width: int,
    height: int,
    tile_size: int,
    n_images: int,
) -> Pairs:
    """Lists for every tile the entries that reach 1/255 somewhere on its pixels, nearest first.

    Args:
        means2d: (..., 2) pixels, M in all. conics: (..., 3). opacities, depths: (...). radii: (..., 2) int32.
        images: (M,) int32, the image each entry belongs to, in [0, n_images).
        width, height, tile_size: pixels. n_images: how many there are.

    Raises:
        ValueError: sizes or types that do not fit, an image that there is not, or an entry in sight without an ellipse.
    """
    arrays = _check(means2d, conics, opacities, radii, depths, images, n_images)
    count = len(images)
    footprints = np.empty((count, COLUMNS), np.float32)
    workers = torch.get_num_threads()
    threads.run(_footprints, threads.split(count, 2 * workers), *arrays, footprints)
    depth_bits = depths.detach().reshape(-1).contiguous().numpy().view(np.uint32)
    order = _depth_order(depth_bits, arrays[3])

    positions = np.empty(len(order) + 1, np.int32)
    _row_positions(order, footprints, height, tile_size, positions)
    grid = (-(-width // tile_size), -(-height // tile_size))
    tiles, chunks = grid[0] * grid[1], 2 * workers if workers > 1 else 1
    bounds = np.array([len(order) * i // chunks for i in range(chunks + 1)])
    parts = [(i, i + 1) for i in range(chunks)]
    spans = np.empty((positions[-1], 2), np.int32)
    histogram, tiles_per_gauss = np.zeros((chunks, n_images * tiles), np.int32), np.zeros(count, np.int32)
    threads.run(
        _count,
        parts,
        bounds,
        order,
        images,
        footprints,
        positions,
        (width, height),
        tile_size,
        grid,
        spans,
        histogram,
        tiles_per_gauss,
    )
    offsets, starts = np.empty(n_images * tiles + 1, np.int32), np.empty(count + 1, np.int32)
    _offsets(histogram, tiles_per_gauss, offsets, starts)
    flatten_ids, slots = np.empty(offsets[-1], np.int32), np.empty(offsets[-1], np.int32)
    isect_ids = np.empty(offsets[-1], np.int64)
    threads.run(
        _fill, parts, bounds, order, images, positions, spans, histogram, starts, depth_bits, tiles, tiles.bit_length(),
        isect_ids, flatten_ids, slots,
    )  # fmt: skip
    return Pairs(footprints, offsets, flatten_ids, isect_ids, slots, starts, tiles_per_gauss)
