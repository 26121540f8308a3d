"""Checks a Subject, draws its contact sheet, imports a folder in AD-NeRF's layout, or adds coefficients of FLAME."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

NAME = "subject"
HELP = "check a Subject, draw its contact sheet, import an AD-NeRF folder, add FLAME coefficients"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the group's commands."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="{check,show,import,flame}")
    check = actions.add_parser(
        "check",
        help="read everything and list what is wrong",
        description="Reads a whole Subject and lists what is wrong and what to do. Exit status: "
        "0 all is well, 1 something is wrong, 2 not a Subject.",
    )
    check.add_argument("folder", type=Path, metavar="DIR", help="the Subject")
    check.add_argument("--json", action="store_true", help="the same as JSON")
    show = actions.add_parser("show", help="draw a contact sheet", description="Draws a contact sheet as a PNG.")
    show.add_argument("folder", type=Path, metavar="DIR", help="the Subject")
    show.add_argument("--out", type=Path, metavar="PNG", help="the picture (default: NAME.png in this folder)")
    show.add_argument("--columns", type=int, default=6, help="frames across (default: 6)")
    take = actions.add_parser(
        "import",
        help="read a folder in the layout of AD-NeRF, ER-NeRF or TalkingGaussian",
        description="Turns a folder in the layout of AD-NeRF, ER-NeRF or TalkingGaussian into a Subject.",
    )
    take.add_argument("folder", type=Path, metavar="DIR", help="the folder with transforms_train.json")
    take.add_argument("--out", type=Path, required=True, metavar="NEW", help="the new Subject")
    flame = actions.add_parser(
        "flame",
        help="add coefficients of FLAME that another program tracked",
        description="Writes a Subject once more, with coefficients of FLAME from .npz files among its tracks; "
        "`audioplane train NEW --set method.coefficients=flame` (where a method has it) is then driven by them.",
    )
    flame.add_argument("folder", type=Path, metavar="DIR", help="the Subject")
    flame.add_argument(
        "coefficients",
        type=Path,
        metavar="NPZ",
        help="the tracked coefficients (SMIRK, DECA, EMOCA, VHAP): one .npz with a row a frame, or a folder with an "
        ".npz for each frame",
    )
    flame.add_argument("--first", type=int, metavar="N", help="their frame that is the Subject's first (default: 1st)")
    flame.add_argument("--out", type=Path, required=True, metavar="NEW", help="the new Subject")


def run(args: argparse.Namespace) -> int:
    """Runs the chosen command; returns the exit status."""
    return {"check": _check, "show": _show, "import": _import, "flame": _flame}[args.action](args)


def _check(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from audioplane.subject.check import WARNING, check
    from audioplane.subject.format import read_manifest

    manifest = read_manifest(args.folder)
    pictures = manifest.num_frames * sum(name.endswith(".pack") for name in manifest.parts)
    with tqdm(total=pictures, desc="check", unit="picture", leave=False, disable=not sys.stderr.isatty()) as bar:
        problems = check(args.folder, bar.update)
    if args.json:
        print(
            json.dumps({"name": manifest.name, "frames": manifest.num_frames, "problems": list(map(asdict, problems))})
        )
        return 1 if problems else 0
    for problem in problems:
        print(problem)
    errors = sum(problem.severity != WARNING for problem in problems)
    summary = f"{manifest.name}: {manifest.num_frames} frames of {manifest.width}x{manifest.height}"
    if not problems:
        print(f"{summary}: all is well")
        return 0
    print(f"{summary}: {errors} error(s), {len(problems) - errors} warning(s)")
    return 1


def _show(args: argparse.Namespace) -> int:
    from audioplane.errors import UserError
    from audioplane.plots.contact_sheet import save
    from audioplane.subject import Subject

    if not 1 <= args.columns <= 20:
        raise UserError(f"--columns must be 1 to 20, got {args.columns}")
    subject = Subject.open(args.folder)
    print(save(subject, args.out or Path(f"{subject.name}.png"), args.columns))
    return 0


def _import(args: argparse.Namespace) -> int:
    from audioplane.subject import Subject
    from audioplane.subject.ad_nerf import convert

    layout = convert(args.folder, args.out, progress=True)
    print(Subject.open(args.out))
    if layout.renumbered:
        print("its poses were numbered on over frames without landmarks; each was given its own frame again")
    if layout.bridged:
        print(f"{len(layout.bridged)} frames without landmarks got poses between their neighbours', and no head")
    if layout.dropped:
        print(f"{len(layout.dropped)} frames were left out: only the longest run without a gap was taken")
    return 0


def _flame(args: argparse.Namespace) -> int:
    from audioplane.runtime import limits
    from audioplane.subject import Subject, flame
    from audioplane.subject.format import read_manifest

    if args.first is not None:
        limits.between("--first", args.first, 0, 10**9)
    frames = read_manifest(args.folder).num_frames
    found = flame.read(args.coefficients, frames, args.first)
    flame.add(args.folder, found, args.out)
    print(Subject.open(args.out))
    if lost := int((~found.known()).sum()):
        print(f"{lost} of {frames} frames have no coefficients; they get the median of the others")
    return 0
