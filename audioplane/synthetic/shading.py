"""Deferred shading: what each visible sample's surface looks like, and their average in each pixel."""

from __future__ import annotations

import numpy as np

from audioplane.runtime.compiled import compiled
from audioplane.synthetic.iris import smoothstep
from audioplane.synthetic.lights import NORMAL_OFFSET, lit
from audioplane.synthetic.materials import (
    ALBEDO,
    COLUMNS,
    FLOW,
    LIPS,
    NORMAL,
    OCCLUSION,
    POSITION,
    REST,
    ROUGHNESS,
    TORSO,
    UV,
    Material,
    linear_to_srgb,
    srgb_to_linear,
)
from audioplane.synthetic.noise import noise_2d, noise_3d
from audioplane.synthetic.surfaces import dielectric, eye, hair

SKIN, LIPS_, EYE, TEETH = int(Material.SKIN), int(Material.LIPS), int(Material.EYE), int(Material.TEETH)
TONGUE, MOUTH, HAIR, BROW = int(Material.TONGUE), int(Material.MOUTH), int(Material.HAIR), int(Material.BROW)
LASH, BEARD, CLOTH, FRAME = int(Material.LASH), int(Material.BEARD), int(Material.CLOTH), int(Material.FRAME)

STEPS = 16384
ENCODE = np.clip(linear_to_srgb(np.arange(STEPS) / (STEPS - 1)) * 255 + 0.5, 0, 255).astype(np.uint8)
DECODE = srgb_to_linear(np.arange(256) / 255.0)
SHOULDER = 0.6
SAME_SURFACE = 0.004  # metres of depth within which samples of a pixel share their shading


@compiled(fastmath=True, inline="always")
def tone(light):
    """Scene light to display light in [0, 1): the identity up to SHOULDER, then smoothly toward white."""
    if light <= SHOULDER:
        return max(0.0, light)
    over = (light - SHOULDER) / (1.0 - SHOULDER)
    return SHOULDER + (1.0 - SHOULDER) * over / (1.0 + over)


@compiled(fastmath=True, inline="always")
def _resolved(wavelength, pixel):
    """How much of a texture of this wavelength a pixel of this size can show, [0, 1]."""
    return smoothstep(1.2, 3.0, wavelength / pixel)


