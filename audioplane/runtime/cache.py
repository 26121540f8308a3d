"""Where audioplane keeps what it can make or fetch again: one folder of the user's, moved by one variable."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from audioplane.errors import UserError

VARIABLE = "AUDIOPLANE_CACHE"


def folder(*parts: str) -> Path:
    """The cache folder, or a folder inside it (absolute; not created: a question must not leave traces).

    `AUDIOPLANE_CACHE` if it is set, else `audioplane` in the place the operating system keeps for caches.

    Raises:
        UserError: `AUDIOPLANE_CACHE` names a file, or is not set and there is no home folder.
    """
    override = os.environ.get(VARIABLE)
    root = (_named(override) if override else _system_cache() / "audioplane").absolute()
    if root.exists() and not root.is_dir():
        raise UserError(f"{VARIABLE} must name a folder, but {root} is a file. Change it or unset it.")
    return root.joinpath(*parts)


def make(*parts: str) -> Path:
    """Like `folder`, and creates it.

    Raises:
        UserError: it cannot be created.
    """
    path = folder(*parts)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"The cache folder {path} cannot be created ({error.strerror}). Set {VARIABLE} to a folder you can write."
        ) from error
    return path


def home() -> Path:
    """The user's home folder.

    Raises:
        UserError: there is none, as in some containers.
    """
    try:
        return Path.home()
    except RuntimeError:
        raise UserError(
            f"This user has no home folder to keep things in: set {VARIABLE} to a folder you can write."
        ) from None


def _named(folder: str) -> Path:
    path = Path(folder)
    return home().joinpath(*path.parts[1:]) if path.parts[:1] == ("~",) else path.expanduser()


def _system_cache() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or home() / ".cache")
