"""Fixtures, markers and profiles that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

# No deadline: the first example pays for compiling kernels. On CI the same examples every time.
hypothesis.settings.register_profile("audioplane", deadline=None)
hypothesis.settings.register_profile("audioplane-ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("audioplane-ci" if os.environ.get("CI") else "audioplane")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow as well")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--slow"):
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="slow: give --slow"))
    on_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if on_gpu and not _cuda_available():
        for item in on_gpu:
            item.add_marker(pytest.mark.skip(reason="no GPU that torch can use"))


def _cuda_available() -> bool:
    import torch

    return torch.cuda.is_available()


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture
def assets() -> Path:
    """The folder of real inputs and model files, named by AUDIOPLANE_ASSETS; skips without."""
    folder = os.environ.get("AUDIOPLANE_ASSETS")
    if not folder:
        pytest.skip("AUDIOPLANE_ASSETS is not set")
    if not Path(folder).is_dir():
        pytest.fail(f"AUDIOPLANE_ASSETS names {folder}, which is not a folder")
    return Path(folder)


@pytest.fixture
def empty_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine on which nothing was ever downloaded: cache and library folders are inside `tmp_path`."""
    monkeypatch.setenv("AUDIOPLANE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    for variable in ("AUDIOPLANE_ASSETS", "XDG_CACHE_HOME", "TORCH_HOME"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path
