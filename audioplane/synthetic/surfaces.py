"""How light leaves each kind of surface: one compiled function a kind, all in linear light.

Shared names: n = unit normal, v, l = unit vectors to the camera and to a light, h = half way between;
`studio` is the (8, 3) array of `Studio rows`: three light directions, three light colours, sky, ground.
`shadow` is the share of the key light that arrives, `open_sky` the ambient occlusion, both in [0, 1]. Light
colours are scaled so that a white Lambert surface facing a light of colour 1 has radiance 1; specular terms
carry the same pi.

Skin: two GGX lobes (Walter et al. 2007) over a diffuse term that wraps around the terminator, red farthest,
and whose normals are blurred, red most: the cheap forms of subsurface scattering (Jimenez et al. 2010,
Penner 2011). Hair: Kajiya and Kay 1989 with the two shifted highlights of Marschner et al. 2003, as
Scheuermann 2004 combined them.
"""

from __future__ import annotations

import numpy as np

from audioplane.runtime.compiled import compiled
from audioplane.synthetic.iris import iris_paint, sclera_paint, smoothstep

KEY, FILL, RIM, COLOUR, SKY, GROUND = 0, 1, 2, 3, 6, 7


@compiled(fastmath=True, inline="always")
def _fresnel(f0, cosine):
    t = 1.0 - min(1.0, max(0.0, cosine))
    t2 = t * t
    return f0 + (1.0 - f0) * t2 * t2 * t


@compiled(fastmath=True, inline="always")
def _ggx(nh, nl, nv, roughness, breadth):
    """pi D V of GGX with Schlick's form of Smith's masking, for a light whose size widens the highlight.

    roughness is the perceptual one (alpha = its square); breadth, the light's, adds to alpha (Karis 2013).
    """
    alpha = min(1.0, roughness * roughness + breadth)
    alpha2 = alpha * alpha
    spread = nh * nh * (alpha2 - 1.0) + 1.0
    k = 0.5 * alpha
    return alpha2 / (spread * spread) * 0.25 / ((nl * (1.0 - k) + k) * (nv * (1.0 - k) + k))


@compiled(fastmath=True)
def mirrored(studio, x, y, z, blur):
    """What the studio looks like in direction (x, y, z): walls, the key's soft box, a paler window."""
    up = 0.5 - 0.5 * y
    box = 0.0
    kx, ky, kz = studio[KEY, 0], studio[KEY, 1], studio[KEY, 2]
    toward = x * kx + y * ky + z * kz
    if toward > 0.2:
        # sideways and downward offsets from the key's axis, on its plane
        length = np.sqrt(kx * kx + kz * kz)
        across = (x * kz - z * kx) / length / toward
        along = (y - toward * ky) / length / toward
        soft = 0.05 + blur
        box = (1.0 - smoothstep(0.24 - soft, 0.24 + soft, abs(across))) * (
            1.0 - smoothstep(0.34 - soft, 0.34 + soft, abs(along))
        )
        box *= 0.55 / (0.55 + blur)
    toward = x * studio[FILL, 0] + y * studio[FILL, 1] + z * studio[FILL, 2]
    window = smoothstep(0.80 - 0.3 * blur, 0.93, toward)
    wall = 0.5 + 0.5 * smoothstep(-0.6, 0.9, -z)
    red = (studio[GROUND, 0] + (studio[SKY, 0] - studio[GROUND, 0]) * up) * wall
    green = (studio[GROUND, 1] + (studio[SKY, 1] - studio[GROUND, 1]) * up) * wall
    blue = (studio[GROUND, 2] + (studio[SKY, 2] - studio[GROUND, 2]) * up) * wall
    key, fill = 11.0 * box, 3.0 * window
    return (
        red + key * studio[COLOUR, 0] + fill * studio[COLOUR + 1, 0],
        green + key * studio[COLOUR, 1] + fill * studio[COLOUR + 1, 1],
        blue + key * studio[COLOUR, 2] + fill * studio[COLOUR + 1, 2],
    )


