"""The voices that ship: whole, split as promised, and their times agree with their sound."""

import json
from importlib.resources import files

import numpy as np
import pytest
from scipy.signal import butter, sosfiltfilt

from audioplane.errors import UserError
from audioplane.subject.phonemes import VOICELESS_STOPS, VOWELS
from audioplane.synthetic.specs import DRIVING_VOICES, SPEAKERS
from audioplane.synthetic.voice import SAMPLE_RATE, load_voice, voice_names

SPEAKER_VOICES = sorted({spec.voice for spec in SPEAKERS.values()})
DATA = files("audioplane.synthetic.voice") / "data"


def test_every_voice_named_ships_and_no_other():
    assert voice_names() == sorted([*SPEAKER_VOICES, *DRIVING_VOICES])
    size = sum(len((DATA / f"{name}.{kind}").read_bytes()) for name in voice_names() for kind in ("ogg", "json"))
    assert size < 4_000_000


@pytest.mark.parametrize("name", SPEAKER_VOICES)
def test_a_speakers_voice_has_80_seconds_of_training_then_20_of_test(name):
    voice = load_voice(name)
    assert len(voice.audio) == 100 * SAMPLE_RATE
    for sentence in voice.sentences:
        inside = (0, 80) if sentence.part == "train" else (80, 100)
        assert inside[0] < sentence.start < sentence.end < inside[1]
    for phoneme in voice.phonemes:
        assert not phoneme.start < 80 < phoneme.end
    assert np.abs(voice.audio[int(79.9 * SAMPLE_RATE) : int(80.1 * SAMPLE_RATE)]).max() < 1e-3


@pytest.mark.parametrize("name", sorted(DRIVING_VOICES))
def test_a_driving_voice_lasts_30_seconds(name):
    assert load_voice(name).seconds >= 30


def test_no_sentence_is_spoken_twice():
    texts = [sentence.text for name in voice_names() for sentence in load_voice(name).sentences]
    assert len(texts) == len(set(texts))


@pytest.mark.parametrize("name", voice_names())
def test_phonemes_are_in_order_and_sentences_begin_with_a_word(name):
    voice = load_voice(name)
    times = np.array([(p.start, p.end) for p in voice.phonemes])
    assert (times[:, 1] > times[:, 0]).all()
    assert (times[1:, 0] >= times[:-1, 1] - 1e-9).all()
    gaps = [(a.end, b) for a, b in zip(voice.phonemes, voice.phonemes[1:], strict=False) if b.start - a.end > 0.25]
    assert all(b.word_start for _, b in gaps)
    pauses = [b.start - a.end for a, b in zip(voice.sentences, voice.sentences[1:], strict=False) if a.part == b.part]
    assert min(pauses) >= 0.29
    assert max(pauses) <= 0.91


@pytest.mark.parametrize("name", voice_names())
def test_vowels_start_when_their_sound_does(name):
    """After a voiceless consonant the energy of the first formants rises within 12 ms of the reported start."""
    voice = load_voice(name)
    band = sosfiltfilt(butter(2, [90, 900], "band", fs=SAMPLE_RATE, output="sos"), voice.audio)
    level = np.sqrt(np.convolve(band**2, np.hanning(160), "same"))
    late = []
    for a, b in zip(voice.phonemes, voice.phonemes[1:], strict=False):
        if a.ipa[0] in "ptksfʃ" and b.ipa[0] in VOWELS and b.start - a.end < 0.005:
            around = level[int((b.start - 0.05) * SAMPLE_RATE) : int((b.start + 0.06) * SAMPLE_RATE)]
            late.append(np.flatnonzero(around > 0.35 * around.max())[0] / SAMPLE_RATE - 0.05)
    assert len(late) > 20
    assert abs(np.median(late)) < 0.012


@pytest.mark.parametrize("name", voice_names())
def test_voiceless_stops_are_silent_until_their_release(name):
    voice = load_voice(name)
    ratios = []
    for p in voice.phonemes:
        if p.ipa[0] in VOICELESS_STOPS and p.release is not None and p.release - p.start > 0.03:
            closed = voice.audio[int((p.start + 0.005) * SAMPLE_RATE) : int((p.release - 0.005) * SAMPLE_RATE)]
            burst = voice.audio[int(p.release * SAMPLE_RATE) :][:320]
            ratios.append(np.abs(closed).max() / np.abs(burst).max())
    assert np.median(ratios) < 0.05
    assert len(ratios) > 20


def test_the_sound_is_the_same_at_every_reading():
    first = load_voice("german_drive").audio
    load_voice.cache_clear()
    assert np.array_equal(first, load_voice("german_drive").audio)
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 1.0


def test_the_data_are_marked_free():
    for name in voice_names():
        assert json.loads((DATA / f"{name}.json").read_text(encoding="utf8"))["licence"] == "CC0-1.0"


def test_an_unknown_voice_is_a_user_error():
    with pytest.raises(UserError, match="english_a"):
        load_voice("nobody")


@pytest.mark.slow
def test_the_maker_makes_what_ships(tmp_path):
    pytest.importorskip("espeakng_loader")
    import subprocess
    import sys

    import soundfile

    command = [sys.executable, "-m", "audioplane.synthetic.voice.make", "german_drive", "--out", str(tmp_path)]
    subprocess.run(command, check=True)
    made, _ = soundfile.read(tmp_path / "german_drive.ogg", dtype="float32")
    assert np.abs(made[: len(load_voice("german_drive").audio)] - load_voice("german_drive").audio).max() < 1e-4
    assert (tmp_path / "german_drive.json").read_bytes() == (DATA / "german_drive.json").read_bytes()
