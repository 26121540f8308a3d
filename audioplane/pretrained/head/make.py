"""Makes `inference/heads/adam.safetensors`, the head that ships: trains it and packs it.

    python -m audioplane.pretrained.head.make --out adam.safetensors

Everything is made by code; the same machine and versions give the same bytes. One thread trains it, since torch's sums
differ with their number.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from audioplane import synthetic
from audioplane.config import Config, preset
from audioplane.inference import drawing
from audioplane.inference.export import export
from audioplane.inference.packing import pack
from audioplane.inference.talking_head import TalkingHead
from audioplane.metrics.image import psnr
from audioplane.runtime import weights
from audioplane.runtime.threads import one_each
from audioplane.subject import Subject
from audioplane.synthetic.voice import load_voice
from audioplane.training.callbacks import Progress
from audioplane.training.trainer import Trainer

SPEAKER, SIZE, SECONDS = "adam", 256, 100
SETTINGS = (
    "method.bf16=false",
    "schedule.fine=3900",
    "audio.calibration_steps=0",
    "audio.longest_pause=0.8",
    "schedule.wide_lips=0",
)
"""What differs from preset `demo`: products in bfloat16 differ from processor to processor; half as long again; and the
preset's settings for lips of real people came later than the file."""
STILL = 0.215  # largest change of a Gaussian that rests: its file is below 1.5 MB, a page with 10 s of voice below .8
COMPARED = 50  # frames, of the loss by packing


def config() -> Config:
    """Settings of the training."""
    return preset("demo").replace(*SETTINGS)


def train(subject: Subject, settings: Config, path: Path, is_quiet: bool = False) -> None:
    """Trains a head on one thread of the CPU and writes it, unpacked."""
    with one_each():
        trainer = Trainer(settings, subject, callbacks=[] if is_quiet else [Progress()], device="cpu")
        trainer.run()
        export(trainer, path)


def packing_loss(whole: TalkingHead, packed: TalkingHead, audio: np.ndarray) -> dict[str, float]:
    """PSNR, dB, of what a packed head shows against what it was packed from, in the frames of a voice.

    Args:
        whole, packed: the heads. audio: (n,) float32 at 16 kHz.

    Returns:
        "head": both before the same picture; "film": each before its own, as in a film.
    """
    codes, other = whole.encode(audio)[:COMPARED], packed.encode(audio)[:COMPARED]
    faces = [head.expressions(audio) for head in (whole, packed)]
    values: dict[str, list[float]] = {"head": [], "film": []}
    for k in range(len(codes)):
        t = k % len(packed.extras["test_viewmats"])
        view = whole.extras["test_viewmats"][t]
        backs = [drawing.torso(head, t + 1, head.width, head.height) for head in (whole, packed)]
        for name, behind in (("head", backs[0]), ("film", backs[1])):
            true, shown = (
                head.render(code, view, back, expression=None if face is None else face[k])
                for head, code, back, face in zip(
                    (whole, packed), (codes[k], other[k]), (backs[0], behind), faces, strict=True
                )
            )
            values[name].append(psnr(shown, true))
    return {name: float(np.mean(found)) for name, found in values.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; see above."""
    parser = argparse.ArgumentParser(prog="python -m audioplane.pretrained.head.make", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--whole", type=Path, help="also keep the head before it is packed, there")
    args = parser.parse_args(arguments)
    subject = synthetic.make(SPEAKER, size=SIZE, seconds=SECONDS)
    with tempfile.TemporaryDirectory() as folder:
        path = args.whole or Path(folder) / "head.safetensors"
        train(subject, config(), path)
        whole = TalkingHead.load(path)
        whole.let_rest(STILL)
        pack(whole, args.out)
        lost = packing_loss(whole, TalkingHead.load(args.out), load_voice("english_drive").audio)
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.2f} MB, sha256 {weights.digest(args.out)}")
    print(f"against the head before packing: {lost['head']:.1f} dB, with its torso {lost['film']:.1f} dB")


if __name__ == "__main__":
    main()
