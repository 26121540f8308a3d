"""Trains the built-in lip-sync scorer from scratch: makes its training data, trains, and tests it.

Everything is made by code: people who do not exist and voices of a synthesizer (`pip install espeakng-loader`). The
same settings on the same machine give the same bytes. `pretrained.syncnet.scorers.Scorer.built_in` reads the file.
"""

from __future__ import annotations

import argparse
from pathlib import Path

NAME = "train-sync"
HELP = "train the built-in lip-sync scorer from scratch (about 15 minutes on two free cores)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the .safetensors to write")
    parser.add_argument("--people", type=int, metavar="N", help="synthetic people to train on (default: 72)")
    parser.add_argument("--seconds", type=float, metavar="S", help="speech of each (default: 16)")
    parser.add_argument("--steps", type=int, metavar="N", help="training steps (default: 1200)")
    parser.add_argument("--seed", type=int, default=0, help="of every random choice (default: 0)")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes that render (default: 2)")


def run(args: argparse.Namespace) -> int:
    """Trains; returns the exit status."""
    import json
    from dataclasses import asdict, replace

    from audioplane.errors import UserError
    from audioplane.metrics.syncnet import scorers
    from audioplane.pretrained.syncnet import data, examine, training
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
    mouths = data.make(range(settings.people), settings.seconds, args.jobs, print)
    network = training.train(mouths, settings, print)
    scorers.save_built_in(network, args.out, {"settings": json.dumps(asdict(settings))})
    scorer = scorers.Scorer.built_in(args.out)
    found = examine.discrimination(scorer, data.make_tests(args.jobs, print))
    print(f"{args.out}: tested on unseen people, voices and sentences, clips of {found['window_seconds']:g} s")
    for name, value in found.items():
        print(f"  {name}: {value:.3f}" if isinstance(value, float) else f"  {name}: {value}")
    return 0
