"""Phonetics and people on the geometry of all six faces: lips, teeth, tongue, jaw and lids do what the tracks ask."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from audioplane.motion.timing import find_pauses
from audioplane.subject.sync import mouth_sound_sync
from audioplane.synthetic.specs import SPEAKERS
from tests.synthetic.performances import HEIGHT, OPEN_VOWELS, ROUNDED, SPREAD, closures, measured

pytestmark = pytest.mark.parametrize("name", SPEAKERS)


def test_the_lips_meet_all_along_for_every_p_b_and_m(name: str) -> None:
    m = measured(name)
    shut = [m.over(m.largest_gap, p) for p in closures(name)]
    open_vowels = [m.over(m.gap, p, "max") for p in m.sounds(OPEN_VOWELS)]
    assert len(shut) > 8
    assert len(open_vowels) > 8
    assert max(shut) < 1.0  # millimetres
    assert max(shut) < 0.15 * np.median(open_vowels)
    assert 8 < np.median(open_vowels) < 20


def test_the_lower_lip_meets_the_upper_teeth_for_every_f_and_v(name: str) -> None:
    m = measured(name)
    near = [m.over(m.bite, p) for p in m.sounds("fv")]
    assert near
    assert max(near) < 1.0  # millimetres
    assert np.median([m.over(m.bite, p) for p in m.sounds(OPEN_VOWELS)]) > 4


def test_the_tongue_shows_between_the_teeth_for_th(name: str) -> None:
    """Its top is near the edge of the upper incisors and its tip before them; English alone has the sound."""
    m = measured(name)
    between = [m.tongue[m.frames(p)].min() for p in m.sounds("θð")]
    if SPEAKERS[name].language != "en":
        assert not between
        return
    assert len(between) > 5
    assert np.median(np.abs(between)) < 2.5
    assert np.mean(np.array(between) < 6) > 0.9  # a neighbouring p or b may shut it in


def test_rounded_sounds_narrow_the_lips(name: str) -> None:
    m = measured(name)
    rounded = [m.over(m.width, p, "mean") for p in m.sounds(ROUNDED)]
    spread = [m.over(m.width, p, "mean") for p in m.sounds(SPREAD)]
    assert min(len(rounded), len(spread)) > 8
    assert np.mean(rounded) < 0.9 * np.mean(spread)
    assert np.percentile(rounded, 75) < np.percentile(spread, 25)


def test_the_mouth_is_closed_in_pauses(name: str) -> None:
    m = measured(name)
    silent = np.zeros(len(m.gap), bool)
    for start, end in find_pauses(m.performance.phonemes, m.seconds):
        silent |= (m.times > start + 0.15) & (m.times < end - 0.13)  # the mouth opens before it speaks
    assert silent.sum() > 25
    assert m.largest_gap[silent].max() < 1.0


def test_the_jaw_follows_the_height_of_the_vowels(name: str) -> None:
    m = measured(name)
    vowels = m.sounds("".join(HEIGHT))
    opening = [m.over(m.jaw, p, "max") for p in vowels]
    assert spearmanr(opening, [-HEIGHT[p.ipa[0]] for p in vowels]).statistic > 0.6


def test_lips_and_voice_are_in_step(name: str) -> None:
    """The correlation of the gap between the lips and the loudness peaks within one frame of no lag."""
    m = measured(name)
    sync = mouth_sound_sync(m.gap, m.performance.audio[: len(m.gap) * 640])
    assert sync is not None
    assert abs(sync.lag) <= 1
    assert sync.correlation > 0.45


def test_blinks_shut_both_eyes_and_come_at_a_human_rate(name: str) -> None:
    """Seen on the lids: in conversation 10.5 to 32.5 a minute (Doughty, Optom. Vis. Sci. 78, 2001: 2.3 to 5.7 s apart
    in the mean); 24 seconds hold 4 to 13 of them."""
    m = measured(name)
    opening = m.lids / np.median(m.lids, axis=0)
    shut = opening < 0.5
    blinks = np.flatnonzero(shut[1:].all(1) & ~shut[:-1].all(1))
    assert 3 <= len(blinks) <= 14
    full = m.performance.shape("eyeBlinkLeft")[: len(m.gap)] > 0.95
    assert full.any()
    assert opening[full].max() < 0.15
    one_eyed = shut[:, 0] != shut[:, 1]
    assert one_eyed.mean() < 0.02
