"""Deferred shading: what each visible sample's surface looks like, and their average in each pixel."""

from __future__ import annotations

import numpy as np
from numba import njit

from audioplane.speakers.iris import smoothstep
from audioplane.speakers.lights import NORMAL_OFFSET, lit
from audioplane.speakers.materials import (
    ALBEDO, COLUMNS, FLOW, LIPS, NORMAL, OCCLUSION, POSITION, REST, ROUGHNESS, TORSO, UV, Material, linear_to_srgb,
    srgb_to_linear,
)  # fmt: skip
from audioplane.speakers.noise import noise_2d, noise_3d
from audioplane.speakers.surfaces import dielectric, eye, hair

SKIN, LIPS_, EYE, TEETH = int(Material.SKIN), int(Material.LIPS), int(Material.EYE), int(Material.TEETH)
TONGUE, MOUTH, HAIR, BROW = int(Material.TONGUE), int(Material.MOUTH), int(Material.HAIR), int(Material.BROW)
LASH, BEARD, CLOTH, FRAME = int(Material.LASH), int(Material.BEARD), int(Material.CLOTH), int(Material.FRAME)

STEPS = 16384
ENCODE = np.clip(linear_to_srgb(np.arange(STEPS) / (STEPS - 1)) * 255 + 0.5, 0, 255).astype(np.uint8)
DECODE = srgb_to_linear(np.arange(256) / 255.0)
SHOULDER = 0.6


@njit(cache=True, nogil=True, inline="always")
def tone(light):
    """Scene light to display light in [0, 1): the identity up to SHOULDER, then a smooth approach to white."""
    if light <= SHOULDER:
        return max(0.0, light)
    over = (light - SHOULDER) / (1.0 - SHOULDER)
    return SHOULDER + (1.0 - SHOULDER) * over / (1.0 + over)


@njit(cache=True, nogil=True, inline="always")
def _resolved(wavelength, pixel):
    """How much of a texture of this wavelength a pixel of this size can show, [0, 1]."""
    return smoothstep(1.2, 3.0, wavelength / pixel)


