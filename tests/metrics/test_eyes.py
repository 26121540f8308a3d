"""Blinks as events: by hand, and what counts as the same."""

from __future__ import annotations

import numpy as np
import pytest

from audioplane.metrics.eyes import blink_f1, blink_statistics, events, half_closed, lid_opening


def test_lid_opening_by_hand() -> None:
    marks = np.zeros((1, 68, 2))
    marks[0, [37, 38, 43, 44], 1] = [-1.0, -2.0, -3.0, -4.0]
    marks[0, [41, 40, 47, 46], 1] = [1.0, 1.0, 1.0, 0.0]
    assert lid_opening(marks)[0] == pytest.approx((2 + 3 + 4 + 4) / 4)


def test_events_are_runs_and_nan_is_open() -> None:
    assert events(np.array([0.1, 1, 0.2, 0.2, np.nan, 0.1, 1]), 0.5) == [(0, 1), (2, 4), (5, 6)]
    assert events(np.ones(5), 0.5) == []


def test_half_closed_is_between_rest_and_shut() -> None:
    opening = np.full(400, 10.0)
    opening[100:104] = opening[300:304] = 2.0
    assert half_closed(opening) == pytest.approx(6.0)
    assert half_closed(np.full(400, 10.0)) is None, "it never blinks"
    assert half_closed(np.full(10, np.nan)) is None


@pytest.mark.parametrize(
    ("found", "true", "expected"),
    [
        ([(10, 13)], [(10, 13)], 1.0),
        ([(14, 16)], [(10, 13)], 1.0),
        ([(16, 18)], [(10, 13)], 0.0),
        ([(10, 13), (11, 14)], [(10, 13)], 2 / 3),
        ([], [(10, 13)], 0.0),
        ([(5, 6), (40, 42)], [(5, 7), (20, 22), (40, 43)], 0.8),
        ([], [], None),
    ],
)
def test_blink_f1_by_hand(found, true, expected) -> None:
    value = blink_f1(found, true)
    assert value is None if expected is None else value == pytest.approx(expected)


def test_statistics_of_a_known_clip() -> None:
    closure = np.zeros(1500)
    for start in range(50, 1500, 100):
        closure[start : start + 4] = [0.4, 0.9, 0.8, 0.3]
    found = blink_statistics(closure, 25.0)
    assert (found.count, found.rate) == (15, pytest.approx(15.0))
    assert (found.duration, found.closure) == (pytest.approx(0.08), pytest.approx(0.9))
    assert blink_statistics(np.zeros(100), 25.0).rate == 0.0
