"""Writes a trained head for others: its Gaussians as a .ply for viewers of splats, its model card, or a packed head.

The .ply holds the head at rest, lips closed, upright where y points up, facing the viewer. A head that was trained on a
surface (`--set gaussians.surface=true`) holds together seen from beside. A packed head (--packed) speaks as before and
takes a tenth of the space.
"""

from __future__ import annotations

import argparse
from pathlib import Path

NAME = "export"
HELP = "write a trained head as a .ply, as a small packed head, or its model card"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "run", type=Path, metavar="RUN", help="the run's folder, a head.safetensors, or a head that ships"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="the .ply to write")
    parser.add_argument("--packed", type=Path, metavar="FILE", help="the packed .safetensors to write")
    parser.add_argument(
        "--card", type=Path, metavar="FILE", help="the model card (.md) to write, as model hubs show it"
    )


def run(args: argparse.Namespace) -> int:
    """Writes; returns the exit status."""
    from audioplane.errors import UserError
    from audioplane.inference.card import card
    from audioplane.inference.packing import pack
    from audioplane.inference.talking_head import TalkingHead
    from audioplane.runtime import files

    if args.out is None and args.packed is None and args.card is None:
        raise UserError("nothing to write: give --out FILE.ply, --packed FILE.safetensors or --card FILE.md")
    for option, path, ending in (
        ("out", args.out, ".ply"),
        ("packed", args.packed, ".safetensors"),
        ("card", args.card, ".md"),
    ):
        if path is not None and path.suffix.lower() != ending:
            raise UserError(f"--{option} {path} must end in {ending}")
    head = TalkingHead.load(args.run)
    if args.out is not None:
        head.save_ply(args.out)
        print(f"{len(head.cloud)} Gaussians at {args.out}")
    if args.packed is not None:
        pack(head, args.packed)
        print(f"packed head at {args.packed}, {args.packed.stat().st_size / 2**20:.1f} MiB")
    if args.card is not None:
        files.write_text(args.card, card(head))
        print(f"model card at {args.card}")
    return 0
