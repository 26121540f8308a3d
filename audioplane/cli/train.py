"""Trains a talking head on a Subject and writes it to a folder.

The folder then holds head.safetensors (the head, for `audioplane speak`), state.safetensors (for --resume),
config.json, scalars.jsonl and preview pictures.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from audioplane import registry
from audioplane.runtime import files

if TYPE_CHECKING:
    from audioplane.config import Config
    from audioplane.subject import Subject

NAME = "train"
HELP = "train a talking head on a Subject"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("subject", type=Path, metavar="SUBJECT", help="the Subject's folder")
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="the run's folder")
    parser.add_argument(
        "--method",
        default=registry.DEFAULT,
        help=f"method to train: {', '.join(registry.names())} (default: {registry.DEFAULT})",
    )
    parser.add_argument("--preset", default="demo", help="smoke, demo or paper (default: demo)")
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="PATH=VALUE",
        dest="settings",
        help="change settings, e.g. --set schedule.fine=5000 method.margin=0.1 (--settings lists them all)",
    )
    parser.add_argument("--settings", action=_List, help="list every setting of --method (named before it) and stop")
    parser.add_argument("--seed", type=int, help="of every random choice (default: the preset's, 0)")
    parser.add_argument("--resume", action="store_true", help="continue from the folder's last checkpoint")
    parser.add_argument("--device", help="cpu or cuda (default: cuda where there is one)")
    parser.add_argument("--tensorboard", action="store_true", help="also write TensorBoard events")


class _List(argparse.Action):
    """Prints the settings."""

    def __init__(self, option_strings: list[str], dest: str, **rest: object) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help=str(rest.get("help")))

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, *unused: object) -> None:
        from audioplane.config import PRESETS, preset

        configs = {name: preset(name, getattr(namespace, "method", None) or registry.DEFAULT) for name in PRESETS}
        for path, (_, about) in configs["demo"].paths.items():
            values = ", ".join(f"{name} {config.get(path)}" for name, config in configs.items())
            choices = f" One of {', '.join(map(str, about.choices))}." if about.choices else ""
            print(f"{path}\n    {about.doc}.{choices} Source: {about.source}. {values}")
        parser.exit()


def run(args: argparse.Namespace) -> int:
    """Trains; returns the exit status."""
    from audioplane.config import Config, preset
    from audioplane.errors import UserError
    from audioplane.subject import Subject

    kept = args.out / "config.json"
    if args.resume and not kept.is_file():
        raise UserError(f"there is nothing to resume in {args.out}; leave --resume away to start")
    _check_free(args)
    config = Config.read(kept) if args.resume else preset(args.preset, args.method)
    config = config.replace(*args.settings)
    config = config if args.seed is None else config.replace(seed=args.seed)
    subject = Subject.open(args.subject)
    with files.run_folder(args.out):  # one training at a time
        _check_free(args)
        return _train(args, config, subject)


def _check_free(args: argparse.Namespace) -> None:
    """Refuses a folder that holds a run which is not to go on."""
    from audioplane.errors import UserError

    if not args.resume and (args.out / "state.safetensors").exists():
        raise UserError(f"{args.out} already holds a run; add --resume to go on, or choose another folder")


LARGE = 10.0  # times the pixels of `demo`, from which a run says its cost first


def cost(config: Config, subject: Subject, device: str) -> str | None:
    """What a large run asks for, in words, against the preset `demo`; None for a small one."""
    from audioplane.config import preset

    def pixels(one: Config) -> float:
        width = one.schedule.size or subject.width
        return (one.schedule.coarse + one.schedule.fine) * width**2 * subject.height / subject.width

    times = pixels(config) / pixels(preset("demo", config.method.NAME))
    if times < LARGE:
        return None
    own = config.schedule
    count, cap = own.coarse + own.fine, config.gaussians.cap
    said = f"{count:,} iterations, up to {cap:,} Gaussians: {times:.0f} times demo's pixels"
    return f"{said}, on the CPU; this is made for a GPU (--device cuda)" if device == "cpu" else f"{said}, on {device}"


def notes(config: Config, subject: Subject, facts: dict[str, object]) -> list[str]:
    """What a run does otherwise than its settings may let one think."""
    found = []
    if config.schedule.size > subject.width:
        found.append(
            f"{subject.name} was filmed {subject.width} pixels wide and is enlarged to {config.schedule.size}; "
            f"--set schedule.size={subject.width} trains it as it is"
        )
    if config.loss.perceptual != facts.get("perceptual", config.loss.perceptual):
        found.append(
            f"the perceptual term is {facts['perceptual']}: the weights of lpips-alex are missing (`audioplane fetch`)"
        )
    return found


def _train(args: argparse.Namespace, config: Config, subject: Subject) -> int:
    from audioplane.inference.talking_head import TalkingHead
    from audioplane.runtime.device import kind, known
    from audioplane.training.callbacks import Previews, Progress, Scalars, TensorBoard, forget_after
    from audioplane.training.trainer import Trainer

    callbacks = [Progress(), Scalars(args.out), Previews(args.out)]
    if args.tensorboard:
        callbacks.append(TensorBoard(args.out))
    started = time.monotonic()
    device = None if args.device is None else known(args.device)
    asked = cost(config, subject, device or kind())
    if asked is not None:
        print(asked, file=sys.stderr)
    trainer = Trainer(config, subject, args.out, callbacks, device, args.resume)
    print(
        f"{subject.name}: {len(subject.train)} frames, prepared in {time.monotonic() - started:.1f} s", file=sys.stderr
    )
    for note in notes(config, subject, trainer.facts):
        print(note, file=sys.stderr)
    if trainer.conditions.own_range is not None and not trainer.conditions.own_range.is_captured:
        print(f"{subject.name} has no blendshapes: eyes and brows of this head will keep still", file=sys.stderr)
    forget_after(args.out, trainer.iteration)
    trainer.run()
    head = TalkingHead.export(trainer, args.out / "head.safetensors")
    print(
        f"{args.out / 'head.safetensors'}: {len(head.cloud)} Gaussians, {head.moving} of them move, "
        f"{(args.out / 'head.safetensors').stat().st_size / 2**20:.1f} MiB, {time.monotonic() - started:.1f} s"
    )
    return 0
