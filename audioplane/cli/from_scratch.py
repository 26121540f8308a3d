"""What the commands that train a built-in network from scratch share: arguments, and the settings that these make."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from audioplane.errors import UserError
from audioplane.runtime import limits

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    S = TypeVar("S", bound=DataclassInstance)


def add_arguments(parser: argparse.ArgumentParser, things: str, what: str, defaults: tuple[int, int, int]) -> None:
    """Adds --out, --THINGS, --seconds, --steps, --seed and --jobs.

    Args:
        parser: of the command.
        things: the setting that counts the training data, as `people`.
        what: one calls them.
        defaults: how many there are, seconds of each, and training steps, for the help.
    """
    number, seconds, steps = defaults
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the .safetensors to write")
    parser.add_argument(f"--{things}", type=int, metavar="N", help=f"{what} to train on (default: {number})")
    parser.add_argument("--seconds", type=float, metavar="S", help=f"speech of each (default: {seconds})")
    parser.add_argument("--steps", type=int, metavar="N", help=f"training steps (default: {steps})")
    parser.add_argument("--seed", type=int, default=0, help="of every random choice (default: 0)")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes that make the data (default: 2)")


def settings(args: argparse.Namespace, default: S, things: str, most: int) -> S:
    """The command's settings, of which `things` may count 2 to `most`.

    Raises:
        UserError: a number out of its bounds, or an --out that cannot be written.
    """
    names = (things, "seconds", "steps")
    asked = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    chosen = replace(default, seed=args.seed, **asked)
    for name, low, high in ((things, 2, most), ("seconds", 2, 3600), ("steps", 20, 10_000_000), ("seed", 0, 2**63 - 1)):
        limits.between(f"--{name}", getattr(chosen, name), low, high)
    limits.between("--jobs", args.jobs, 1, 1024)
    if args.out.suffix != ".safetensors" or not args.out.parent.is_dir():
        raise UserError(f"--out must name a .safetensors in a folder that exists, not {args.out}")
    return chosen
