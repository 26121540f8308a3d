"""Lets the head that ships speak, and opens the film: nothing has to be trained or downloaded first.

With --browser it is a page instead, in which the head speaks, turns and is steered by hand, without a network.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

NAME = "demo"
HELP = "let the head that ships speak, and open the film"
SECONDS = 6.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="the film or page to write (default: audioplane-demo.mp4 or .html here)",
    )
    parser.add_argument("--browser", action="store_true", help="write a page in which the head speaks and turns")
    parser.add_argument("--head", default="adam", metavar="NAME", help="a head that ships (default: adam)")
    parser.add_argument("--voice", default="english_drive", help="an embedded voice (default: english_drive)")
    parser.add_argument("--no-open", action="store_true", help="only write the file")


def run(args: argparse.Namespace) -> int:
    """Speaks; returns the exit status."""
    from audioplane.errors import UserError
    from audioplane.inference import shipped
    from audioplane.inference.talking_head import TalkingHead
    from audioplane.media.writer import format_of
    from audioplane.synthetic.voice import SAMPLE_RATE, load_voice

    if args.head not in shipped.names():
        raise UserError(f"--head is one of {', '.join(shipped.names())}, not '{args.head}'")
    started, ending = time.monotonic(), ".html" if args.browser else ".mp4"
    out = args.out or Path(f"audioplane-demo{ending}")
    if args.browser and out.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--out {out} must end in .html with --browser")
    if not args.browser:
        format_of(out)
    audio = load_voice(args.voice).audio[: int(SECONDS * SAMPLE_RATE)]
    head = TalkingHead.load(args.head)
    print(f"{args.head} speaks {SECONDS:g} s; the first time, kernels are compiled", file=sys.stderr)
    if args.browser:
        from audioplane.widgets import GaussianViewer

        GaussianViewer(head, audio).save(out)
    else:
        head.speak(audio, out)
    print(f"{out}: {time.monotonic() - started:.1f} s")
    if not args.no_open and sys.stdout.isatty():
        import webbrowser

        webbrowser.open(out.resolve().as_uri())
    return 0
