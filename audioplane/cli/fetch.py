"""Downloads optional model files from their public homes into the assets folder, checked by sha256.

Nothing else in audioplane downloads anything.
"""

from __future__ import annotations

import argparse
import json
import sys
import urllib.error
import urllib.request
from importlib import import_module
from pathlib import Path

from audioplane.errors import UserError
from audioplane.runtime import files, weights
from audioplane.runtime.weights import ModelFile

NAME = "fetch"
HELP = "download optional model files (see `audioplane doctor`)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="name", help="which files; without a name, lists them")
    parser.add_argument("--json", action="store_true", help="the list as JSON")


def run(args: argparse.Namespace) -> int:
    unknown = [name for name in args.names if name not in weights.REGISTRY]
    if unknown:
        raise UserError(f"No model file is called {unknown[0]!r}. There are: {', '.join(weights.REGISTRY)}.")
    if not args.names and args.json:
        known = {name: weights.find(name) for name in weights.REGISTRY}
        print(json.dumps({name: None if path is None else str(path) for name, path in known.items()}, indent=2))
    elif not args.names:
        for file in weights.REGISTRY.values():
            state = "here   " if weights.find(file.name) else "missing"
            print(f"{file.name:<16} {state}  {file.purpose}; licence: {file.licence}")
    for name in args.names:
        here = weights.find(name)
        print(f"{name}: {here or download(weights.REGISTRY[name])}")
    return 0


def download(file: ModelFile) -> Path:
    """Downloads one file to its place in the assets folder, or leaves nothing behind; returns the path.

    Raises:
        UserError: there is no plain file to download, the network said no, or the content is a wrong one.
    """
    if file.by_hand:
        raise UserError(f"{file.name!r} must be got by hand: {file.by_hand}; then put it at {file.candidates()[0]}")
    target = file.candidates()[0]
    try:
        files.make_folder(target.parent)
        with files.atomic_path(target) as draft:
            if file.maker:
                import_module(file.maker).make(file.url, draft, _checked)
            else:
                _checked(file.url, draft, file.sha256)
    except urllib.error.URLError as error:
        raise UserError(f"{file.name!r}: {file.url} cannot be reached ({error.reason}).") from error
    except OSError as error:
        raise UserError(f"{file.name!r} cannot be written to {target} ({error}). Set {weights.VARIABLE}.") from error
    return target


def _checked(url: str, path: Path, sha256: str) -> None:
    _copy(url, path)
    if not weights.digest(path).startswith(sha256):
        raise UserError(f"{url} gave a file with another sha256 than {sha256[:12]}...: not kept.")


def _copy(url: str, path: Path) -> None:
    with urllib.request.urlopen(url, timeout=60) as answer, path.open("wb") as out:
        total = int(answer.headers.get("Content-Length") or 0)
        done = 0
        while block := answer.read(1 << 20):
            out.write(block)
            done += len(block)
            if sys.stderr.isatty():
                share = f"{done / total:4.0%}" if total else f"{done >> 20} MiB"
                print(f"\r  {path.name} {share}", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    if total and done != total:
        raise UserError(f"{url} broke off after {done} of {total} bytes: try again.")