@compiled(fastmath=True)
def shade_sample(material, p, turns, studio, paint, pixel, shadow_depth, shadow_rows, contact):
    """Display light (r, g, b) of one sample; p: its columns (materials.POSITION ...), pixel: metres."""
    x, y, z = p[POSITION], p[POSITION + 1], p[POSITION + 2]
    scale = -1.0 / np.sqrt(x * x + y * y + z * z)
    vx, vy, vz = x * scale, y * scale, z * scale
    nx, ny, nz = p[NORMAL], p[NORMAL + 1], p[NORMAL + 2]
    scale = 1.0 / np.sqrt(nx * nx + ny * ny + nz * nz + 1e-12)
    if (nx * vx + ny * vy + nz * vz < 0.0) and material >= HAIR:
        scale = -scale
    nx, ny, nz = nx * scale, ny * scale, nz * scale
    sx, sy, sz = x + NORMAL_OFFSET * nx, y + NORMAL_OFFSET * ny, z + NORMAL_OFFSET * nz
    shadow = lit(shadow_depth, shadow_rows, sx, sy, sz, nx, ny, nz)
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
    if HAIR <= material <= BEARD:
        across, along = p[UV], p[UV + 1]
        strand = 0.5 * noise_2d(across, along * 2.0) + 0.7 * noise_2d(across * 0.43 + 9.0, along * 2.5)
        lock = noise_2d(across * 0.13 + seed, along * 1.5)
        bright = 1.0 + 0.34 * strand + 0.22 * lock
        tx, ty, tz = p[FLOW], p[FLOW + 1], p[FLOW + 2]
        scale = 1.0 / np.sqrt(tx * tx + ty * ty + tz * tz + 1e-12)
        r, g, b = hair(
            studio, ar * bright, ag * bright, ab * bright, nx, ny, nz, tx * scale, ty * scale, tz * scale,
            vx, vy, vz, shadow, open_sky, 0.6 * strand + 0.4 * lock, 1.0 if material == HAIR else 0.4,
        )  # fmt: skip
        return tone(r), tone(g), tone(b)

    gx = gy = gz = 0.0  # slope of the relief, in rest coordinates
    scatter, roughness, second, f0, mirror, sheen = 1.0, p[ROUGHNESS], 1.35 * p[ROUGHNESS], 0.028, 0.25, 0.0
    if material <= LIPS_:
        lips = min(1.0, max(0.0, p[LIPS]))
        n1 = x1 = y1 = z1 = n2 = x2 = y2 = z2 = 0.0
        if _resolved(0.0021, pixel) > 0.0:
            n1, x1, y1, z1 = noise_3d(qx * 480.0 + seed, qy * 480.0, qz * 480.0)
        if _resolved(0.0013, pixel) > 0.0:
            n2, x2, y2, z2 = noise_3d(qx * 770.0, qy * 770.0 + seed, qz * 770.0)
        n0 = noise_3d(qx * 120.0, qy * 120.0, qz * 120.0 + seed)[0]
        a1 = 0.042 * paint[6] * _resolved(0.0021, pixel) * (1.0 - 0.7 * lips)
        a2 = 0.07 * paint[6] * _resolved(0.0013, pixel) * (1.0 - lips)
        gx, gy, gz = a1 * x1 + a2 * x2, a1 * y1 + a2 * y2, a1 * z1 + a2 * z2
        if lips > 0.02:
            a3 = 0.16 * lips * _resolved(0.0013, pixel)
            n3, x3, y3, z3 = noise_3d(qx * 760.0, qy * 110.0, qz * 110.0 + seed)
            gx, gy, gz = gx + a3 * x3, gy + a3 * 0.14 * y3, gz + a3 * 0.14 * z3
            ar, ag, ab = ar * (1.0 + 0.05 * n3), ag * (1.0 + 0.09 * n3), ab * (1.0 + 0.09 * n3)
        blotch = 0.065 * n0 + 0.03 * n1 * _resolved(0.0021, pixel) + 0.03 * n2 * _resolved(0.0013, pixel)
        ar, ag, ab = ar * (1.0 + 0.45 * blotch), ag * (1.0 + 1.1 * blotch), ab * (1.0 + 1.2 * blotch)
        if paint[5] > 0.0:
            spot = smoothstep(0.50, 0.80, n1) * paint[5] * (1.0 - lips) * (0.5 + 0.5 * n0)
            ar, ag, ab = ar * (1.0 - 0.30 * spot), ag * (1.0 - 0.48 * spot), ab * (1.0 - 0.55 * spot)
        roughness *= 0.84 * (1.0 + 0.10 * n1)
        second = roughness * 1.5
        mirror = 0.45 + 0.20 * lips
        f0 = 0.031 + 0.010 * lips
        sheen = 0.10 * (1.0 - lips)
    elif material == TEETH:
        # Light wanders through enamel and between wet walls: the mouth is never as dark as its few open rays
        # say.
        open_sky = 0.28 + 0.72 * open_sky
        shadow = max(shadow, 0.65 * open_sky)
        scatter, roughness, second, f0, mirror = 0.6, 0.22, 0.45, 0.045, 0.6
    elif material == CLOTH:
        n0, x0, y0, z0 = noise_3d(qx * 17.0 + seed, qy * 8.0, qz * 17.0)
        n1, x1, y1, z1 = noise_3d(qx / paint[7], qy / paint[7], qz / paint[7] + seed)
        a1 = 0.05 * _resolved(paint[7], pixel)
        gx, gy, gz = 0.07 * x0 + a1 * x1, 0.03 * y0 + a1 * y1, 0.07 * z0 + a1 * z1
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
        open_sky = 0.14 + 0.86 * open_sky
        shadow = max(shadow, 0.4 * open_sky)

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


