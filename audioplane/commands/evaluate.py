"""Measures a trained head on its subject's held-out frames, and on the same with the audio a second late.

Protocol: the head over the true frame without the head, uncompressed pictures, no neural measure. Lips are read from
the pictures by a reader learnt on the subject's training frames; what it makes of the true frames is the ceiling.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

NAME = "evaluate"
HELP = "measure a trained head on its subject's held-out frames"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("run", type=Path, metavar="RUN", help="the run's folder, or a head.safetensors")
    parser.add_argument("subject", type=Path, metavar="SUBJECT", help="the Subject's folder")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the summary there")


def run(args: argparse.Namespace) -> int:
    """Evaluates; returns the exit status."""
    from audioplane.errors import UserError
    from audioplane.experiments.runs import SHIFT, held_out
    from audioplane.head import TalkingHead
    from audioplane.metrics.mouth import MouthReader
    from audioplane.subject import Subject

    subject = Subject.open(args.subject)
    head = TalkingHead.load(args.run, sparse=False)
    if (head.width, head.height) != (subject.width, subject.height):
        raise UserError(
            f"the head was trained at {head.width} x {head.height}, {args.subject} is {subject.width} x "
            f"{subject.height}; give the Subject it was trained on"
        )
    if not len(subject.test):
        raise UserError(f"{args.subject} has no held-out frames; make it again with a test split")
    reader = MouthReader(subject)
    summary = held_out(head, subject, reader)[0].to_dict()
    late = held_out(head, subject, reader, SHIFT)[0].to_dict()
    width = max(map(len, summary))
    print(f"{'':{width}}  {'own audio':>12}  {f'{SHIFT:g} s late':>12}")
    for name, value in summary.items():
        cells = [f"{v:12.3f}" if isinstance(v, float) else f"{v:>12}" for v in (value, late[name])]
        print(f"{name:{width}}  {cells[0]}" + ("" if isinstance(value, str) else f"  {cells[1]}"))
    if args.json:
        beside = args.json.with_name(f".{args.json.name}.tmp")
        beside.write_text(json.dumps({**summary, "shifted": late}, indent=1) + "\n", encoding="utf-8")
        beside.replace(args.json)
    return 0