@compiled(fastmath=True, inline="always")
def _wrapped(cosine, wrap):
    """Diffuse falloff that reaches `wrap` beyond the terminator and touches zero smoothly."""
    t = max(0.0, (cosine + wrap) / (1.0 + wrap))
    return t * (1.0 - wrap + wrap * t)


@compiled(fastmath=True)
def dielectric(
    studio, ar, ag, ab, nx, ny, nz, sx, sy, sz, vx, vy, vz, shadow, open_sky,
    scatter, roughness, second, f0, mirror, sheen,
):  # fmt: skip
    """Radiance (r, g, b) of skin, lips, teeth, tongue, cloth, plastic.

    Args:
        ar, ag, ab: albedo. nx..: the surface's normal with relief. sx..: without it. vx..: to the eye.
        scatter: how far light spreads under the surface, 0 to 1 (skin 1).
        roughness, second: of the two highlights; f0: reflectance straight on; mirror: weight of the mirrored
            studio.
        sheen: strength of grazing fuzz (cloth, down).
    """
    nv = min(1.0, max(0.02, nx * vx + ny * vy + nz * vz))
    wrap_r, wrap_g, wrap_b = 0.30 * scatter, 0.17 * scatter, 0.11 * scatter
    blur_r, blur_g, blur_b = 0.85 * scatter, 0.5 * scatter, 0.3 * scatter
    dr = dg = db = 0.0
    hr = hg = hb = 0.0
    for k in range(3):
        lx, ly, lz = studio[k, 0], studio[k, 1], studio[k, 2]
        nl, sl = nx * lx + ny * ly + nz * lz, sx * lx + sy * ly + sz * lz
        reach = shadow if k == KEY else open_sky
        # A shadow map calls the night side of a thing its own shadow; scattered light does reach a little
        # around.
        turn = 1.0 - smoothstep(-0.08, 0.14, sl)
        reach_r = reach + (1.0 - reach) * turn * 0.6 * scatter if k == KEY else reach
        reach_g = reach + (1.0 - reach) * turn * 0.45 * scatter if k == KEY else reach
        reach_b = reach + (1.0 - reach) * turn * 0.35 * scatter if k == KEY else reach
        # The edge of a shadow on skin is red: red light arrives there from beside.
        reach_r = reach_r * (1.0 + 0.35 * scatter * (1.0 - reach_r))
        reach_b = reach_b * (1.0 - 0.12 * scatter * (1.0 - reach_b))
        cr, cg, cb = studio[COLOUR + k, 0], studio[COLOUR + k, 1], studio[COLOUR + k, 2]
        dr += cr * reach_r * _wrapped(nl + (sl - nl) * blur_r, wrap_r)
        dg += cg * reach_g * _wrapped(nl + (sl - nl) * blur_g, wrap_g)
        db += cb * reach_b * _wrapped(nl + (sl - nl) * blur_b, wrap_b)
        if nl > 0.0:
            hx, hy, hz = lx + vx, ly + vy, lz + vz
            scale = 1.0 / np.sqrt(hx * hx + hy * hy + hz * hz + 1e-9)
            nh = max(0.0, (nx * hx + ny * hy + nz * hz) * scale)
            lh = max(0.0, (lx * hx + ly * hy + lz * hz) * scale)
            breadth = 0.08 if k == KEY else 0.30
            lobes = 0.65 * _ggx(nh, nl, nv, second, breadth) + 0.35 * _ggx(nh, nl, nv, roughness, breadth)
            spec = min(4.0, lobes * _fresnel(f0, lh) * nl) * reach
            hr += cr * spec
            hg += cg * spec
            hb += cb * spec
    # Light from all around, with the interreflection that keeps creases from going grey (Jimenez et al.
    # 2016).
    up = 0.5 - 0.5 * sy
    front = 0.78 + 0.22 * max(0.0, -sz)
    hollow = open_sky * (1.0 - open_sky)
    dr += (studio[GROUND, 0] + (studio[SKY, 0] - studio[GROUND, 0]) * up) * front * (open_sky + 0.8 * ar * hollow)
    dg += (studio[GROUND, 1] + (studio[SKY, 1] - studio[GROUND, 1]) * up) * front * (open_sky + 0.8 * ag * hollow)
    db += (studio[GROUND, 2] + (studio[SKY, 2] - studio[GROUND, 2]) * up) * front * (open_sky + 0.8 * ab * hollow)
    fuzz = 1.0 - nv
    fuzz = sheen * fuzz * fuzz * fuzz * open_sky
    if mirror > 0.0:
        rx, ry, rz = 2.0 * nv * nx - vx, 2.0 * nv * ny - vy, 2.0 * nv * nz - vz
        er, eg, eb = mirrored(studio, rx, ry, rz, roughness)
        edge = mirror * _fresnel(f0, nv) * open_sky * (0.35 + 0.65 * shadow)
        hr += er * edge
        hg += eg * edge
        hb += eb * edge
    return (
        ar * dr + hr + fuzz * (0.4 + 0.6 * ar) * dr,
        ag * dg + hg + fuzz * (0.4 + 0.6 * ag) * dg,
        (ab * db + hb + fuzz * (0.4 + 0.6 * ab) * db),
    )


