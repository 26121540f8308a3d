"""Trains the phonetic networks from scratch: synthesizes speech, trains on its sounds and mouth movements, tests.

Everything is made by code: sentences from templates, spoken by a synthesizer (`pip install espeakng-loader`) in voices
none of which ships. The same settings on the same machine give the same bytes. With `--films`, `--people` and
`--recordings` the networks learn from real people too; with `--grid` they are tested on the words of real people.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from audioplane.cli import from_scratch

NAME = "train-phonetic"
HELP = "train the built-in phonetic networks from scratch (about 25 minutes on two cores)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    from_scratch.add_arguments(parser, "clips", "synthesized clips", (600, 24, 3600))
    parser.add_argument(
        "--films",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="also train on films of one person, all in DIR; may be repeated",
    )
    parser.add_argument("--people", type=Path, metavar="DIR", help="also train on films, each file another person")
    parser.add_argument("--recordings", type=Path, metavar="DIR", help="also train on voices, each file another person")
    parser.add_argument(
        "--grid",
        type=Path,
        metavar="DIR",
        help="test on films of one talker of the GRID corpus, with their word times in DIR/align",
    )


def run(args: argparse.Namespace) -> int:
    """Trains; returns the exit status."""
    import json
    from dataclasses import asdict

    import numpy as np

    from audioplane.audio import phonetic
    from audioplane.pretrained.phonetic import data, examine, recordings, training

    settings = from_scratch.settings(args, training.Settings(), "clips", 100_000)
    films = recordings.list_files(args.grid, (".mpg",)) if args.grid else []
    people = {str(folder): recordings.list_files(folder, recordings.FILMS) for folder in args.films}
    people |= {
        str(film): [film] for film in (recordings.list_files(args.people, recordings.FILMS) if args.people else [])
    }
    voices = recordings.list_files(args.recordings, recordings.SOUNDS) if args.recordings else []
    real = [*recordings.read_films(people, args.jobs, print), *map(recordings.read_recording, voices)]
    clips = data.make(settings.clips, settings.seconds, settings.seed, jobs=args.jobs, report=print)
    weights = training.train_both(training.Corpus.of(clips), settings, recordings=real)
    training.save(weights, args.out, {"settings": json.dumps(asdict(settings)), "recordings": str(len(real))})
    networks = phonetic.load(args.out)
    held_out = data.make(examine.CLIPS, settings.seconds, 1, data.HELD_OUT, args.jobs)
    for variant, network in networks.items():
        for ratio in (np.inf, 10.0):
            print(f"{variant}, {'clean' if np.isinf(ratio) else f'{ratio:g} dB of pink noise'}")
            _show(f"{len(held_out)} held-out voices", examine.voices(network, held_out, ratio))
            if films:
                _show(f"{len(films)} sentences of GRID", examine.grid(network, films, args.grid / "align", ratio))
    return 0


def _show(name: str, found: dict[str, float]) -> None:
    print(f"  {name}: " + ", ".join(f"{key} {value:.3f}" for key, value in found.items()))
