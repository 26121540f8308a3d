"""Which Gaussians touch which tiles, front to back.

A Gaussian is visible where its opacity times exp(-sigma) reaches 1/255: inside an ellipse. Here each ellipse is cut
exactly into the tiles it reaches (not the bounding square that gsplat visits), and the tiles' lists are filled in depth
order by a stable counting sort, which gives the same lists whatever the number of threads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from .. import threads

LOG2_E = math.log2(math.e)
LOG2_255 = math.log2(255.0)
TINY = 1e-20
SLACK = 1e-4  # the ellipse is drawn a hair too large, the exact test is the compositor's

# Columns of a footprint: with (dx, dy) = pixel - centre, log2(alpha) = PEAK - A (dx + SX dy)^2 - GY dy^2, and the
# same with x and y exchanged: = PEAK - C (dy + SY dx)^2 - GX dx^2. The ellipse's half extents are HALF_X and HALF_Y.
CX, CY, A, SX, GY, C, SY, GX, PEAK, REACH, HALF_X, HALF_Y, COLUMNS = range(13)

_f = np.float32


@njit(cache=True, nogil=True, error_model="numpy")
def _footprints(start, stop, means2d, conics, opacities, radii, footprints):
    """Completes the square of each entry's conic, in float64: thin ellipses cancel badly otherwise."""
    for n in range(start, stop):
        if radii[n, 0] == 0:
            continue
        a, b, c = np.float64(conics[n, 0]), np.float64(conics[n, 1]), np.float64(conics[n, 2])
        peak = math.log2(max(np.float64(opacities[n]), 1e-30))
        reach = max(peak + LOG2_255, 0.0) * (1.0 + SLACK) + SLACK
        half = 0.5 * LOG2_E
        gy, gx = half * max(c - b * b / a, TINY), half * max(a - b * b / c, TINY)
        row = footprints[n]
        row[CX], row[CY] = means2d[n, 0], means2d[n, 1]
        row[A], row[SX], row[GY] = half * a, b / a, gy
        row[C], row[SY], row[GX] = half * c, b / c, gx
        row[PEAK], row[REACH] = peak, reach
        row[HALF_X], row[HALF_Y] = math.sqrt(reach / gx), math.sqrt(reach / gy)


@njit(inline="always")
def extent(low, high, reach, own_half, slope_to_top, slope, curvature, rest):
    """Extent along one axis of the part of an ellipse within the band [low, high] of the other axis.

    Works for rows within columns and for columns within rows; `low` and `high` are relative to the centre and reach
    into the ellipse. Returns (smallest, largest) relative to the centre.
    """
    top = -slope_to_top * own_half  # where in the band's axis the ellipse is highest
    at = min(max(top, low), high)
    largest = own_half if at == top else -slope * at + math.sqrt(max(_f(0.0), (reach - rest * at * at) / curvature))
    at = min(max(-top, low), high)
    smallest = -own_half if at == -top else -slope * at - math.sqrt(max(_f(0.0), (reach - rest * at * at) / curvature))
    return smallest, largest


@njit(inline="always")
def first_pixel(coordinate):
    """The first pixel whose centre is at or after a coordinate."""
    return math.ceil(coordinate - _f(0.5))


@njit(inline="always")
def last_pixel(coordinate):
    """The last pixel whose centre is at or before a coordinate."""
    return math.floor(coordinate - _f(0.5))


@njit(inline="always")
def _rows(row, tile_size, height):
    """The rows of tiles that a footprint reaches, as a half-open range."""
    first = max(_f(0.0), first_pixel(row[CY] - row[HALF_Y]))
    last = min(_f(height - 1), last_pixel(row[CY] + row[HALF_Y]))
    return int(first) // tile_size, (int(last) // tile_size + 1 if last >= first else 0)


@njit(inline="always")
def _columns(row, tile_row, tile_size, width):
    """The columns of tiles that a footprint reaches in one row of tiles, as a half-open range."""
    low = _f(tile_row * tile_size) + _f(0.5) - row[CY]
    high = low + _f(tile_size - 1)
    if low > row[HALF_Y] or high < -row[HALF_Y]:
        return 0, 0
    smallest, largest = extent(low, high, row[REACH], row[HALF_X], row[SY], row[SX], row[A], row[GY])
    first = max(_f(0.0), first_pixel(row[CX] + smallest))
    last = min(_f(width - 1), last_pixel(row[CX] + largest))
    return int(first) // tile_size, (int(last) // tile_size + 1 if last >= first else 0)


