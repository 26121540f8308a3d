"""Labels divide into single sounds that share their time without gaps."""

# ruff: noqa: RUF001 - phonetic letters

import numpy as np
import pytest

from audioplane.subject.phonemes import Phoneme, letters, sounds
from audioplane.synthetic.articulation_targets import target
from audioplane.synthetic.voice import load_voice, voice_names


def test_letters_keep_their_modifiers():
    assert letters("ˈtʃʰ") == [("t", ""), ("ʃ", "ʰ")]
    assert letters("ɔːɹ") == [("ɔ", "ː"), ("ɹ", "")]
    assert letters("ɑ̃") == [("ɑ", "\u0303")]


def test_sounds_fill_the_phoneme_and_an_affricate_opens_at_its_release():
    phoneme = Phoneme("tʃ", 1.0, 1.2, release=1.13)
    stop, friction = sounds(phoneme)
    assert (stop.start, friction.end) == (1.0, 1.2)
    assert stop.end == friction.start == pytest.approx(1.13)
    long, short = sounds(Phoneme("ɔːɹ", 0.0, 0.3))
    assert long.end - long.start > short.end - short.start


@pytest.mark.parametrize("name", voice_names())
def test_every_sound_of_every_voice_is_known(name):
    for phoneme in load_voice(name).phonemes:
        parts = sounds(phoneme)
        assert parts[0].start == phoneme.start
        assert parts[-1].end == phoneme.end
        for part in parts:
            wish, minds = target(part)
            assert wish.shape == minds.shape == (5,)
            assert part.end > part.start


def test_an_unknown_sound_is_named():
    with pytest.raises(ValueError, match="Q"):
        target(sounds(Phoneme("Q", 0, 1))[0])


def test_moving_plays_faster_then_delays():
    moved = Phoneme("p", 2.0, 4.0, release=3.0).moved(1.0, speed=2.0)
    assert (moved.start, moved.release, moved.end) == (2.0, 2.5, 3.0)
    assert np.isclose(moved.duration, 1.0)
