"""The clone of the repository: notebooks, records and figures lie there, and in no wheel.

Looked for around the package first, then from the current folder upward (a notebook of a clone, run with an installed
wheel). Nothing else is ever taken for one: another project may have folders of the same names.
"""

from __future__ import annotations

from pathlib import Path

from audioplane.errors import UserError

PACKAGE = Path(__file__).parents[1]


def find() -> Path | None:
    """The root of the clone, or None."""
    here = Path.cwd()
    return next((folder for folder in (PACKAGE.parent, here, *here.parents) if _is_clone(folder)), None)


def folder(*parts: str) -> Path:
    """A folder or file of the clone.

    Raises:
        UserError: there is no clone, or it has no such part; says where it was looked for.
    """
    root, wanted = find(), "/".join(parts)
    if root is None:
        raise UserError(
            f"{wanted} lies in a clone of the audioplane repository, and there is none around {PACKAGE} or "
            f"{Path.cwd()}: run this in a clone"
        )
    path = root.joinpath(*parts)
    if not path.exists():
        raise UserError(f"the clone in {root} has no {wanted}")
    return path


def _is_clone(folder: Path) -> bool:
    try:
        text = (folder / "pyproject.toml").read_text(encoding="utf-8")
        return '\nname = "audioplane"\n' in text and (folder / "audioplane" / "__init__.py").is_file()
    except (OSError, ValueError):
        return False
