"""Turns a video of one person who speaks into a Subject, ready for `audioplane train`, which also makes the features
of the voice, as its settings ask (audio.features); none are kept with the Subject.

Each step is made once and kept in the cache: a run that was killed goes on where it was.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

NAME = "prepare"
HELP = "turn a video of a person who speaks into a Subject"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("video", type=Path, metavar="VIDEO", help="any file that FFmpeg reads")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the new Subject")
    parser.add_argument("--name", default="", help="of the speaker (default: the file's)")
    parser.add_argument(
        "--audio-track",
        type=int,
        default=0,
        metavar="N",
        help="the sound track to take, from 1 (default: the one flagged as default, else the first that is not silent)",
    )
    parser.add_argument(
        "--face",
        default="largest",
        metavar="WHICH",
        help="whom to take of several: largest, left, right, or N, the so many-th by size (default: largest)",
    )
    parser.add_argument("--size", type=int, default=512, help="side of the pictures, pixels (default: 512)")
    parser.add_argument("--start", type=float, default=0.0, metavar="S", help="first second that is taken (default: 0)")
    parser.add_argument("--end", type=float, metavar="S", help="where to stop, seconds (default: the end)")
    parser.add_argument(
        "--train",
        type=float,
        default=0.0,
        metavar="S",
        help="seconds to learn from, the rest is held out (default: four fifths)",
    )
    parser.add_argument("--landmarks", default="mediapipe", help="mediapipe or face-alignment (default: mediapipe)")
    parser.add_argument(
        "--face-parsing",
        default="",
        metavar="FILE",
        help="masks by BiSeNet: 79999_iter.pth of face-parsing.PyTorch, or bisenet for the one among "
        "the assets (default: MediaPipe's networks)",
    )
    parser.add_argument(
        "--shift-audio",
        default="0",
        metavar="S",
        help="put the sound so many seconds later; auto: where it fits the mouth",
    )
    parser.add_argument(
        "--focal", type=float, default=0.0, metavar="F", help="focal length in sides of the crop (default: searched)"
    )
    parser.add_argument(
        "--skip",
        action="append",
        default=[],
        metavar="PART",
        help="leave out hair, flow, weights, bundle, inertia or refine; may be repeated",
    )
    parser.add_argument("--split", action="store_true", help="cut the video where it jumps: one Subject a piece in DIR")
    parser.add_argument("--seed", type=int, default=0, help="of the cloud that poses are refined with (default: 0)")
    parser.add_argument("--forget", action="store_true", help="remove the kept steps of this video when it is done")


def run(args: argparse.Namespace) -> int:
    """Prepares; returns the exit status."""
    from audioplane.errors import UserError
    from audioplane.preprocess.pipeline import prepare
    from audioplane.preprocess.preparation import Preparation
    from audioplane.preprocess.settings import Settings

    try:
        shift: Any = args.shift_audio if args.shift_audio == "auto" else float(args.shift_audio)
    except ValueError:
        raise UserError(f"--shift-audio takes seconds or auto, not {args.shift_audio!r}") from None
    settings = Settings(
        size=args.size,
        audio_track=args.audio_track,
        face=args.face,
        start=args.start,
        end=args.end,
        landmarks=args.landmarks,
        focal=args.focal,
        shift_audio=shift,
        train=args.train,
        face_parsing=args.face_parsing,
        skip=tuple(args.skip),
        seed=args.seed,
    )
    started, bars = time.monotonic(), Bars()
    try:
        made = prepare(args.video, args.out, settings, args.name, args.split, bars, _draw)
    finally:
        bars.close()
    from audioplane.subject import Subject

    for folder, facts in made:
        subject = Subject.open(folder)
        print(facts.report())
        for problem in subject.validate(every_picture=False):
            if problem.part != "sync":  # the report has said it
                print(f"            - {problem}")
        print(f"  {subject}\n  {folder}, contact sheet {_sheet_of(folder)}")
    spent = ", ".join(f"{name} {seconds:.0f}" for name, seconds in bars.seconds.items() if seconds >= 0.5)
    print(f"  seconds: {spent or 'nothing was to be made'}; in all {time.monotonic() - started:.0f}")
    if args.forget:
        Preparation(args.video, settings, bars).steps.forget()
    return 0


def _sheet_of(folder: Path) -> Path:
    return folder.with_name(folder.name + ".png")


def _draw(folder: Path, name: Path) -> None:
    """Draws the contact sheet of a Subject that is about to get its name."""
    from audioplane.plots.contact_sheet import save
    from audioplane.subject import Subject

    save(Subject.open(folder), _sheet_of(name))


class Bars:
    """Progress bars, one a step, and how long each was open."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._open: list[Any] = []

    def __call__(self, name: str, total: int) -> Any:
        from tqdm import tqdm

        bar = tqdm(
            total=total,
            desc=f"{name:<10}",
            unit="frame",
            disable=not sys.stderr.isatty(),
            leave=False,
            position=len([b for b in self._open if b.n < (b.total or 0)]),
        )
        self._open.append(bar)
        started = time.monotonic()

        def update(count: int) -> None:
            bar.update(count)
            self.seconds[name] = time.monotonic() - started

        return update

    def close(self) -> None:
        """Takes the bars from the screen."""
        for bar in self._open:
            bar.close()
