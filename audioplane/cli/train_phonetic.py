"""Trains the phonetic networks anew: makes voices that speak, learns what is said and how the mouth moves, examines.

Everything is made by code: sentences from templates, spoken by a synthesizer (`pip install espeakng-loader`) in voices
none of which ships. The same settings on the same machine give the same bytes. With `--films`, `--people` and
`--recordings` the networks learn from real people too; with `--grid` they are asked for the words of some.
"""

from __future__ import annotations

import argparse
from pathlib import Path

NAME = "train-phonetic"
HELP = "train the networks that hear phonemes and mouths anew (about 25 minutes on two cores)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the .safetensors to write")
    parser.add_argument("--clips", type=int, metavar="N", help="voices to learn from (default: 600)")
    parser.add_argument("--seconds", type=float, metavar="S", help="that each speaks (default: 24)")
    parser.add_argument("--steps", type=int, metavar="N", help="of the optimiser (default: 3600)")
    parser.add_argument("--seed", type=int, default=0, help="of the networks and of all that is drawn (default: 0)")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes that speak (default: 2)")
    parser.add_argument(
        "--films",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="learn also from the lips and the voice of one person, all of whose films are in DIR; may be repeated",
    )
    parser.add_argument("--people", type=Path, metavar="DIR", help="the same, each film of another person")
    parser.add_argument("--recordings", type=Path, metavar="DIR", help="learn also from voices, each file of a person")
    parser.add_argument(
        "--grid", type=Path, metavar="DIR", help="a talker's films of the GRID corpus and their times in DIR/align"
    )


def run(args: argparse.Namespace) -> int:
    """Trains; returns the exit status."""
    import json
    from dataclasses import asdict, replace

    import numpy as np

    from audioplane.audio import phonetic
    from audioplane.errors import UserError
    from audioplane.pretrained.phonetic import data, examine, real, training

    asked = {name: getattr(args, name) for name in ("clips", "seconds", "steps") if getattr(args, name) is not None}
    settings = replace(training.Settings(), seed=args.seed, **asked)
    if settings.clips < 2 or settings.seconds < 2 or settings.steps < 20 or args.jobs < 1:
        raise UserError("--clips and --seconds must be 2 or more, --steps 20 or more, --jobs 1 or more")
    if args.out.suffix != ".safetensors" or not args.out.parent.is_dir():
        raise UserError(f"--out must name a .safetensors in a folder that exists, not {args.out}")
    films = real.listed(args.grid, (".mpg",)) if args.grid else []
    people = {str(folder): real.listed(folder, real.FILMS) for folder in args.films}
    people |= {str(film): [film] for film in (real.listed(args.people, real.FILMS) if args.people else [])}
    recordings = real.listed(args.recordings, real.SOUNDS) if args.recordings else []
    takes = [*real.watched(people, args.jobs, print), *map(real.heard, recordings)]
    clips = data.make(settings.clips, settings.seconds, settings.seed, jobs=args.jobs, told=print)
    weights = training.train_both(training.Corpus.of(clips), settings, takes=takes)
    training.save(weights, args.out, {"settings": json.dumps(asdict(settings)), "takes": str(len(takes))})
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
