"""The paint of an eyeball: iris, pupil and limbus behind a clear cornea, sclera with veins."""

from __future__ import annotations

import numpy as np

from audioplane.runtime.compiled import compiled
from audioplane.synthetic.noise import noise_2d, noise_3d


@compiled(fastmath=True, inline="always")
def smoothstep(low, high, x):
    """0 below low, 1 above high, smooth between."""
    t = min(1.0, max(0.0, (x - low) / (high - low)))
    return t * t * (3.0 - 2.0 * t)


@compiled(fastmath=True)
def iris_paint(x, y, paint, blur):
    """Albedo (r, g, b) of the iris disc at (x, y) in iris radii; `blur` is a pixel's size in iris radii."""
    r = np.sqrt(x * x + y * y) + 1e-6
    c, s = x / r, y / r
    seed = paint[9]
    fibres = noise_3d(c * 9.0 + seed, s * 9.0, r * 1.3)[0]
    fine = noise_3d(c * 21.0, s * 21.0 + seed, r * 2.5)[0] * (1.0 - smoothstep(0.08, 0.3, blur))
    clouds = noise_3d(c * 2.5, s * 2.5, r * 3.0 + seed)[0]
    edge = max(0.05, blur)
    pupil = paint[4] * (1.0 + 0.02 * clouds)
    collar = pupil + 0.2 + 0.05 * fibres
    inner = 1.0 - smoothstep(collar - 0.12, collar + 0.12, r)
    shade = 1.0 + 0.42 * fibres + 0.28 * fine + 0.12 * clouds
    shade *= 1.0 - 0.25 * smoothstep(pupil, pupil + 0.1, r) * (1.0 - smoothstep(pupil + 0.1, pupil + 0.3, r))
    shade *= 1.0 - 0.72 * smoothstep(0.76, 1.0, r)  # the limbal ring
    shade *= smoothstep(pupil - 0.5 * edge, pupil + edge, r)  # the pupil
    warm = 0.55 * inner
    red = paint[0] * (1.0 + 0.5 * warm) + 0.06 * warm
    green = paint[1] * (1.0 + 0.1 * warm) + 0.025 * warm
    blue = paint[2] * (1.0 - 0.5 * warm)
    return red * shade, green * shade, blue * shade


@compiled(fastmath=True)
def sclera_paint(x, y, front, seed):
    """Albedo of the white of the eye at (x, y, front) in ball radii, `front` along the optical axis."""
    side = min(1.0, abs(x) * 1.15)
    wander = noise_2d(x * 6.0 + seed, y * 6.0)
    vein = abs(noise_2d(x * 5.0 + 0.8 * wander, y * 13.0 + 2.0 * wander + seed))
    veins = (1.0 - smoothstep(0.02, 0.14, vein)) * side * side * (0.5 + 0.5 * noise_2d(x * 3.0, y * 3.0 + seed))
    blush = 0.10 * side * side + 0.10 * max(0.0, 0.55 - front)
    cloud = 0.03 * wander
    red = 0.72 - 0.05 * veins + cloud
    green = 0.68 - 0.26 * max(0.0, veins) - 0.7 * blush + cloud
    blue = 0.65 - 0.26 * max(0.0, veins) - 0.8 * blush + cloud
    return red, green, blue
