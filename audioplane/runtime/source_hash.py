"""A hash of all that a result was made by: the sources that its makers import, and the data files that these read.

Results that are kept (trained heads, records, speakers, steps of a preparation) carry it in their key, so that a
result of other code is never taken for one of this code. Comments, docstrings and the shape of the text do not count.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

DATA = (".json", ".npz", ".ogg", ".safetensors", ".txt")
ENDS = tuple(f"{ending}'" for ending in DATA)  # of their names as Python writes them


@dataclass(frozen=True)
class Module:
    """What a source file says.

    Attributes:
        digest: of its code. imports: dotted names, of modules or of names in modules.
        files: its strings that may be the names of data files, or their ends.
    """

    digest: str
    imports: tuple[str, ...]
    files: tuple[str, ...]


def source_hash(*entries: str, without: Iterable[str] = ()) -> str:
    """Sixteen hexadecimal digits of the code and data behind some modules.

    Args:
        entries: dotted names of the modules that make the result. without: see `closure`.
    """
    total, modules = hashlib.sha256(), closure(*entries, without=without)
    for name, path in sorted(modules.items()):
        total.update(f"{name} {_module(path).digest}\n".encode())
    for path in data_files(modules.values()):
        total.update(f"{path.name} {_content(path)}\n".encode())
    return total.hexdigest()[:16]


def closure(*entries: str, without: Iterable[str] = ()) -> dict[str, Path]:
    """The source files that some modules import, and these in turn: dotted name -> path.

    Followed are all import statements, those inside functions too, into the packages that the entries belong to; not
    those for type checkers alone. A package's `__init__` belongs to each of its modules, since Python runs it first.

    Args:
        entries: dotted names of modules. without: modules or packages that are left out with what only they import.

    Raises:
        ModuleNotFoundError: there is no such entry.
    """
    known: dict[str, Path] = {}
    for root in {name.partition(".")[0] for name in entries}:
        known |= _modules(root)
    for name in entries:
        if name not in known:
            raise ModuleNotFoundError(f"there is no module {name}")
    for out in without:
        known = {name: path for name, path in known.items() if not f"{name}.".startswith(f"{out}.")}
    found: dict[str, Path] = {}
    waiting = list(entries)
    while waiting:
        name = waiting.pop()
        if name in known and name not in found:
            path = found[name] = known[name]
            above = name.rpartition(".")[0]
            package = name if path.name == "__init__.py" else above
            waiting += [above, *(_absolute(one, package) for one in _module(path).imports)]
    return found


def data_files(modules: Iterable[Path]) -> list[Path]:
    """The data files that some source files name.

    These are the files beside a module whose names are among its strings, and those in folders beside it (that are no
    packages) whose names end as one of its strings does, as "a.ogg" for f"{name}.ogg".
    """
    found = set()
    for path in modules:
        if ends := tuple(text.rpartition("/")[2].rpartition("*")[2] for text in _module(path).files):
            found |= {file for file in path.parent.iterdir() if file.suffix in DATA and file.name in ends}
            folders = [one for one in path.parent.iterdir() if one.is_dir() and not (one / "__init__.py").exists()]
            inside = [file for folder in folders for file in folder.iterdir()]
            found |= {file for file in inside if file.suffix in DATA and file.name.endswith(ends)}
    return sorted(found)


def _folders(root: str) -> list[str]:
    """Of a package that can be imported."""
    place = importlib.util.find_spec(root)
    if place is None:
        raise ModuleNotFoundError(f"there is no package {root}")
    return list(place.submodule_search_locations or ())


def _modules(root: str) -> dict[str, Path]:
    """Every source file of a package, by its dotted name."""
    found = {}
    for folder in map(str, _folders(root)):
        for place, _, names in os.walk(folder):
            package = root + place[len(folder) :].replace(os.sep, ".")
            sources = [name.removesuffix(".py") for name in names if name.endswith(".py")]
            found |= {
                package if name == "__init__" else f"{package}.{name}": Path(place, f"{name}.py") for name in sources
            }
    return found


def _absolute(name: str, package: str) -> str:
    """The full name of an import: ".x" beside, "..x" above."""
    own = name.lstrip(".")
    dots = len(name) - len(own)
    if not dots:
        return name
    parts = package.split(".")
    return ".".join([*parts[: len(parts) - dots + 1], *filter(None, [own])])


def _module(path: Path) -> Module:
    status = path.stat()
    return _read(path, status.st_size, status.st_mtime_ns)


def _content(path: Path) -> str:
    status = path.stat()
    return _hashed(path, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=4096)
def _hashed(path: Path, size: int, changed: int) -> str:
    """The sha256 of a data file, once a process for each state of it."""
    del size, changed
    return hashlib.sha256(path.read_bytes()).hexdigest()


@functools.lru_cache(maxsize=4096)
def _read(path: Path, size: int, changed: int) -> Module:
    """A source file, once a process for each state of it."""
    del size, changed
    tree = ast.parse(path.read_bytes())
    imports: list[str] = []
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            imports += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            imports += [base, *(f"{base}{'.' if node.module else ''}{alias.name}" for alias in node.names)]
    words: list[str] = []
    _spell(compile(tree, "", "exec", dont_inherit=True, optimize=2), words)  # without docstrings
    strings = [word[1:-1] for word in words if word.endswith(ENDS)]
    digest = hashlib.sha256("\n".join(words).encode()).hexdigest()
    return Module(digest, tuple(dict.fromkeys(imports)), tuple(dict.fromkeys(strings)))


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """All statements; takes imports for type checkers, texts of exceptions and loose strings out of the tree."""
    waiting: list[Any] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in (
            getattr(node.test, "id", ""),
            getattr(node.test, "attr", ""),
        ):
            node.body = []
        if isinstance(node, ast.Raise):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                    inner.value = ""
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            lines = getattr(node, field, None)
            if isinstance(lines, list):
                kept = [line for line in lines if not _is_loose_string(line)]
                empty = field == "body" and not kept and not isinstance(node, ast.Module)
                setattr(node, field, [ast.copy_location(ast.Pass(), node)] if empty else kept)
                waiting += kept
        yield node


def _is_loose_string(line: ast.AST) -> bool:
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and isinstance(line.value.value, str)


def _spell(value: Any, words: list[str]) -> None:
    """Adds a constant, or compiled code and its constants, as words in which no line numbers stand."""
    if isinstance(value, CodeType):
        words.append(value.co_code.hex())
        words.append(f"{value.co_flags} {value.co_argcount} {value.co_posonlyargcount} {value.co_kwonlyargcount}")
        words += [*value.co_names, *value.co_varnames, *value.co_freevars, *value.co_cellvars]
        words.append(getattr(value, "co_exceptiontable", b"").hex())
        value = value.co_consts
    if isinstance(value, tuple):
        words.append("(")
        for one in value:
            _spell(one, words)
        words.append(")")
    elif isinstance(value, frozenset):
        words += ["{", *sorted(map(repr, value)), "}"]
    else:
        words.append(repr(value))
