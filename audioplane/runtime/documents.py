"""The one reader of JSON from outside: as large and deep as allowed, and of the type that its caller names.

Types are dataclasses, `msgspec.Struct`s and `typing` forms; `Annotated[int, msgspec.Meta(ge=1)]` sets bounds. JSON has
neither NaN nor infinite numbers here, as its standard has it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from audioplane.errors import UserError
from audioplane.runtime import limits

T = TypeVar("T")
_PLACE = re.compile(r" - at `(?:key in )?\$\.?(?P<place>[^`]*)`$")


def read(path: Path, kind: type[T] | Any, advice: str) -> T:
    """A JSON file.

    Args:
        path: of the file. kind: the type that its content has.
        advice: what the user can do if it has not, as the end of a sentence.

    Raises:
        UserError: it is missing, unreadable, too large, no JSON, or of another type; says where.
    """
    return parse(read_bytes(path), kind, str(path), advice)


def read_bytes(path: Path, limit: str = "json_bytes") -> bytes:
    """The content of an ordinary file of at most `limit` bytes.

    Raises:
        UserError: it is missing, no ordinary file, unreadable, or too large.
    """
    try:
        if not path.is_file():  # a pipe would be waited for, a device has no end
            raise UserError(f"{path} is not an ordinary file" if path.exists() else f"there is no file {path}")
        size = path.stat().st_size
        if size > limits.limit(limit):
            raise limits.exceeded(f"{path} has {size} bytes", limit)
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({getattr(error, 'strerror', None) or error})") from error


def parse(data: bytes | str, kind: type[T] | Any, what: str, advice: str) -> T:
    """JSON that was read already.

    Args:
        data: the text. kind: the type that it has. what: whose it is. advice: see `read`.

    Raises:
        UserError: no JSON, or of another type; says where.
    """
    try:
        values = msgspec.json.decode(data)
        _check_depth(values, what)
        return convert(values, kind, what, advice)
    except UserError:
        raise
    except RecursionError:
        raise UserError(f"{what} is damaged: its values lie too deep in each other; {advice}") from None
    except (ValueError, OverflowError) as error:  # msgspec's errors, and text that is no UTF-8
        raise UserError(f"{what} is damaged: {_words(error)}; {advice}") from error


def convert(values: Any, kind: type[T] | Any, what: str, advice: str) -> T:
    """Values of a JSON text, as a type.

    Raises:
        UserError: they are of another; says where.
    """
    if kind is Any:
        return values
    try:
        return msgspec.convert(values, kind)
    except (msgspec.ValidationError, ValueError, OverflowError, RecursionError) as error:
        raise UserError(f"{what} is damaged: {_words(error)}; {advice}") from error


def finite(values: Any) -> Any:
    """A copy in which numbers that JSON does not know are None."""
    if isinstance(values, Mapping):
        return {name: finite(value) for name, value in values.items()}
    if isinstance(values, list | tuple):
        return [finite(value) for value in values]
    return None if isinstance(values, float) and not abs(values) < float("inf") else values


def _check_depth(values: Any, what: str) -> None:
    """Refuses values that lie deeper in each other than whoever walks through them can follow."""
    level, depth, deepest = [values], 0, limits.limit("json_depth")
    while level:
        depth += 1
        if depth > deepest:
            raise limits.exceeded(f"{what} has values that lie {depth} deep in each other", "json_depth")
        inner = [value for value in level if isinstance(value, dict | list)]
        level = [
            value
            for one in inner
            for value in (one.values() if isinstance(one, dict) else one)
            if isinstance(value, dict | list)
        ]


def _words(error: BaseException) -> str:
    """msgspec's sentence, with the place first: "num_frames: expected `int`, got `str`"."""
    text = str(error) or type(error).__name__
    place = _PLACE.search(text)
    if place is None:
        return text[:200]
    text = text[: place.start()]
    return f"{place['place'][:80]}: {text[0].lower()}{text[1:200]}" if place["place"] else text[:200]
