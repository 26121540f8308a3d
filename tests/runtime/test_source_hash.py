"""What belongs to a result's code, on a small package."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from audioplane.runtime.source_hash import closure, data_files, source_hash

FILES = {
    "__init__.py": "",
    "maker.py": '''
from __future__ import annotations
from typing import TYPE_CHECKING
import NAME.plain
from NAME import member
from NAME.room import thing
from NAME.room.deep import value as renamed
if TYPE_CHECKING:
    from NAME.typing_only import T

RATE = 2

def run(x):
    """Doubles."""
    from .later import late
    if x < 0:
        raise ValueError(f"x must be 0 or more, got {x}")  # a comment
    return late(RATE * x)
''',
    "plain.py": "import json, numpy",
    "member.py": "",
    "later.py": "def late(x):\n    return x",
    "typing_only.py": "",
    "alone.py": "",
    "room/__init__.py": "from .inner import thing",
    "room/inner.py": "from ..above import thing",
    "room/deep.py": "value = open('table.json'), [open(f'{n}.ogg') for n in 'ab']",
    "room/table.json": "{}",
    "room/other.json": "{}",
    "room/data/a.ogg": "a",
    "room/data/b.ogg": "b",
    "room/data/b.txt": "b",
    "above.py": "thing = 1",
}
BELONG = ("", ".maker", ".plain", ".member", ".later", ".room", ".room.inner", ".room.deep", ".above")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / f"package_{os.getpid()}"
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("NAME", folder.name))
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def digest(package: Path, **options: object) -> str:
    return source_hash(f"{package.name}.maker", **options)  # type: ignore[arg-type]


def test_the_closure_follows_every_import_but_those_for_type_checkers(package: Path) -> None:
    found = closure(f"{package.name}.maker")
    assert set(found) == {f"{package.name}{name}" for name in BELONG}
    assert found[f"{package.name}.room"] == package / "room" / "__init__.py"
    left = closure(f"{package.name}.maker", without=[f"{package.name}.room"])
    gone = (".room", ".room.inner", ".room.deep", ".above")
    assert set(found) - set(left) == {f"{package.name}{name}" for name in gone}


def test_an_entry_that_is_not_there_is_told() -> None:
    for name in ("audioplane.nothing", "no_such_package.module"):
        with pytest.raises(ModuleNotFoundError, match=r"no_such_package|audioplane\.nothing"):
            closure(name)


def test_data_are_the_files_that_the_code_names(package: Path) -> None:
    found = data_files(closure(f"{package.name}.maker").values())
    assert [path.name for path in found] == ["a.ogg", "b.ogg", "table.json"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("RATE = 2", "RATE = 3"),
        ("RATE = 2", "RATE = 2.0"),
        ("RATE = 2", "RATE = {2, 3}"),
        ("RATE * x", "RATE + x"),
        ("late(RATE", "late(-RATE"),
        ("x < 0", "x <= 0"),
        ("import member", "import alone"),
        ("def run(x)", "def run(x, y=1)"),
    ],
)
def test_other_code_is_another_hash(package: Path, old: str, new: str) -> None:
    before, path = digest(package), package / "maker.py"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert digest(package) != before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Doubles.", "Multiplies by two."),
        ("# a comment", "# another one"),
        ("RATE = 2", '\n# Hz\nRATE = (\n    2\n)\n"""Of what."""'),
        ("x must be 0 or more, got", "negative:"),
        ("typing_only import T", "alone import U"),
    ],
)
def test_other_words_are_the_same_hash(package: Path, old: str, new: str) -> None:
    before, path = digest(package), package / "maker.py"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert digest(package) == before


def test_other_files_count_where_they_belong(package: Path) -> None:
    before = digest(package)
    for name in ("alone.py", "typing_only.py", "room/other.json", "room/data/b.txt"):
        (package / name).write_text("other = 1")
        assert digest(package) == before, name
    for name in ("above.py", "room/table.json", "room/data/a.ogg"):
        (package / name).write_text("other = 2")
        changed = digest(package)
        assert changed != before, name
        before = changed
    (package / "room" / "data" / "c.ogg").write_text("c")
    assert digest(package) != before


def test_sets_do_not_depend_on_the_process(package: Path) -> None:
    (package / "maker.py").write_text("LETTERS = [x for x in 'abc' if x in {'a', 'b', 'c', 'd', 'e'}]")
    program = f"from audioplane.runtime.source_hash import source_hash; print(source_hash('{package.name}.maker'))"
    found = set()
    for seed in "123":
        root = str(Path(__file__).resolve().parents[2])
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join([root, str(package.parent)])}
        done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)
        found.add(done.stdout)
    assert len(found) == 1
