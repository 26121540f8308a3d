"""Lists the embedded speakers, or makes one: a folder with frames, voice and every ground truth."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

NAME = "speakers"
HELP = "list the embedded speakers, or make one"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds `make`; without it the speakers are listed."""
    parser.add_argument("--json", action="store_true", help="the list as JSON")
    actions = parser.add_subparsers(dest="action", metavar="{make}")
    make = actions.add_parser("make", help="make a speaker's Subject", description="Makes a speaker's Subject.")
    make.add_argument("name", metavar="NAME", help="a speaker's name, or `all`")
    make.add_argument("--out", type=Path, required=True, metavar="DIR", help="the new folder (`all`: its parent)")
    make.add_argument("--size", type=int, default=256, help="width and height, pixels (default: 256)")
    make.add_argument("--seconds", type=float, default=100, help="length (default: 100)")
    make.add_argument("--seed", type=int, default=0, help="of blinks, gaze and head motion (default: 0)")
    make.add_argument("--voice", help="another voice that drives this face (default: the speaker's own)")
    make.add_argument(
        "--camera",
        type=float,
        nargs=2,
        default=(0.0, 0.0),
        metavar=("YAW", "PITCH"),
        help="where the camera stands about the head, degrees by which the head then seems turned to the image's right "
        "and up (default: 0 0); the performance is the same from everywhere",
    )
    make.add_argument(
        "--turns",
        default="speech",
        choices=("speech", "wide"),
        help="how far the head turns: speech (default, about 4 degrees), or wide (25 to the sides, 12 up and down)",
    )
    make.add_argument(
        "--backend",
        default="ours",
        choices=("ours", "ict"),
        help="whose head: ours (default), or that of ICT-FaceKit (`audioplane fetch ict-facekit`)",
    )


def run(args: argparse.Namespace) -> int:
    """Lists or makes; returns the exit status."""
    from audioplane import synthetic
    from audioplane.synthetic.specs import SPEAKERS

    if args.action is None and args.json:
        print(json.dumps({name: spec.about for name, spec in SPEAKERS.items()}, indent=2))
        return 0
    if args.action is None:
        width = max(map(len, SPEAKERS))
        for name, spec in SPEAKERS.items():
            print(f"{name:{width}}  {spec.about}")
        return 0
    chosen = synthetic.names() if args.name == "all" else [args.name]
    for name in chosen:
        out = args.out / name if args.name == "all" else args.out
        subject = synthetic.make(
            name,
            out,
            args.size,
            args.seconds,
            args.seed,
            voice=args.voice,
            backend=args.backend,
            around=tuple(args.camera),
            turns=args.turns,
        )
        print(f"{subject} at {out}")
    return 0
