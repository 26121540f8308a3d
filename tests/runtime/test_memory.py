"""Too little memory is said before anything begins."""

from __future__ import annotations

import subprocess
import sys

import pytest

from audioplane.errors import UserError
from audioplane.runtime import memory

resource = pytest.importorskip("resource")


def test_enough_room_says_nothing(monkeypatch):
    monkeypatch.setattr(memory, "_left", lambda: memory.LEAST + memory.IMPORTS)
    memory.check_room()
    monkeypatch.setattr(memory, "_left", lambda: float("inf"))
    memory.check_room()


@pytest.mark.parametrize("left", [-5.0, 0.0, memory.LEAST - 1.0])
def test_too_little_room_says_how_much_it_takes(left, monkeypatch):
    monkeypatch.setattr(memory, "_left", lambda: left)
    with pytest.raises(UserError, match=r"may take only \d+ MiB more of memory and needs \d+; allow it more"):
        memory.check_room()


def test_no_limit_is_infinite_room():
    if resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY:
        assert memory._left() == float("inf")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to its limit of addresses")
@pytest.mark.parametrize("mebibytes", [200, 500, 1500])
def test_a_command_with_too_little_memory_ends_in_a_sentence(mebibytes):
    code = (
        "import resource, sys; from audioplane.cli import main; "
        f"resource.setrlimit(resource.RLIMIT_AS, ({mebibytes << 20},) * 2); sys.exit(main(['doctor']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("audioplane doctor: this process may take only ")
    assert done.stderr.count("\n") == 1
