"""Writes a trained head's Gaussians as a .ply, which the viewers of 3D Gaussian splatting open and turn.

The head at rest, lips closed, upright where y points up, facing the viewer. A head that was trained on a surface
(`--set gaussians.surface=true`) holds together seen from beside.
"""

from __future__ import annotations

import argparse
from pathlib import Path

NAME = "export"
HELP = "write a trained head as a .ply for other viewers"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("run", type=Path, metavar="RUN", help="the run's folder, or a head.safetensors")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the .ply to write")


def run(args: argparse.Namespace) -> int:
    """Writes; returns the exit status."""
    from audioplane.errors import UserError
    from audioplane.inference.talking_head import TalkingHead

    if args.out.suffix.lower() != ".ply":
        raise UserError(f"--out {args.out} must end in .ply")
    head = TalkingHead.load(args.run)
    head.save_ply(args.out)
    print(f"{len(head.cloud)} Gaussians at {args.out}")
    return 0
