"""The generator that ships: what it says of voices, whose range it keeps to, and what its file may be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from safetensors.torch import load_file, save_file

from audioplane.errors import UserError
from audioplane.expression import generator as module
from audioplane.expression.generator import FILE, ExpressionGenerator, resampled, speaking
from audioplane.expression.of_voice import expression_of_voice
from audioplane.methods.types import UPPER_FACE
from audioplane.motion.natural import natural_expression
from audioplane.motion.own_range import OwnRange
from audioplane.subject import blendshapes
from audioplane.subject.blendshapes import columns
from audioplane.synthetic.voice import load_voice
from tests.motion.test_own_range import capture
from tests.strategies import fewer, generators

SHIPPED = Path(module.__file__).parent / FILE
RATE = 16_000
PARTED = ("jawOpen", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight")


@pytest.fixture(scope="module")
def own() -> OwnRange:
    return OwnRange.fit(columns(capture(), UPPER_FACE), UPPER_FACE)


@pytest.fixture(scope="module")
def voice() -> np.ndarray:
    """Six seconds of a voice and words that were not learned from."""
    return load_voice("english_drive").audio[: 6 * RATE]


def test_it_is_small() -> None:
    assert SHIPPED.stat().st_size < 600_000


def test_a_voice_gives_weights_of_every_frame_at_any_rate(voice: np.ndarray) -> None:
    made = ExpressionGenerator.load()
    slow, fast = made.blendshapes(voice), made.blendshapes(voice, 50.0)
    assert slow.shape == (150, blendshapes.COUNT)
    assert fast.shape == (300, blendshapes.COUNT)
    assert slow.min() >= 0
    assert slow.max() <= 1
    np.testing.assert_allclose((fast[::2] + fast[1::2])[5:-5] / 2, slow[5:-5], atol=0.1)
    assert np.array_equal(slow, made.blendshapes(voice))
    jaw, loud = slow[:, blendshapes.index("jawOpen")], np.abs(voice).reshape(150, -1).mean(axis=1)
    assert np.corrcoef(jaw, loud)[0, 1] > 0.4, "the mouth opens with the voice"
    brows = slow[:, blendshapes.index("browInnerUp")]
    assert np.ptp(brows) > 0.05
    captured = made.blendshapes(voice, source="captured")
    assert np.ptp(captured[:, blendshapes.index("jawOpen")]) > 0.1
    assert not np.ptp(captured[:, blendshapes.index("browInnerUp")])


def test_pieces_of_a_long_voice_give_what_the_whole_gives(voice: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ExpressionGenerator.load().blendshapes(voice)
    monkeypatch.setattr(module, "PIECE", 40)
    np.testing.assert_allclose(ExpressionGenerator.load().blendshapes(voice), whole, atol=1e-4)


def test_in_silence_lips_are_closed_and_brows_rest(own: OwnRange, voice: np.ndarray) -> None:
    made, silence = ExpressionGenerator.load(), np.zeros(3 * RATE, np.float32)
    weights = made.blendshapes(silence)
    assert weights[:, [blendshapes.index(name) for name in PARTED]].max() < 0.03
    assert np.ptp(weights, axis=0).max() < 1e-6
    after = made.blendshapes(np.concatenate([voice, silence]))
    np.testing.assert_allclose(after[-40:], weights[:40], atol=1e-6)
    quiet = expression_of_voice(own, silence, 75, 25.0)
    brows = [k for k, name in enumerate(own.names) if name.startswith("brow")]
    np.testing.assert_allclose(
        quiet[:, brows], natural_expression(own, silence, 75, 25.0, without=("brows",))[:, brows], atol=1e-9
    )


def test_brows_come_from_the_voice_and_blinks_from_the_seed(own: OwnRange, voice: np.ndarray) -> None:
    brow, lid = own.names.index("browInnerUp"), own.names.index("eyeBlinkLeft")
    one, two = (expression_of_voice(own, voice, 150, 25.0, seed) for seed in (0, 1))
    assert np.array_equal(one, expression_of_voice(own, voice, 150, 25.0, 0))
    assert not np.allclose(one[:, lid], two[:, lid])
    still = natural_expression(own, voice, 150, 25.0, 0, without=("brows",))
    assert np.array_equal(one[:, lid], own.clip(still)[:, lid])
    moved = [
        one[:, brow] - still[:, brow],
        two[:, brow] - natural_expression(own, voice, 150, 25.0, 1, without=("brows",))[:, brow],
    ]
    assert np.ptp(moved[0]) > 0.05 * (own.high - own.low)[brow]
    np.testing.assert_allclose(moved[0], moved[1], atol=1e-9)
    backwards = expression_of_voice(own, voice[::-1].copy(), 150, 25.0, 0)
    assert not np.allclose(backwards[:, brow], one[:, brow])


@fewer
@given(generators)
def test_anybodys_coefficients_end_in_the_persons_range(own, generator):
    made = ExpressionGenerator.load()
    given = np.clip(generator.normal(0.3, 0.6, (int(generator.integers(1, 60)), blendshapes.COUNT)), 0, 1)
    for fps in (25.0, 30.0):
        found = made.in_range(given, own, fps)
        assert found.shape == (len(given), len(own.names))
        assert (found >= own.low).all()
        assert (found <= own.high).all()


def test_a_head_without_brows_is_refused_in_a_sentence(own: OwnRange, voice: np.ndarray) -> None:
    names = ("eyeBlinkLeft", "eyeBlinkRight")
    blinking = OwnRange.fit(columns(capture(), names), names)
    with pytest.raises(UserError, match="a voice moves brows, and this head has none"):
        expression_of_voice(blinking, voice, 150, 25.0)


def test_speech_fades_into_silence() -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(2 * RATE)
    share = speaking(np.concatenate([noise, np.zeros(3 * RATE)]).astype(np.float32), 25.0, 125)[:, 0]
    assert share[5] == pytest.approx(1)
    assert share[-25:].max() == 0
    assert (np.diff(share[10:]) <= 1e-12).all()


def test_frames_of_another_rate_show_their_middles() -> None:
    ramp = (np.arange(50)[:, None] + 0.5) / 25.0
    found = resampled(ramp, 60.0, 120)
    np.testing.assert_allclose(found[2:-2, 0], (np.arange(120)[2:-2] + 0.5) / 60.0, atol=1e-12)
    assert resampled(ramp, 25.0, 50) is ramp


def damaged(path: Path, how: str) -> None:
    """Writes the file that ships with one thing wrong."""
    found = load_file(SHIPPED)
    if how == "cut":
        path.write_bytes(SHIPPED.read_bytes()[:2000])
        return
    if how == "missing":
        found.pop("vq_vae/entries")
    elif how == "shape":
        found["vq_vae/entries"] = found["vq_vae/entries"][:5].contiguous()
    elif how == "nan":
        found["voice/out.bias"][0] = torch.nan
    elif how == "type":
        found["voice/out.bias"] = found["voice/out.bias"].double()
    elif how == "scales":
        found["scales/gain"] = found["scales/gain"][:, :7].contiguous()
    save_file(found, path)


@pytest.mark.parametrize("how", ["cut", "missing", "shape", "nan", "type", "scales"])
def test_damaged_files_are_refused_in_a_sentence(tmp_path: Path, how: str) -> None:
    path = tmp_path / "expression.safetensors"
    damaged(path, how)
    with pytest.raises(
        UserError, match=r"make it anew with `python -m audioplane.pretrained.expression.make`"
    ) as caught:
        ExpressionGenerator.load(path)
    assert "\n" not in str(caught.value)


def test_a_saved_generator_says_the_same(tmp_path: Path, voice: np.ndarray) -> None:
    made = ExpressionGenerator.load()
    made.save(tmp_path / "again.safetensors", {"settings": "{}"})
    again = ExpressionGenerator.load(tmp_path / "again.safetensors")
    assert np.array_equal(again.blendshapes(voice), made.blendshapes(voice))
    with pytest.raises(UserError, match="there is no file"):
        ExpressionGenerator.load(tmp_path / "none.safetensors")
