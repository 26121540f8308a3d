# ruff: noqa: RUF001 - phonetic letters that look like Latin ones are meant

from dataclasses import replace

import numpy as np
import pytest
import torch

from audioplane.audio.phonetic import BANDS, CLASSES, EMBEDDING, PAUSE, TRACKS, RunningStandardiser
from audioplane.pretrained.phonetic import data, sentences, training
from audioplane.pretrained.phonetic.data import Clip, labels, simulate_recording
from audioplane.runtime import threads
from audioplane.subject.phonemes import Phoneme
from audioplane.synthetic.articulation_targets import _CONSONANTS, _VOWELS
from audioplane.synthetic.mouth_tracks import mouth_tracks
from audioplane.synthetic.voice import load_voice, voice_names
from audioplane.synthetic.voice.make import RECIPES, read_texts


def clips(count: int = 6, seconds: float = 4.0) -> list[Clip]:
    """Made of a shipped voice, cut: enough for the wiring, no synthesizer needed."""
    ship, made = load_voice("german_f"), []
    for k in range(count):
        audio = ship.audio[int(16_000 * seconds) * k : int(16_000 * seconds) * (k + 1)]
        moved = [p.moved(-seconds * k) for p in ship.phonemes if seconds * k <= p.start and p.end <= seconds * (k + 1)]
        n = int(seconds * 50)
        mel = data.log_mel(audio, BANDS)[:n].astype(np.float16)
        made.append(Clip("de", mel, labels(moved, n), mouth_tracks(moved, audio, n)))
    return made


SETTINGS = training.Settings(steps=24, batch=4, piece=2.0)


def test_the_same_seed_gives_the_same_weights_and_learns() -> None:
    corpus, lines = training.Corpus.of(clips()), []
    one, again = (training.train(corpus, "centred", SETTINGS, lines.append) for _ in range(2))
    other = training.train(corpus, "centred", replace(SETTINGS, seed=1))
    for name, weights in one.state_dict().items():
        assert torch.equal(weights, again.state_dict()[name]), name
    assert not torch.equal(one.embed.weight, other.embed.weight)
    assert lines[0].split(" s:")[1] == lines[1].split(" s:")[1]
    unready = training.train(corpus, "centred", replace(SETTINGS, steps=12))
    mel = training.standardised(corpus.mel.float(), None)
    readout, lips = torch.nn.Linear(EMBEDDING, 3), torch.full((*corpus.classes.shape, 3), torch.nan)
    known = readout, mel, corpus.classes.long(), corpus.tracks.float(), lips
    taught, fresh = training.errors(one, *known), training.errors(unready, *known)
    assert taught.sounds < fresh.sounds
    assert taught.tracks < fresh.tracks
    assert taught.lips == 0.0


def test_both_networks_come_back_from_their_processes() -> None:
    corpus, short = training.Corpus.of(clips(2)), replace(SETTINGS, steps=12, batch=2)
    both = training.train_both(corpus, short, loud=False)
    with threads.one_each():  # as in its process: sums depend on how many threads add
        here = training.train(corpus, "causal", short)
    for name, weights in here.state_dict().items():
        torch.testing.assert_close(both["causal"][name], weights, atol=1e-4, rtol=1e-3)
    assert set(both) == {"centred", "causal"}


def test_running_statistics_in_training_are_those_of_the_network_in_use() -> None:
    corpus = training.Corpus.of(clips(2))
    usual = corpus.usual()
    batch = training.standardised(corpus.mel.float(), usual)
    for mel, own in zip(corpus.mel.float().numpy(), batch.numpy(), strict=True):
        whole = RunningStandardiser(usual.numpy())(mel)
        np.testing.assert_allclose(own, whole, atol=2e-2)
        pieces = RunningStandardiser(usual.numpy())
        np.testing.assert_allclose(np.concatenate([pieces(mel[:77]), pieces(mel[77:])]), whole, atol=1e-5)


