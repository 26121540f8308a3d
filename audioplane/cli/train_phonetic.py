"""Trains the phonetic networks from scratch: synthesizes speech, trains on its sounds and mouth movements, tests.

Everything is made by code: sentences from templates, spoken by a synthesizer (`pip install espeakng-loader`) in voices
none of which ships. The same settings on the same machine give the same bytes. With `--films`, `--people` and
`--recordings` the networks learn from real people too; with `--grid` they are tested on the words of real people.
"""

from __future__ import annotations

import argparse
from pathlib import Path

NAME = "train-phonetic"
HELP = "train the built-in phonetic networks from scratch (about 25 minutes on two cores)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the .safetensors to write")
    parser.add_argument("--clips", type=int, metavar="N", help="number of synthesized training clips (default: 600)")
    parser.add_argument("--seconds", type=float, metavar="S", help="length of each clip (default: 24)")
    parser.add_argument("--steps", type=int, metavar="N", help="training steps (default: 3600)")
    parser.add_argument("--seed", type=int, default=0, help="of every random choice (default: 0)")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes that synthesize (default: 2)")
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
    from dataclasses import asdict, replace

    import numpy as np

    from audioplane.audio import phonetic
    from audioplane.errors import UserError
    from audioplane.pretrained.phonetic import data, examine, recordings, training
    from audioplane.runtime import limits

    asked = {name: getattr(args, name) for name in ("clips", "seconds", "steps") if getattr(args, name) is not None}
    settings = replace(training.Settings(), seed=args.seed, **asked)
    for name, value, low, high in (
        ("--clips", settings.clips, 2, 100_000),
        ("--seconds", settings.seconds, 2, 3600),
        ("--steps", settings.steps, 20, 10_000_000),
        ("--jobs", args.jobs, 1, 1024),
        ("--seed", args.seed, 0, 2**63 - 1),
    ):
        limits.between(name, value, low, high)
    if args.out.suffix != ".safetensors" or not args.out.parent.is_dir():
        raise UserError(f"--out must name a .safetensors in a folder that exists, not {args.out}")
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
