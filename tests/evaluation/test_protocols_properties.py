"""Boxes, pasting, agreement of raters and of openings: for any mask, any rating."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioplane.evaluation.audio_probe import agreement, opening_by_sound, table
from audioplane.evaluation.frame_measures import measure_frame, place_of, rectangle_measures
from audioplane.evaluation.inspection import mean_inside
from audioplane.evaluation.protocols import PROTOCOLS, box, even, find, mouth_box, paste, quality
from audioplane.evaluation.user_study import krippendorff
from audioplane.metrics import image
from audioplane.subject.sounds import CLASSES, SILENCE
from tests.strategies import arrays, few, fewer, generators, in_any_layout, seeds
from tests.tiny_subject import TinySubject

sizes = st.integers(1, 12)


@few
@given(sizes, sizes, seeds)
def test_a_box_is_the_smallest_that_holds_the_mask(height, width, seed):
    generator = np.random.default_rng(seed)
    mask = generator.random((height, width)) < 0.2
    mask[generator.integers(height), generator.integers(width)] = True
    rows, columns = in_any_layout(box, mask)
    outside = mask.copy()
    outside[rows, columns] = False
    assert not outside.any()
    inner = mask[rows, columns]
    assert inner[0].any()
    assert inner[-1].any()
    assert inner[:, 0].any()
    assert inner[:, -1].any()
    with pytest.raises(ValueError, match="found none"):
        box(np.zeros((height, width), bool))


@few
@given(sizes, sizes, seeds)
def test_pasting_takes_each_pixel_from_one_of_both(height, width, seed):
    generator = np.random.default_rng(seed)
    picture, truth = generator.integers(0, 256, (2, height, width, 3), np.uint8)
    mask = generator.random((height, width)) < 0.5
    got = in_any_layout(paste, picture, truth, mask)
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(got[mask], truth[mask])
    np.testing.assert_array_equal(got[~mask], picture[~mask])
    np.testing.assert_array_equal(paste(truth, picture, ~mask), got)
    np.testing.assert_array_equal(paste(got, truth, mask), got)


@few
@given(sizes, sizes)
def test_even_cuts_at_most_one_row_and_column(height, width):
    picture = np.arange(height * width).reshape(height, width, 1)
    got = even(picture)
    assert got.shape == (height - height % 2, width - width % 2, 1)
    np.testing.assert_array_equal(got, picture[: got.shape[0], : got.shape[1]])


@few
@given(generators, st.integers(20, 90), st.integers(20, 90))
def test_the_mouths_box_lies_in_the_picture_around_the_mouth(generator, height, width):
    landmarks = generator.uniform([0, 0], [width, height], (68, 2))
    rows, columns = in_any_layout(lambda x: mouth_box(x, height, width), landmarks)
    for part, size in ((rows, height), (columns, width)):
        assert 0 <= part.start < part.stop <= size
    x, y = landmarks[48:68].mean(axis=0)
    assert rows.start - 1 <= y <= rows.stop + 1
    assert columns.start - 1 <= x <= columns.stop + 1
    side = np.linalg.norm(landmarks[27] - landmarks[8])
    assert rows.stop - rows.start <= side + 2
    assert columns.stop - columns.start <= side + 2
    landmarks[5, 0] = np.nan
    with pytest.raises(ValueError, match="found NaN"):
        mouth_box(landmarks, height, width)


@pytest.mark.parametrize("factor", range(52))
def test_codecs_are_read_as_they_are_written(factor):
    assert quality(f"libx264 crf {factor}") == factor


@pytest.mark.parametrize(
    "codec", ["libx264", "libx264 crf -1", "libx264 crf 52", "libx265 crf 10", "libx264 crf 1.5", ""]
)
def test_other_codecs_are_refused(codec):
    with pytest.raises(ValueError, match="codec"):
        quality(codec)


def test_protocols_are_found_by_the_names_they_have():
    assert all(find(name).name == name for name in PROTOCOLS)
    assert all(name in str(protocol) for name, protocol in PROTOCOLS.items())


# Raters


def ratings_strategy() -> st.SearchStrategy[np.ndarray]:
    return arrays(st.integers(2, 5), st.integers(2, 9), high=5.0).map(lambda x: np.floor(x) + 1)


@few
@given(ratings_strategy(), generators)
def test_alpha_knows_neither_raters_nor_items_nor_the_scales_numbers(ratings, generator):
    alpha = in_any_layout(krippendorff, ratings)
    if np.isnan(alpha):
        assert len(np.unique(ratings)) == 1
        return
    assert alpha <= 1 + 1e-12
    shuffled = ratings[generator.permutation(len(ratings))][:, generator.permutation(ratings.shape[1])]
    assert krippendorff(shuffled) == pytest.approx(alpha)
    assert krippendorff(10 * ratings**3) == pytest.approx(alpha), "an ordinal scale: the order alone counts"
    assert krippendorff(-ratings) == pytest.approx(alpha)
    nobody = np.vstack([ratings, np.full(ratings.shape[1], np.nan)])
    assert krippendorff(nobody) == pytest.approx(alpha)


@few
@given(arrays(st.integers(3, 9), high=5.0), st.integers(2, 5))
def test_raters_of_one_mind_agree_wholly(item, raters):
    ratings = np.tile(np.floor(item), (raters, 1))
    alpha = krippendorff(ratings)
    assert np.isnan(alpha) if len(np.unique(ratings)) == 1 else alpha == pytest.approx(1.0)


def test_raters_by_chance_agree_by_nothing():
    ratings = np.random.default_rng(0).integers(1, 6, (4, 3000)).astype(float)
    assert krippendorff(ratings) == pytest.approx(0, abs=0.03)


def test_alpha_of_krippendorffs_own_example():
    """Krippendorff (2011), example C, four observers and twelve units: ordinal alpha .815."""
    none = np.nan
    ratings = np.array(
        [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, none, none, none],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, none, 3],
            [none, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, none],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, none],
        ]
    )
    assert krippendorff(ratings) == pytest.approx(0.815, abs=5e-4)


# Openings


@few
@given(arrays(2, st.integers(5, 40)), st.floats(0.1, 9), st.integers(1, 4))
def test_agreement_of_openings(pair, size, shift):
    predicted, truth = pair
    found = in_any_layout(lambda a, b: agreement(a, b, shift), predicted, truth)
    scaled = agreement(size * predicted + 1, truth, shift)
    assert scaled["r"] == pytest.approx(found["r"])
    assert scaled["amplitude"] == pytest.approx(size * found["amplitude"])
    own = agreement(truth, truth, shift)
    assert own["r"] == pytest.approx(1.0)
    assert own["amplitude"] == pytest.approx(1.0)
    late = agreement(np.roll(truth, -shift), truth, shift)
    assert late["r, a second late"] == pytest.approx(1.0)
    rows = table({"a": (predicted, truth), "b": (truth, truth)}, shift)
    assert rows.loc["a"].to_dict() == pytest.approx(found)
    assert list(rows.index) == ["a", "b"]


@few
@given(arrays(2, st.integers(3, 30)), seeds)
def test_openings_by_sound_are_means(pair, seed):
    predicted, truth = pair
    names = [*CLASSES, SILENCE]
    spoken = [names[k] for k in np.random.default_rng(seed).integers(0, 3, len(truth))]
    found = opening_by_sound(predicted, truth, spoken)
    assert set(found) == set(spoken)
    for name, (own, true) in found.items():
        at = [k for k, other in enumerate(spoken) if other == name]
        assert (own, true) == pytest.approx((predicted[at].mean(), truth[at].mean()))


@few
@given(arrays(3, 4, 5), seeds)
def test_a_mean_inside_of_masks_is_over_all_their_pixels(maps, seed):
    masks = np.random.default_rng(seed).random((3, 4, 5)) < 0.5
    masks[0, 0, 0] = True
    assert mean_inside(list(maps), list(masks)) == pytest.approx(maps[masks].mean())
    holes = maps.copy()
    holes[1, 0, 0] = np.nan
    masks[1, 0, 0] = True
    rest = masks.copy()
    rest[1, 0, 0] = False
    assert mean_inside(list(holes), list(masks)) == pytest.approx(maps[rest].mean())


# Measures of a frame


@fewer
@given(generators, st.sampled_from(sorted(PROTOCOLS)))
def test_a_frames_measures_are_those_of_its_regions(generator, name):
    """Worked out only around the head, they are what the whole picture gives."""
    subject, t = TinySubject(frames=20), 4
    true = subject.frame(t)
    picture = np.clip(true + generator.normal(0, 20, true.shape), 0, 255).astype(np.uint8)
    protocol = PROTOCOLS[name]
    row = measure_frame(picture, true, place_of(subject, t, true, protocol))
    head, mouth = subject.head_mask(t), subject.motion_mask(t)
    assert row["head_psnr"] == pytest.approx(image.psnr(picture, true, head))
    assert row["mouth_psnr"] == pytest.approx(image.psnr(picture, true, mouth))
    if protocol.region == "full":
        assert row["psnr"] == pytest.approx(image.psnr(picture, true))
        assert row["ssim"] == pytest.approx(image.ssim(picture, true), abs=1e-6)
        assert row["gmsd"] == pytest.approx(image.gmsd(picture, true))
    if protocol.region == "head":
        assert row["psnr"] == row["head_psnr"]
    same = measure_frame(true, true, place_of(subject, t, true, protocol))
    assert same["psnr"] == np.inf


@few
@given(st.integers(1, 30), st.integers(1, 30))
def test_rectangles_too_small_for_a_measure_have_none(height, width):
    a, b = np.random.default_rng(0).random((2, height, width, 3))
    found = rectangle_measures(a, b)
    assert np.isnan(found["ms_ssim"])
    assert np.isnan(found["haarpsi"]) == (min(height, width) < 16)
    assert np.isnan(found["gmsd"]) == (min(height, width) < 2)
