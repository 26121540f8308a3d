"""Colour that depends on the viewing direction: real spherical harmonics up to degree 3.

Constants and order of the bases are those of 3D Gaussian Splatting, evaluated as in Sloan, "Efficient Spherical
Harmonic Evaluation", JCGT 2013.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from audioplane.runtime import threads
from audioplane.runtime.compiled import compiled
from audioplane.runtime.contracts import expect
from audioplane.splat.projection import BLOCK

MAX_DEGREE = 3


@njit(inline="always")
def bases(x, y, z, degree, basis):
    """Writes the (degree + 1)^2 bases at the unit direction (x, y, z)."""
    basis[0] = 0.2820947917738781
    if degree > 0:
        basis[1] = -0.48860251190292 * y
        basis[2] = 0.48860251190292 * z
        basis[3] = -0.48860251190292 * x
    if degree > 1:
        c1, s1 = x * x - y * y, 2.0 * x * y
        basis[4] = 0.5462742152960395 * s1
        basis[5] = -1.092548430592079 * z * y
        basis[6] = 0.9461746957575601 * z * z - 0.3153915652525201
        basis[7] = -1.092548430592079 * z * x
        basis[8] = 0.5462742152960395 * c1
        if degree > 2:
            ring = -2.285228997322329 * z * z + 0.4570457994644658
            basis[9] = -0.5900435899266435 * (x * s1 + y * c1)
            basis[10] = 1.445305721320277 * z * s1
            basis[11] = ring * y
            basis[12] = z * (1.865881662950577 * z * z - 1.119528997770346)
            basis[13] = ring * x
            basis[14] = 1.445305721320277 * z * c1
            basis[15] = -0.5900435899266435 * (x * c1 - y * s1)


@njit(inline="always")
def slopes(x, y, z, degree, w):
    """d(sum_k w_k basis_k) / d(x, y, z) for weights w (K,)."""
    gx = gy = gz = 0.0
    if degree > 0:
        gx, gy, gz = -0.48860251190292 * w[3], -0.48860251190292 * w[1], 0.48860251190292 * w[2]
    if degree > 1:
        q = 1.0925484305920792
        gx += q * (y * w[4] - z * w[7] + x * w[8])
        gy += q * (x * w[4] - z * w[5] - y * w[8])
        gz += -q * (y * w[5] + x * w[7]) + 1.8923493915151202 * z * w[6]
    if degree > 2:
        c1, s1 = x * x - y * y, 2.0 * x * y
        ring, dring = -2.285228997322329 * z * z + 0.4570457994644658, -4.570457994644658 * z
        a, b = 1.7701307697799307, 1.445305721320277
        gx += -a * s1 * w[9] + 2.0 * b * z * y * w[10] + ring * w[13] + 2.0 * b * z * x * w[14] - a * c1 * w[15]
        gy += -a * c1 * w[9] + 2.0 * b * z * x * w[10] + ring * w[11] - 2.0 * b * z * y * w[14] + a * s1 * w[15]
        gz += (
            b * s1 * w[10]
            + dring * (y * w[11] + x * w[13])
            + b * c1 * w[14]
            + (5.596985047731731 * z * z - 1.119528997770346) * w[12]
        )
    return gx, gy, gz


@compiled(error_model="numpy")
def _colors(start, stop, degree, coeffs, means, centres, visible, colors):
    """Colours of entries [start, stop) of the flattened (camera, Gaussian) pairs; zero where not visible."""
    count = means.shape[0]
    basis = np.empty(16)
    for entry in range(start, stop):
        colors[entry, 0] = colors[entry, 1] = colors[entry, 2] = 0.0
        if visible[entry, 0] == 0:
            continue
        camera = entry // count
        n = entry - camera * count
        x, y, z = (
            means[n, 0] - centres[camera, 0],
            means[n, 1] - centres[camera, 1],
            means[n, 2] - centres[camera, 2],
        )
        inverse = 1.0 / math.sqrt(max(x * x + y * y + z * z, 1e-30))
        bases(x * inverse, y * inverse, z * inverse, degree, basis)
        own = coeffs[min(camera, coeffs.shape[0] - 1), n]
        r = g = b = 0.0
        for k in range((degree + 1) ** 2):
            r += basis[k] * own[k, 0]
            g += basis[k] * own[k, 1]
            b += basis[k] * own[k, 2]
        colors[entry, 0], colors[entry, 1], colors[entry, 2] = r, g, b


@compiled(error_model="numpy")
def _colors_backward(start, stop, degree, coeffs, means, centres, visible, v_colors, v_coeffs, v_means, v_centres):
    """Gradients of blocks [start, stop) of Gaussians; `v_coeffs` comes zeroed, `v_centres` (blocks, C, 3) too."""
    count = means.shape[0]
    bands = (degree + 1) ** 2
    basis, weights = np.empty(16), np.zeros(16)
    for block in range(start, stop):
        for n in range(block * BLOCK, min(count, (block + 1) * BLOCK)):
            tx = ty = tz = 0.0
            for camera in range(centres.shape[0]):
                entry = camera * count + n
                if visible[entry, 0] == 0:
                    continue
                r, g, b = (
                    np.float64(v_colors[entry, 0]),
                    np.float64(v_colors[entry, 1]),
                    np.float64(v_colors[entry, 2]),
                )
                if r == 0.0 and g == 0.0 and b == 0.0:
                    continue
                x, y, z = (
                    means[n, 0] - centres[camera, 0],
                    means[n, 1] - centres[camera, 1],
                    means[n, 2] - centres[camera, 2],
                )
                inverse = 1.0 / math.sqrt(max(x * x + y * y + z * z, 1e-30))
                x, y, z = x * inverse, y * inverse, z * inverse
                bases(x, y, z, degree, basis)
                source = min(camera, coeffs.shape[0] - 1)
                own, v_own = coeffs[source, n], v_coeffs[source, n]
                for k in range(bands):
                    v_own[k, 0] += basis[k] * r
                    v_own[k, 1] += basis[k] * g
                    v_own[k, 2] += basis[k] * b
                    weights[k] = r * own[k, 0] + g * own[k, 1] + b * own[k, 2]
                gx, gy, gz = slopes(x, y, z, degree, weights)
                along = gx * x + gy * y + gz * z
                gx, gy, gz = (
                    (gx - along * x) * inverse,
                    (gy - along * y) * inverse,
                    (gz - along * z) * inverse,
                )
                tx += gx
                ty += gy
                tz += gz
                v_centres[block, camera, 0] -= gx
                v_centres[block, camera, 1] -= gy
                v_centres[block, camera, 2] -= gz
            v_means[n, 0], v_means[n, 1], v_means[n, 2] = tx, ty, tz


class _Harmonics(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, coeffs: Tensor, means: Tensor, centres: Tensor, radii: Tensor, degree: int) -> Tensor:
        cameras, count = radii.shape[:2]
        colors = means.new_empty(cameras, count, 3)
        exact = centres.detach().double()
        inputs = [t.detach().contiguous().numpy() for t in (coeffs, means, exact, radii.view(-1, 2))]
        chunks = threads.split(cameras * count, 2 * torch.get_num_threads())
        threads.run(_colors, chunks, degree, *inputs, colors.view(-1, 3).numpy())
        ctx.save_for_backward(coeffs, means, exact, radii)
        ctx.degree = degree
        return colors

    @staticmethod
    def backward(ctx: Any, v_colors: Tensor) -> tuple[Any, ...]:  # type: ignore[override]
        coeffs, means, centres, radii = (t.detach().contiguous() for t in ctx.saved_tensors)
        v_coeffs, v_means = torch.zeros_like(coeffs), torch.empty_like(means)
        blocks = -(-len(means) // BLOCK)
        v_centres = np.zeros((blocks, *centres.shape))
        threads.run(
            _colors_backward,
            threads.split(blocks, 2 * torch.get_num_threads()),
            ctx.degree,
            coeffs.numpy(),
            means.numpy(),
            centres.numpy(),
            radii.view(-1, 2).numpy(),
            v_colors.contiguous().view(-1, 3).numpy(),
            v_coeffs.numpy(),
            v_means.numpy(),
            v_centres,
        )
        return v_coeffs, v_means, torch.from_numpy(v_centres.sum(0)).float(), None, None


def evaluate(degree: int, coeffs: Tensor, means: Tensor, viewmats: Tensor, radii: Tensor) -> Tensor:
    """The harmonics' value in the direction from each camera to each Gaussian.

    Args:
        degree: highest band used, 0 to 3.
        coeffs: (N, K, 3) or (C, N, K, 3) coefficients, K >= (degree + 1)^2.
        means: (N, 3) centres. viewmats: (C, 4, 4) camera-from-world.
        radii: (C, N, 2) int32; where zero nothing is evaluated and the result is zero.

    Returns:
        (C, N, 3) values, before 3DGS's shift by 0.5 and clamp.

    Raises:
        ValueError: sizes or types that do not fit.
    """
    if coeffs.dim() == 3:
        coeffs = coeffs[None]
    count, cameras = len(means), len(viewmats)
    expect("means", means, (count, 3))
    expect("viewmats", viewmats, (cameras, 4, 4))
    expect("radii", radii, (cameras, count, 2), torch.int32)
    expect("coeffs", coeffs, (None, count, None, 3))
    if degree not in range(MAX_DEGREE + 1) or coeffs.shape[2] < (degree + 1) ** 2 or len(coeffs) not in (1, cameras):
        raise ValueError(
            f"coeffs: expected (degree + 1)^2 or more of degree 0 to {MAX_DEGREE} for 1 or {cameras} cameras, received "
            f"{tuple(coeffs.shape)} and degree {degree}"
        )
    centres = torch.inverse(viewmats)[:, :3, 3]
    return _Harmonics.apply(coeffs, means, centres, radii, degree)  # type: ignore[no-any-return]
