"""Lip sync on codes that are right by construction: controls, lags, and clips that cannot be scored."""

from __future__ import annotations

import numpy as np
import pytest

from audioplane.evaluation import lip_sync
from audioplane.evaluation.lip_sync import Clip
from audioplane.metrics.sync import score, shift_distances
from audioplane.metrics.syncnet.network import COMPACT, SyncNet
from audioplane.metrics.syncnet.scorers import Scorer
from tests.tiny_subject import TinySubject


class Known(Scorer):
    """A frame's code is the colour of its first pixel, a sound's code its first samples."""

    def embed_frames(self, frames, landmarks):
        return np.stack([frame[0, 0].astype(np.float32) for frame in frames])[: len(landmarks) - 4]

    def embed_audio(self, audio, count):
        return audio.reshape(-1, 640)[:count, :3].astype(np.float32)


@pytest.fixture
def scorer() -> Known:
    return Known("known", SyncNet(COMPACT), "nothing")


def clip(seed: int = 0, frames: int = 120) -> tuple[np.ndarray, np.ndarray]:
    """Frames of one pixel and the sound that says their colours."""
    colours = np.random.default_rng(seed).integers(0, 256, (frames, 1, 1, 3)).astype(np.uint8)
    audio = np.zeros((frames, 640))
    audio[:, :3] = colours[:, 0, 0]
    return colours, audio.ravel()


def test_controls_show_the_shift(scorer):
    frames, audio = clip()
    marks = np.zeros((120, 68, 2))
    found = lip_sync.lip_sync(scorer, audio, {"truth": Clip(frames, marks)})
    names = ("truth", "truth 1 late", "truth 3 late", "truth 7 late")
    assert [found.scores[name].offset for name in names] == [0, 1, 3, 7]
    assert found.scores["truth"].at_zero < 1e-4 < found.scores["truth 1 late"].at_zero
    assert found.scores["truth, unrelated audio"].confidence < found.scores["truth"].confidence
    assert found.seconds == 4.8


@pytest.mark.parametrize("late", [-4, 2, 9])
def test_a_render_that_comes_late_is_found_so(scorer, late):
    frames, audio = clip()
    marks = np.zeros((120, 68, 2))
    found = lip_sync.lip_sync(scorer, audio, {"head": Clip(np.roll(frames, late, axis=0), marks)})
    assert found.scores["head"].offset == late
    assert set(found.scores) == {"head", "head, unrelated audio"}, "only the truth has controls of its own"
    own = found.distances["head"]
    direct = shift_distances(
        np.roll(frames, late, axis=0)[:115, 0, 0].astype(np.float32), scorer.embed_audio(audio, 115)
    )
    np.testing.assert_allclose(own, direct[:, 15], atol=1e-3)
    assert found.unrelated["head"].shape == own.shape
    assert score(direct).distance <= own.mean() + 1e-3


def test_unrelated_sound_is_of_another_moment(scorer):
    frames, audio = clip()
    codes: list[np.ndarray] = []

    class Recorder(Known):
        def embed_audio(self, audio, count):
            codes.append(super().embed_audio(audio, count))
            return codes[-1]

    lip_sync.lip_sync(
        Recorder("known", SyncNet(COMPACT), "nothing"), audio, {"truth": Clip(frames, np.zeros((120, 68, 2)))}
    )
    own, other = codes
    assert not (own == other).all(axis=1).any()
    assert np.array_equal(other[:50], own[60:110]), "half a clip away"


def test_a_subject_is_scored_on_its_held_out_frames():
    subject = TinySubject(frames=150, size=48)
    subject.train, subject.test = range(0, 90), range(90, 150)
    found = lip_sync.of_subject(Scorer.built_in(), subject, {"head": lambda t: subject.frame(t) / 255})
    assert found.scores["head"].distance == pytest.approx(found.scores["truth"].distance, abs=1e-3)
    assert len(found.distances["head"]) == 55


def test_why_a_clip_cannot_be_scored():
    assert lip_sync.missing(25.0, 50) == ""
    assert "these have 1.96 s" in lip_sync.missing(25.0, 49)
    assert "these are 30" in lip_sync.missing(30.0, 500)


def mouths(opening: np.ndarray, width: np.ndarray, thick: np.ndarray, drop: np.ndarray) -> np.ndarray:
    """(T, 20, 2) of lips with these measures, one a frame; y down."""
    made = np.zeros((len(opening), 20, 2))
    made[:, 0, 0], made[:, 6, 0] = -width / 2, width / 2
    for upper, lower in ((13, 19), (14, 18), (15, 17)):
        made[:, upper, 1], made[:, lower, 1] = -opening / 2, opening / 2
    made[:, 3, 1] = -opening / 2 - thick / 2
    made[:, [8, 9, 10], 1] = (opening / 2 + thick / 2)[:, None]
    made[..., 1] += drop[:, None]
    return made


def test_each_movement_is_its_own():
    generator = np.random.default_rng(0)
    parts = {name: generator.uniform(1, 2, 200) for name in ("opening", "width", "thick", "drop")}
    found = lip_sync.mouth_movements(mouths(**parts))
    np.testing.assert_allclose(found["opening"], parts["opening"])
    np.testing.assert_allclose(found["width"], parts["width"])
    np.testing.assert_allclose(found["pucker"], parts["thick"] / parts["width"])
    np.testing.assert_allclose(found["jaw"], parts["opening"] / 2 + parts["thick"] / 2 + parts["drop"])


def test_movements_are_compared_with_truth_and_ceiling():
    generator = np.random.default_rng(0)
    parts = {name: generator.uniform(1, 2, 400) for name in ("opening", "width", "thick", "drop")}
    truth = mouths(**parts)
    damped = mouths(**{**parts, "width": 1.5 + 0.4 * (parts["width"] - 1.5), "opening": generator.uniform(1, 2, 400)})
    truth[::50] = np.nan
    found = lip_sync.movement_agreement(damped, truth, mouths(**parts))
    assert found["width"]["r"] == pytest.approx(1.0)
    assert found["width"]["amplitude"] == pytest.approx(0.4, abs=0.01)
    assert abs(found["opening"]["r"]) < 0.2
    assert all(row["ceiling r"] == pytest.approx(1.0) for row in found.values())


def test_closing_tells_shut_lips_from_open_ones():
    apart = np.full(300, 5.0)
    sounds = list(range(20, 300, 20))
    apart[sounds] = 0.0
    assert lip_sync.closing(apart, sounds) == pytest.approx(0.0)
    assert lip_sync.closing(apart, [t + 2 for t in sounds]) == pytest.approx(0.0), "two frames late is near enough"
    assert lip_sync.closing(apart, [t + 8 for t in sounds]) == pytest.approx(1.0, abs=0.1)
    assert np.isnan(lip_sync.closing(apart, []))
    assert np.isnan(lip_sync.closing(np.ones(50), [10]))


def test_bilabials_are_found_by_sound():
    from audioplane.synthetic.voice import load_voice

    ship = load_voice("english_b")
    found = np.array(lip_sync.bilabial_frames(ship.audio[:320_000], 25.0, 500)) / 25 + 0.02
    spoken = [(p.start, p.end) for p in ship.phonemes if p.end < 20 and p.ipa[:1] in "pbm"]
    hits = [any(start - 0.06 <= t <= end + 0.06 for start, end in spoken) for t in found]
    assert len(hits) > 0.3 * len(spoken)
    assert np.mean(hits) > 0.7