@compiled(fastmath=True, error_model="numpy")
def shade(
    start, stop, seen, inverse, bary, torso_seen, torso_inverse, torso_bary, faces, materials, columns, turns,
    studio, paint, pixel,
    shadow_depth, shadow_rows, contact, background, supersample, encode, decode, picture, without_head,
):  # fmt: skip
    """Paints pixel rows [start, stop) of `picture` and `without_head` (what `torso_seen` sees), (H, W, 3).

    Samples of a pixel that see one material at one depth are shaded once, at their mean point; hair only
    where they see the same triangle. A sample that both see has the same light in both. Pixels in which
    nothing is seen are the background's bytes.
    """
    p = np.empty(COLUMNS)
    samples = supersample * supersample
    light, hidden = np.empty((samples, 3)), np.empty((samples, 3))
    for i in range(start, stop):
        for j in range(picture.shape[1]):
            any_full = any_torso = any_hidden = False
            for s in range(samples):
                row, column = i * supersample + s // supersample, j * supersample + s % supersample
                f, t = seen[row, column], torso_seen[row, column]
                any_full |= f >= 0
                any_torso |= t >= 0
                any_hidden |= t >= 0 and t != f
            if any_full:
                _shade_pixel(
                    i, j, seen, inverse, bary, seen, False, faces, materials, columns, turns, studio, paint,
                    pixel, shadow_depth, shadow_rows, contact[i, j], supersample, p, light,
                )  # fmt: skip
            if any_hidden:
                _shade_pixel(
                    i, j, torso_seen, torso_inverse, torso_bary, seen, True, faces, materials, columns,
                    turns, studio, paint, pixel, shadow_depth, shadow_rows, 1.0, supersample, p, hidden,
                )  # fmt: skip
            fr = fg = fb = tr = tg = tb = 0.0
            br, bg, bb = decode[background[i, j, 0]], decode[background[i, j, 1]], decode[background[i, j, 2]]
            for s in range(samples):
                row, column = i * supersample + s // supersample, j * supersample + s % supersample
                f, t = seen[row, column], torso_seen[row, column]
                if f >= 0:
                    fr, fg, fb = fr + light[s, 0], fg + light[s, 1], fb + light[s, 2]
                else:
                    fr, fg, fb = fr + br, fg + bg, fb + bb
                if t < 0:
                    tr, tg, tb = tr + br, tg + bg, tb + bb
                elif t == f:
                    tr, tg, tb = tr + light[s, 0], tg + light[s, 1], tb + light[s, 2]
                else:
                    tr, tg, tb = tr + hidden[s, 0], tg + hidden[s, 1], tb + hidden[s, 2]
            _store(picture[i, j], any_full, fr / samples, fg / samples, fb / samples, background[i, j], encode)
            _store(
                without_head[i, j],
                any_torso,
                tr / samples,
                tg / samples,
                tb / samples,
                background[i, j],
                encode,
            )


@compiled(fastmath=True, error_model="numpy")
def _shade_pixel(
    i, j, seen, inverse_depth, bary, front, only_hidden, faces, materials, columns, turns, studio, paint,
    pixel, shadow_depth, shadow_rows, contact, supersample, p, light,
):  # fmt: skip
    """Display light (samples, 3) of what `seen` shows in a pixel; only_hidden: not what `front` shows too."""
    samples = supersample * supersample
    todo = 0
    for s in range(samples):
        row, column = i * supersample + s // supersample, j * supersample + s % supersample
        f = seen[row, column]
        if f >= 0 and not (only_hidden and front[row, column] == f):
            todo |= 1 << s
    for s in range(samples):
        if not todo & (1 << s):
            continue
        row, column = i * supersample + s // supersample, j * supersample + s % supersample
        first = seen[row, column]
        material, depth = materials[first], 1.0 / inverse_depth[row, column]
        group, members = 0, 0
        for o in range(s, samples):
            row, column = i * supersample + o // supersample, j * supersample + o % supersample
            f = seen[row, column]
            if (
                todo & (1 << o)
                and materials[f] == material
                and (f == first or not HAIR <= material <= BEARD)
                and abs(1.0 / inverse_depth[row, column] - depth) < SAME_SURFACE
            ):
                group |= 1 << o
                members += 1
        todo &= ~group
        p[:] = 0.0
        left = group
        for o in range(s, samples):
            if not left & (1 << o):
                continue
            # all members that see this triangle, at once
            f = seen[i * supersample + o // supersample, j * supersample + o % supersample]
            hits, b1, b2 = 0, 0.0, 0.0
            for k in range(o, samples):
                row, column = i * supersample + k // supersample, j * supersample + k % supersample
                if left & (1 << k) and seen[row, column] == f:
                    left &= ~(1 << k)
                    hits, b1, b2 = hits + 1, b1 + bary[row, column, 0], b2 + bary[row, column, 1]
            _add(faces, f, columns, (hits - b1 - b2) / members, b1 / members, b2 / members, p)
        r, g, b = shade_sample(material, p, turns, studio, paint, pixel, shadow_depth, shadow_rows, contact)
        for o in range(s, samples):
            if group & (1 << o):
                light[o, 0], light[o, 1], light[o, 2] = r, g, b


@compiled(fastmath=True, inline="always")
def _add(faces, f, columns, b0, b1, b2, p):
    u, v, w = faces[f, 0], faces[f, 1], faces[f, 2]
    for c in range(COLUMNS):
        p[c] += b0 * columns[u, c] + b1 * columns[v, c] + b2 * columns[w, c]


@compiled(fastmath=True, inline="always")
def _store(out, touched, r, g, b, background, encode):
    if touched:
        top = encode.size - 1
        out[0] = encode[int(min(1.0, r) * top + 0.5)]
        out[1] = encode[int(min(1.0, g) * top + 0.5)]
        out[2] = encode[int(min(1.0, b) * top + 0.5)]
    else:
        out[0], out[1], out[2] = background[0], background[1], background[2]
