"""Trains the audio-visual encoder of SyncTalk++ from scratch: makes its training data, trains, and tests it.

Everything is made by code: people who do not exist and voices of a synthesizer (`pip install espeakng-loader`). The
same settings on the same machine give the same bytes. `audio.av_encoder.load` reads the file.
"""

from __future__ import annotations

import argparse
from pathlib import Path

NAME = "train-av"
HELP = "train the built-in audio-visual encoder from scratch (about 20 minutes on two free cores)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the .safetensors to write")
    parser.add_argument("--people", type=int, metavar="N", help="synthetic people to train on (default: 72)")
    parser.add_argument("--seconds", type=float, metavar="S", help="speech of each (default: 16)")
    parser.add_argument("--steps", type=int, metavar="N", help="training steps (default: 1200)")
    parser.add_argument("--seed", type=int, default=0, help="of every random choice (default: 0)")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes that render (default: 2)")
    parser.add_argument(
        "--picture", type=Path, metavar="FILE", help="also draw restored mouths of unseen people (.webp or .png)"
    )


def run(args: argparse.Namespace) -> int:
    """Trains; returns the exit status."""
    import json
    from dataclasses import asdict, replace

    from audioplane.errors import UserError
    from audioplane.pretrained.av_encoder import examine, training
    from audioplane.pretrained.syncnet import data
    from audioplane.runtime import limits

    asked = {name: getattr(args, name) for name in ("people", "seconds", "steps") if getattr(args, name) is not None}
    settings = replace(training.Settings(), seed=args.seed, **asked)
    for name, value, low, high in (
        ("--people", settings.people, 2, 10_000),
        ("--seconds", settings.seconds, 2, 3600),
        ("--steps", settings.steps, 20, 10_000_000),
        ("--jobs", args.jobs, 1, 1024),
        ("--seed", args.seed, 0, 2**63 - 1),
    ):
        limits.between(name, value, low, high)
    if args.out.suffix != ".safetensors" or not args.out.parent.is_dir():
        raise UserError(f"--out must name a .safetensors in a folder that exists, not {args.out}")
    if args.picture and (args.picture.suffix not in (".webp", ".png") or not args.picture.parent.is_dir()):
        raise UserError(f"--picture must name a .webp or .png in a folder that exists, not {args.picture}")
    films = [training.Film.of(mouth) for mouth in data.make(range(settings.people), settings.seconds, args.jobs, print)]
    generator = training.train(films, settings, print)
    training.save(training.convolutions(generator), args.out, {"settings": json.dumps(asdict(settings))})
    unseen = [training.Film.of(mouth) for mouth in data.make_tests(args.jobs, print)]
    print(f"{args.out}: tested on unseen people, voices and sentences")
    for name, value in examine.measure(generator, unseen).items():
        print(f"  {name}: {value:.3f}")
    if args.picture:
        examine.picture(generator, unseen[::4], args.picture)
    return 0
