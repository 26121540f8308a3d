"""Names that come from files and arguments: what they may hold, and that a path stays inside its folder.

A name is text for people. Where it also becomes part of a file's name it must be one that cannot lead elsewhere and
that no pattern, page or shell reads as something else; both are checked where the name enters.
"""

from __future__ import annotations

import os
from pathlib import Path

from audioplane.errors import UserError

SIGNS = " ._+-()"
LONGEST = 80  # characters
LONGEST_BYTES = 180  # in UTF-8: a folder's name has 255, and ours adds to it
SPOKEN = "letters, digits, spaces and . _ + - ( ), beginning with a letter or digit"


def is_name(text: object) -> bool:
    """Whether a text may name a speaker: letters and digits of any script, a few signs, at most 80 characters."""
    return (
        isinstance(text, str)
        and 0 < len(text) <= LONGEST
        and text[0].isalnum()
        and not text.endswith((" ", "."))
        and all(letter.isalnum() or letter in SIGNS for letter in text)
        and len(text.encode("utf-8", "replace")) <= LONGEST_BYTES
    )


def check_name(text: object, what: str) -> str:
    """Returns a name that can be used.

    Args:
        text: the name. what: whose it is, for the sentence, such as "the speaker's name".

    Raises:
        UserError: it has other characters, is empty or too long.
    """
    if not is_name(text):
        shown = repr(text)[:60]
        raise UserError(f"{what} must consist of {SPOKEN}, at most {LONGEST} characters, not {shown}")
    assert isinstance(text, str)
    return text


def as_name(text: str, otherwise: str) -> str:
    """A name made of any text, such as a file's: other characters become "_"; `otherwise` where nothing is left."""
    kept = "".join(letter if letter.isalnum() or letter in SIGNS else "_" for letter in text)[:LONGEST]
    while len(kept.encode()) > LONGEST_BYTES:
        kept = kept[:-1]
    kept = kept.lstrip(SIGNS).rstrip(" .")
    return kept if is_name(kept) else otherwise


def inside(folder: Path, name: str) -> Path:
    """The path of a part of a folder.

    Args:
        folder: which holds it. name: relative, with "/" between folders; the file need not exist.

    Raises:
        UserError: the name or a symbolic link leads out of the folder.
    """
    parts = name.split("/")
    if not name or "\0" in name or "\\" in name or any(part in ("", ".", "..") for part in parts):
        raise UserError(f"{folder} names a part {name!r}, which is no name of a file inside it")
    path = folder.joinpath(*parts)
    if os.path.isabs(name) or ":" in parts[0]:
        raise UserError(f"{folder} names a part {name!r}, which is no name of a file inside it")
    root = os.path.realpath(folder)
    if os.path.commonpath([root, os.path.realpath(path)]) != root:
        raise UserError(f"{path} is a link that leads out of {folder}; put the file itself there")
    return path
