"""Files with the weights of Whisper's encoder: ours, OpenAI's, Hugging Face's and CTranslate2's; no code in them runs.

Whatever the file, tensors come under the names of openai/whisper's `AudioEncoder` (`conv1.weight`,
`blocks.0.attn.query.weight`, ...), in single precision.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audioplane.errors import UserError
from audioplane.runtime import tensors
from audioplane.runtime.eight_bits import unpack

ADVICE = "name another file or folder of Whisper"
HUGGING_FACE = ("model.safetensors", "pytorch_model.bin")  # in a model's folder
CTRANSLATE2 = "model.bin"

_FROM_HUGGING_FACE = {
    "layers": "blocks",
    "self_attn_layer_norm": "attn_ln",
    "self_attn": "attn",
    "q_proj": "query",
    "k_proj": "key",
    "v_proj": "value",
    "out_proj": "out",
    "fc1": "mlp.0",
    "fc2": "mlp.2",
    "final_layer_norm": "mlp_ln",
}
_FROM_CTRANSLATE2 = {
    "self_attention/layer_norm": "attn_ln",
    "self_attention/linear_1": "attn.out",
    "ffn/layer_norm": "mlp_ln",
    "ffn/linear_0": "mlp.0",
    "ffn/linear_1": "mlp.2",
    "gamma": "weight",
    "beta": "bias",
}
_TYPES = {0: "<f4", 1: "<i1", 2: "<i2", 3: "<i4", 4: "<f2"}  # of CTranslate2's arrays


def read_encoder(path: Path) -> dict[str, Tensor]:
    """The encoder's tensors, float32, from a file, or from a folder of Hugging Face's or CTranslate2's models.

    Args:
        path: .safetensors (ours or Hugging Face's), .pt (OpenAI's), .bin (Hugging Face's or CTranslate2's).

    Raises:
        UserError: no such file, damaged, or not of Whisper.
    """
    file = _file_of(path)
    if not file.is_file():  # a pipe would be waited for
        state = "is not an ordinary file" if file.exists() else "there is no such file"
        raise UserError(f"{file} does not hold weights of Whisper ({state}); {ADVICE}")
    try:
        if file.suffix == ".safetensors":
            found, _ = tensors.read(file, ADVICE)
        elif _is_zip(file):
            found = tensors.read_of_torch(file, ADVICE)
        else:
            found = _read_ctranslate2(file)
        encoder = {name: t.float() for name, t in unpack(_named(found)).items()}
    except (OSError, RuntimeError, ValueError, struct.error, UserError) as error:
        reason = str(error).splitlines()[0].removesuffix(f"; {ADVICE}") if str(error) else type(error).__name__
        raise UserError(f"{file} does not hold weights of Whisper ({reason})") from error
    if encoder.get("conv1.weight", torch.zeros(0)).ndim != 3 or "blocks.0.attn.query.weight" not in encoder:
        raise UserError(f"{file} does not hold weights of Whisper: its encoder is not in it")
    return encoder


def count_blocks(encoder: Mapping[str, Tensor]) -> int:
    """How many transformer blocks an encoder has."""
    return len({name.split(".")[1] for name in encoder if name.startswith("blocks.")})


def _file_of(path: Path) -> Path:
    if path.is_dir():
        for name in HUGGING_FACE:
            if (path / name).is_file():
                return path / name
        return path / CTRANSLATE2
    return path


def _is_zip(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(2) == b"PK"


def _named(found: Any) -> dict[str, Tensor]:
    """Only the encoder's tensors, and our projections, under OpenAI's names."""
    found = found.get("model_state_dict", found) if isinstance(found, dict) else found
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise ValueError("it holds no tensors by name")
    kept = {}
    for name, tensor in found.items():
        if "decoder" in name or not isinstance(tensor, Tensor):
            continue
        parts = name.removeprefix("model.").removeprefix("encoder.").split(".")
        own = ".".join(str(_FROM_HUGGING_FACE.get(part, part)) for part in parts)
        if re.match(r"conv[12]\.|blocks\.|projection\.", own):
            kept[own] = tensor
    return kept


# CTranslate2: a list of named arrays


def _read_ctranslate2(file: Path) -> dict[str, Tensor]:
    """The encoder of a `model.bin`, version 6; numbers in 32 or 16 bits."""
    found = {}
    with file.open("rb") as stream:
        version, name = _number(stream, "<I"), ""
        if version != 6:
            raise ValueError("not CTranslate2's format, version 6")
        name = _text(stream)
        if name != "WhisperSpec":
            raise ValueError(f"a {name}, not a WhisperSpec")
        _number(stream, "<I")  # revision
        for _ in range(_number(stream, "<I")):
            name, array = _array(stream)
            if name.startswith("encoder/"):
                found |= _renamed(name.removeprefix("encoder/"), array)
    return found


def _array(stream: BinaryIO) -> tuple[str, NDArray]:
    name = _text(stream)
    shape = [_number(stream, "<I") for _ in range(_number(stream, "<B"))]
    kind, size = _number(stream, "<B"), _number(stream, "<I")
    data = stream.read(min(size, os.fstat(stream.fileno()).st_size))  # so much is reserved, whatever is there
    if kind not in _TYPES:
        raise ValueError(f"numbers of an unknown type in '{name}'")
    return name, np.frombuffer(data, _TYPES[kind]).reshape(shape)


def _renamed(name: str, array: NDArray) -> dict[str, Tensor]:
    """An array under OpenAI's name; the stacked queries, keys and values under theirs."""
    tensor = torch.from_numpy(array.copy())
    if array.dtype.kind == "i" and array.ndim > 1:
        raise ValueError("whole numbers; only models in 32 or 16 bits are read")
    own = re.sub(r"^layer_(\d+)/", r"blocks.\1.", name)
    stacked = re.fullmatch(r"(blocks\.\d+)\.self_attention/linear_0/(weight|bias)", own)
    if stacked:
        thirds = zip(("query", "key", "value"), tensor.chunk(3), strict=True)
        kept = {f"{stacked[1]}.attn.{part}.{stacked[2]}": third for part, third in thirds}
        kept.pop(f"{stacked[1]}.attn.key.bias", None)  # zeros
        return kept
    for theirs, ours in _FROM_CTRANSLATE2.items():
        own = own.replace(theirs, ours)
    return {own.replace("/", "."): tensor}


def _number(stream: BinaryIO, kind: str) -> int:
    return struct.unpack(kind, stream.read(struct.calcsize(kind)))[0]


def _text(stream: BinaryIO) -> str:
    return stream.read(_number(stream, "<H")).rstrip(b"\0").decode()
