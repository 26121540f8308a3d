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

    from audioplane.inference.talking_head import TalkingHead
    from audioplane.restore.restorer import Restorer

NAME = "speak"
HELP = "make a video of a trained head that speaks a recording"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "run", type=Path, metavar="RUN", help="a run's folder, a head.safetensors, or a head that ships (adam)"
    )
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
    parser.add_argument(
        "--expression",
        default="natural",
        metavar="HOW",
        help="eyes and brows: natural (blinks, gaze and brows at the voice's accents, by --seed), voice (the same "
        "blinks and gaze, brows as a network hears them in the voice), none (a still gaze), a capture (.csv of Live "
        "Link Face, .npy of frames x 52 blendshapes, or a film of a face), or another RUN, whose filmed expression is "
        "taken; captures are brought into this person's range (default: natural)",
    )
    parser.add_argument(
        "--expression-fps",
        type=float,
        default=0.0,
        metavar="FPS",
        help="frames a second of the capture (default: by its time codes; for .npy the head's)",
    )
    parser.add_argument(
        "--portrait",
        type=Path,
        metavar="SUBJECT",
        help="put the face into the held-out frames of the Subject that the head was trained on, in their size: hair, "
        "torso and background are then filmed",
    )
    parser.add_argument(
        "--portrait-edge",
        choices=("face", "mask"),
        default="face",
        help="with --portrait: what is blurred, the face (the paper) or its mask (SyncTalk's code) (default: face)",
    )
    parser.add_argument(
        "--torso",
        metavar="HOW",
        help="the seam under the head: painted (once, as the head's file has it), restored (in each frame, by what "
        "`audioplane train-torso RUN SUBJECT` made), or a restorer's .safetensors (default: restored if RUN has a "
        "restorer, else painted)",
    )
    parser.add_argument("--size", type=int, default=0, help="width in pixels (default: as trained)")
    parser.add_argument("--seed", type=int, default=0, help="of natural poses and expression (default: 0)")
    parser.add_argument("--no-mark", action="store_true", help="leave the visible mark out; the metadata stays")
    parser.add_argument("--features", default="", help="for heads trained on DeepSpeech features: this voice's .npy")
    parser.add_argument(
        "--sample",
        type=Path,
        metavar="FILE",
        help="a few more seconds of the same voice, for its statistics, if VOICE is very short",
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    parser.add_argument(
        "--dense", action="store_true", help="deform every Gaussian in every frame, not only those that move visibly"
    )


def run(args: argparse.Namespace) -> int:
    """Speaks; returns the exit status."""
    from audioplane.errors import UserError
    from audioplane.inference.portrait import Portrait
    from audioplane.inference.poses import POSES
    from audioplane.inference.talking_head import TalkingHead
    from audioplane.media.writer import format_of
    from audioplane.runtime.device import known
    from audioplane.subject import Subject

    if args.poses not in POSES:
        raise UserError(f"--poses is one of {', '.join(POSES)}, not '{args.poses}'")
    if args.size < 0 or args.size > 4096:
        raise UserError(f"--size lies between 1 and 4096 pixels, not {args.size}")
    format_of(args.out)  # before minutes of work
    restorer = _restorer(args.torso, args.run, args.portrait is not None)
    portrait = None if args.portrait is None else Portrait(Subject.open(args.portrait), args.portrait_edge)
    head = TalkingHead.load(args.run, not args.dense, known(args.device))
    started = time.monotonic()
    voice, mark = _voice(args.voice, args.audio_track), not args.no_mark
    expression = _expression(args.expression, args.expression_fps, head)
    if args.expression != "none" and (head.own_range is None or not head.own_range.is_captured):
        print("eyes and brows keep still: this head was trained without an expression", file=sys.stderr)
    more = (args.features, args.sample, expression, portrait, restorer)
    head.speak(voice, args.out, args.poses, args.size, args.seed, mark, *more)
    print(f"{args.out}: {time.monotonic() - started:.1f} s", file=sys.stderr)
    return 0


def _restorer(how: str | None, run: Path, is_portrait: bool) -> Restorer | None:
    """What `--torso` names: nothing to do, the restorer beside the head, or that of a file."""
    from audioplane.errors import UserError
    from audioplane.inference import shipped
    from audioplane.restore.restorer import Restorer, beside

    own = beside(shipped.find(run))
    if how is None:
        how = "restored" if own.is_file() and not is_portrait else "painted"
    if how == "painted":
        return None
    if how != "restored" and Path(how).suffix != ".safetensors":
        raise UserError(f"--torso is painted, restored or a restorer's .safetensors, not '{how}'")
    path = own if how == "restored" else Path(how)
    restorer = Restorer.load(path)
    print(f"torso restored by {path}", file=sys.stderr)
    return restorer


def _expression(how: str, fps: float, head: TalkingHead) -> str | np.ndarray:
    """What `--expression` names: a word that the head knows, or a capture (T, 52) at the head's frame rate."""
    from audioplane.errors import UserError
    from audioplane.inference.expressions import EXPRESSIONS
    from audioplane.inference.talking_head import TalkingHead
    from audioplane.motion import captures

    if fps < 0 or fps > 1000:
        raise UserError(f"--expression-fps is a number of frames a second, not {fps:g}")
    if how in EXPRESSIONS:
        return how
    path = Path(how)
    if not path.exists():
        raise UserError(f"--expression is {', '.join(EXPRESSIONS)}, a capture or a run; there is no file {path}")
    if path.is_dir() or path.suffix == ".safetensors":
        return TalkingHead.load(path).filmed_expression(head.fps)
    if path.suffix.lower() in captures.SUFFIXES:
        return captures.read_capture(path, head.fps, fps)
    from audioplane.preprocess.expressions import expression_of_film

    weights, filmed = expression_of_film(path)
    return captures.at_rate(weights, fps or filmed, head.fps)


def _voice(name: Path, track: int) -> Path | np.ndarray:
    """The file, or samples: of a file's track that was asked for, or of the embedded voice of that name."""
    from audioplane.media.sound import load_audio
    from audioplane.synthetic.voice import load_voice, voice_names

    if track:
        return load_audio(name, track)
    return load_voice(str(name)).audio if not name.exists() and str(name) in voice_names() else name