@njit(cache=True, nogil=True, error_model="numpy")
def _count(start, stop, bounds, order, images, footprints, size, tile_size, grid, histogram, tiles_per_gauss):
    """Counts, for chunks [start, stop) of the sorted entries, the pairs in every tile and of every entry."""
    width, height = size
    tiles_x, tiles_y = grid
    for chunk in range(start, stop):
        counts = histogram[chunk]
        for k in range(bounds[chunk], bounds[chunk + 1]):
            n = order[k]
            row = footprints[n]
            y0, y1 = _rows(row, tile_size, height)
            pairs = 0
            for y in range(y0, y1):
                x0, x1 = _columns(row, y, tile_size, width)
                base = (images[n] * tiles_y + y) * tiles_x
                for x in range(x0, x1):
                    counts[base + x] += 1
                pairs += max(0, x1 - x0)
            tiles_per_gauss[n] = pairs


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True, error_model="numpy")
def _fill(start, stop, bounds, order, images, footprints, size, tile_size, grid, cursors, starts, flatten_ids, slots):
    """Writes the pairs of chunks [start, stop), each to its place in its tile's list."""
    width, height = size
    tiles_x, tiles_y = grid
    for chunk in range(start, stop):
        cursor = cursors[chunk]
        for k in range(bounds[chunk], bounds[chunk + 1]):
            n = order[k]
            row = footprints[n]
            y0, y1 = _rows(row, tile_size, height)
            slot = starts[n]
            for y in range(y0, y1):
                x0, x1 = _columns(row, y, tile_size, width)
                base = (images[n] * tiles_y + y) * tiles_x
                for x in range(x0, x1):
                    position = cursor[base + x]
                    cursor[base + x] = position + 1
                    flatten_ids[position] = n
                    slots[position] = slot
                    slot += 1


@njit(cache=True, nogil=True)
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


@dataclass(frozen=True)
class Pairs:
    """The tiles' lists: pair p says that entry `flatten_ids[p]` touches the tile whose range in `offsets` holds p.

    `slots[p]` numbers the pairs entry by entry instead of tile by tile, `starts` says where each entry's begin:
    gradients are written there and added up in a fixed order.
    """

    footprints: NDArray[np.float32]  # (M, COLUMNS)
    offsets: NDArray[np.int32]  # (tiles + 1,)
    flatten_ids: NDArray[np.int32]  # (P,)
    slots: NDArray[np.int32]  # (P,)
    starts: NDArray[np.int32]  # (M + 1,)
    tiles_per_gauss: NDArray[np.int32]  # (M,)


def intersect(means2d: Tensor, conics: Tensor, opacities: Tensor, radii: Tensor, depths: Tensor, images: NDArray[np.int32],
              width: int, height: int, tile_size: int, n_images: int) -> Pairs:  # fmt: skip
    """Lists for every tile the entries that reach 1/255 somewhere on its pixels, nearest first.

    Args:
        means2d: (M, 2) pixels. conics: (M, 3). opacities: (M,). radii: (M, 2) int32. depths: (M,).
        images: (M,) the image each entry belongs to, in [0, n_images).
    """
    count = means2d.shape[0]
    footprints = np.empty((count, COLUMNS), np.float32)
    arrays = [t.detach().contiguous().numpy() for t in (means2d, conics, opacities, radii)]
    workers = torch.get_num_threads()
    threads.run(_footprints, threads.split(count, 2 * workers), *arrays, footprints)
    order = _depth_order(depths.detach().contiguous().numpy().view(np.uint32), arrays[3])

    grid = (-(-width // tile_size), -(-height // tile_size))
    tiles, chunks = n_images * grid[0] * grid[1], 2 * workers if workers > 1 else 1
    bounds = np.array([len(order) * i // chunks for i in range(chunks + 1)])
    histogram, tiles_per_gauss = np.zeros((chunks, tiles), np.int32), np.zeros(count, np.int32)
    common = (bounds, order, images, footprints, (width, height), tile_size, grid)
    parts = [(i, i + 1) for i in range(chunks)]
    threads.run(_count, parts, *common, histogram, tiles_per_gauss)
    offsets, starts = np.empty(tiles + 1, np.int32), np.empty(count + 1, np.int32)
    _offsets(histogram, tiles_per_gauss, offsets, starts)
    flatten_ids, slots = np.empty(offsets[-1], np.int32), np.empty(offsets[-1], np.int32)
    threads.run(_fill, parts, *common, histogram, starts, flatten_ids, slots)
    return Pairs(footprints, offsets, flatten_ids, slots, starts, tiles_per_gauss)
