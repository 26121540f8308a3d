from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save

from audioplane.audio import whisper
from audioplane.audio.whisper import WhisperEncoder, WhisperFeatures
from audioplane.audio.whisper_files import read_encoder
from audioplane.errors import UserError
from audioplane.pretrained.whisper import make, projection
from audioplane.runtime import weights
from audioplane.runtime.eight_bits import pack
from audioplane.synthetic.voice import load_voice

SHIPPED = Path(whisper.__file__).with_name(whisper.FILE)
SOURCE_PLACES = ("whisper/tiny.en.pt", "whisper/tiny.en.bin")  # OpenAI's file, and CTranslate2's, among the assets


@pytest.mark.parametrize("place", SOURCE_PLACES)
def test_what_ships_is_the_sources_to_the_byte(place: str, assets: Path) -> None:
    source = assets / "models" / place
    if not source.is_file():
        pytest.skip(f"there is no {source}")
    make.check(source)
    shipped, tensors = load_file(SHIPPED), read_encoder(source)
    expected = pack({name: tensors[name] for name in WhisperEncoder(80, 384, make.BLOCK).state_dict()})
    assert expected.keys() == {name for name in shipped if not name.startswith("projection.")}
    assert all(torch.equal(shipped[name], tensor) for name, tensor in expected.items())


def test_what_ships_holds_no_more_than_it_says() -> None:
    encoder = whisper.load().encoder
    assert sum(t.numel() for t in encoder.state_dict().values()) == pytest.approx(4.1e6, rel=0.02)
    held = {name.removesuffix(".scale") for name in load_file(SHIPPED)}
    assert held == {*encoder.state_dict(), "projection.2.weight", "projection.2.bias"}


def test_other_files_are_no_source(tmp_path: Path) -> None:
    (tmp_path / "tiny.en.pt").write_bytes(b"something else")
    with pytest.raises(UserError, match=r"sha256.*tiny\.en\.pt or model\.bin"):
        make.main(["--source", str(tmp_path / "tiny.en.pt"), "--out", str(tmp_path / "out")])
    with pytest.raises(UserError, match="there is no file"):
        make.main(["--source", str(tmp_path / "none"), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_the_fetched_source_is_one_that_the_maker_takes() -> None:
    assert weights.REGISTRY["whisper-tiny.en"].sha256 in make.SOURCES


def test_the_projection_takes_out_what_depends_on_the_place() -> None:
    """States that are a signal, and their place in the piece along one direction: only that direction goes."""

    class Encoder(torch.nn.Module):
        width, bands = 6, 80
        mixing = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(0)))[0]

        def forward(self, mel: torch.Tensor) -> torch.Tensor:
            states = mel[:, ::2, 10:70:10].clone()
            states[..., 0] = 0.01 * torch.arange(states.shape[1])  # nothing but the place
            return states @ self.mixing

    encoder, kept = Encoder(), projection.KEPT
    try:
        projection.KEPT = 5
        weight, bias = projection.fit(encoder, [load_voice("english_b").audio[:480_000]])  # type: ignore[arg-type]
    finally:
        projection.KEPT = kept
    places = torch.zeros(6)
    places[0] = 1.0
    assert (weight @ (places @ encoder.mixing)).abs().max() < 0.05 * weight.abs().max()
    features = WhisperFeatures(encoder, (weight, bias))  # type: ignore[arg-type]
    found = features(load_voice("english_b").audio[:480_000])
    np.testing.assert_allclose(found[100:-100].std(axis=0), 1.0, atol=0.15)


def test_eight_bits_change_features_less_than_the_pieces_do() -> None:
    """Rounding once more, twice as coarsely, shows how much rounding moves features: hardly."""
    features = whisper.load()
    samples = load_voice("english_b").audio[:320_000]
    coarse = WhisperEncoder(80, 384, make.BLOCK).eval().requires_grad_(False)
    state = {}
    for name, tensor in features.encoder.state_dict().items():
        step = tensor.flatten(1).abs().amax(dim=1) / 63 if tensor.ndim > 1 else None
        shape = (-1, *[1] * (tensor.ndim - 1))
        state[name] = tensor if step is None else (tensor / step.view(shape)).round() * step.view(shape)
    coarse.load_state_dict(state)
    one, other = features(samples), WhisperFeatures(coarse, features.projection)(samples)
    assert float((one - other).std() / one.std()) < 0.2
    assert len(save(pack(state))) < 4_300_000
