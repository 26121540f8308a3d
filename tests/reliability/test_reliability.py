"""The short part of `make torture`: some of its bad commands and mutations, evenly over all; --slow tries all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.reliability import bad_commands, mutations

ROOT = Path(__file__).resolve().parents[2]
EVERY = 30  # of the bad commands that is tried here
TABLE = bad_commands.table()
SHORT = [case.name for number, case in enumerate(TABLE) if number % EVERY == 0 or case.must_pass]


def torture(out: Path, *arguments: object) -> dict[str, list[str]]:
    """Runs `torture` in a process of its own, in which nothing has started threads; what broke, by try."""
    command = [sys.executable, "-m", "tests.reliability.torture", *map(str, arguments), "--json", str(out)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert out.exists(), done.stderr
    return json.loads(out.read_text())


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> dict[str, list[str]]:
    every = 1 if request.config.getoption("--slow") else EVERY
    return torture(tmp_path_factory.mktemp("torture") / "commands.json", "commands", "--every", every)


@pytest.mark.skipif(sys.platform != "linux", reason="children are forked and limited as on Linux")
@pytest.mark.parametrize(
    "name", [pytest.param(case.name, marks=() if case.name in SHORT else pytest.mark.slow) for case in TABLE]
)
def test_a_bad_command_ends_in_a_sentence(name: str, commands: dict[str, list[str]]) -> None:
    assert commands[name] == []


@pytest.mark.skipif(sys.platform != "linux", reason="children are forked and limited as on Linux")
def test_changed_files_are_read_or_refused(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    every = 1 if request.config.getoption("--slow") else 40
    found = torture(tmp_path / "mutations.json", "mutations", "--every", every)
    assert len(found) >= 0.9 * sum(one[3] for one in mutations.READERS.values()) / every
    assert {name: faults for name, faults in found.items() if faults} == {}


def test_the_tables_are_as_large_as_they_should_be() -> None:
    assert len(TABLE) >= 300
    assert sum(one[3] for one in mutations.READERS.values()) >= 10_000


def test_the_harness_sees_what_it_looks_for(tmp_path: Path) -> None:
    from tests.reliability.harness import TRACEBACK, Outcome

    fine = Outcome(2, "", "audioplane x: no", 0.1, 10**8, False, ())
    assert fine.faults() == []
    for outcome, words in (
        (
            Outcome(TRACEBACK, "", "Traceback ...\nKeyError: 'x'", 0.1, 10**8, False, ()),
            "traceback: Traceback ... | KeyError: 'x'",
        ),
        (Outcome(-11, "", "x", 0.1, 10**8, False, ()), "crashes: signal 11"),
        (Outcome(-9, "", "x", 20.1, 10**8, True, ()), "hangs"),
        (Outcome(2, "", "x", 0.1, 3 * 2**30, False, ()), "takes 3.0 GB"),
        (Outcome(2, "", "x", 0.1, 10**8, False, ("new",)), "leaves new"),
        (Outcome(2, "", "", 0.1, 10**8, False, ()), "says nothing"),
    ):
        assert any(words in fault for fault in outcome.faults()), words