@njit(cache=True, nogil=True)
def shade_sample(material, p, turns, studio, paint, pixel, shadow_depth, shadow_rows, contact):
    """Display light (r, g, b) of one sample; p holds its interpolated columns (materials.POSITION ...), pixel in metres."""
    x, y, z = p[POSITION], p[POSITION + 1], p[POSITION + 2]
    scale = -1.0 / np.sqrt(x * x + y * y + z * z)
    vx, vy, vz = x * scale, y * scale, z * scale
    nx, ny, nz = p[NORMAL], p[NORMAL + 1], p[NORMAL + 2]
    scale = 1.0 / np.sqrt(nx * nx + ny * ny + nz * nz + 1e-12)
    if (nx * vx + ny * vy + nz * vz < 0.0) and material >= HAIR:
        scale = -scale
    nx, ny, nz = nx * scale, ny * scale, nz * scale
    shadow = lit(
        shadow_depth, shadow_rows, x + NORMAL_OFFSET * nx, y + NORMAL_OFFSET * ny, z + NORMAL_OFFSET * nz
    )
    open_sky = min(1.0, max(0.0, p[OCCLUSION])) * contact
    ar, ag, ab = p[ALBEDO], p[ALBEDO + 1], p[ALBEDO + 2]
    qx, qy, qz = p[REST], p[REST + 1], p[REST + 2]
    seed = paint[9]
    turn = turns[1] if p[TORSO] > 0.5 else turns[0]

    if material == EYE:
        down = turn[:, 1]
        r, g, b = eye(
            studio, paint, pixel / 0.012, nx, ny, nz, p[FLOW], p[FLOW + 1], p[FLOW + 2],
            down[0], down[1], down[2], vx, vy, vz, shadow, open_sky,
        )  # fmt: skip
        return tone(r), tone(g), tone(b)
    if material == HAIR or material == BROW or material == LASH or material == BEARD:
        across, along = p[UV], p[UV + 1]
        strand = noise_2d(across, along * 2.0)
        lock = noise_2d(across * 0.13 + seed, along * 1.5)
        bright = 1.0 + 0.30 * strand + 0.22 * lock
        tx, ty, tz = p[FLOW], p[FLOW + 1], p[FLOW + 2]
        scale = 1.0 / np.sqrt(tx * tx + ty * ty + tz * tz + 1e-12)
        r, g, b = hair(
            studio, ar * bright, ag * bright, ab * bright, nx, ny, nz, tx * scale, ty * scale, tz * scale,
            vx, vy, vz, shadow, open_sky, 0.6 * strand + 0.4 * lock,
        )  # fmt: skip
        return tone(r), tone(g), tone(b)

    gx = gy = gz = 0.0  # slope of the relief, in rest coordinates
    scatter, roughness, second, f0, mirror, sheen = 1.0, p[ROUGHNESS], 1.35 * p[ROUGHNESS], 0.028, 0.25, 0.0
    if material == SKIN or material == LIPS_:
        lips = min(1.0, max(0.0, p[LIPS]))
        n1, x1, y1, z1 = noise_3d(qx * 480.0 + seed, qy * 480.0, qz * 480.0)
        n2, x2, y2, z2 = noise_3d(qx * 1150.0, qy * 1150.0 + seed, qz * 1150.0)
        n0 = noise_3d(qx * 120.0, qy * 120.0, qz * 120.0 + seed)[0]
        a1 = 0.045 * paint[6] * _resolved(0.0021, pixel) * (1.0 - 0.7 * lips)
        a2 = 0.06 * paint[6] * _resolved(0.0009, pixel) * (1.0 - lips)
        gx, gy, gz = a1 * x1 + a2 * x2, a1 * y1 + a2 * y2, a1 * z1 + a2 * z2
        if lips > 0.02:
            a3 = 0.16 * lips * _resolved(0.0013, pixel)
            n3, x3, y3, z3 = noise_3d(qx * 760.0, qy * 110.0, qz * 110.0 + seed)
            gx, gy, gz = gx + a3 * x3, gy + a3 * 0.14 * y3, gz + a3 * 0.14 * z3
            ar, ag, ab = ar * (1.0 + 0.05 * n3), ag * (1.0 + 0.09 * n3), ab * (1.0 + 0.09 * n3)
        blotch = 0.045 * n0 + 0.03 * n1 * _resolved(0.0021, pixel) + 0.03 * n2 * _resolved(0.0009, pixel)
        ar, ag, ab = ar * (1.0 + 0.45 * blotch), ag * (1.0 + 1.1 * blotch), ab * (1.0 + 1.2 * blotch)
        if paint[5] > 0.0:
            spot = smoothstep(0.50, 0.80, n1) * paint[5] * (1.0 - lips) * (0.5 + 0.5 * n0)
            ar, ag, ab = ar * (1.0 - 0.30 * spot), ag * (1.0 - 0.48 * spot), ab * (1.0 - 0.55 * spot)
        roughness *= 1.0 + 0.10 * n1
        second = roughness * 1.45
        mirror = 0.30 + 0.45 * lips
        f0 = 0.028 + 0.010 * lips
        sheen = 0.10 * (1.0 - lips)
    elif material == TEETH:
        scatter, roughness, second, f0, mirror = 0.6, 0.22, 0.45, 0.045, 0.6
    elif material == CLOTH:
        n0, x0, y0, z0 = noise_3d(qx * 30.0 + seed, qy * 22.0, qz * 30.0)
        n1, x1, y1, z1 = noise_3d(qx / paint[7], qy / paint[7], qz / paint[7] + seed)
        a1 = 0.10 * _resolved(paint[7], pixel)
        gx, gy, gz = 0.05 * x0 + a1 * x1, 0.04 * y0 + a1 * y1, 0.05 * z0 + a1 * z1
        if paint[8] > 0.0:
            period = 0.007
            phase = qx / period + 0.15 * n0
            wave = 4.0 * abs(phase - np.floor(phase + 0.5)) - 1.0
            slope = (1.0 if phase - np.floor(phase) < 0.5 else -1.0) * (1.0 - wave * wave)
            gx += 0.55 * paint[8] * slope * _resolved(period, pixel)
            shade = 1.0 - 0.22 * paint[8] * (0.5 + 0.5 * wave) * _resolved(period, pixel)
            ar, ag, ab = ar * shade, ag * shade, ab * shade
        shade = 1.0 + 0.07 * n1 * _resolved(paint[7], pixel) + 0.04 * n0
        ar, ag, ab = ar * shade, ag * shade, ab * shade
        scatter, roughness, second, f0, mirror, sheen = 0.25, 0.85, 0.95, 0.02, 0.0, 0.55
    elif material == FRAME:
        scatter, roughness, second, f0, mirror = 0.0, 0.25, 0.35, 0.05, 1.0
    else:  # gum, tongue, lining of the mouth: wet
        n1, x1, y1, z1 = noise_3d(qx * 900.0 + seed, qy * 900.0, qz * 900.0)
        a1 = 0.10 * _resolved(0.0011, pixel)
        gx, gy, gz = a1 * x1, a1 * y1, a1 * z1
        roughness, second, f0, mirror = 0.34, 0.5, 0.035, 0.5

    bx = turn[0, 0] * gx + turn[0, 1] * gy + turn[0, 2] * gz
    by = turn[1, 0] * gx + turn[1, 1] * gy + turn[1, 2] * gz
    bz = turn[2, 0] * gx + turn[2, 1] * gy + turn[2, 2] * gz
    along = bx * nx + by * ny + bz * nz
    wx, wy, wz = nx - bx + along * nx, ny - by + along * ny, nz - bz + along * nz
    scale = 1.0 / np.sqrt(wx * wx + wy * wy + wz * wz + 1e-12)
    r, g, b = dielectric(
        studio, ar, ag, ab, wx * scale, wy * scale, wz * scale, nx, ny, nz, vx, vy, vz, shadow, open_sky,
        scatter, roughness, min(1.0, second), f0, mirror, sheen,
    )  # fmt: skip
    return tone(r), tone(g), tone(b)


