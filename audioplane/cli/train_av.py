"""Trains the audio-visual encoder of SyncTalk++ from scratch: makes its training data, trains, and tests it.

Everything is made by code: people who do not exist and voices of a synthesizer (`pip install espeakng-loader`). The
same settings on the same machine give the same bytes. `audio.av_encoder.load` reads the file.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from audioplane.cli import from_scratch

NAME = "train-av"
HELP = "train the built-in audio-visual encoder from scratch (about 20 minutes on two free cores)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    from_scratch.add_arguments(parser, "people", "synthetic people", (72, 16, 1200))
    parser.add_argument(
        "--picture", type=Path, metavar="FILE", help="also draw restored mouths of unseen people (.webp or .png)"
    )


def run(args: argparse.Namespace) -> int:
    """Trains; returns the exit status."""
    import json
    from dataclasses import asdict

    from audioplane.errors import UserError
    from audioplane.pretrained.av_encoder import examine, training
    from audioplane.pretrained.syncnet import data

    settings = from_scratch.settings(args, training.Settings(), "people", 10_000)
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