def test_saved_weights_come_back_in_half_precision_and_in_eight_bits(tmp_path) -> None:
    from audioplane.audio.phonetic import VARIANTS, PhoneticNetwork, load

    made = {variant: dict(PhoneticNetwork(variant).state_dict()) for variant in VARIANTS}
    training.save(made, tmp_path / "w.safetensors", {})
    back = load(tmp_path / "w.safetensors")
    for variant, weights in made.items():
        for name, tensor in weights.items():
            found = back[variant].state_dict()[name]
            if name == "usual":
                assert torch.equal(found, tensor)
            elif variant == "centred" or tensor.ndim == 1:
                assert torch.equal(found, tensor.half().float())
            else:
                step = tensor.abs().amax(dim=1, keepdim=True) / 127
                assert ((found - tensor).abs() <= 0.52 * step).all()
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


def test_labels_and_tracks_say_what_the_phonemes_say() -> None:
    spoken = (Phoneme("m", 0.4, 0.5, 0, True), Phoneme("aɪ", 0.5, 0.8, 2), Phoneme("ɛ̃", 1.2, 1.4, 2, True))
    found = [CLASSES[k] for k in labels(spoken, 80)]
    assert found[10] == PAUSE
    assert (found[22], found[27], found[39], found[65]) == ("m", "a", "ɪ", "~")
    moved = mouth_tracks(spoken, np.zeros(25_600), 80) * np.array(list(TRACKS.values()))
    tracks = {name: moved[:, k] for k, name in enumerate(TRACKS)}
    assert tracks["closure"][22] > 0.95
    assert tracks["aperture"][22] < 0.2
    assert tracks["aperture"][29] > 5.0


def test_every_articulated_letter_has_a_class() -> None:
    assert set(_VOWELS) | set(_CONSONANTS) <= set("".join(CLASSES))


def test_no_voice_that_ships_is_learnt_from() -> None:
    used = {recipe.espeak.partition("+")[2] for recipe in RECIPES.values()}
    assert not used & {*data.VARIANTS, *data.HELD_OUT}
    assert not set(data.VARIANTS) & set(data.HELD_OUT)


@pytest.mark.parametrize("language", sentences.LANGUAGES)
def test_sentences_are_many_and_none_ships(language: str) -> None:
    rng = np.random.default_rng(0)
    drawn = [sentences.sentence(language, rng) for _ in range(200)]
    assert len(set(drawn)) > 195
    assert not any("{" in one for one in drawn)
    shipped = {line for name in voice_names() for lines in read_texts(name).values() for line in lines}
    assert not set(drawn) & shipped
    assert drawn == [sentences.sentence(language, again) for again in [np.random.default_rng(0)] for _ in range(200)]


def test_recording_keeps_the_timing() -> None:
    """The loudness of what was recorded follows that of the voice without delay, whatever was done to it."""
    audio = load_voice("english_a").audio[:48_000]
    frames = lambda x: np.log10((x[:48_000].reshape(-1, 160).astype(np.float64) ** 2).mean(axis=1) + 1e-6)  # noqa: E731
    for seed in range(8):
        recorded = frames(simulate_recording(audio, np.random.default_rng(seed)))
        lags = {k: np.corrcoef(np.roll(recorded, -k)[20:-20], frames(audio)[20:-20])[0, 1] for k in range(-8, 9)}
        assert abs(max(lags, key=lambda k: lags[k])) <= 3


def test_speaking_needs_the_synthesizer_or_gives_clips(tmp_path, monkeypatch) -> None:
    pytest.importorskip("espeakng_loader", reason="espeak-ng is not installed")
    monkeypatch.setenv("AUDIOPLANE_CACHE", str(tmp_path))
    made = data.make(2, 3.0, seed=5, jobs=1)
    assert [clip.mel.shape for clip in made] == [(150, BANDS)] * 2
    assert all((clip.classes != CLASSES.index(PAUSE)).mean() > 0.3 for clip in made)
    assert all(np.isfinite(clip.tracks).all() for clip in made)
    stored = [path.read_bytes() for path in (tmp_path / "phonetic").iterdir()]
    (path,) = (tmp_path / "phonetic").iterdir()
    path.unlink()
    again = data.make(2, 3.0, seed=5, jobs=1)
    assert len(stored) == 1
    for one, two in zip(made, again, strict=True):
        np.testing.assert_array_equal(one.mel, two.mel)
        np.testing.assert_array_equal(one.tracks, two.tracks)
