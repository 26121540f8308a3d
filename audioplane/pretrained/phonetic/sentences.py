"""Sentences to be spoken: templates filled with words, in four languages. Words and templates are ours, CC0."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

import numpy as np

LANGUAGES = ("en", "zh", "fr", "de")
_SLOT = re.compile(r"\{(\w+)\}")


@cache
def words(language: str) -> dict[str, tuple[str, ...]]:
    """Name of a slot -> what may fill it; "template" -> the sentences."""
    found: dict[str, tuple[str, ...]] = {}
    name = ""
    for line in (
        (files("audioplane.pretrained.phonetic") / "texts" / f"{language}.txt").read_text(encoding="utf8").splitlines()
    ):
        if line.startswith("#"):
            name = line[1:].strip()
        elif line.strip():
            found[name] = found.get(name, ()) + ((line,) if name == "template" else tuple(line.split(", ")))
    return found


def sentence(language: str, rng: np.random.Generator) -> str:
    """One sentence."""
    known = words(language)
    draw = lambda name: known[name][rng.integers(len(known[name]))]  # noqa: E731
    text = _SLOT.sub(lambda slot: draw(slot[1]), draw("template"))
    return text[0].upper() + text[1:]