@compiled(fastmath=True)
def hair(studio, ar, ag, ab, nx, ny, nz, tx, ty, tz, vx, vy, vz, shadow, open_sky, tilt, gloss):
    """Radiance of hair along (tx, ty, tz); `tilt` in [-1, 1] shifts and `gloss` scales its highlights."""
    shift_one, shift_two = -0.10 + 0.13 * tilt, 0.16 + 0.20 * tilt
    ax, ay, az = tx + shift_one * nx, ty + shift_one * ny, tz + shift_one * nz
    bx, by, bz = tx + shift_two * nx, ty + shift_two * ny, tz + shift_two * nz
    scale_a = 1.0 / (ax * ax + ay * ay + az * az + 1e-9)
    scale_b = 1.0 / (bx * bx + by * by + bz * bz + 1e-9)
    red = green = blue = 0.0
    for k in range(3):
        lx, ly, lz = studio[k, 0], studio[k, 1], studio[k, 2]
        nl = nx * lx + ny * ly + nz * lz
        reach = shadow if k == KEY else open_sky
        tl = tx * lx + ty * ly + tz * lz
        body = np.sqrt(max(0.0, 1.0 - tl * tl)) * min(1.0, max(0.0, 0.25 + 0.75 * nl))
        hx, hy, hz = lx + vx, ly + vy, lz + vz
        norm = hx * hx + hy * hy + hz * hz + 1e-9
        ah, bh = ax * hx + ay * hy + az * hz, bx * hx + by * hy + bz * hz
        one = max(0.0, 1.0 - ah * ah * scale_a / norm)  # the square of the sine between strand and half vector
        two = max(0.0, 1.0 - bh * bh * scale_b / norm)
        one4 = one * one
        one4 *= one4
        one16 = one4 * one4
        one16 *= one16
        two4 = two * two
        two4 *= two4
        gate = smoothstep(-0.2, 0.5, nl) if k != RIM else smoothstep(-0.5, 0.3, nl)
        first = 0.10 * gloss * one16 * one16 * one4 * gate
        second = 0.55 * gloss * two4 * two4 * gate
        red += studio[COLOUR + k, 0] * reach * (ar * (0.85 * body + second) + first)
        green += studio[COLOUR + k, 1] * reach * (ag * (0.85 * body + second) + first)
        blue += studio[COLOUR + k, 2] * reach * (ab * (0.85 * body + second) + first)
    up = 0.5 - 0.5 * ny
    ambient = open_sky * (0.6 + 0.4 * open_sky)
    red += ar * ambient * (studio[GROUND, 0] + (studio[SKY, 0] - studio[GROUND, 0]) * up)
    green += ag * ambient * (studio[GROUND, 1] + (studio[SKY, 1] - studio[GROUND, 1]) * up)
    blue += ab * ambient * (studio[GROUND, 2] + (studio[SKY, 2] - studio[GROUND, 2]) * up)
    return red, green, blue


