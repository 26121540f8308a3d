"""`audioplane fetch ict-facekit`: the public OBJ files that are needed, each by its sha256, made into one .npz.

`files.txt` (as `sha256sum` writes it) lists them: the neutral mesh, the 53 expressions, the first ten of the hundred
identities; 164 MB together, of which one file at a time is on disk. The .npz has 4 MB.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from audioplane.synthetic.ict import kit

Copy = Callable[[str, Path, str], None]
"""Downloads a URL to a path, and refuses what has another sha256."""


def files() -> dict[str, str]:
    """sha256 of each file by its name without `.obj`."""
    rows = (Path(__file__).parent / "files.txt").read_text(encoding="ascii").split("\n")
    return {name.removesuffix(".obj"): digest for digest, name in (row.split() for row in rows if row)}


def make(url: str, path: Path, copy: Copy) -> None:
    """Downloads what lies below `url`, and writes the .npz to `path`."""
    digests = files()
    with tempfile.TemporaryDirectory() as folder:
        piece = Path(folder) / "piece.obj"

        def text(name: str) -> str:
            copy(f"{url}{name}.obj", piece, digests[name])
            return piece.read_text(encoding="utf-8")

        kit.save(kit.from_files(list(digests), text), path)
