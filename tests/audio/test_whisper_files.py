import os
import pickle
import struct
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from audioplane.audio.whisper import WhisperEncoder, load
from audioplane.audio.whisper_files import count_blocks, read_encoder
from audioplane.errors import UserError
from audioplane.runtime.eight_bits import SCALE, pack, unpack

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


def test_an_array_that_claims_gigabytes_reserves_none(tmp_path: Path) -> None:
    written, size = bytearray(ctranslate2(weights(1))), struct.pack("<I", 80 * 128 * 3 * 2)
    place = written.index(size)
    written[place : place + 4] = struct.pack("<I", 2**32 - 1)
    (tmp_path / "model.bin").write_bytes(bytes(written))
    tracemalloc.start()
    with pytest.raises(UserError, match="does not hold weights of Whisper"):
        read_encoder(tmp_path)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 8 * len(written)


@pytest.mark.parametrize("rows", [(3,), (128, 1), (), (40_000,)])
def test_scales_that_are_not_one_a_row_are_refused(rows: tuple[int, ...], tmp_path: Path) -> None:
    packed = pack(weights(1))
    name = "blocks.0.mlp.0.weight"
    packed[name], packed[name + SCALE] = packed[name][:1].contiguous(), torch.ones(rows).half()
    save_file(packed, tmp_path / "x.safetensors")
    with pytest.raises(UserError, match=r"does not hold weights of Whisper \(blocks.0.mlp.0.weight of shape \(1,"):
        read_encoder(tmp_path / "x.safetensors")


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes in folders")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.pt")
    with pytest.raises(UserError, match="is not an ordinary file"):
        read_encoder(tmp_path / "x.pt")


def changed(name: str, value: Tensor | None) -> dict[str, Tensor]:
    """Good weights with one tensor replaced or left out."""
    found = weights(1)
    if value is None:
        del found[name]
    else:
        found[name] = value
    return found


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        (changed("conv1.weight", torch.zeros(100_032, 80, 3, dtype=torch.int8)), "80 bands, width 100032"),
        (changed("conv1.weight", torch.zeros(32, 80, 3)), "80 bands, width 32"),
        (changed("conv1.weight", torch.zeros(0, 80, 3)), "80 bands, width 0"),
        (changed("conv1.weight", torch.zeros(128, 9000, 3)), "9000 bands, width 128"),
        (changed("conv1.weight", torch.zeros(1280, 80, 3)), r"conv1.bias must be .* of shape \(1280\)"),
        (changed("conv1.weight", torch.zeros(128, 80, 5)), r"conv1.weight must be .* of shape \(128, 80, 3\)"),
        (changed("blocks.0.mlp.0.weight", torch.zeros(5, 5)), "mlp.0.weight must be"),
        (changed("blocks.0.mlp.0.weight", None), "lacks blocks.0.mlp.0.weight"),
        (changed("conv2.bias", torch.full((128,), torch.nan)), "conv2.bias has NaN"),
        (changed("projection.1.weight", torch.zeros(5, 9)), "projection.1.weight must be"),
        (changed("projection.1.weight", torch.zeros(5, 128)), "lacks projection.1.bias"),
        (changed("projection.1.weight", torch.zeros(())), "projection.1.weight must be"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_sizes_are_looked_at_before_an_encoder_is_made(
    tensors: dict[str, Tensor], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_file(tensors, tmp_path / "x.safetensors")
    from torch import nn

    true_init = nn.Linear.__init__

    def init(self: nn.Linear, *sizes: int, **more: bool) -> None:
        true_init(self, *sizes, **more)
        assert self.weight.is_meta, "memory is taken"

    monkeypatch.setattr(nn.Linear, "__init__", init)
    with pytest.raises(UserError, match=said) as caught:
        load(str(tmp_path / "x.safetensors"), 1)
    assert "\n" not in str(caught.value)


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
