"""Makes a video in which a trained head speaks a recording.

The film is H.264 and AAC (VP9 and Opus in .webm), as long as the voice, and marked as synthetic in a corner and in its
metadata.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

NAME = "speak"
HELP = "make a video of a trained head that speaks a recording"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("run", type=Path, metavar="RUN", help="the run's folder, or a head.safetensors")
    parser.add_argument(
        "voice",
        type=Path,
        metavar="VOICE",
        help="a sound file of any format, rate, channels, length; or the name of an embedded voice",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILM", help="the film to write: .mp4, .m4v, .mov, .mkv or .webm"
    )
    parser.add_argument(
        "--audio-track",
        type=int,
        default=0,
        metavar="N",
        help="the sound track to take, from 1 (default: the one flagged as default, else the first that is not silent)",
    )
    parser.add_argument(
        "--poses",
        default="test",
        help="head poses: test (of the held-out frames), still, or natural (generated) (default: test)",
    )
    parser.add_argument("--size", type=int, default=0, help="width in pixels (default: as trained)")
    parser.add_argument("--seed", type=int, default=0, help="of the natural poses (default: 0)")
    parser.add_argument("--no-mark", action="store_true", help="leave the visible mark out; the metadata stays")
    parser.add_argument("--features", default="", help="for heads trained on DeepSpeech features: this voice's .npy")
    parser.add_argument(
        "--sample",
        type=Path,
        metavar="FILE",
        help="a few more seconds of the same voice, for its statistics, if VOICE is very short",
    )
    parser.add_argument(
        "--dense", action="store_true", help="deform every Gaussian in every frame, not only those that move visibly"
    )


def run(args: argparse.Namespace) -> int:
    """Speaks; returns the exit status."""
    from audioplane.errors import UserError
    from audioplane.inference.talking_head import POSES, TalkingHead
    from audioplane.media.writer import format_of

    if args.poses not in POSES:
        raise UserError(f"--poses is one of {', '.join(POSES)}, not '{args.poses}'")
    if args.size < 0 or args.size > 4096:
        raise UserError(f"--size lies between 1 and 4096 pixels, not {args.size}")
    format_of(args.out)  # before minutes of work
    head = TalkingHead.load(args.run, sparse=not args.dense)
    started = time.monotonic()
    voice, mark = _voice(args.voice, args.audio_track), not args.no_mark
    head.speak(voice, args.out, args.poses, args.size, args.seed, mark, args.features, args.sample)
    print(f"{args.out}: {time.monotonic() - started:.1f} s", file=sys.stderr)
    return 0


def _voice(name: Path, track: int) -> Path | np.ndarray:
    """The file, or samples: of a file's track that was asked for, or of the embedded voice of that name."""
    from audioplane.media.sound import load_audio
    from audioplane.synthetic.voice import load_voice, voice_names

    if track:
        return load_audio(name, track)
    return load_voice(str(name)).audio if not name.exists() and str(name) in voice_names() else name
