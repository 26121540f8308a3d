"""Correlation, lag, opening, Fréchet distance, SyncNet's scores and statistics on whatever numbers."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import linalg, stats

from audioplane.metrics.mouth import BELOW, MouthFrame, best_lag, correlation, opening
from audioplane.metrics.perceptual import frechet_distance
from audioplane.metrics.statistics import (
    BETTER,
    FEWEST_FRAMES,
    OPEN,
    WORSE,
    Difference,
    holm,
    over_frames,
    over_seeds,
    spread,
    t_interval,
)
from audioplane.metrics.sync import roc_auc, score, shift_distances
from audioplane.metrics.syncnet.mfcc import STEP, mfcc
from audioplane.metrics.syncnet.scorers import CONTROL_SHIFTS, late
from tests.strategies import arrays, few, generators, in_any_layout, rotation
from tests.tiny_subject import TinySubject

slopes = st.one_of(st.floats(0.01, 100), st.floats(-100, -0.01))


@few
@given(arrays(2, st.integers(4, 40)), slopes, st.floats(-10, 10))
def test_correlation_is_scipys_and_knows_no_units(pair, slope, shift):
    a, b = pair
    expected = in_any_layout(correlation, a, b)
    assert expected == pytest.approx(stats.pearsonr(a, b).statistic, abs=1e-12)
    assert correlation(b, a) == pytest.approx(expected, abs=1e-12)
    assert correlation(slope * a + shift, b) == pytest.approx(np.sign(slope) * expected, abs=1e-6)
    order = np.argsort(b)
    assert correlation(a[order], b[order]) == pytest.approx(expected, abs=1e-12)
    holes = [np.insert(x, 2, np.nan) if k == 0 else np.insert(x, 2, 7.0) for k, x in enumerate((a, b))]
    assert correlation(*holes) == pytest.approx(expected, abs=1e-12)


@few
@given(generators, st.integers(-6, 6), slopes, st.floats(-5, 5))
def test_a_lag_is_found_whatever_the_units_and_the_other_way_round(generator, lag, slope, shift):
    truth = generator.standard_normal(80)
    later = abs(slope) * np.roll(truth, lag) + shift
    assert in_any_layout(best_lag, later, truth) == lag
    assert best_lag(truth, later) == -lag
    assert best_lag(later[::-1], truth[::-1]) == -lag
    found = best_lag(later, truth, most=2)
    assert abs(found) <= 2


def test_three_frames_are_enough_for_a_lag_and_two_are_not():
    truth = np.array([0.0, 2.0, 1.0])
    assert best_lag(truth, truth, most=0) == 0
    assert best_lag(truth[:2], truth[:2], most=0) is None


@few
@given(generators, st.floats(-0.02, 0.02))
def test_the_mouths_place_is_seen_where_the_cameras_put_it(generator, x):
    """The base of the nose is triangulated from its landmarks in several cameras; the crop lies a known way below."""
    subject = TinySubject(frames=40)
    nose = np.array([x, 0.01, -0.02])
    subject.viewmats[:, :2, 3] = 0.05 * generator.standard_normal((40, 2))
    views, K = subject.viewmats.astype(np.float64), subject.K.astype(np.float64)

    def seen(point: np.ndarray) -> np.ndarray:
        places = (views[:, :3, :3] @ point + views[:, :3, 3]) @ K.T
        return places[:, :2] / places[:, 2:]

    subject.landmarks[:, 33] = seen(nose)
    place = MouthFrame.follow(subject)  # type: ignore[arg-type]
    np.testing.assert_allclose(place.centres, seen(nose + np.array([0.0, BELOW, 0.0])), atol=0.05)
    depth = (views[:, :3, :3] @ nose + views[:, :3, 3])[:, 2]
    np.testing.assert_allclose(place.scale, K[0, 0] / depth, rtol=1e-2)


@few
@given(arrays(3, 68, 2, high=90.0), generators, st.floats(0.1, 9))
def test_opening_is_a_length(landmarks, generator, size):
    expected = in_any_layout(opening, landmarks)
    assert expected.shape == (3,)
    turn, away = rotation(generator, 2), generator.random((3, 1, 2))
    np.testing.assert_allclose(opening(size * landmarks @ turn + away), size * expected)
    np.testing.assert_array_equal(opening(landmarks[:, 48:]), expected)
    others = np.setdiff1d(np.arange(68), [61, 62, 63, 65, 66, 67])
    changed = landmarks.copy()
    changed[:, others] = 0.0
    np.testing.assert_array_equal(opening(changed), expected)


clouds = arrays(st.integers(2, 9), 4)


@few
@given(clouds, clouds, generators, st.floats(0.1, 9))
def test_frechet_distance_is_of_two_clouds(ours, theirs, generator, size):
    expected = in_any_layout(frechet_distance, ours, theirs)
    assert expected >= 0
    assert frechet_distance(theirs, ours) == pytest.approx(expected, abs=1e-9)
    turn, away = rotation(generator, 4), generator.random(4)
    moved = [size * x @ turn + away for x in (ours, theirs)]
    assert frechet_distance(*moved) == pytest.approx(size**2 * expected, rel=1e-6, abs=1e-9)
    assert frechet_distance(ours[generator.permutation(len(ours))], theirs) == pytest.approx(expected, abs=1e-9)
    assert frechet_distance(ours, ours) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(ours + away, ours) == pytest.approx(away @ away, abs=1e-9)


@few
@given(generators)
def test_frechet_distance_is_the_root_of_a_matrix(generator):
    a, b = generator.standard_normal((30, 4)), generator.standard_normal((20, 4)) @ generator.random((4, 4))
    root = linalg.sqrtm(np.cov(a.T) @ np.cov(b.T)).real
    step = a.mean(0) - b.mean(0)
    expected = step @ step + np.trace(np.cov(a.T) + np.cov(b.T) - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)


# SyncNet's scores

codes = arrays(2, st.integers(1, 12), st.integers(1, 4), low=-1.0)


@few
@given(codes, st.integers(0, 5), st.sampled_from(["zeros", "nothing"]))
def test_shift_distances_are_the_loops(pair, most, beyond):
    sights, sounds = pair
    got = in_any_layout(lambda a, b: shift_distances(a, b, most, beyond), sights, sounds)
    assert got.shape == (len(sights), 2 * most + 1)
    for i in range(len(sights)):
        for shift in range(-most, most + 1):
            inside = 0 <= i + shift < len(sounds)
            heard = sounds[i + shift] if inside else np.full_like(sights[0], 0.0 if beyond == "zeros" else np.nan)
            wanted = np.sqrt(sum((a - b + 1e-6) ** 2 for a, b in zip(sights[i], heard, strict=True)))
            np.testing.assert_allclose(got[i, most + shift], wanted)


@few
@given(arrays(st.integers(1, 9), 31), generators, st.floats(0.1, 9), st.floats(0, 5))
def test_scores_are_of_the_mean_curve(distances, generator, size, more):
    found = in_any_layout(score, distances)
    assert found.distance == min(found.curve) <= found.at_zero
    assert found.confidence >= 0
    assert found.curve[15 - found.offset] == found.distance
    changed = score(size * distances[generator.permutation(len(distances))] + more)
    assert changed.distance == pytest.approx(size * found.distance + more)
    assert changed.confidence == pytest.approx(size * found.confidence)
    assert (changed.offset, changed.windows) == (found.offset, found.windows)
    back = score(distances[:, ::-1])
    assert (back.offset, back.at_zero) == (-found.offset, pytest.approx(found.at_zero))
    holes = np.vstack([distances, np.full((1, 31), np.nan)])
    assert score(holes).curve == pytest.approx(found.curve)


@few
@given(arrays(st.integers(1, 9)), arrays(st.integers(1, 9)))
def test_roc_auc_counts_pairs(right, wrong):
    right, wrong = np.round(right, 1), np.round(wrong, 1)  # ties
    pairs = [(a > b) + 0.5 * (a == b) for a in right for b in wrong]
    found = in_any_layout(roc_auc, right, wrong)
    assert found == pytest.approx(np.mean(pairs))
    assert roc_auc(wrong, right) == pytest.approx(1 - found)
    assert roc_auc(np.exp(3 * right), np.exp(3 * wrong)) == pytest.approx(found), "it knows their order alone"


class Codes:
    """What `late` asks of a scorer."""

    beyond = "nothing"


@few
@given(generators)
def test_controls_are_late_by_what_they_say(generator):
    visual = generator.standard_normal((60, 12))
    found = late(Codes(), visual, visual.copy())  # type: ignore[arg-type]
    assert {name: one.offset for name, one in found.items()} == {f"{k} late": k for k in CONTROL_SHIFTS}
    assert all(one.distance < 1e-3 < one.at_zero for one in found.values())


@few
@given(arrays(st.integers(1, 2000), low=-0.9, high=0.9), st.integers(1, 5))
def test_cepstra_go_with_time(audio, columns):
    got = in_any_layout(mfcc, audio)
    assert got.shape == (1 + max(0, -(-(len(audio) - 400) // 160)), 13)
    silence = np.zeros(columns * STEP)
    later = mfcc(np.concatenate([silence, audio]))
    np.testing.assert_allclose(later[columns:][: len(got)], got[: len(later) - columns], atol=1e-9)
    longer = mfcc(np.concatenate([audio, audio]))
    whole = max(0, (len(audio) - 400) // 160 + 1)  # windows that the first part fills
    np.testing.assert_allclose(longer[:whole], got[:whole], atol=1e-9)


@few
@given(arrays(1200, low=-0.2, high=0.2))
def test_louder_speech_moves_energy_alone(audio):
    audio = np.round(audio * 32768) / 32768
    quiet, loud = mfcc(audio), mfcc(2 * audio)
    np.testing.assert_allclose(loud[:, 0] - quiet[:, 0], np.log(4))
    np.testing.assert_allclose(loud[:, 1:], quiet[:, 1:], atol=1e-9)


# Statistics


@few
@given(arrays(st.integers(1, 9)), slopes, st.floats(-10, 10))
def test_spread_moves_and_stretches(values, slope, shift):
    found, moved = in_any_layout(spread, values), spread((slope * values + shift).tolist())
    assert moved.mean == pytest.approx(slope * found.mean + shift)
    assert moved.count == len(values)
    if len(values) > 1:
        assert moved.deviation == pytest.approx(abs(slope) * found.deviation, rel=1e-6, abs=1e-9)
        assert found.deviation == pytest.approx(np.sqrt(((values - values.mean()) ** 2).sum() / (len(values) - 1)))
    else:
        assert np.isnan(found.deviation)


series = arrays(2, st.integers(1, 4), st.integers(FEWEST_FRAMES, 40), low=-1.0)


@few
@given(series, generators, st.floats(0.1, 9), st.booleans())
def test_the_other_side_has_the_opposite_difference(both, generator, size, same):
    ours, theirs = (list(one) for one in both)
    found, other = over_seeds(ours, theirs, same_frames=same), over_seeds(theirs, ours, same_frames=same)
    assert found.low <= found.mean <= found.high
    assert (other.mean, other.low, other.high) == pytest.approx((-found.mean, -found.high, -found.low), abs=1e-12)
    assert other.p == pytest.approx(found.p)
    opposite = {BETTER: WORSE, WORSE: BETTER, OPEN: OPEN}
    assert other.verdict == opposite[found.verdict]
    assert over_seeds(ours, theirs, False, same).verdict == opposite[found.verdict]
    scaled = over_seeds([size * x + 3 for x in ours], [size * x + 3 for x in theirs], same_frames=same)
    assert (scaled.mean, scaled.high) == pytest.approx((size * found.mean, size * found.high), abs=1e-9)
    order = generator.permutation(len(ours))
    shuffled = over_seeds([ours[k] for k in order], [theirs[k] for k in order], same_frames=same)
    assert (shuffled.mean, shuffled.low) == pytest.approx((found.mean, found.low), abs=1e-12)
    assert (found.verdict == OPEN) == (found.low <= 0 <= found.high)


@few
@given(series, st.integers(0, 5))
def test_frames_that_one_seed_does_not_know_are_left_out_of_all(both, at):
    ours, theirs = (list(one) for one in both)
    found = over_seeds(ours, theirs)
    holes = [np.insert(x, at, np.nan if k == 0 else 99.0) for k, x in enumerate(ours)]
    got = over_seeds(holes, [np.insert(x, at, 5.0) for x in theirs])
    assert (got.mean, got.low, got.p) == pytest.approx((found.mean, found.low, found.p))
    one = over_frames(ours[0], theirs[0])
    assert one == over_seeds(ours[:1], theirs[:1])


@few
@given(arrays(2, st.integers(2, 9), low=-1.0))
def test_the_t_interval_is_scipys(both):
    ours, theirs = both
    assume(np.ptp(ours - theirs) > 1e-6)
    found, theirs_of_scipy = in_any_layout(t_interval, ours, theirs), stats.ttest_rel(ours, theirs)
    interval = theirs_of_scipy.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.p == pytest.approx(theirs_of_scipy.pvalue)
    assert t_interval(ours.tolist(), theirs.tolist()) == found


@few
@given(st.lists(st.tuples(st.floats(1e-6, 1), st.sampled_from([-1.0, 1.0])), min_size=1, max_size=8), generators)
def test_holms_correction(claims, generator):
    given = [Difference(mean, mean - 1, mean + 1, p, OPEN) for p, mean in claims]
    found = holm(given)
    count = len(given)
    assert all(a.p <= b.p <= min(1, count * a.p) + 1e-12 for a, b in zip(given, found, strict=True))
    assert min(b.p for b in found) == pytest.approx(min(1, count * min(a.p for a in given)))
    order = generator.permutation(count)
    shuffled = holm([given[k] for k in order])
    assert [one.p for one in shuffled] == pytest.approx([found[k].p for k in order])
    ranked = sorted(zip(given, found, strict=True), key=lambda both: both[0].p)
    assert all(a[1].p <= b[1].p for a, b in itertools.pairwise(ranked)), "it keeps the order"
    for before, after in zip(given, found, strict=True):
        assert replace(after, p=before.p, verdict=before.verdict) == before, "intervals stay"
        assert after.verdict == (OPEN if after.p >= 0.05 else BETTER if before.mean > 0 else WORSE)
