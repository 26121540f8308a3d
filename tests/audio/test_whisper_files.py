import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from audioplane.audio.whisper import WhisperEncoder
from audioplane.audio.whisper_files import SCALE, count_blocks, pack, read_encoder, unpack
from audioplane.errors import UserError

HUGGING_FACE = {
    "blocks.": "layers.",
    "attn.query": "self_attn.q_proj",
    "attn.key": "self_attn.k_proj",
    "attn.value": "self_attn.v_proj",
    "attn.out": "self_attn.out_proj",
    "attn_ln": "self_attn_layer_norm",
    "mlp.0": "fc1",
    "mlp.2": "fc2",
    "mlp_ln": "final_layer_norm",
}
KINDS = ("openai", "hugging face", "ctranslate2")


def weights(blocks: int = 3) -> dict[str, Tensor]:
    """Random ones, with values that half precision holds exactly."""
    generator = torch.Generator().manual_seed(0)
    shapes = {name: tensor.shape for name, tensor in WhisperEncoder(80, 128, blocks).state_dict().items()}
    return {name: torch.randn(shape, generator=generator).half().float() for name, shape in shapes.items()}


def ctranslate2(tensors: dict[str, Tensor]) -> bytes:
    """CTranslate2's `model.bin`, version 6, as its `ModelSpec._serialize` writes it; half precision."""
    text = lambda name: struct.pack("<H", len(name) + 1) + name.encode() + b"\0"  # noqa: E731
    arrays: dict[str, Tensor] = {}
    for name in ("conv1", "conv2"):
        arrays |= {f"encoder/{name}/{part}": tensors[f"{name}.{part}"] for part in ("weight", "bias")}
    for k in range(count_blocks(tensors)):
        own, layer = f"blocks.{k}", f"encoder/layer_{k}"
        stacked = [tensors[f"{own}.attn.{part}.weight"] for part in ("query", "key", "value")]
        biases = [tensors[f"{own}.attn.query.bias"], torch.zeros(128), tensors[f"{own}.attn.value.bias"]]
        arrays[f"{layer}/self_attention/linear_0/weight"] = torch.cat(stacked)
        arrays[f"{layer}/self_attention/linear_0/bias"] = torch.cat(biases)
        for theirs, ours in (
            ("self_attention/linear_1", "attn.out"),
            ("self_attention/layer_norm", "attn_ln"),
            ("ffn/layer_norm", "mlp_ln"),
            ("ffn/linear_0", "mlp.0"),
            ("ffn/linear_1", "mlp.2"),
        ):
            first, second = ("gamma", "beta") if "norm" in theirs else ("weight", "bias")
            arrays[f"{layer}/{theirs}/{first}"] = tensors[f"{own}.{ours}.weight"]
            arrays[f"{layer}/{theirs}/{second}"] = tensors[f"{own}.{ours}.bias"]
    arrays["decoder/embeddings/weight"] = torch.ones(7, 3)
    written = struct.pack("<I", 6) + text("WhisperSpec") + struct.pack("<II", 3, len(arrays))
    for name, tensor in arrays.items():
        data = tensor.half().numpy().tobytes()
        shape = struct.pack(f"<B{tensor.ndim}I", tensor.ndim, *tensor.shape)
        written += text(name) + shape + struct.pack("<BI", 4, len(data)) + data
    return written + struct.pack("<I", 0)


def write(kind: str, tensors: dict[str, Tensor], folder: Path) -> Path:
    """The same weights in somebody's format; the file, or the folder where a model is one."""
    if kind == "openai":
        named = {f"encoder.{name}": tensor.half() for name, tensor in tensors.items()}
        named |= {"decoder.token_embedding.weight": torch.ones(7, 3), "encoder.positional_embedding": torch.ones(3, 3)}
        torch.save({"dims": {"n_mels": 80}, "model_state_dict": named}, folder / "tiny.pt")
        return folder / "tiny.pt"
    if kind == "ctranslate2":
        (folder / "model.bin").write_bytes(ctranslate2(tensors))
        return folder
    renamed = {}
    for name, tensor in tensors.items():
        for ours, theirs in HUGGING_FACE.items():
            name = name.replace(ours, theirs)
        renamed[f"model.encoder.{name}"] = tensor
    renamed["model.decoder.layers.0.fc1.weight"] = torch.ones(2, 2)
    save_file(renamed, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_gives_the_same_tensors(kind: str, tmp_path: Path) -> None:
    expected = weights()
    found = read_encoder(write(kind, expected, tmp_path))
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert count_blocks(found) == 3


def test_what_is_no_whisper_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.pt").write_text("hello")
    (tmp_path / "short.bin").write_bytes(ctranslate2(weights(1))[:5000])
    (tmp_path / "empty.pt").write_bytes(b"")
    save_file({"conv1.weight": torch.ones(3)}, tmp_path / "other.safetensors")
    torch.save(weights(1)["conv1.bias"], tmp_path / "tensor.pt")
    for name in ("text.pt", "short.bin", "empty.pt", "other.safetensors", "tensor.pt", "none.pt", ""):
        with pytest.raises(UserError, match="does not hold weights of Whisper"):
            read_encoder(tmp_path / name)


class Bad:
    """An object whose unpickling would run code."""

    def __reduce__(self) -> tuple:
        return Path.touch, (Path("ran"),)


def test_no_code_in_a_file_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"model_state_dict": weights(1), "more": Bad()}, tmp_path / "bad.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Bad()))
    for name in ("bad.pt", "plain.pt"):
        with pytest.raises(UserError, match="does not hold weights"):
            read_encoder(tmp_path / name)
    assert not (tmp_path / "ran").exists()


def test_eight_bits_are_off_by_half_a_step_at_most() -> None:
    tensors = weights(1)
    packed = pack(tensors)
    assert sum(t.numel() * t.element_size() for t in packed.values()) < 0.3 * sum(
        4 * t.numel() for t in tensors.values()
    )
    found = unpack(packed)
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        if tensor.ndim == 1:
            assert torch.equal(found[name].float(), tensor)
        else:
            step = packed[name + SCALE].float().view(-1, *[1] * (tensor.ndim - 1))
            assert ((found[name] - tensor).abs() <= 0.51 * step).all()
            assert np.isin(127, packed[name].abs().flatten(1).amax(dim=1).numpy())
