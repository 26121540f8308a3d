"""What tests of the experiments share: a small Subject, a cache of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.experiments.small_runs import write_disc


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a small Subject, which tests only read."""
    return write_disc(tmp_path_factory.mktemp("subjects") / "disc")


@pytest.fixture
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache for one test."""
    monkeypatch.setenv("AUDIOPLANE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
