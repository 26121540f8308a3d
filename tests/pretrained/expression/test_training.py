"""How the expression generator is made: its data, that training learns and repeats, and how it is measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from audioplane.errors import UserError
from audioplane.expression.generator import ExpressionGenerator
from audioplane.expression.voice_network import VoiceNetworkSettings
from audioplane.expression.vq_vae import VqVaeSettings
from audioplane.pretrained.expression import data, examine, training
from audioplane.pretrained.expression.data import Clip
from audioplane.runtime import weights
from audioplane.subject import blendshapes
from audioplane.synthetic import cast
from audioplane.synthetic.face import Face

QUICK = training.Settings(voice_steps=150, vq_steps=120, voice_batch=8, vq_batch=8, frames=16, dead_after=20)
SMALL = VqVaeSettings(width=32, heads=2, layers=1, span=3, entries=24, parts=4, size=4)


def clips(count: int = 6, frames: int = 120) -> tuple[list[Clip], list[np.ndarray]]:
    """People whose mouths and brows follow two of four features; of one alone the jaw was captured."""
    rng, found, heard = np.random.default_rng(0), [], []
    for k in range(count):
        tracks = np.clip(np.cumsum(rng.normal(0, 0.1, (frames, 4)), axis=0) * 0.3 + 0.4, 0, 1).astype(np.float32)
        moved = np.zeros((frames, blendshapes.COUNT), np.float32)
        moved[:, blendshapes.index("jawOpen")] = 0.6 * tracks[:, 0]
        moved[:, blendshapes.index("browInnerUp")] = 0.4 * tracks[:, 1]
        moved[:, blendshapes.index("eyeBlinkLeft")] = rng.random(frames)
        source = "captured" if k == count - 1 else "embedded"
        known = np.array([name.startswith("jaw") or source == "embedded" for name in blendshapes.NAMES])
        found.append(Clip(f"p{k}", source, np.zeros(frames * 640, np.float32), moved * known, known))
        heard.append(np.repeat(tracks[:, None], 2, axis=1))
    return found, heard


def test_a_voice_network_learns_what_the_voice_tells_and_repeats() -> None:
    people, heard = clips()
    targets, size = training.targets_of(people), VoiceNetworkSettings(channels=4, width=16, dropout=0.0)
    jaw, brow, lid = (blendshapes.index(name) for name in ("jawOpen", "browInnerUp", "eyeBlinkLeft"))
    assert targets.spread[0, [jaw, brow]].min() > 0
    assert targets.spread[0, lid] == targets.spread[1, brow] == 0
    one, two = (training.train_voice(people, heard, targets, QUICK, size) for _ in range(2))
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, two.state_dict()[name])
    said = one.whole(torch.from_numpy(heard[0])).numpy()
    assert np.corrcoef(said[:, jaw], people[0].weights[:, jaw])[0, 1] > 0.8
    factors = training.gains(one, people, heard, targets)
    assert 1 <= factors[0, jaw] < 1.5
    assert factors[0, lid] == 0
    noise = [np.random.default_rng(k).random(one.shape).astype(np.float32) for k, one in enumerate(heard)]
    assert training.gains(one, people, noise, targets)[0, brow] in (0, training.MOST_GAIN)
    other = training.train_voice(people, heard, targets, replace(QUICK, voice_steps=2, seed=1), size)
    assert not torch.equal(other.out.weight, one.out.weight)


def test_a_vq_vae_restores_what_people_do_and_repeats() -> None:
    people, _ = clips()
    targets = training.targets_of(people)
    told: list[str] = []
    one = training.train_vq_vae(people, targets, replace(QUICK, vq_steps=450), SMALL, told.append)
    two = training.train_vq_vae(people, targets, replace(QUICK, vq_steps=2), SMALL)
    again = training.train_vq_vae(people, targets, replace(QUICK, vq_steps=2), SMALL)
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in two.state_dict().items())
    assert len(told) == 1
    true = torch.from_numpy(people[0].weights)
    shown = targets.ranges[0].place(one.shares(true))
    jaw = blendshapes.index("jawOpen")
    assert np.corrcoef(shown[:, jaw], true[:, jaw])[0, 1] > 0.8
    assert examine.usage(one, [person.weights for person in people])["used"] > 0.3
    louder = targets.ranges[0].place(one.shares((2 * true).clamp(0, 1)))
    assert (louder - true)[:, jaw].abs().mean() < ((2 * true).clamp(0, 1) - true)[:, jaw].abs().mean()


def test_curves_of_another_rig_become_arkits() -> None:
    names = {
        "channels": ["a", "b", "c"],
        "arkit": [
            {"arkit": "jawOpen", "channel": "c", "status": "valid"},
            {"arkit": "mouthFunnel", "channel": "max(a,b)", "status": "valid"},
            {"arkit": "browInnerUp", "channel": "a", "status": "Invalid"},
        ],
    }
    curves = np.array([[0.1, 0.3, 0.0], [0.4, 0.2, 1.4]], np.float32)
    found, known = data.to_arkit(curves, names)
    np.testing.assert_allclose(found[:, blendshapes.index("jawOpen")], [0, 1])
    np.testing.assert_allclose(found[:, blendshapes.index("mouthFunnel")], [0.3, 0.4])
    assert known.sum() == 2
    assert not found[:, blendshapes.index("browInnerUp")].any()


def test_captures_that_are_not_there_are_asked_for(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(weights.VARIABLE, str(tmp_path))
    with pytest.raises(UserError, match=r"--without-captures"):
        data.captured(held_out=True)


def test_real_captures_are_in_time(assets) -> None:
    for clip in data.captured(held_out=True):
        assert clip.name in data.HELD_OUT
        assert clip.weights.shape == (len(clip.weights), blendshapes.COUNT)
        loud = np.sqrt(np.add.reduceat(clip.audio**2, np.arange(0, len(clip.audio), 640))[: len(clip.weights)])
        jaw = clip.weights[:, blendshapes.index("jawOpen")]
        best = max(range(-10, 11), key=lambda lag: np.corrcoef(np.roll(jaw, -lag), loud)[0, 1])
        assert abs(best) <= 2


def test_a_resting_face_has_its_lips_closed() -> None:
    rest, face = data.resting(3.0), Face(cast.identity_of(cast.find("held_out_900500")))
    assert face.mouth_measures(face.vertices(rest))["largest_gap"] < 0.0006  # metres
    assert rest[blendshapes.index("eyeBlinkLeft")] < 0.1


def test_measures_of_an_extreme_identity() -> None:
    person = cast.find("held_out_900500")
    face = cast.head(cast.identity_of(person), "ours")
    true = np.zeros((20, blendshapes.COUNT))
    true[:, blendshapes.index("jawOpen")] = np.linspace(0, 0.4, 20)
    assert set(examine.vertex_errors(face, true, true, 4).values()) == {0.0}
    strong = examine.exaggerated(true, 1)
    assert np.array_equal(strong, examine.exaggerated(true, 1))
    assert strong.max() > true.max()
    wrong = examine.vertex_errors(face, strong, true, 4)
    assert wrong["worst"] > wrong["face"] > 0
    assert wrong["mouth"] > wrong["brows"]
    found = examine.driven_by_another(ExpressionGenerator.load(), face, true, true)
    assert found["clipped to the person's range"]["face"] <= found["as they are"]["face"]


def test_correlations_with_what_stands_still() -> None:
    ramp, still = np.linspace(0, 1, 9), np.zeros(9)
    assert examine.correlation(ramp, ramp) == pytest.approx(1)
    assert examine.correlation(still, ramp) == 0
    assert np.isnan(examine.correlation(ramp, still))
    tracks = [np.stack([ramp, still], axis=1), np.stack([ramp, ramp], axis=1)]
    assert examine.mean_correlation(tracks, [tracks[0], tracks[0]], [0, 1]) == pytest.approx(1)
    with np.errstate(all="raise"):
        assert examine.mean_correlation([1 - tracks[0]], [tracks[0]], [0]) == pytest.approx(-1)
