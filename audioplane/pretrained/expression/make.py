"""Makes `expression/expression.safetensors`: data, training, and what is measured on held-out people.

    python -m audioplane.pretrained.expression.make --out expression.safetensors

Embedded speakers are made by code (`pip install espeakng-loader`); FACEGOOD's recordings are looked for among the
assets. The same settings on the same machine give the same bytes.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from audioplane.audio.features import Features
from audioplane.audio.mel import Statistics
from audioplane.config import AudioConfig
from audioplane.errors import UserError
from audioplane.expression.generator import FPS, WINDOW, ExpressionGenerator, Scales
from audioplane.pretrained.expression import data, examine, training
from audioplane.pretrained.expression.data import Clip
from audioplane.runtime import limits, weights
from audioplane.runtime.threads import set_own
from audioplane.synthetic import cast
from audioplane.synthetic.performance import perform

KIND = "whisper-phonetic"
VALIDATION = range(800_000, 800_008)
"""held_out_N of whom no network learns; by them `training.gains` are found."""
USUAL = 8  # clips whose statistics are those of a usual voice


@dataclass(frozen=True)
class Material:
    """What is learned from.

    Attributes:
        clips, unseen: to learn from, and to find gains by. heard, heard_unseen: their voice features.
        kind: of these. usual: statistics of a usual voice.
    """

    clips: Sequence[Clip]
    unseen: Sequence[Clip]
    heard: Sequence[np.ndarray]
    heard_unseen: Sequence[np.ndarray]
    kind: str
    usual: Statistics


def gather(settings: training.Settings, with_captures: bool = True, kind: str = KIND) -> Material:
    """Makes the training data; it does not depend on the seed.

    Args:
        settings: of the training. with_captures: whether FACEGOOD's recordings are learned from.
        kind: of the voice features.

    Raises:
        UserError: espeak-ng is not installed, or the captures are not on this machine.
    """
    captured = data.captured(held_out=False) if with_captures else []
    clips = data.embedded(range(settings.people), settings.seconds) + captured
    unseen = data.embedded(VALIDATION, settings.seconds)
    usual = usual_voice(clips[:USUAL], kind)
    heard, heard_unseen = ([features(clip, kind, usual) for clip in some] for some in (clips, unseen))
    return Material(clips, unseen, heard, heard_unseen, kind, usual)


def fit(
    material: Material, settings: training.Settings, report: Callable[[str], Any] = lambda line: None
) -> ExpressionGenerator:
    """Trains a generator.

    Args:
        material: to learn from. settings: of the training. report: is told how it goes.
    """
    before = set_own(1)
    try:
        targets, started = training.targets_of(material.clips), time.monotonic()
        voice = training.train_voice(material.clips, material.heard, targets, settings, report=report)
        vq_vae = training.train_vq_vae(material.clips, targets, settings, report=report)
        report(f"trained in {time.monotonic() - started:.0f} s")
        gains = training.gains(voice, material.unseen, material.heard_unseen, targets)
        numbers = (targets.mean, targets.spread, gains, data.resting(), np.stack(material.usual))
        scales = Scales(*(torch.from_numpy(one).float() for one in numbers))
        return ExpressionGenerator(voice, vq_vae, scales, material.kind)
    finally:
        set_own(before)


def usual_voice(clips: Sequence[Clip], kind: str) -> Statistics:
    """Mean and spread of the features of a usual voice, over some clips."""
    found = [Features.fit(AudioConfig(features=kind, window=WINDOW), clip.audio).statistics for clip in clips]
    means, spreads = zip(*[one for one in found if one is not None], strict=True)
    return np.mean(means, axis=0), np.mean(spreads, axis=0)


def features(clip: Clip, kind: str, usual: Statistics) -> np.ndarray:
    """A clip's voice features (T, WINDOW, C), as the generator reads them."""
    return Features(AudioConfig(features=kind, window=WINDOW), usual)(clip.audio, FPS, len(clip.weights))


def measures(generator: ExpressionGenerator, with_captures: bool) -> dict[str, Any]:
    """What the model card says of a generator; see `examine`."""
    clips = data.embedded_tests()
    adam = cast.find("adam")
    play = perform(adam)
    face, split = cast.head(cast.identity_of(adam), "ours"), play.train_frames
    found: dict[str, Any] = {
        "embedded": {name: asdict(one) for name, one in examine.told_by_voice(generator, clips).items()},
        "codebook": examine.usage(generator.vq_vae, [clip.weights for clip in clips]),
        "adam driven by an extreme identity": examine.driven_by_another(
            generator, face, play.blendshapes[:split], play.blendshapes[split:]
        ),
    }
    if with_captures:
        told = examine.told_by_voice(generator, data.captured(held_out=True))
        found["captured"] = {name: asdict(one) for name, one in told.items()}
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; see above."""
    parser = argparse.ArgumentParser(prog="python -m audioplane.pretrained.expression.make", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0, help="of every random choice (default: 0)")
    parser.add_argument("--features", default=KIND, help=f"kind of the voice features (default: {KIND})")
    parser.add_argument("--without-captures", action="store_true", help="learn from embedded speakers alone")
    numbers = {one.name: one for one in fields(training.Settings) if one.name != "seed"}
    for name, one in numbers.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(one.default), default=one.default, metavar="N")
    args = parser.parse_args(arguments)
    limits.between("--seed", args.seed, 0, 2**63 - 1)
    if args.out.suffix != ".safetensors" or not args.out.parent.is_dir():
        raise UserError(f"--out must name a .safetensors in a folder that exists, not {args.out}")
    settings = replace(training.Settings(seed=args.seed), **{name: getattr(args, name) for name in numbers})
    material = gather(settings, not args.without_captures, args.features)
    print(f"{len(material.clips)} clips, {sum(len(clip.weights) for clip in material.clips) / FPS:.0f} s")
    generator = fit(material, settings, print)
    about = {"settings": json.dumps(asdict(settings)), "features": args.features}
    generator.save(args.out, about)
    if args.features == KIND:
        generator = ExpressionGenerator.load(args.out)
    print(f"{args.out}: {args.out.stat().st_size / 1000:.0f} kB, sha256 {weights.digest(args.out)}")
    print(json.dumps(measures(generator, not args.without_captures), indent=1))


if __name__ == "__main__":
    main()
