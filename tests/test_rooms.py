"""The plan of the package holds: its rooms are those that CONTRIBUTING draws; no method is known outside its own."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

from audioplane import registry

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "audioplane"
LINE = re.compile(r"^(?P<indent>(?:│   |    )*)[├└]── (?P<name>\S+)", re.MULTILINE)


def drawn() -> list[str]:
    """The paths of CONTRIBUTING's tree, from top to bottom; folders end in "/"."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    tree = text.split("\naudioplane/\n", 1)[1].split("```", 1)[0]
    paths: list[str] = []
    above: list[str] = []
    for line in LINE.finditer(tree):
        above[len(line["indent"]) // 4 :] = [line["name"]]
        paths.append("".join(above))
    return paths


def packages(folder: Path) -> set[str]:
    return {child.name for child in folder.iterdir() if (child / "__init__.py").is_file()}


def test_the_tree_in_contributing_is_the_tree_on_disk() -> None:
    paths = drawn()
    assert len(paths) == len(set(paths))
    assert {path.rstrip("/") for path in paths if path.count("/") == path.endswith("/")} == {
        *packages(PACKAGE),
        *(path.name for path in PACKAGE.glob("*.py") if not path.name.startswith("__")),
    }
    for path in paths:
        assert (PACKAGE / path).is_dir() == path.endswith("/"), path
        assert (PACKAGE / path).exists(), path
    for room in {path.split("/")[0] for path in paths if "/" in path.rstrip("/")}:  # rooms drawn with what is in them
        inside = {path.removeprefix(f"{room}/").rstrip("/") for path in paths if path.startswith(f"{room}/")} - {""}
        assert inside == packages(PACKAGE / room), room


def test_the_tree_is_drawn_in_the_order_of_the_layers() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    rooms = [path.rstrip("/").removesuffix(".py") for path in drawn() if path.count("/") == path.endswith("/")]
    assert rooms == layers


def test_few_modules_lie_outside_of_rooms() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= 8


# Names of methods

BASELINES = ("tri_plane", "six_planes")  # fields that are variants of a method
ALLOWED = {
    "cli/reproduce.py: audio_plane",  # names of notebooks
    "cli/reproduce.py: degstalk",
    "cli/reproduce.py: synctalk_pp",
    "moved.py: audio_plane",  # where an old name leads
    "cli/subject.py: TalkingGaussian",  # a layout of folders
    "evaluation/protocols.py: TalkingGaussian",  # how its scripts measure
    "evaluation/protocols.py: DEGSTalk",
    "evaluation/protocols.py: degstalk",
}
"""Names of methods that stand outside of a method's folder and the registry, and why."""


def names() -> set[str]:
    """What methods and their variants are called in code and in texts: tri_plane, tri-plane, TriPlane."""
    known = [*registry.names(), *BASELINES]
    parts = [name.split("_") for name in known]
    joined = {sign.join(words) for words in parts for sign in "_-" if len(words) > 1}
    camel = {"".join(word.capitalize() for word in words) for words in parts}
    titles = {registry.spec(name).title for name in registry.names()}
    return {*joined, *camel, *titles, *(name for name in known if "_" not in name)}


def words(path: Path) -> set[str]:
    """All that a source says to Python or to its user: names and texts, but not docstrings and comments."""
    if path.suffix != ".py":
        return set(path.read_text(encoding="utf-8").splitlines())
    tree = ast.parse(path.read_text(encoding="utf-8"))
    loose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) not in loose:
            fields = ("id", "attr", "arg", "name", "asname", "module", "value")
            found |= {value for field in fields if isinstance(value := getattr(node, field, None), str)}
    return found


def sources() -> list[Path]:
    """Files of the package outside of the methods' own folders and the registry."""
    own = [PACKAGE / "methods" / name for name in registry.BUILT_IN]
    every = [path for kind in ("*.py", "*.js", "*.html", "*.css") for path in sorted(PACKAGE.rglob(kind))]
    return [p for p in every if p != PACKAGE / "registry.py" and not any(p.is_relative_to(folder) for folder in own)]


def test_no_methods_name_stands_outside_of_its_folder() -> None:
    called = names()
    assert {"audio_plane", "AudioPlane", "Audio-Plane", "tri-plane", "SixPlanes"} <= called
    found = set()
    for path in sources():
        said = words(path)
        place = path.relative_to(PACKAGE).as_posix()
        found |= {f"{place}: {name}" for name in called if any(name in word for word in said)}
    assert found == ALLOWED


@pytest.mark.parametrize(
    "text", ["import x.audio_plane", "kind = 'tri_plane'", "class MyTriPlane: ...", "f(six_planes=1)"]
)
def test_a_methods_name_is_seen_in_code(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(text)
    assert any(name in word for word in words(tmp_path / "a.py") for name in names())


def test_a_citation_is_no_use_of_a_method(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text('def f():\n    """(Audio-Plane, Eq. 10)"""\n    # as tri_plane does')
    assert not any(name in word for word in words(tmp_path / "a.py") for name in names())


def test_no_import_hides_in_a_text() -> None:
    """`lint-imports` reads statements: a module of ours that is imported by a text would be an arrow nobody sees."""
    hidden = set()
    for path in sources():
        if path.suffix == ".py":
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                called = isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__"))
                if called and any("audioplane" in ast.unparse(argument) for argument in node.args):
                    hidden.add(path.relative_to(PACKAGE).as_posix())
    assert hidden == set()
