"""From a cloud's parameters to what is drawn, compiled both ways: moved, scales and opacities out of their logarithm
and logit, coloured as the camera sees them. `gaussians.drawn_plain` is the twin in plain torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from audioplane.runtime import threads
from audioplane.runtime.compiled import compiled
from audioplane.splat.harmonics import bases, slopes

MEANS, QUATS, SCALES, OPACITY, SH = 0, 3, 7, 10, 11  # columns of a packed Gaussian


@compiled(error_model="numpy")
def move(start, stop, means, quats, scales, opacities, sh, offsets, dynamism, units, centre, degree,
         out_means, out_quats, out_scales, out_opacities, colors):  # fmt: skip
    """Gaussians [start, stop): G + d x units x offsets, then exp, sigmoid and the colour seen from `centre`.

    `sh` comes as (N, 3 K). `offsets` (N, P) may be (0, 0), `dynamism` (N,) may be (0,) for 1; `colors` (N, 4) gets d
    as a fourth channel.
    """
    half, zero, one = np.float32(0.5), np.float32(0.0), np.float32(1.0)
    moves, known, mapped = offsets.shape[0] > 0, dynamism.shape[0] > 0, colors.shape[1] > 3
    bands = (degree + 1) ** 2
    row, basis = np.empty(SH + sh.shape[1], np.float32), np.empty(16)
    for n in range(start, stop):
        for k in range(3):
            row[MEANS + k], row[SCALES + k] = means[n, k], scales[n, k]
        for k in range(4):
            row[QUATS + k] = quats[n, k]
        row[OPACITY] = opacities[n]
        for k in range(sh.shape[1]):
            row[SH + k] = sh[n, k]
        d = dynamism[n] if known else one
        if moves:
            for k in range(len(row)):
                row[k] += d * units[k] * offsets[n, k]
        for k in range(3):
            out_means[n, k], out_scales[n, k] = row[MEANS + k], np.exp(row[SCALES + k])
        for k in range(4):
            out_quats[n, k] = row[QUATS + k]
        out_opacities[n] = one / (one + np.exp(-row[OPACITY]))

        x, y, z = row[0] - centre[0], row[1] - centre[1], row[2] - centre[2]
        inverse = 1.0 / math.sqrt(max(x * x + y * y + z * z, 1e-30))
        bases(x * inverse, y * inverse, z * inverse, degree, basis)
        for c in range(3):
            value = 0.0
            for k in range(bands):
                value += basis[k] * row[SH + 3 * k + c]
            colors[n, c] = max(np.float32(value) + half, zero)
        if mapped:
            colors[n, 3] = d


@compiled(error_model="numpy")
def move_backward(start, stop, means, sh, offsets, dynamism, units, centre, degree, out_means, out_scales,
                  out_opacities, colors, g_means, g_quats, g_scales, g_opacities, g_colors,
                  v_means, v_quats, v_scales, v_opacities, v_sh, v_offsets, v_dynamism):  # fmt: skip
    """Gradients of Gaussians [start, stop); `g_...` are those of what `move` returned."""
    zero, one = np.float32(0.0), np.float32(1.0)
    moves, known, mapped = offsets.shape[0] > 0, dynamism.shape[0] > 0, colors.shape[1] > 3
    bands = (degree + 1) ** 2
    width = SH + sh.shape[1]
    v, basis, weights = np.zeros(width, np.float32), np.empty(16), np.zeros(16)
    for n in range(start, stop):
        d = dynamism[n] if known else one
        x, y, z = out_means[n, 0] - centre[0], out_means[n, 1] - centre[1], out_means[n, 2] - centre[2]
        inverse = 1.0 / math.sqrt(max(x * x + y * y + z * z, 1e-30))
        x, y, z = x * inverse, y * inverse, z * inverse
        bases(x, y, z, degree, basis)
        weights[:] = 0.0
        for c in range(3):
            g = g_colors[n, c] if colors[n, c] > zero else zero
            for k in range(bands):
                at = 3 * k + c
                own = sh[n, at]
                if moves:
                    own += d * units[SH + at] * offsets[n, SH + at]
                v[SH + at] = basis[k] * g
                weights[k] += g * own
        gx, gy, gz = slopes(x, y, z, degree, weights)
        along = gx * x + gy * y + gz * z
        v[0] = g_means[n, 0] + (gx - along * x) * inverse
        v[1] = g_means[n, 1] + (gy - along * y) * inverse
        v[2] = g_means[n, 2] + (gz - along * z) * inverse
        for k in range(4):
            v[QUATS + k] = g_quats[n, k]
        for k in range(3):
            v[SCALES + k] = g_scales[n, k] * out_scales[n, k]
        v[OPACITY] = g_opacities[n] * out_opacities[n] * (one - out_opacities[n])

        for k in range(3):
            v_means[n, k], v_scales[n, k] = v[MEANS + k], v[SCALES + k]
        for k in range(4):
            v_quats[n, k] = v[QUATS + k]
        v_opacities[n] = v[OPACITY]
        for k in range(sh.shape[1]):
            v_sh[n, k] = v[SH + k]
        if moves:
            pull = g_colors[n, 3] if mapped else zero
            for k in range(width):
                pulled = v[k] * units[k]
                v_offsets[n, k] = pulled * d
                pull += pulled * offsets[n, k]
            if known:
                v_dynamism[n] = pull


def _arrays(given: Sequence[Tensor | None]) -> list[np.ndarray]:
    """The nine arguments of `Move` in the shapes that the kernels take; what is None comes empty."""
    means = given[0]
    assert means is not None
    flat = [(means.new_empty(0) if t is None else t.detach()).contiguous() for t in given]
    flat[4], flat[6] = flat[4].flatten(1), flat[6].view(-1)
    flat[5] = flat[5] if given[5] is not None else flat[5].view(0, 0)
    return [t.numpy() for t in flat]


class Move(torch.autograd.Function):
    """(means, quats, scales, opacities, sh, offsets, dynamism, units, centre) -> what `gaussians.drawn` returns.

    `offsets` with `units`, and `dynamism`, may be None; `centre` (3,), the camera's, gets no gradient.
    """

    @staticmethod
    def forward(ctx: Any, *given: Tensor | None) -> tuple[Tensor, ...]:
        means, _, _, _, sh, _, dynamism, _, _ = given
        assert means is not None
        assert sh is not None
        count, bands = len(means), sh.shape[1]
        out = [means.new_empty(count, columns) for columns in (3, 4, 3, 1, 3 if dynamism is None else 4)]
        out[3] = out[3].view(-1)
        ctx.chunks, ctx.degree = threads.split(count, 2 * torch.get_num_threads()), int(bands**0.5) - 1
        threads.run(move, ctx.chunks, *_arrays(given), ctx.degree, *[t.numpy() for t in out])
        ctx.save_for_backward(*given, *out)
        return tuple(out)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:  # type: ignore[override]
        given, out = ctx.saved_tensors[:9], ctx.saved_tensors[9:]
        asked = [None if t is None else torch.empty_like(t, memory_format=torch.contiguous_format) for t in given[:7]]
        if asked[6] is not None and asked[5] is None:
            asked[6].view(-1).copy_(grads[4][:, 3])
        means, _, _, _, *arrays = _arrays(given)
        moved = [out[k].detach().numpy() for k in (0, 2, 3, 4)]
        threads.run(
            move_backward, ctx.chunks, means, *arrays, ctx.degree, *moved, *[g.contiguous().numpy() for g in grads],
            *_arrays((*asked, None, None))[:7],
        )  # fmt: skip
        return *asked, None, None
