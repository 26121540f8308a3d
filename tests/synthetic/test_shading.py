"""Light: what must hold of any shading: closed forms, linearity, no light from nowhere."""

from __future__ import annotations

import numpy as np
import pytest

from audioplane.synthetic import noise
from audioplane.synthetic.backgrounds import KINDS, background, defocus
from audioplane.synthetic.iris import iris_paint
from audioplane.synthetic.lights import BLUR, DEPTH_BIAS, UNSHADOWED, contact, lit, shadow_frame, studio, windows
from audioplane.synthetic.materials import Paint, linear_to_srgb, srgb_to_linear
from audioplane.synthetic.shading import DECODE, ENCODE, SHOULDER, tone
from audioplane.synthetic.surfaces import dielectric, eye, hair

LIGHTS = studio()
STUDIO = np.vstack([LIGHTS.directions, LIGHTS.colours, LIGHTS.sky, LIGHTS.ground])


def skin(
    studio=STUDIO,
    albedo=(0.5, 0.3, 0.2),
    n=(0, 0, -1),
    shadow=1.0,
    sky=1.0,
    scatter=1.0,
    f0=0.028,
    mirror=0.3,
):
    n = np.asarray(n, float) / np.linalg.norm(n)
    return np.array(
        dielectric(studio, *albedo, *n, *n, 0.0, 0.0, -1.0, shadow, sky, scatter, 0.4, 0.6, f0, mirror, 0.0)
    )


def test_every_colour_survives_decoding_and_encoding():
    np.testing.assert_array_equal(ENCODE[np.rint(DECODE * (len(ENCODE) - 1)).astype(int)], np.arange(256))
    np.testing.assert_allclose(linear_to_srgb(srgb_to_linear(np.linspace(0, 1, 99))), np.linspace(0, 1, 99), atol=1e-9)


def test_tone_is_the_identity_then_bends_without_a_corner():
    x = np.linspace(0, 8, 4001)
    y = np.array([tone(v) for v in x])
    np.testing.assert_array_equal(y[x <= SHOULDER], x[x <= SHOULDER])
    assert (np.diff(y) > 0).all()
    assert y.max() < 1
    assert np.abs(np.diff(y, 2)).max() < 1e-4  # slope is continuous


def test_radiance_is_linear_in_light_and_affine_in_albedo():
    twice = STUDIO.copy()
    twice[3:] *= 2
    np.testing.assert_allclose(skin(twice), 2 * skin(), rtol=1e-9)
    # without interreflection (open sky 1) the diffuse part is linear in albedo, over a highlight that does
    # not know it
    black, half, full = skin(albedo=(0, 0, 0)), skin(albedo=(0.5,) * 3), skin(albedo=(1,) * 3)
    np.testing.assert_allclose(half, (black + full) / 2, rtol=1e-9)
    assert (black > 0).all()
    assert (black < 0.2 * full).all()


def test_nothing_shines_without_albedo_and_reflectance_or_without_light():
    assert not skin(albedo=(0, 0, 0), f0=0.0, mirror=0.0).round(4).any()
    dark = STUDIO.copy()
    dark[3:] = 0
    assert not skin(dark).any()
    assert not np.any(hair(dark, 0.5, 0.3, 0.2, 0, 0, -1.0, 0, 1.0, 0, 0, 0, -1.0, 1.0, 1.0, 0.0, 1.0))


def test_a_matt_surface_without_scatter_is_lamberts():
    key = STUDIO.copy()
    key[4:] = 0  # the key alone
    for angle in np.radians([0, 30, 60, 85, 100]):
        side = np.cross(key[0], [0, 1, 0])
        n = np.cos(angle) * key[0] + np.sin(angle) * side / np.linalg.norm(side)
        r = skin(key, n=n, scatter=0.0, f0=0.0, mirror=0.0)
        grey = skin(key, n=n, scatter=0.0, f0=0.0, mirror=0.0, albedo=(0, 0, 0))
        np.testing.assert_allclose((r - grey)[0], 0.5 * key[3, 0] * max(0.0, np.cos(angle)), atol=1e-9)


def test_skin_bleeds_red_at_the_terminator():
    key = STUDIO.copy()
    key[3] = 1.0
    key[4:] = 0
    side = np.cross(key[0], [0, 1, 0])
    n = np.cos(np.radians(97)) * key[0] + np.sin(np.radians(97)) * side / np.linalg.norm(side)
    r, g, b = skin(key, n=n, albedo=(0.5,) * 3, f0=0.0, mirror=0.0)
    assert r > g > b > 0 or (r > g >= b >= 0 and r > 0.005)


def test_shadow_takes_light_away():
    assert (skin(shadow=0.0) < skin(shadow=0.5)).all()
    assert (skin(shadow=0.5) < skin(shadow=1.0)).all()
    assert (skin(sky=0.3) < skin(sky=1.0)).all()


def test_hair_shines_across_its_strands():
    flat = STUDIO.copy()
    flat[:3] = [0, 0, -1]
    across = hair(flat, 0.1, 0.05, 0.02, 0, 0, -1.0, 0, 1.0, 0, 0, 0, -1.0, 1.0, 1.0, 0.0, 1.0)
    toward = hair(flat, 0.1, 0.05, 0.02, 0, 0, -1.0, 0, 0.3, -0.95, 0, 0, -1.0, 1.0, 1.0, 0.0, 1.0)
    assert across[0] > toward[0] > 0


