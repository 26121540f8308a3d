"""Files written whole or not at all, by temporary names of their own."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary file beside `path` that takes its name when the block ends well, and is removed when it does not.

    The name is unlike any other writer's, so two may write the same file at once: the last to end wins, whole.

    Args:
        path: the file to write; its folder must be there.

    Yields:
        the absolute path of the temporary file, which does not exist yet.
    """
    path = Path(path).absolute()
    part = path.with_name(f".{path.name[:100]}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        yield part
        part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise
