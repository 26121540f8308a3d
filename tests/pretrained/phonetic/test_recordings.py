from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from audioplane.audio import phonetic
from audioplane.audio.mel import log_mel
from audioplane.audio.phonetic import BANDS, TRACKS
from audioplane.errors import UserError
from audioplane.metrics.mouth import correlation
from audioplane.pretrained.phonetic import films, recordings, training
from audioplane.pretrained.phonetic.data import Clip, labels
from audioplane.pretrained.phonetic.recordings import Recording, RecordingPool
from audioplane.synthetic.articulation import articulate
from audioplane.synthetic.mouth_tracks import mouth_tracks
from audioplane.synthetic.voice import load_voice

SECONDS = 8.0
STEPS = round(50 * SECONDS)


def recording(late: int = 0) -> Recording:
    """A voice that ships, filmed by somebody whose picture comes `late` steps after the sound."""
    ship = load_voice("german_f")
    samples = ship.audio[: round(16_000 * SECONDS)]
    moved = articulate([p for p in ship.phonemes if p.end <= SECONDS], samples, 16_000, SECONDS)
    aperture = moved.aperture[:: moved.rate // 50][:STEPS]
    opening = np.roll((aperture - aperture.mean()) / aperture.std(), late)
    lips = np.stack([opening, -opening, 0 * opening], axis=1).astype(np.float32)
    lips[:5] = np.nan
    return Recording("she", log_mel(samples, BANDS)[:STEPS].astype(np.float16), lips)


@pytest.mark.parametrize("late", [0, 3, -4])
def test_each_persons_lag_is_found_and_removed(late: int) -> None:
    lines: list[str] = []
    silent = Recording("he", recording().mel[:100], np.full((100, 3), np.nan, np.float32))
    people = RecordingPool.of([recording(late), silent], phonetic.shipped()["centred"], 300, lines.append)
    assert lines == [f"2 people; picture after sound, ms: {f'she {20 * late}' if late else ''}"]
    assert [len(mel) for mel in people.mel] == [STEPS, 300]
    assert people.weights.tolist() == pytest.approx([STEPS**0.5, 10.0])
    found, truth = people.lips[0][:, 0].numpy(), recording().lips[:, 0]
    both = np.isfinite(found) & np.isfinite(truth)
    assert both.sum() > STEPS - 20
    np.testing.assert_allclose(found[both], truth[both], atol=1e-6)
    assert not people.lips[1].isfinite().any()


def test_sounds_are_labelled_only_where_the_network_is_sure() -> None:
    ship = load_voice("german_f")
    people = RecordingPool.of([recording()], phonetic.shipped()["centred"], STEPS, lambda line: None)
    spoken = labels([p for p in ship.phonemes if p.end <= SECONDS], STEPS)
    known = people.classes[0].numpy() >= 0
    assert 0.2 < known.mean() < 1.0
    assert (people.classes[0].numpy() == spoken)[known].mean() > 0.6
    moved = people.tracks[0][:, list(TRACKS).index("aperture")].double().numpy()
    assert correlation(moved[10:], recording().lips[10:, 0].astype(np.float64)) > 0.7


def test_an_unclear_lag_is_zero() -> None:
    rng = np.random.default_rng(0)
    assert recordings.lag([(rng.normal(size=400), rng.normal(size=400))]) == 0
    assert recordings.lag([(rng.normal(size=400), np.full(400, np.nan))]) == 0
    assert recordings.lag([]) == 0


def test_people_are_drawn_by_the_root_of_their_length() -> None:
    other = replace(recording(), person="he", mel=recording().mel[:100], lips=recording().lips[:100] + 50)
    people = RecordingPool.of([recording(), other], phonetic.shipped()["centred"], 100, lambda line: None)
    _, classes, tracks, lips = people.draw(600, 100, torch.Generator().manual_seed(0))
    assert classes.shape == (600, 100)
    assert tracks.shape == (600, 100, len(TRACKS))
    his = (lips.nan_to_num(0.0).amax(dim=(1, 2)) > 20).float().mean()
    assert his == pytest.approx(10 / (10 + STEPS**0.5), abs=0.06)


def test_real_lips_are_learnt_beside_synthesized_ones() -> None:
    ship = load_voice("german_f")
    samples = ship.audio[16_000 * 10 : 16_000 * 16]
    spoken = [p.moved(-10.0) for p in ship.phonemes if p.start >= 10.0 and p.end <= 16.0]
    clip = Clip(
        "de", log_mel(samples, BANDS)[:300].astype(np.float16), labels(spoken, 300), mouth_tracks(spoken, samples, 300)
    )
    corpus = training.Corpus.of([clip, clip])
    settings = training.Settings(steps=60, batch=6, piece=3.0, synthetic_only=0.2, real=3)
    lines: list[list[str]] = [[], []]
    one, again = (training.train(corpus, "causal", settings, own.append, [recording()]) for own in lines)
    for name, weights in one.state_dict().items():
        assert torch.equal(weights, again.state_dict()[name]), name
    assert any("1 people" in line for line in lines[0])
    alone = training.train(corpus, "causal", settings)
    assert not torch.equal(one.embed.weight, alone.embed.weight)
    last = float(lines[0][-1].split("lips ")[1].split(",")[0])
    assert 0.0 < last < 1.2  # of a spread of 1, under augmentation, after a second's work


def test_unknown_labels_do_not_count() -> None:
    network = phonetic.PhoneticNetwork("centred")
    readout = torch.nn.Linear(phonetic.EMBEDDING, len(films.LIPS))
    mel, tracks = torch.randn(2, 60, BANDS), torch.zeros(2, 60, len(TRACKS))
    classes, lips = torch.zeros(2, 60, dtype=torch.long), torch.full((2, 60, 3), torch.nan)
    lips[0, :20] = 1.0
    half = classes.clone()
    half[1] = -1
    found = training.errors(network, readout, mel, half, tracks, lips)
    alone = training.errors(network, readout, mel[:1], classes[:1], tracks[:1], lips[:1])
    torch.testing.assert_close(found.sounds, alone.sounds)
    torch.testing.assert_close(found.lips, alone.lips)
    assert found.right == alone.right


def test_a_folder_without_films_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(UserError, match=r"no \.mpg"):
            recordings.list_files(folder, recordings.FILMS)


def test_a_film_of_a_person_is_measured_once(assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIOPLANE_CACHE", str(tmp_path))
    pytest.importorskip("ai_edge_litert", reason="needs the package ai-edge-litert")
    if not (assets / "clips/grid_people").is_dir():
        pytest.skip("no GRID films among the assets")
    films = recordings.list_files(assets / "clips/grid_people", recordings.FILMS)[:2]
    found = recordings.read_films({"one": films[:1], "two": films[1:]}, jobs=1)
    assert [own.person for own in found] == ["one", "two"]
    for own in found:
        assert 140 <= len(own.mel) == len(own.lips) <= 151
        known = np.isfinite(own.lips).all(axis=1)
        assert known.mean() > 0.9
        np.testing.assert_allclose(own.lips[known].mean(axis=0), 0.0, atol=0.05)
        np.testing.assert_allclose(own.lips[known].std(axis=0), 1.0, atol=0.05)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "phonetic").glob("*.npz")}
    again = recordings.read_films({"one": films[:1], "two": films[1:]}, jobs=1)
    assert kept == {path: path.stat().st_mtime_ns for path in (tmp_path / "phonetic").glob("*.npz")}
    np.testing.assert_array_equal(again[0].mel, found[0].mel)
