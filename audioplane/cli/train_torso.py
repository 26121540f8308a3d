"""Trains a torso restorer for a head: a small network that paints the seam between head and torso anew.

It learns from the frames of the Subject that the head was trained on, in a minute or two, whatever its method is;
`audioplane speak RUN VOICE --torso restored` then uses it.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

NAME = "train-torso"
HELP = "train what paints the seam between a head and its torso"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "run", type=Path, metavar="RUN", help="a run's folder, a head.safetensors, or a head that ships (adam)"
    )
    parser.add_argument(
        "subject", type=Path, metavar="SUBJECT", help="the folder of the Subject that it was trained on"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="the .safetensors to write (default: restorer.safetensors beside the head, where `speak` looks for it)",
    )
    parser.add_argument("--steps", type=int, metavar="N", help="training steps (default: 400)")
    parser.add_argument("--seed", type=int, default=0, help="of every random choice (default: 0)")


def run(args: argparse.Namespace) -> int:
    """Trains; returns the exit status."""
    from dataclasses import replace

    from tqdm import tqdm

    from audioplane.errors import UserError
    from audioplane.inference import shipped
    from audioplane.inference.talking_head import TalkingHead
    from audioplane.restore import restorer, training
    from audioplane.restore.settings import RestorerConfig
    from audioplane.runtime import files
    from audioplane.subject import Subject

    config = replace(RestorerConfig(), seed=args.seed, **({} if args.steps is None else {"steps": args.steps}))
    ships = not args.run.exists() and shipped.find(args.run) != args.run
    if args.out is None and ships:
        raise UserError(
            f"'{args.run}' is a head that ships: say with --out FILE.safetensors where its restorer is to lie"
        )
    out = restorer.beside(args.run) if args.out is None else args.out
    if out.suffix != ".safetensors" or not out.parent.is_dir():
        raise UserError(f"--out must name a .safetensors in a folder that exists, not {out}")
    head, subject = TalkingHead.load(args.run), Subject.open(args.subject)
    if subject.name != head.about["name"]:
        raise UserError(f"this head is of {head.about['name']}; the Subject shows {subject.name}")
    started = time.monotonic()
    with files.lock(out), tqdm(total=config.steps, desc="torso", unit="step", file=sys.stderr) as bar:

        def watch(step: int, loss: float) -> None:
            bar.set_postfix_str(f"loss {loss:.4f}", refresh=False)
            bar.update()

        made = training.train(subject, head.width, config, watch)
        made.save(out, config)
    print(
        f"{out}: {out.stat().st_size / 1000:.0f} kB, {time.monotonic() - started:.1f} s; the perceptual term is "
        f"{made.about.perceptual}"
    )
    return 0
