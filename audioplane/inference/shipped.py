"""Heads that ship with the package, by the names of their speakers; `audioplane.pretrained.head.make` makes them."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def names() -> list[str]:
    """Names of the heads that ship."""
    return sorted(_shipped())


def find(name: str | Path) -> Path:
    """The file of a head that ships, if `name` is one's and no file or folder of that name lies here; else `name`."""
    path = Path(name)
    return path if path.exists() else _shipped().get(str(name), path)


def _shipped() -> dict[str, Path]:
    folder = Path(str(files("audioplane.inference") / "heads"))
    return {path.stem: path for path in folder.iterdir() if not path.name.startswith(".")} if folder.is_dir() else {}
