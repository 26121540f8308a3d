"""Front-to-back compositing of 2D Gaussians, tile by tile (Audio-Plane, Eq. 1 and 3), and its gradients.

A tile is worked on in blocks of eight pixels in a row (see `simd`). For each Gaussian of the tile's list only the
blocks that its ellipse reaches are visited. gsplat's numbers are kept: a Gaussian counts where alpha >= 1/255, alpha is
held below 0.999, and a pixel is finished by the first Gaussian that would leave at most 1e-4 of its light.

The backward pass runs front to back too. With v the gradient of the pixel, T the light left before Gaussian i and
w = alpha T, the loss changes with alpha_i by T (v.c_i) - Q / (1 - alpha_i), where Q, what lies behind i as the pixel
sees it, starts at v.C - v_alpha T_final and loses w (v.c_i) with every Gaussian passed. Gradients of the ellipse are
polynomials in the pixel's position, so six moments of dL/dsigma over a tile's pixels give them all. Every pair of
tile and Gaussian has a row of its own for its gradient; rows are added up Gaussian by Gaussian: no atomics, and the
same sum whatever the number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from audioplane.runtime import threads
from audioplane.runtime.compiled import compiled
from audioplane.runtime.contracts import expect, indices
from audioplane.splat.simd import (
    LANES,
    absolute,
    any_lane,
    exp2,
    load,
    minimum,
    prefetch,
    ramp,
    splat,
    store,
    total,
    where,
)
from audioplane.splat.tiles import (
    COLUMNS,
    CX,
    CY,
    GY,
    HALF_X,
    HALF_Y,
    LOG2_255,
    PEAK,
    QY,
    RY,
    SX,
    SY,
    A,
    Pairs,
    extent,
    pixels,
)

_f = np.float32
LOG2_THRESHOLD = _f(-LOG2_255)
MAX_ALPHA = _f(0.999)
MIN_LIGHT = _f(1e-4)
CHECK = 8  # Gaussians between two looks at whether a tile still lets light through
AHEAD = 3  # Gaussians between asking for one and needing it
GEOMETRY = 8  # columns of a gradient row before the colours: u, v, conic a b c, opacity, |u|, |v|


@njit(inline="always")
def _fetch(n, footprints, colors):
    """Brings a Gaussian that will be needed soon into the cache: the lists jump about in memory."""
    prefetch(footprints, n * COLUMNS)
    prefetch(footprints, (n + 1) * COLUMNS - 1)
    prefetch(colors, n * colors.shape[1])


@njit(inline="always")
def _block_columns(row, left, right):
    """The blocks of eight columns that a footprint reaches between pixel columns [left, right)."""
    first, last = pixels(row[CX], -row[HALF_X], row[HALF_X], left, right)
    return (first - left) // LANES, (last - 1 - left) // LANES + 1 if last > first else 0


@njit(inline="always")
def _block_rows(row, column, top, bottom):
    """The pixel rows within [top, bottom) that a footprint reaches in the eight columns from `column`."""
    low = _f(column) + _f(0.5) - row[CX]
    smallest, largest = extent(low, low + _f(LANES - 1), row[HALF_Y], row[SX], row[SY], row[RY], row[QY])
    return pixels(row[CY], smallest, largest, top, bottom)


@njit(inline="always")
def _any_light(buffer, size):
    """Whether any pixel of a tile still lets light through (finished ones hold minus what was left)."""
    most = splat(_f(0.0))
    for at in range(0, size, LANES):
        most = where(load(buffer, at) > most, load(buffer, at), most)
    return any_lane(most > splat(_f(0.0)))


@compiled(error_model="numpy")
def _composite(start, stop, offsets, flatten_ids, footprints, colors, backgrounds, size, tile_size, grid,
               unrolled, render, alphas, light):  # fmt: skip
    """Draws tiles [start, stop) of all images."""
    width, height = size
    tiles_x, tiles_y = grid
    channels = len(unrolled) if len(unrolled) > 0 else colors.shape[1]
    stride = (tile_size + LANES - 1) // LANES * LANES
    area = stride * tile_size
    check = max(CHECK, area // 64)
    buffer = np.empty((channels + 1) * area, np.float32)  # light left, then one plane a channel
    lanes, zero = ramp(), splat(_f(0.0))
    threshold, max_alpha, min_light = splat(LOG2_THRESHOLD), splat(MAX_ALPHA), splat(MIN_LIGHT)
    for tile in range(start, stop):
        image = tile // (tiles_x * tiles_y)
        inner = tile - image * tiles_x * tiles_y
        top, left = (inner // tiles_x) * tile_size, (inner % tiles_x) * tile_size
        bottom, right = min(top + tile_size, height), min(left + tile_size, width)
        begin, end = offsets[tile], offsets[tile + 1]
        if begin == end:
            light[image, top:bottom, left:right] = 1.0
            alphas[image, top:bottom, left:right] = 0.0
            for c in range(channels):
                render[image, top:bottom, left:right, c] = backgrounds[image, c]
            continue
        buffer[:] = 0.0
        for y in range(bottom - top):
            buffer[y * stride : y * stride + right - left] = 1.0

        for p in range(begin, end):
            if (p - begin) % check == check - 1 and not _any_light(buffer, area):
                break
            _fetch(flatten_ids[min(p + AHEAD, end - 1)], footprints, colors)
            n = flatten_ids[p]
            row = footprints[n]
            a = splat(row[A])
            b0, b1 = _block_columns(row, left, right)
            for b in range(b0, b1):
                column = left + b * LANES
                y0, y1 = _block_rows(row, column, top, bottom)
                dx = lanes + splat(_f(column) + _f(0.5) - row[CX])
                for y in range(y0, y1):
                    at = (y - top) * stride + b * LANES
                    before = load(buffer, at)
                    dy = _f(y) + _f(0.5) - row[CY]
                    across = dx + splat(row[SX] * dy)
                    exponent = splat(row[PEAK] - row[GY] * dy * dy) - a * across * across
                    if not any_lane((exponent >= threshold) & (before > zero)):
                        continue
                    alpha = where(exponent >= threshold, minimum(exp2(exponent), max_alpha), zero)
                    after = before - before * alpha
                    goes_on = after > min_light
                    store(buffer, at, where(goes_on, after, zero - absolute(before)))
                    weight = where(goes_on, before - after, zero)
                    for c in range(channels):
                        at += area
                        store(buffer, at, load(buffer, at) + weight * splat(colors[n, c]))

        for y in range(top, bottom):
            for x in range(left, right):
                at = (y - top) * stride + x - left
                rest = abs(buffer[at])
                light[image, y, x] = rest
                alphas[image, y, x] = _f(1.0) - rest
                for c in range(channels):
                    render[image, y, x, c] = buffer[at + (c + 1) * area] + rest * backgrounds[image, c]


@compiled(error_model="numpy")
def _composite_backward(start, stop, offsets, flatten_ids, slots, footprints, conics, opacities, colors, size,
                        tile_size, grid, unrolled, render, light, v_render, v_alphas, absgrad, rows):  # fmt: skip
    """Writes the gradient row of every pair of tiles [start, stop)."""
    width, height = size
    tiles_x, tiles_y = grid
    channels = len(unrolled) if len(unrolled) > 0 else colors.shape[1]
    stride = (tile_size + LANES - 1) // LANES * LANES
    area = stride * tile_size
    check = max(CHECK, area // 64)
    buffer = np.empty((channels + 2) * area, np.float32)  # light left, Q, then v one plane a channel
    sums = np.empty(channels * LANES, np.float32)
    lanes, zero, one = ramp(), splat(_f(0.0)), splat(_f(1.0))
    threshold, max_alpha, min_light = splat(LOG2_THRESHOLD), splat(MAX_ALPHA), splat(MIN_LIGHT)
    for tile in range(start, stop):
        image = tile // (tiles_x * tiles_y)
        inner = tile - image * tiles_x * tiles_y
        top, left = (inner // tiles_x) * tile_size, (inner % tiles_x) * tile_size
        bottom, right = min(top + tile_size, height), min(left + tile_size, width)
        begin, end, p = offsets[tile], offsets[tile + 1], offsets[tile]
        if begin == end:
            continue
        buffer[:] = 0.0
        for y in range(top, bottom):
            for x in range(left, right):
                at = (y - top) * stride + x - left
                buffer[at] = 1.0
                behind = -v_alphas[image, y, x] * light[image, y, x]
                for c in range(channels):
                    v = v_render[image, y, x, c]
                    buffer[at + (c + 2) * area] = v
                    behind += v * render[image, y, x, c]
                buffer[at + area] = behind

        while p < end:
            if (p - begin) % check == check - 1 and not _any_light(buffer, area):
                break
            _fetch(flatten_ids[min(p + AHEAD, end - 1)], footprints, colors)
            n = flatten_ids[p]
            row = footprints[n]
            a = splat(row[A])
            conic_a, conic_b, conic_c = conics[n, 0], conics[n, 1], conics[n, 2]
            m00, m10, m20, m01, m11, m02 = zero, zero, zero, zero, zero, zero
            abs_u, abs_v = zero, zero
            sums[:] = 0.0
            b0, b1 = _block_columns(row, left, right)
            for b in range(b0, b1):
                column = left + b * LANES
                y0, y1 = _block_rows(row, column, top, bottom)
                dx = lanes + splat(_f(column) + _f(0.5) - row[CX])
                s0, s1, s2 = zero, zero, zero
                for y in range(y0, y1):
                    at = (y - top) * stride + b * LANES
                    before = load(buffer, at)
                    dy = _f(y) + _f(0.5) - row[CY]
                    across = dx + splat(row[SX] * dy)
                    exponent = splat(row[PEAK] - row[GY] * dy * dy) - a * across * across
                    if not any_lane((exponent >= threshold) & (before > zero)):
                        continue
                    raw = exp2(exponent)
                    alpha = where(exponent >= threshold, minimum(raw, max_alpha), zero)
                    after = before - before * alpha
                    goes_on = after > min_light
                    store(buffer, at, where(goes_on, after, zero - absolute(before)))
                    weight = where(goes_on, before - after, zero)
                    seen = zero
                    plane = at + area
                    for c in range(channels):
                        plane += area
                        v = load(buffer, plane)
                        seen = seen + v * splat(colors[n, c])
                        store(sums, c * LANES, load(sums, c * LANES) + weight * v)
                    behind = load(buffer, at + area) - weight * seen
                    store(buffer, at + area, behind)
                    # dL/dsigma = -alpha dL/dalpha, nothing where alpha is held at its maximum
                    v_sigma = where(
                        goes_on & (raw <= max_alpha), alpha * (behind / (one - alpha) - before * seen), zero
                    )
                    s0 = s0 + v_sigma
                    s1 = s1 + v_sigma * splat(dy)
                    s2 = s2 + v_sigma * splat(dy * dy)
                    if absgrad:
                        abs_u = abs_u + absolute(v_sigma * (splat(conic_a) * dx + splat(conic_b * dy)))
                        abs_v = abs_v + absolute(v_sigma * (splat(conic_b) * dx + splat(conic_c * dy)))
                m00 = m00 + s0
                m10 = m10 + s0 * dx
                m20 = m20 + s0 * dx * dx
                m01 = m01 + s1
                m11 = m11 + s1 * dx
                m02 = m02 + s2
            gradient = rows[slots[p]]
            first_x, first_y = total(m10), total(m01)
            gradient[0] = -(conic_a * first_x + conic_b * first_y)
            gradient[1] = -(conic_b * first_x + conic_c * first_y)
            gradient[2], gradient[3], gradient[4] = _f(0.5) * total(m20), total(m11), _f(0.5) * total(m02)
            gradient[5] = -total(m00) / opacities[n]
            gradient[6], gradient[7] = total(abs_u), total(abs_v)
            for c in range(channels):
                gradient[GEOMETRY + c] = total(load(sums, c * LANES))
            p += 1
        for rest in range(p, end):
            rows[slots[rest]] = 0.0


@compiled()
def _add_rows(start, stop, starts, rows, v_means2d, v_conics, v_opacities, v_colors, v_abs):
    """Adds up the gradient rows of entries [start, stop), in the order of their tiles."""
    channels = v_colors.shape[1]
    total_row = np.empty(GEOMETRY + channels, np.float32)
    for n in range(start, stop):
        total_row[:] = 0.0
        for slot in range(starts[n], starts[n + 1]):
            for k in range(GEOMETRY + channels):
                total_row[k] += rows[slot, k]
        v_means2d[n, 0], v_means2d[n, 1] = total_row[0], total_row[1]
        v_conics[n, 0], v_conics[n, 1], v_conics[n, 2] = total_row[2], total_row[3], total_row[4]
        v_opacities[n] = total_row[5]
        if v_abs.shape[0] > 0:
            v_abs[n, 0], v_abs[n, 1] = total_row[6], total_row[7]
        for c in range(channels):
            v_colors[n, c] = total_row[GEOMETRY + c]


def _tile_chunks(offsets: NDArray[np.int32], pixels: int) -> list[threads.Range]:
    """Ranges of tiles of about equal work, a few a thread so that none waits long for another."""
    tiles, parts = len(offsets) - 1, 8 * torch.get_num_threads()
    if torch.get_num_threads() == 1:
        return [(0, tiles)]
    work = offsets.astype(np.int64) + np.arange(tiles + 1) * (pixels // 64 + 1)
    bounds = np.unique(np.searchsorted(work, np.linspace(0, work[-1], parts + 1)))
    bounds[0], bounds[-1] = 0, tiles
    return list(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True))


def _unrolled(channels: int) -> tuple[int, ...]:
    """Its length tells the compiler the number of channels; only the common ones are worth a kernel of their own."""
    return (0,) * channels if channels in (3, 4) else ()


class _Composite(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        means2d: Tensor,
        conics: Tensor,
        colors: Tensor,
        opacities: Tensor,
        backgrounds: Tensor,
        pairs: Pairs,
        width: int,
        height: int,
        tile_size: int,
        absgrad: bool,
    ) -> tuple[Tensor, Tensor]:
        images, channels = backgrounds.shape
        grid = (-(-width // tile_size), -(-height // tile_size))
        new = backgrounds.new_empty
        render, alphas, light = (new(images, height, width, d) for d in (channels, 1, 1))
        flat_colors = colors.detach().reshape(-1, channels).contiguous().numpy()
        chunks = _tile_chunks(pairs.offsets, tile_size * tile_size)
        threads.run(
            _composite, chunks, pairs.offsets, pairs.flatten_ids, pairs.footprints, flat_colors,
            backgrounds.detach().contiguous().numpy(), (width, height), tile_size, grid,
            _unrolled(channels), render.numpy(), alphas[..., 0].numpy(), light[..., 0].numpy(),
        )  # fmt: skip
        lists = (pairs.offsets, pairs.flatten_ids, pairs.slots, pairs.footprints, pairs.starts)
        ctx.save_for_backward(render, light, means2d, conics, colors, opacities, *map(torch.from_numpy, lists))
        ctx.chunks, ctx.size, ctx.tile_size, ctx.grid, ctx.absgrad = chunks, (width, height), tile_size, grid, absgrad
        return render, alphas

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:  # type: ignore[override]
        v_render, v_alphas = grads
        render, light, means2d, conics, colors, opacities, *lists = ctx.saved_tensors
        offsets, flatten_ids, slots, footprints, starts = (t.numpy() for t in lists)
        channels = render.shape[-1]
        inputs = (conics.reshape(-1, 3), opacities.reshape(-1), colors.reshape(-1, channels))
        count = len(inputs[0])
        rows = np.empty((len(slots), GEOMETRY + channels), np.float32)
        v_render = v_render.contiguous()
        threads.run(
            _composite_backward, ctx.chunks, offsets, flatten_ids, slots, footprints,
            *(t.detach().contiguous().numpy() for t in inputs),
            ctx.size, ctx.tile_size, ctx.grid, _unrolled(channels), render.detach().numpy(), light[..., 0].numpy(),
            v_render.numpy(), v_alphas.contiguous()[..., 0].numpy(), ctx.absgrad, rows,
        )  # fmt: skip
        new = render.new_empty
        v_means2d, v_conics, v_opacities, v_colors = new(count, 2), new(count, 3), new(count), new(count, channels)
        v_abs = new(count if ctx.absgrad else 0, 2)
        threads.run(
            _add_rows,
            threads.split(count, 2 * torch.get_num_threads()),
            starts,
            rows,
            v_means2d.numpy(),
            v_conics.numpy(),
            v_opacities.numpy(),
            v_colors.numpy(),
            v_abs.numpy(),
        )
        if ctx.absgrad:
            means2d.absgrad = v_abs.view(means2d.shape)
        v_backgrounds = None
        if ctx.needs_input_grad[4]:
            v_backgrounds = (v_render * light).sum((1, 2))
        flat = ((v_means2d, means2d), (v_conics, conics), (v_colors, colors), (v_opacities, opacities))
        shaped = tuple(v.view(like.shape) for v, like in flat)
        return *shaped, v_backgrounds, None, None, None, None, None


def _check(means2d: Tensor, conics: Tensor, colors: Tensor, opacities: Tensor, backgrounds: Tensor) -> None:
    expect("backgrounds", backgrounds, (None, None))
    lead = tuple(opacities.shape)
    expect("opacities", opacities, lead)
    for name, tensor, last in (
        ("means2d", means2d, 2),
        ("conics", conics, 3),
        ("colors", colors, backgrounds.shape[1]),
    ):
        expect(name, tensor, (*lead, last))


def _check_pairs(pairs: Pairs, count: int, tiles: int) -> None:
    listed = len(pairs.flatten_ids)
    for name, wanted in (("footprints", count), ("starts", count + 1), ("offsets", tiles + 1), ("slots", listed)):
        if len(getattr(pairs, name)) != wanted:
            raise ValueError(
                f"pairs.{name}: expected {wanted} of {count} Gaussians and {tiles} tiles, received "
                f"{len(getattr(pairs, name))}; see tiles.intersect"
            )
    indices("pairs.flatten_ids", pairs.flatten_ids, count)
    for name in ("offsets", "starts"):
        indices(f"pairs.{name}", getattr(pairs, name), listed + 1)
    indices("pairs.slots", pairs.slots, listed)


def composite(
    means2d: Tensor,
    conics: Tensor,
    colors: Tensor,
    opacities: Tensor,
    backgrounds: Tensor,
    pairs: Pairs,
    width: int,
    height: int,
    tile_size: int,
    absgrad: bool = False,
) -> tuple[Tensor, Tensor]:
    """Composites M projected Gaussians over backgrounds, front to back.

    Audio-Plane, Eq. 1 and 3 (journal); SyncTalk++, Eq. 13 and 15; DEGSTalk, Eq. 1 and 2.

    Args:
        means2d: (..., 2) pixels, M in all. conics: (..., 3). colors: (..., D). opacities: (...).
        backgrounds: (I, D), one colour an image.
        pairs: the tiles' lists of these very Gaussians, from `tiles.intersect`.
        absgrad: whether backward leaves the summed absolute gradients of `means2d` in `means2d.absgrad`.

    Returns:
        colours (I, height, width, D) and alphas (I, height, width, 1).

    Raises:
        ValueError: sizes or types that do not fit, or lists of other Gaussians, images or tiles.
    """
    _check(means2d, conics, colors, opacities, backgrounds)
    _check_pairs(pairs, opacities.numel(), len(backgrounds) * -(-width // tile_size) * -(-height // tile_size))
    return _Composite.apply(means2d, conics, colors, opacities, backgrounds, pairs, width, height, tile_size, absgrad)