def test_the_eye_has_a_dark_pupil_an_iris_and_a_white():
    paint = Paint(iris_colour=(0.3, 0.45, 0.5)).array
    dim = STUDIO.copy()
    dim[3:6] *= 0.2

    def at(sine):
        n = np.array([sine, 0.0, -np.sqrt(1 - sine**2)])
        return np.mean(eye(dim, paint, 0.02, *n, 0, 0, -1.0, 0, 1.0, 0, 0, 0, -1.0, 0.0, 1.0))

    assert at(0.02) < 0.5 * at(0.28)
    assert at(0.28) < at(0.75)
    inside = np.array(iris_paint(0.1, 0.0, paint, 0.02))
    assert (inside < 0.01).all()


def test_noise_slopes_are_the_derivatives():
    rng = np.random.default_rng(0)
    h = 1e-5
    for x, y, z in rng.uniform(-50, 50, (50, 3)):
        value, *slope = noise.noise_3d(x, y, z)
        assert -1 <= value <= 1
        step = [
            (noise.noise_3d(x + h * a, y + h * b, z + h * c)[0] - noise.noise_3d(x - h * a, y - h * b, z - h * c)[0])
            / (2 * h)
            for a, b, c in np.eye(3)
        ]
        np.testing.assert_allclose(slope, step, atol=1e-4)


def test_hashes_are_even():
    values = np.array([noise.hash_unit(i, j, k) for i in range(-8, 8) for j in range(-8, 8) for k in range(-8, 8)])
    counts = np.histogram(values, 16, (0, 1))[0]
    assert values.min() >= 0
    assert values.max() < 1
    assert ((counts - 256) ** 2 / 256).sum() < 40  # chi square, 15 degrees of freedom: p about 5e-4
    cube = values.reshape(16, 16, 16)
    assert all(abs(np.corrcoef(cube.ravel(), np.roll(cube, 1, axis).ravel())[0, 1]) < 0.06 for axis in range(3))


def test_the_shadow_of_an_edge_is_a_ramp_as_wide_as_the_blur():
    frame = shadow_frame(np.array([0.0, 0.0, -1.0]), np.zeros(3), 0.5, 100)  # 1 cm a texel, looking along +z
    depth = np.full((100, 100), UNSHADOWED, np.float32)
    depth[:, :50] = -0.2  # an occluder over x < 0
    depth = windows(depth)
    at = np.linspace(-0.06, 0.06, 25)
    got = np.array([lit(depth, frame.rows, x, 0.013, 0.1, 0, 0, -1.0) for x in at])
    np.testing.assert_allclose(got, np.clip(0.5 + at / (0.01 * BLUR), 0, 1), atol=1e-6)
    assert (
        lit(depth, frame.rows, -0.1, 0.0, -0.2 + 0.5 * DEPTH_BIAS, 0, 0, -1.0) == 1.0
    )  # the occluder does not shade itself
    assert lit(depth, frame.rows, 5.0, 0.0, 0.0, 0, 0, -1.0) == 1.0  # outside the map


def test_a_slope_does_not_shade_itself():
    frame = shadow_frame(np.array([0.0, 0.0, -1.0]), np.zeros(3), 0.5, 100)
    for lean in (0.0, 1.0, -3.0):  # metres of depth a metre
        column = (np.arange(100) + 0.5) / 100 - 0.5
        depth = windows(np.broadcast_to((lean * column).astype(np.float32), (100, 100)).copy())
        normal = np.array([lean, 0.0, -1.0]) / np.hypot(lean, 1.0)
        for x in np.linspace(-0.3, 0.3, 41):
            assert lit(depth, frame.rows, x, 0.0, lean * x, *normal) == pytest.approx(1.0)
            assert lit(depth, frame.rows, x, 0.0, lean * x + 0.004, *normal) == pytest.approx(0.0)


def test_contact_darkens_a_step_and_spares_a_slope():
    z = np.full((64, 64), 1.0, np.float32)
    z[:, 30:34] = 1.02  # a groove
    open_sky = np.empty((64, 64), np.float32)
    contact(1 / z, 1, 500.0, 0.014, 0.75, np.empty_like(open_sky), open_sky)
    assert open_sky[32, 32] < 0.8
    assert open_sky[32, 10] == 1.0
    slope = np.broadcast_to(1.0 + 0.002 * np.arange(64, dtype=np.float32), (64, 64))
    contact((1 / slope).astype(np.float32), 1, 500.0, 0.014, 0.75, np.empty_like(open_sky), open_sky)
    assert open_sky.min() > 0.97


@pytest.mark.parametrize("kind", KINDS)
def test_backgrounds_are_seeded_and_not_flat(kind):
    one, again, other = (background(kind, 96, 64, seed) for seed in (1, 1, 2))
    assert one.shape == (64, 96, 3)
    assert one.dtype == np.uint8
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    assert one.std() > 6


def test_unknown_background_is_refused():
    with pytest.raises(ValueError, match="beach"):
        background("beach", 8, 8)


def test_defocus_keeps_light():
    spot = np.zeros((41, 41, 3))
    spot[20, 20] = 1.0
    disc = defocus(spot, 6.0)
    np.testing.assert_allclose(disc.sum((0, 1)), 1.0, rtol=1e-5)
    assert disc[20, 20, 0] == pytest.approx(disc[20, 24, 0], rel=1e-5)
    assert disc[20, 28, 0] < 1e-9
