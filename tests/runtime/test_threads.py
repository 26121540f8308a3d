"""Frames side by side: in order, one thread each, and the process's own settings untouched."""

from __future__ import annotations

import ast
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import audioplane
from audioplane.runtime import threads


@pytest.fixture(autouse=True)
def _two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def numbers() -> tuple[int, int]:
    """What this thread may use, and what a thread that starts now may."""
    found: list[int] = []
    fresh = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    fresh.start()
    fresh.join()
    return torch.get_num_threads(), found[0]


def count(_: int) -> int:
    return torch.get_num_threads()


def side_by_side() -> None:
    for pair in zip(threads.in_parallel(count, range(9)), threads.in_parallel(count, range(9)), strict=True):
        assert pair == (1, 1)


def one_left_standing() -> None:
    frames = threads.in_parallel(count, range(9))
    next(frames)
    assert numbers() == (2, 2)  # while it waits
    frames.close()


def one_forgotten() -> None:
    next(threads.in_parallel(count, range(9)))


def one_that_fails() -> None:
    with pytest.raises(ZeroDivisionError):
        list(threads.in_parallel(lambda k: 1 / (3 - k), range(9)))


def one_inside_another() -> None:
    assert list(threads.in_parallel(lambda k: sum(threads.in_parallel(count, range(k))), range(4))) == [0, 1, 2, 3]


def alone_for_a_while() -> None:
    with threads.one_each() as before:
        assert before == 2
        assert numbers() == (1, 2)


@pytest.mark.parametrize(
    "use", [side_by_side, one_left_standing, one_forgotten, one_that_fails, one_inside_another, alone_for_a_while]
)
def test_the_number_of_threads_is_afterwards_what_it_was(use: Callable[[], None]) -> None:
    use()
    assert numbers() == (2, 2)


def test_no_worker_starts_while_the_caller_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is slow to start would change, for that time, what the caller's new threads take on."""
    elsewhere = threads._elsewhere

    def slowly(function: Callable[[], int]) -> int:
        time.sleep(0.05)
        return elsewhere(function)

    monkeypatch.setattr(threads, "_elsewhere", slowly)
    frames = threads.in_parallel(count, range(40), workers=4)
    for _ in range(20):
        next(frames)
        time.sleep(0.01)
        assert numbers() == (2, 2)
    frames.close()


_GLOBAL = (
    "no_grad",
    "inference_mode",
    "enable_grad",
    "one_each",
    "fork_rng",
    "autocast",
    "catch_warnings",
    "rc_context",
)


def test_no_generator_holds_a_global_setting_while_it_is_suspended() -> None:
    """What changes a setting for the thread or the process may not stand around a `yield`."""
    held = []
    for path in Path(audioplane.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.With) or not any(
                isinstance(n, (ast.Yield, ast.YieldFrom)) for n in ast.walk(node)
            ):
                continue
            contexts = " ".join(ast.unparse(item.context_expr) for item in node.items)
            held += [f"{path.name}: {contexts}" for name in _GLOBAL if name in contexts]
    assert held == []