@njit(cache=True, nogil=True, error_model="numpy")
def shade(
    start, stop, seen, bary, torso_seen, torso_bary, faces, materials, columns, turns, studio, paint, pixel,
    shadow_depth, shadow_rows, contact, background, supersample, encode, decode, picture, without_head,
):  # fmt: skip
    """Paints pixel rows [start, stop) of `picture` and of `without_head` (what `torso_seen` sees), both (H, W, 3) uint8.

    A sample that both see has the same light in both. Pixels in which nothing is seen are the background's bytes.
    """
    p = np.empty(COLUMNS)
    samples = supersample * supersample
    for i in range(start, stop):
        for j in range(picture.shape[1]):
            fr = fg = fb = 0.0
            tr = tg = tb = 0.0
            any_full = any_torso = False
            br, bg, bb = decode[background[i, j, 0]], decode[background[i, j, 1]], decode[background[i, j, 2]]
            for s in range(samples):
                row, column = i * supersample + s // supersample, j * supersample + s % supersample
                f, t = seen[row, column], torso_seen[row, column]
                r, g, b = br, bg, bb
                if f >= 0:
                    any_full = True
                    _interpolate(faces[f], columns, bary[row, column, 0], bary[row, column, 1], p)
                    r, g, b = shade_sample(
                        materials[f], p, turns, studio, paint, pixel, shadow_depth, shadow_rows, contact[i, j]
                    )
                fr, fg, fb = fr + r, fg + g, fb + b
                if t != f:
                    r, g, b = br, bg, bb
                    if t >= 0:
                        any_torso = True
                        _interpolate(
                            faces[t], columns, torso_bary[row, column, 0], torso_bary[row, column, 1], p
                        )
                        r, g, b = shade_sample(
                            materials[t], p, turns, studio, paint, pixel, shadow_depth, shadow_rows, 1.0
                        )
                elif t >= 0:
                    any_torso = True
                tr, tg, tb = tr + r, tg + g, tb + b
            _store(
                picture[i, j], any_full, fr / samples, fg / samples, fb / samples, background[i, j], encode
            )
            _store(
                without_head[i, j],
                any_torso,
                tr / samples,
                tg / samples,
                tb / samples,
                background[i, j],
                encode,
            )


@njit(cache=True, nogil=True, inline="always")
def _interpolate(face, columns, b1, b2, p):
    b0 = 1.0 - b1 - b2
    for c in range(COLUMNS):
        p[c] = b0 * columns[face[0], c] + b1 * columns[face[1], c] + b2 * columns[face[2], c]


@njit(cache=True, nogil=True, inline="always")
def _store(out, touched, r, g, b, background, encode):
    if touched:
        top = encode.size - 1
        out[0] = encode[int(min(1.0, r) * top + 0.5)]
        out[1] = encode[int(min(1.0, g) * top + 0.5)]
        out[2] = encode[int(min(1.0, b) * top + 0.5)]
    else:
        out[0], out[1], out[2] = background[0], background[1], background[2]
