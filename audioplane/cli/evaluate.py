"""Measures a trained head on its subject's held-out frames, or any film against the true one.

A run: `audioplane evaluate RUN SUBJECT`. Held-out frames under a named protocol, the same with the audio a second late,
lip sync with its controls, and for embedded speakers the errors against their ground truth. A Subject of another size
than the head's is resized to the head's, and the record names both. Films: `--pred A.mp4 --ref B.mp4`, paired by the
times of their frames. Without `--neural` no large network is run.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

from audioplane.evaluation import protocols
from audioplane.runtime import files

NAME = "evaluate"
HELP = "measure a trained head on held-out frames, or one film against another"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    known = "; ".join(f"'{p.name}': {p.about}" for p in protocols.PROTOCOLS.values())
    parser.add_argument("run", type=Path, nargs="?", metavar="RUN", help="the run's folder, or a head.safetensors")
    parser.add_argument(
        "subject",
        type=Path,
        nargs="?",
        metavar="SUBJECT",
        help="the Subject's folder (default: found in the speakers' cache)",
    )
    parser.add_argument("--pred", type=Path, metavar="FILM", help="any method's film, to be measured against --ref")
    parser.add_argument("--ref", type=Path, metavar="FILM", help="the true film")
    parser.add_argument(
        "--protocol",
        default=protocols.DEFAULT.name,
        metavar="NAME",
        help=f"how pictures are made and compared. {known}",
    )
    parser.add_argument(
        "--neural", action="store_true", help="also LPIPS, FID, BRISQUE and SyncNet where their weights are (minutes)"
    )
    parser.add_argument("--resize", action="store_true", help="films: allow other sizes, and scale --pred to --ref's")
    parser.add_argument("--cut", action="store_true", help="films: allow other lengths, and leave the rest out")
    parser.add_argument("--device", default="cpu", help="that renders the head: cpu or cuda (default: cpu)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything there")


def run(args: argparse.Namespace) -> int:
    """Evaluates; returns the exit status."""
    from audioplane.errors import UserError

    films = args.pred is not None or args.ref is not None
    if films and (args.run is not None or args.pred is None or args.ref is None):
        raise UserError("give a RUN and its SUBJECT, or both --pred and --ref, not a mixture")
    if not films and args.run is None:
        raise UserError("nothing to evaluate: give a RUN and its SUBJECT, or --pred and --ref")
    if args.json and not args.json.parent.is_dir():  # said before minutes of work
        raise UserError(f"--json {args.json}: there is no folder {args.json.parent}; make it first")
    found = _films(args) if films else _head(args)
    print("\n".join(lines(found)))
    if args.json:
        files.write_text(args.json, json.dumps(_finite(found), indent=1) + "\n")
    return 0


def _films(args: argparse.Namespace) -> dict[str, Any]:
    from audioplane.errors import UserError
    from audioplane.evaluation import report
    from audioplane.media import videos

    if args.protocol != protocols.DEFAULT.name:
        raise UserError("a protocol is made of a head and its Subject; films are compared as they are")
    return report.of_films(videos.pair(args.pred, args.ref, args.resize, args.cut), args.neural)


def _head(args: argparse.Namespace) -> dict[str, Any]:
    from audioplane.errors import UserError
    from audioplane.evaluation import report
    from audioplane.inference.talking_head import TalkingHead
    from audioplane.runtime.device import known
    from audioplane.subject import Subject

    protocol = protocols.find(args.protocol)
    head = TalkingHead.load(args.run, sparse=False, device=known(args.device))
    subject = Subject.open(args.subject if args.subject is not None else _made(head))
    if not len(subject.test):
        raise UserError(f"{subject.path} has no held-out frames; make it again with a test split")
    return report.of_head(head, subject, protocol, args.neural)


def _made(head: Any) -> Path:
    """The one Subject in the speakers' cache that has the head's name and size, or its name alone."""
    from audioplane.errors import UserError
    from audioplane.runtime import cache
    from audioplane.subject.format import MANIFEST

    name, size = head.about["name"], head.width
    known = [path.parent for path in sorted(cache.folder("speakers").glob(f"*/{MANIFEST}"))]
    named = [path for path in known if re.fullmatch(re.escape(name) + r"-\d+px-.*", path.name)]
    made = [path for path in named if path.name.startswith(f"{name}-{size}px-")] or named
    if len(made) != 1:
        raise UserError(f"{len(made)} Subjects in the cache could be this head's ({name}, {size} px); give SUBJECT")
    return made[0]


def lines(found: dict[str, Any]) -> list[str]:
    """What `report` found, for the terminal."""
    protocol, measures, late = found["protocol"], found["measures"], found.get("shifted")
    out = [f"protocol '{protocol['name']}': {protocol['about']}"]
    if protocol.get("expression", "none") != "none":
        out.append(f"expression: {protocol['expression']}")
    if "subject_size" in found:
        own, given = ("{} x {}".format(*found[key]) for key in ("size", "subject_size"))
        out.append(f"measured at {own}, the size that the head was trained at; the Subject's {given} were resized")
    out += [f"{found[name]}: {note}" for name, notes in found.get("notes", {}).items() for note in notes]
    shown = {name: value for name, value in measures.items() if name != "protocol"}
    width = max(map(len, shown))
    if late:
        out.append(f"{'':{width}}  {'own audio':>12}  {late['seconds']:>9g} s late")
    for name, value in shown.items():
        out.append(f"{name:{width}}  {_cell(value)}" + (f"  {_cell(late[name]):>16}" if late else ""))
    sync = found.get("sync") or found.get("face", {}).get("sync")
    for scorer, scores in (sync or {}).items():
        out += _sync_lines(scorer, scores)
    for angle, values in (found.get("turned") or {}).items():
        out.append(f"\n{angle} beyond the training range")
        out += [f"  {name}: {_cell(value).strip()}" for name, value in values.items()]
    for title in ("truths", "shape", "neural", "face", "speed"):
        values = {k: v for k, v in (found.get(title) or {}).items() if k != "sync"}
        if values:
            out.append(f"\n{title}")
            out += [f"  {name}: {_cell(value).strip()}" for name, value in values.items()]
    return out


def _sync_lines(scorer: str, scores: Any) -> list[str]:
    if isinstance(scores, str):
        return [f"\nlip sync: {scores}"]
    out = [
        f"\nlip sync by {scorer}, {scores['clip_seconds']:g} s" + f"{'LSE-D':>20}{'LSE-C':>8}{'offset':>8}{'at 0':>8}"
    ]
    for name, score in scores.items():
        if isinstance(score, dict):
            out.append(
                f"  {name:42}{score['distance']:8.3f}{score['confidence']:8.3f}{score['offset']:8d}"
                f"{score['at_zero']:8.3f}"
            )
    return out


def _cell(value: Any) -> str:
    if value is None:
        return f"{'-':>12}"
    if isinstance(value, (list, tuple)):
        return ", ".join(str(one) for one in value)
    return f"{value:12.3f}" if isinstance(value, float) else f"{value!s:>12}"


def _finite(value: Any) -> Any:
    """Numbers that JSON does not know become null (not a number) or "inf" (equal pictures)."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    if isinstance(value, float) and value != value:
        return None
    if value in (float("inf"), float("-inf")):
        return str(value)
    return value
