"""Stale results cannot happen: a change in any file that makes a result changes its key."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import audioplane
from audioplane import registry
from audioplane.experiments import run_cache
from audioplane.experiments.runs import Clip, Job
from audioplane.runtime import device, source_hash, weights
from tests.experiments.small_runs import TINY

PACKAGE = Path(audioplane.__file__).parent
METHOD = registry.modules(TINY.method.NAME)
FILMED, EMBEDDED = Clip("disc", folder="somewhere", digest="0"), Clip("adam", size=48, seconds=5.0)
RUN = (*run_cache.TRAINING, *METHOD, "audioplane.experiments.runs")
KEYS: dict[str, tuple[tuple[str, ...], Callable[[], object]]] = {
    "head": ((*run_cache.TRAINING, *METHOD), lambda: run_cache.place("disc", "0", TINY)),
    "record": (RUN, lambda: Job(FILMED, TINY).key),
    "record of an embedded speaker": (
        (*run_cache.TRAINING, *METHOD, "audioplane.experiments.runs"),
        lambda: Job(EMBEDDED, TINY).key,
    ),
    "speaker": (
        ("audioplane.synthetic.making",),
        lambda: source_hash.source_hash("audioplane.synthetic.making"),
    ),
    "steps of a preparation": (
        ("audioplane.preprocess.piece",),
        lambda: source_hash.source_hash("audioplane.preprocess.piece"),
    ),
}
"""Each kind of result that is kept: where its making enters the code, and how its key is made."""


def files_of(kind: str) -> set[Path]:
    """The sources and data files behind a kind of result, in the package."""
    without = ("audioplane.synthetic",) if kind == "record" else ()
    sources = source_hash.closure(*KEYS[kind][0], without=without).values()
    return {*sources, *source_hash.data_files(sources)}


def keys() -> dict[str, object]:
    return {kind: make() for kind, (_, make) in KEYS.items()}


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package, of which keys are made from then on."""
    place = tmp_path / "audioplane"
    shutil.copytree(PACKAGE, place, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(source_hash, "_folders", lambda root: [place])
    return place


def with_another_constant(text: str) -> str:
    """A source whose first number is one more; one without numbers gets one."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            lines = text.splitlines(keepends=True)
            line = lines[node.lineno - 1].encode()
            number = line[node.col_offset : node.end_col_offset]
            line = line[: node.col_offset] + b"(" + number + b" + 1)" + line[node.end_col_offset :]
            lines[node.lineno - 1] = line.decode()
            return "".join(lines)
    return f"{text}\nADDED = 1\n"


def with_other_words(text: str) -> str:
    """A source with other comments and docstrings, moved by a few lines."""
    tree = ast.parse(text)
    lines = text.splitlines(keepends=True)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node):
            first = node.body[0]
            lines[first.lineno - 1] = lines[first.lineno - 1].replace('"""', '"""In other words: ', 1)
    return f"# A comment.\n\n{''.join(lines)}\n# Another.\n"


def test_a_constant_in_any_file_changes_every_key_it_stands_behind(copy: Path) -> None:
    before, behind = keys(), {kind: files_of(kind) for kind in KEYS}
    for path in sorted(set().union(*behind.values())):
        old = path.read_bytes()
        changed = with_another_constant(old.decode()).encode() if path.suffix == ".py" else old + b"\n"
        path.write_bytes(changed)
        now = keys()
        for kind in KEYS:
            assert (now[kind] != before[kind]) == (path in behind[kind]), f"{path.relative_to(copy)}: {kind}"
        path.write_bytes(old)


def test_words_change_no_key(copy: Path) -> None:
    before = keys()
    for path in copy.rglob("*.py"):
        path.write_text(with_other_words(path.read_text(encoding="utf-8")), encoding="utf-8")
    assert keys() == before


def test_another_device_changes_the_keys_of_what_ran_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = keys()
    other = "cpu" if device.kind() == "cuda" else "cuda"
    monkeypatch.setattr(device, "kind", lambda: other)
    now = keys()
    assert {kind for kind in KEYS if now[kind] != before[kind]} == {"head", "record", "record of an embedded speaker"}


def test_an_optional_model_file_that_comes_or_changes_changes_the_keys(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AUDIOPLANE_ASSETS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "none"))
    heads = {name: TINY.replace(f"audio.features={name}") for name in ("phonetic", "wav2vec2")}
    key = {
        **{name: lambda config=config: run_cache.place("disc", "0", config) for name, config in heads.items()},
        "record": lambda: Job(FILMED, TINY).key,
    }
    missing = {name: make() for name, make in key.items()}
    for file, changed in (("wav2vec2", {"wav2vec2"}), ("lpips-alex", {"record"})):
        place = weights.REGISTRY[file].candidates()[0]
        place.parent.mkdir(parents=True, exist_ok=True)
        before = {name: make() for name, make in key.items()}
        place.write_bytes(b"weights")
        there = {name: make() for name, make in key.items()}
        assert {name for name in key if there[name] != before[name]} == changed
        place.write_bytes(b"other weights")
        assert {name for name, make in key.items() if make() != there[name]} == changed
        place.unlink()
    assert {name: make() for name, make in key.items()} == missing


def test_what_makes_the_mask_of_eq_15_stands_behind_a_head() -> None:
    assert PACKAGE / "subject" / "masks.py" in files_of("head")


def test_each_kind_knows_what_it_should_and_no_more() -> None:
    rooms = {kind: {path.relative_to(PACKAGE).parts[0] for path in files_of(kind)} for kind in KEYS}
    assert not rooms["head"] & {"cli", "evaluation", "experiments", "plots", "preprocess", "synthetic", "widgets"}
    assert not rooms["record"] & {"cli", "plots", "preprocess", "synthetic", "widgets"}
    assert not rooms["speaker"] & {"cli", "evaluation", "experiments", "methods", "plots", "training", "widgets"}
    assert {"voice/data/english_a.ogg", "making.py"} <= {
        path.relative_to(PACKAGE / "synthetic").as_posix()
        for path in files_of("speaker")
        if path.is_relative_to(PACKAGE / "synthetic")
    }
    assert {PACKAGE / "audio" / f"{name}.safetensors" for name in ("phonetic", "whisper")} <= files_of("head")
    assert PACKAGE / "metrics" / "syncnet" / "weights.safetensors" in files_of("record")


def test_every_data_file_of_the_package_stands_behind_some_module() -> None:
    there = {path for path in PACKAGE.rglob("*") if path.suffix in source_hash.DATA}
    there -= set(PACKAGE.glob("methods/*/paper/numbers.json"))  # what a paper prints changes no result
    there -= set(PACKAGE.glob("inference/heads/*"))  # nor does a head that ships: it learned already
    assert there == set(source_hash.data_files(PACKAGE.rglob("*.py")))


LOADED = """
import sys
import audioplane
from audioplane.experiments import run_cache, runs
from audioplane.subject import Subject
from tests.experiments.small_runs import TINY
def loaded():
    return {name for name in sys.modules if name.startswith("audioplane")}
before = loaded()
run_cache.trained(Subject.open(sys.argv[1]), TINY)
print(*loaded() - before)
runs.run(runs.Job(runs.Clip.of(sys.argv[1]), TINY))
print(*loaded())
"""


def test_all_that_a_run_loads_stands_behind_its_key(folder: Path, own_cache: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent), "AUDIOPLANE_CACHE": str(own_cache)}
    command = [sys.executable, "-c", LOADED, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=PACKAGE.parent, check=False)
    assert done.returncode == 0, done.stderr
    training, judging = (set(line.split()) for line in done.stdout.splitlines())
    told = {"audioplane.training.callbacks"}  # is told of a training, and changes nothing
    assert training - told <= set(source_hash.closure(*KEYS["head"][0]))
    assert judging <= set(source_hash.closure(*RUN, without=["audioplane.synthetic"]))


def test_the_records_that_came_along_answer_every_cell_of_the_papers_tables() -> None:
    from audioplane.experiments import tables
    from audioplane.experiments.records import read_all

    shelf = PACKAGE.parent / "records" / "demo"
    asked = {"table2": 5, "table3": 3, "table4": 3, "table5": 3, "table6": 3, "table7": 1}
    asked |= {f"synctalk_pp/table{number}": 3 for number in (1, 3, 4, 6)}
    for key, seeds in asked.items():
        table = tables.find(key)
        known = read_all(shelf if table.method == "audio_plane" else shelf / table.method)
        assert all(job.identity in known for job in tables.jobs(table, "demo", seeds).values()), key
