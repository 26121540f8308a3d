"""Boxes cut from pictures, marks, rates of sound and what counts as a voice."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioplane.errors import UserError
from audioplane.media.marks import mark_stamp, put_mark
from audioplane.media.reader import cut_out
from audioplane.media.sound import LOUDEST, SAMPLE_RATE, check_audio, resample
from audioplane.runtime.arrays import Expected, check_numbers
from audioplane.subject.pack import encode_png
from audioplane.widgets.bake import density, pack
from audioplane.widgets.page import jpeg, png
from tests.strategies import arrays, few, fewer, generators, in_any_layout

pictures = arrays(st.integers(4, 20), st.integers(4, 20), 3, high=256.0, dtype=np.uint8)


@few
@given(pictures, st.integers(-6, 12), st.integers(-6, 12), st.integers(1, 15), st.integers(1, 15))
def test_a_cut_repeats_the_pictures_edge(image, left, top, width, height):
    got = in_any_layout(lambda x: cut_out(x, (left, top, width, height), 0), image)
    tall, wide = image.shape[:2]
    rows = np.clip(np.arange(top, top + height), 0, tall - 1)
    columns = np.clip(np.arange(left, left + width), 0, wide - 1)
    np.testing.assert_array_equal(got, image[rows][:, columns])
    assert got.flags.c_contiguous


@few
@given(pictures, st.integers(1, 24))
def test_a_cut_has_the_size_that_was_asked_for(image, size):
    got = cut_out(image, None, size)
    assert got.shape == (size, size, 3)
    flat = cut_out(np.full_like(image, 77), None, size)
    assert (flat == 77).all()
    np.testing.assert_array_equal(cut_out(image, None, 0), image)
    side = min(image.shape[:2])
    np.testing.assert_array_equal(cut_out(image[:side, :side], None, side), image[:side, :side])


@few
@given(st.integers(120, 700), st.integers(0, 255))
def test_a_mark_changes_its_corner_alone(width, light):
    stamp = mark_stamp(width)
    assert 0 <= stamp.min() <= stamp.max() <= 1
    image = np.full((width, width, 3), light, np.uint8)
    put_mark(image, stamp)
    h, w = stamp.shape
    changed = image != light
    changed[-h - 4 : -4, -w - 4 : -4] = False
    assert not changed.any()
    corner = image[-h - 4 : -4, -w - 4 : -4].astype(int)
    assert (np.abs(corner[stamp == 1] - 235) <= 1).all()
    assert (np.abs(corner[stamp == 0] - 0.65 * light) <= 1).all()
    small = np.full((h, w, 3), light, np.uint8)
    put_mark(small, stamp)
    assert (small == light).all()


@fewer
@given(generators, st.sampled_from([8000, 11_025, 22_050, 44_100, 48_000]), st.floats(50, 1500))
def test_a_tone_keeps_its_pitch_and_its_length(generator, rate, hertz):
    times = np.arange(rate) / rate
    got = resample(np.sin(2 * np.pi * hertz * times).astype(np.float32), rate)
    assert got.dtype == np.float32
    assert len(got) == pytest.approx(SAMPLE_RATE, abs=2)
    middle = slice(2000, 14_000)
    wanted = np.sin(2 * np.pi * hertz * np.arange(len(got)) / SAMPLE_RATE)
    np.testing.assert_allclose(got[middle], wanted[middle], atol=2e-2)
    same = generator.standard_normal(100).astype(np.float32)
    assert resample(same, SAMPLE_RATE) is same
    assert len(resample(same[:0], rate)) == 0


@few
@given(arrays(st.integers(1, 50), low=-1.0, dtype=np.float32), st.sampled_from([np.float16, np.float32, np.float64]))
def test_a_voice_is_a_series_of_floats(samples, dtype):
    got = in_any_layout(check_audio, samples.astype(dtype))
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, samples, atol=1e-3)
    np.testing.assert_array_equal(check_audio(samples.tolist()), samples)  # lists too
    for wrong, said in (
        (samples[None], "one-dimensional"),
        ((1000 * samples).astype(np.int16), "int16"),
        (samples[:0], "empty"),
        (np.append(samples, np.nan), "NaN"),
        (np.append(samples, 2 * LOUDEST), "divide"),
    ):
        with pytest.raises(UserError, match=said):
            check_audio(wrong)


# What goes into pages


@few
@given(pictures)
def test_pictures_come_back_from_pages(image):
    from PIL import Image

    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png(image)))), image)
    smooth = np.full_like(image, 90)
    again = np.asarray(Image.open(io.BytesIO(jpeg(smooth))))
    assert again.shape == image.shape
    assert np.abs(again.astype(int) - 90).max() <= 3
    assert len(jpeg(image, 95)) >= len(jpeg(image, 20))


@few
@given(generators, st.lists(st.sampled_from([np.float16, np.float32, np.uint8, np.uint16]), min_size=1, max_size=5))
def test_packed_arrays_lie_where_their_facts_say(generator, kinds):
    given = {
        f"a{k}": (100 * generator.random(generator.integers(1, 5, 2))).astype(kind) for k, kind in enumerate(kinds)
    }
    packed = pack(given, {"seconds": 3})
    assert packed.facts["seconds"] == 3
    for name, (kind, shape, at) in packed.facts["parts"].items():
        assert at % 4 == 0
        count, size = int(np.prod(shape)), np.dtype(kind).itemsize
        places = np.frombuffer(packed.data, np.uint8, count * size, at).reshape(size, count)  # all first bytes first
        found = np.ascontiguousarray(places.T).view(kind).reshape(shape)
        np.testing.assert_array_equal(found, given[name])
        assert found.dtype == given[name].dtype


@few
@given(arrays(st.integers(10, 40), 3, low=-0.1, high=0.1), st.floats(0.5, 3), generators)
def test_density_is_points_a_volume(points, size, generator):
    got = in_any_layout(density, points)
    assert (got > 0).all()
    np.testing.assert_allclose(density(size * points), got / size**3, rtol=1e-4)
    order = generator.permutation(len(points))
    np.testing.assert_allclose(density(points[order]), got[order], rtol=1e-5)
    np.testing.assert_allclose(density(points + 0.3), got, rtol=1e-3)


def test_density_of_a_full_cube_is_its_number_of_points():
    side = np.arange(20) * 0.001  # a point a millimetre: a thousand a cm^3
    grid = np.stack(np.meshgrid(side, side, side), -1).reshape(-1, 3)
    inner = ((grid > 0.005) & (grid < 0.014)).all(axis=1)
    assert density(grid)[inner].mean() == pytest.approx(1000, rel=0.6)


@few
@given(pictures, st.sampled_from([np.uint8, np.uint16]))
def test_packed_pictures_lose_nothing(image, kind):
    import cv2

    grey = image[..., 0].astype(kind) * (257 if kind == np.uint16 else 1)
    back = cv2.imdecode(np.frombuffer(in_any_layout(encode_png, grey), np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(back, grey)
    colour = cv2.imdecode(np.frombuffer(encode_png(image), np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(colour[..., ::-1], image)


@few
@given(arrays(st.integers(1, 5), 3))
def test_arrays_of_files_are_held_to_what_was_expected(values):
    expected = Expected((None, 3), "f")
    assert check_numbers(values, "x", expected) is values
    for wrong in (values[:, :2], values.astype(int), values * np.nan, values + np.inf):
        with pytest.raises(UserError, match="x"):
            check_numbers(wrong, "x", expected)
