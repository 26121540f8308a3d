"""Trains the built-in lip-sync scorer from scratch: makes its training data, trains, and tests it.

Everything is made by code: people who do not exist and voices of a synthesizer (`pip install espeakng-loader`). The
same settings on the same machine give the same bytes. `pretrained.syncnet.scorers.Scorer.built_in` reads the file.
"""

from __future__ import annotations

import argparse

from audioplane.cli import from_scratch

NAME = "train-sync"
HELP = "train the built-in lip-sync scorer from scratch (about 15 minutes on two free cores)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    from_scratch.add_arguments(parser, "people", "synthetic people", (72, 16, 1200))


def run(args: argparse.Namespace) -> int:
    """Trains; returns the exit status."""
    import json
    from dataclasses import asdict

    from audioplane.metrics.syncnet import scorers
    from audioplane.pretrained.syncnet import data, examine, training

    settings = from_scratch.settings(args, training.Settings(), "people", 10_000)
    mouths = data.make(range(settings.people), settings.seconds, args.jobs, print)
    network = training.train(mouths, settings, print)
    scorers.save_built_in(network, args.out, {"settings": json.dumps(asdict(settings))})
    scorer = scorers.Scorer.built_in(args.out)
    found = examine.discrimination(scorer, data.make_tests(args.jobs, print))
    print(f"{args.out}: tested on unseen people, voices and sentences, clips of {found['window_seconds']:g} s")
    for name, value in found.items():
        print(f"  {name}: {value:.3f}" if isinstance(value, float) else f"  {name}: {value}")
    return 0
