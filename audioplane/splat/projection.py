"""From 3D Gaussians to 2D: Sigma = R S S^T R^T and Sigma' = J W Sigma W^T J^T, both ways.

One pass a Gaussian and camera, as gsplat does it: normalised quaternion, pinhole projection, the Jacobian J clamped
a little outside the view, a blur of `eps2d` pixels^2, an opacity-aware radius. Inputs and outputs are float32, what
happens between them is float64 (it costs nothing here, and thin Gaussians need it).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from audioplane.runtime import threads
from audioplane.runtime.compiled import compiled
from audioplane.runtime.contracts import expect

ALPHA_THRESHOLD = 1.0 / 255.0  # a Gaussian fainter than this at a pixel does not touch it
BLOCK = 1024  # Gaussians whose camera gradients are added up together: fixed, so that threads do not matter
MARGIN = 0.3  # J is evaluated at most this share of the half field of view outside the image
LARGEST_RADIUS = 2.0**30


@dataclass(frozen=True)
class Lens:
    """What of a projection is not a tensor: image size and radii in pixels, clipping planes in world units."""

    width: int
    height: int
    near_plane: float
    far_plane: float
    radius_clip: float
    eps2d: float


@njit(inline="always")
def _rotation(w, x, y, z):
    """The rotation matrix of a quaternion (w, x, y, z) of any length, and one over that length."""
    inverse_norm = 1.0 / math.sqrt(w * w + x * x + y * y + z * z)
    w, x, y, z = w * inverse_norm, x * inverse_norm, y * inverse_norm, z * inverse_norm
    return (
        (1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - w * z), 2.0 * (x * z + w * y)),
        (2.0 * (x * y + w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - w * x)),
        (2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y)),
    ), inverse_norm


@njit(inline="always")
def _clamped_slope(slope, focal, centre, size):
    """x / z held within the view plus a margin, and whether it already was."""
    margin = MARGIN * 0.5 * size / focal
    highest, lowest = (size - centre) / focal + margin, -centre / focal - margin
    return min(highest, max(lowest, slope)), lowest <= slope <= highest


@compiled(error_model="numpy")
def _project(start, stop, means, quats, scales, opacities, viewmats, Ks, size, limits, antialiased,
             means2d, depths, conics, radii, compensations):  # fmt: skip
    """Projects entries [start, stop) of the flattened (camera, Gaussian) pairs; those out of sight get radius 0."""
    count = means.shape[0]
    width, height = size
    near_plane, far_plane, radius_clip, eps2d = limits
    for entry in range(start, stop):
        camera = entry // count
        n = entry - camera * count
        radii[entry, 0] = radii[entry, 1] = 0
        means2d[entry, 0] = means2d[entry, 1] = depths[entry] = 0.0
        conics[entry, 0] = conics[entry, 1] = conics[entry, 2] = 0.0
        if antialiased:
            compensations[entry] = 0.0
        V = viewmats[camera]
        px, py, pz = np.float64(means[n, 0]), np.float64(means[n, 1]), np.float64(means[n, 2])
        z = V[2, 0] * px + V[2, 1] * py + V[2, 2] * pz + V[2, 3]
        if not near_plane <= z <= far_plane:
            continue
        x = V[0, 0] * px + V[0, 1] * py + V[0, 2] * pz + V[0, 3]
        y = V[1, 0] * px + V[1, 1] * py + V[1, 2] * pz + V[1, 3]
        fx, fy = np.float64(Ks[camera, 0, 0]), np.float64(Ks[camera, 1, 1])
        cx, cy = np.float64(Ks[camera, 0, 2]), np.float64(Ks[camera, 1, 2])
        R, _ = _rotation(
            np.float64(quats[n, 0]), np.float64(quats[n, 1]), np.float64(quats[n, 2]), np.float64(quats[n, 3])
        )

        # Sigma' = M M^T with M = J W R S, two rows of three.
        rz = 1.0 / z
        slope_x, _ = _clamped_slope(x * rz, fx, cx, width)
        slope_y, _ = _clamped_slope(y * rz, fy, cy, height)
        a = b = c = 0.0
        for k in range(3):
            s = np.float64(scales[n, k])
            ux = (V[0, 0] * R[0][k] + V[0, 1] * R[1][k] + V[0, 2] * R[2][k]) * s
            uy = (V[1, 0] * R[0][k] + V[1, 1] * R[1][k] + V[1, 2] * R[2][k]) * s
            uz = (V[2, 0] * R[0][k] + V[2, 1] * R[1][k] + V[2, 2] * R[2][k]) * s
            mx = fx * rz * (ux - slope_x * uz)
            my = fy * rz * (uy - slope_y * uz)
            a += mx * mx
            b += mx * my
            c += my * my
        determinant = a * c - b * b
        a += eps2d
        c += eps2d
        blurred = a * c - b * b
        if not blurred > 0.0:
            continue
        opacity = np.float64(opacities[n])
        if antialiased:
            compensation = math.sqrt(max(0.0, determinant / blurred))
            opacity *= compensation
        if opacity < ALPHA_THRESHOLD:
            continue
        extent = min(3.33, math.sqrt(2.0 * math.log(opacity / ALPHA_THRESHOLD)))
        radius_x = min(LARGEST_RADIUS, math.ceil(extent * math.sqrt(a)))
        radius_y = min(LARGEST_RADIUS, math.ceil(extent * math.sqrt(c)))
        if radius_x <= radius_clip and radius_y <= radius_clip:
            continue
        u, v = fx * x * rz + cx, fy * y * rz + cy
        if not (u + radius_x > 0.0 and u - radius_x < width and v + radius_y > 0.0 and v - radius_y < height):
            continue
        if radius_x <= 0.0 or radius_y <= 0.0:
            continue
        radii[entry, 0], radii[entry, 1] = np.int32(radius_x), np.int32(radius_y)
        means2d[entry, 0], means2d[entry, 1] = u, v
        depths[entry] = z
        conics[entry, 0], conics[entry, 1], conics[entry, 2] = c / blurred, -b / blurred, a / blurred
        if antialiased:
            compensations[entry] = compensation


@compiled(error_model="numpy")
def _project_backward(start, stop, means, quats, scales, viewmats, Ks, size, eps2d, antialiased, radii,
                      v_means2d, v_depths, v_conics, v_compensations,
                      v_means, v_quats, v_scales, v_viewmats):  # fmt: skip
    """Gradients of blocks [start, stop) of Gaussians; `v_viewmats` (blocks, C, 3, 4) keeps one sum a block."""
    count = means.shape[0]
    width, height = size
    G = np.zeros((3, 3))  # dL/dM with M = W R S, then what the cameras have in common
    for block in range(start, stop):
        for n in range(block * BLOCK, min(count, (block + 1) * BLOCK)):
            px, py, pz = np.float64(means[n, 0]), np.float64(means[n, 1]), np.float64(means[n, 2])
            qw, qx, qy, qz = (
                np.float64(quats[n, 0]),
                np.float64(quats[n, 1]),
                np.float64(quats[n, 2]),
                np.float64(quats[n, 3]),
            )
            R, inverse_norm = _rotation(qw, qx, qy, qz)
            gx = gy = gz = 0.0
            G[:] = 0.0
            seen = False
            for camera in range(viewmats.shape[0]):
                entry = camera * count + n
                if radii[entry, 0] == 0:
                    continue
                seen = True
                V = viewmats[camera]
                total = v_viewmats[block, camera]
                fx, fy = np.float64(Ks[camera, 0, 0]), np.float64(Ks[camera, 1, 1])
                cx, cy = np.float64(Ks[camera, 0, 2]), np.float64(Ks[camera, 1, 2])
                x = V[0, 0] * px + V[0, 1] * py + V[0, 2] * pz + V[0, 3]
                y = V[1, 0] * px + V[1, 1] * py + V[1, 2] * pz + V[1, 3]
                z = V[2, 0] * px + V[2, 1] * py + V[2, 2] * pz + V[2, 3]
                rz = 1.0 / z
                slope_x, free_x = _clamped_slope(x * rz, fx, cx, width)
                slope_y, free_y = _clamped_slope(y * rz, fy, cy, height)

                # forward again: rows of J W R S, and the blurred covariance
                a = b = c = 0.0
                for k in range(3):
                    s = np.float64(scales[n, k])
                    ux = (V[0, 0] * R[0][k] + V[0, 1] * R[1][k] + V[0, 2] * R[2][k]) * s
                    uy = (V[1, 0] * R[0][k] + V[1, 1] * R[1][k] + V[1, 2] * R[2][k]) * s
                    uz = (V[2, 0] * R[0][k] + V[2, 1] * R[1][k] + V[2, 2] * R[2][k]) * s
                    mx, my = fx * rz * (ux - slope_x * uz), fy * rz * (uy - slope_y * uz)
                    a += mx * mx
                    b += mx * my
                    c += my * my
                determinant = a * c - b * b
                a += eps2d
                c += eps2d
                inverse = 1.0 / (a * c - b * b)
                ca, cb, cc = c * inverse, -b * inverse, a * inverse

                # conic = covariance^-1: dL/dcovariance = -conic dL/dconic conic (off-diagonals counted once each)
                va, vb, vc = (
                    np.float64(v_conics[entry, 0]),
                    0.5 * v_conics[entry, 1],
                    np.float64(v_conics[entry, 2]),
                )
                l00, l01 = va * ca + vb * cb, va * cb + vb * cc
                l10, l11 = vb * ca + vc * cb, vb * cb + vc * cc
                wa = -(ca * l00 + cb * l10)
                wb = -(ca * l01 + cb * l11)
                wc = -(cb * l01 + cc * l11)
                if antialiased and determinant > 0.0:
                    # rho = sqrt(det / det_blurred): d rho = rho / 2 (d ln det - d ln det_blurred)
                    half_rho = 0.5 * v_compensations[entry] * math.sqrt(determinant * inverse)
                    wa += half_rho * ((c - eps2d) / determinant - ca)
                    wb += half_rho * (-b / determinant - cb)
                    wc += half_rho * ((a - eps2d) / determinant - cc)

                # covariance = M M^T, M = J (W R S)
                vslope_x = vslope_y = vscale_x = vscale_y = 0.0
                for k in range(3):
                    s = np.float64(scales[n, k])
                    ux = (V[0, 0] * R[0][k] + V[0, 1] * R[1][k] + V[0, 2] * R[2][k]) * s
                    uy = (V[1, 0] * R[0][k] + V[1, 1] * R[1][k] + V[1, 2] * R[2][k]) * s
                    uz = (V[2, 0] * R[0][k] + V[2, 1] * R[1][k] + V[2, 2] * R[2][k]) * s
                    dx, dy = ux - slope_x * uz, uy - slope_y * uz
                    mx, my = fx * rz * dx, fy * rz * dy
                    vmx, vmy = 2.0 * (wa * mx + wb * my), 2.0 * (wb * mx + wc * my)
                    vscale_x += vmx * dx
                    vscale_y += vmy * dy
                    vdx, vdy = vmx * fx * rz, vmy * fy * rz
                    vslope_x -= vdx * uz
                    vslope_y -= vdy * uz
                    vdz = -(vdx * slope_x + vdy * slope_y)
                    for i in range(3):  # u_i = sum_j V_ij R_jk s_k
                        vu = vdx if i == 0 else (vdy if i == 1 else vdz)
                        for j in range(3):
                            total[i, j] += vu * R[j][k] * s
                            G[j, k] += vu * V[i, j]

                # the mean: pixel position, depth, and through J
                u2, v2 = np.float64(v_means2d[entry, 0]), np.float64(v_means2d[entry, 1])
                vx, vy = fx * rz * u2, fy * rz * v2
                vz = v_depths[entry] - (fx * x * u2 + fy * y * v2) * rz * rz
                vz -= (vscale_x * fx + vscale_y * fy) * rz * rz
                if free_x:
                    vx += vslope_x * rz
                    vz -= vslope_x * x * rz * rz
                if free_y:
                    vy += vslope_y * rz
                    vz -= vslope_y * y * rz * rz
                gx += V[0, 0] * vx + V[1, 0] * vy + V[2, 0] * vz
                gy += V[0, 1] * vx + V[1, 1] * vy + V[2, 1] * vz
                gz += V[0, 2] * vx + V[1, 2] * vy + V[2, 2] * vz
                for i in range(3):
                    v = vx if i == 0 else (vy if i == 1 else vz)
                    total[i, 0] += v * px
                    total[i, 1] += v * py
                    total[i, 2] += v * pz
                    total[i, 3] += v

            v_means[n, 0], v_means[n, 1], v_means[n, 2] = gx, gy, gz
            if not seen:
                v_scales[n, 0] = v_scales[n, 1] = v_scales[n, 2] = 0.0
                v_quats[n, 0] = v_quats[n, 1] = v_quats[n, 2] = v_quats[n, 3] = 0.0
                continue
            for k in range(3):
                v_scales[n, k] = R[0][k] * G[0, k] + R[1][k] * G[1, k] + R[2][k] * G[2, k]
                for j in range(3):
                    G[j, k] *= scales[n, k]  # now dL/dR
            w, x, y, z = qw * inverse_norm, qx * inverse_norm, qy * inverse_norm, qz * inverse_norm
            vw = 2.0 * (x * (G[2, 1] - G[1, 2]) + y * (G[0, 2] - G[2, 0]) + z * (G[1, 0] - G[0, 1]))
            vi = 2.0 * (
                -2.0 * x * (G[1, 1] + G[2, 2])
                + y * (G[1, 0] + G[0, 1])
                + z * (G[2, 0] + G[0, 2])
                + w * (G[2, 1] - G[1, 2])
            )
            vj = 2.0 * (
                x * (G[1, 0] + G[0, 1])
                - 2.0 * y * (G[0, 0] + G[2, 2])
                + z * (G[2, 1] + G[1, 2])
                + w * (G[0, 2] - G[2, 0])
            )
            vk = 2.0 * (
                x * (G[2, 0] + G[0, 2])
                + y * (G[2, 1] + G[1, 2])
                - 2.0 * z * (G[0, 0] + G[1, 1])
                + w * (G[1, 0] - G[0, 1])
            )
            along = vw * w + vi * x + vj * y + vk * z  # length does not matter, so nothing flows along it
            v_quats[n, 0], v_quats[n, 1] = (vw - along * w) * inverse_norm, (vi - along * x) * inverse_norm
            v_quats[n, 2], v_quats[n, 3] = (vj - along * y) * inverse_norm, (vk - along * z) * inverse_norm


class _Project(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        means: Tensor,
        quats: Tensor,
        scales: Tensor,
        viewmats: Tensor,
        opacities: Tensor,
        Ks: Tensor,
        lens: Lens,
        antialiased: bool,
    ) -> tuple[Tensor, ...]:
        cameras, count = viewmats.shape[0], means.shape[0]
        new = means.new_empty  # the type and device of the inputs, whatever torch's defaults are
        means2d, depths, conics = new(cameras, count, 2), new(cameras, count), new(cameras, count, 3)
        radii = new(cameras, count, 2, dtype=torch.int32)
        compensations = new(cameras, count) if antialiased else new(0)
        inputs = [t.detach().contiguous().numpy() for t in (means, quats, scales, opacities)]
        views = viewmats.detach().double().contiguous()
        size = (float(lens.width), float(lens.height))
        entries = cameras * count
        threads.run(
            _project,
            threads.split(entries, 2 * torch.get_num_threads()),
            *inputs,
            views.numpy(),
            Ks.detach().contiguous().numpy(),
            size,
            (lens.near_plane, lens.far_plane, lens.radius_clip, lens.eps2d),
            antialiased,
            means2d.view(entries, 2).numpy(),
            depths.view(-1).numpy(),
            conics.view(entries, 3).numpy(),
            radii.view(entries, 2).numpy(),
            compensations.view(-1).numpy(),
        )
        ctx.save_for_backward(means, quats, scales, views, Ks, radii)
        ctx.rest = (size, lens.eps2d, antialiased)
        ctx.mark_non_differentiable(radii)
        return means2d, depths, conics, compensations, radii

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:  # type: ignore[override]
        v_means2d, v_depths, v_conics, v_compensations, _ = grads
        size, eps2d, antialiased = ctx.rest
        means, quats, scales, views, Ks, radii = (t.detach().contiguous() for t in ctx.saved_tensors)
        v_means, v_quats, v_scales = (
            torch.empty_like(means),
            torch.empty_like(quats),
            torch.empty_like(scales),
        )
        blocks = -(-means.shape[0] // BLOCK)
        v_viewmats = np.zeros((blocks, len(views), 3, 4))
        threads.run(
            _project_backward, threads.split(blocks, 2 * torch.get_num_threads()), means.numpy(), quats.numpy(),
            scales.numpy(), views.numpy(), Ks.numpy(), size, eps2d, antialiased, radii.view(-1, 2).numpy(),
            v_means2d.contiguous().view(-1, 2).numpy(), v_depths.contiguous().view(-1).numpy(),
            v_conics.contiguous().view(-1, 3).numpy(), v_compensations.contiguous().view(-1).numpy(),
            v_means.numpy(), v_quats.numpy(), v_scales.numpy(), v_viewmats,
        )  # fmt: skip
        v_views = means.new_zeros(len(views), 4, 4)
        v_views[:, :3] = torch.from_numpy(v_viewmats.sum(0))
        return v_means, v_quats, v_scales, v_views, None, None, None, None


def project(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    lens: Lens,
    antialiased: bool = False,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None]:
    """Projects N Gaussians into C cameras.

    Audio-Plane, Sec. III-B (journal), around Eq. 2; SyncTalk++, Eq. 14.

    Args:
        means: (N, 3) centres in world units.
        quats: (N, 4) rotations as (w, x, y, z), of any length but zero.
        scales: (N, 3) standard deviations in world units.
        opacities: (N,) in [0, 1]; they only bound the radii, no gradient flows to them.
        viewmats: (C, 4, 4) camera-from-world. Ks: (C, 3, 3) intrinsics in pixels.
        lens: image size and limits.
        antialiased: whether to return the compensation of Mip-Splatting.

    Returns:
        radii (C, N, 2) int32 pixels, (0, 0) where nothing is to be drawn; means2d (C, N, 2) pixels; depths (C, N);
        conics (C, N, 3), the upper triangle of the inverse 2D covariance; compensations (C, N) or None.

    Raises:
        ValueError: sizes or types that do not fit.
    """
    count, cameras = len(means), len(viewmats)
    for name, tensor, size in (("means", means, 3), ("quats", quats, 4), ("scales", scales, 3)):
        expect(name, tensor, (count, size))
    expect("opacities", opacities, (count,))
    expect("viewmats", viewmats, (cameras, 4, 4))
    expect("Ks", Ks, (cameras, 3, 3))
    means2d, depths, conics, compensations, radii = _Project.apply(
        means, quats, scales, viewmats, opacities, Ks, lens, antialiased
    )
    return radii, means2d, depths, conics, compensations if antialiased else None