@compiled(fastmath=True)
def eye(studio, paint, blur, nx, ny, nz, ax, ay, az, ux, uy, uz, vx, vy, vz, shadow, open_sky):
    """Radiance of an eyeball whose optical axis (outward) is (ax, ay, az) and whose rest 'down' is (ux, uy,
    uz).

    The normal is the ball's: it says where on the ball the point lies. Behind the cornea the eye's ray is
    bent and meets the plane of the iris; the cornea itself bulges, so what it mirrors is smaller than a ball
    would show. `blur` is a pixel's size in ball radii.
    """
    front = nx * ax + ny * ay + nz * az
    # the two directions across the axis
    along = ux * ax + uy * ay + uz * az
    dx, dy, dz = ux - along * ax, uy - along * ay, uz - along * az
    scale = 1.0 / np.sqrt(dx * dx + dy * dy + dz * dz + 1e-9)
    dx, dy, dz = dx * scale, dy * scale, dz * scale
    ex, ey, ez = dy * az - dz * ay, dz * ax - dx * az, dx * ay - dy * ax
    px, py = nx * ex + ny * ey + nz * ez, nx * dx + ny * dy + nz * dz
    off = np.sqrt(px * px + py * py)
    radius = paint[3]
    cornea = (1.0 - smoothstep(radius * 0.85, radius * 1.2, off)) if front > 0.0 else 0.0
    wr, wg, wb = sclera_paint(px, py, front, paint[9])
    gx, gy, gz = nx, ny, nz
    if cornea > 0.0:
        # refract the view ray (eta 1 / 1.336) at the ball, then follow it to the iris' plane
        nv = max(0.05, nx * vx + ny * vy + nz * vz)
        eta = 1.0 / 1.336
        bend = eta * nv - np.sqrt(max(0.0, 1.0 - eta * eta * (1.0 - nv * nv)))
        rx, ry, rz = bend * nx - eta * vx, bend * ny - eta * vy, bend * nz - eta * vz
        plane = np.sqrt(1.0 - radius * radius) - 0.02
        sink = -(rx * ax + ry * ay + rz * az)
        reach = max(0.0, front - plane) / max(0.25, sink)
        ix = px + reach * (rx * ex + ry * ey + rz * ez)
        iy = py + reach * (rx * dx + ry * dy + rz * dz)
        ir, ig, ib = iris_paint(ix / radius, iy / radius, paint, blur / radius)
        # light that came in through the cornea gathers on the far side of the iris
        lx, ly, lz = studio[KEY, 0], studio[KEY, 1], studio[KEY, 2]
        lift = 1.0 - 0.9 * (ix * (lx * ex + ly * ey + lz * ez) + iy * (lx * dx + ly * dy + lz * dz)) / radius
        cover = 1.0 - smoothstep(radius * 0.93 - 0.5 * blur, radius * 1.05 + 0.5 * blur, np.sqrt(ix * ix + iy * iy))
        cover *= cornea
        wr += cover * (ir * lift * 1.25 - wr)
        wg += cover * (ig * lift * 1.25 - wg)
        wb += cover * (ib * lift * 1.25 - wb)
        bulge = 0.55 * cornea
        gx, gy, gz = (
            nx + bulge * (px * ex + py * dx),
            ny + bulge * (px * ey + py * dy),
            nz + bulge * (px * ez + py * dz),
        )
        scale = 1.0 / np.sqrt(gx * gx + gy * gy + gz * gz)
        gx, gy, gz = gx * scale, gy * scale, gz * scale
    # lids shade the upper ball more than the shadow map can see
    sky = open_sky * (0.35 + 0.65 * smoothstep(-0.75, 0.1, py))
    r, g, b = dielectric(
        studio, wr, wg, wb, nx, ny, nz, nx, ny, nz, vx, vy, vz, 0.35 * sky + 0.65 * shadow * sky, sky,
        0.8, 0.3, 0.3, 0.0, 0.0, 0.0,
    )  # fmt: skip
    gv = min(1.0, max(0.02, gx * vx + gy * vy + gz * vz))
    er, eg, eb = mirrored(studio, 2.0 * gv * gx - vx, 2.0 * gv * gy - vy, 2.0 * gv * gz - vz, 0.03)
    wet = 1.5 * _fresnel(0.03, gv) * (0.25 + 0.75 * sky) * (0.5 + 0.5 * shadow)
    return r + wet * er, g + wet * eg, b + wet * eb
