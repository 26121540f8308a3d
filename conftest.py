"""What holds for every pytest run of this repository, notebooks included."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

import audioplane  # noqa: F401 - before torch, see there
from audioplane.runtime import cache

CACHE = pytest.StashKey[str]()
SANITIZERS = Path(__file__).parent / "notebooks" / "sanitize.cfg"


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Makes a bare `pytest --nbval` the right one: this environment's kernel, our sanitizers, the quickest preset.

    In a cache of its own, so that every speaker, head and record is made from scratch; one for all workers of a run.
    """
    if getattr(config.option, "nbval", False):
        config.option.nbval_current_env = True
        config.option.nbval_sanitize_with = config.option.nbval_sanitize_with or str(SANITIZERS)
        os.environ.setdefault("AUDIOPLANE_PRESET", "smoke")  # kernels inherit it
        os.environ.setdefault("AUDIOPLANE_ASSETS", str(cache.folder("assets")))
        if not hasattr(config, "workerinput"):  # workers have inherited it
            config.stash[CACHE] = os.environ["AUDIOPLANE_CACHE"] = tempfile.mkdtemp(prefix="audioplane-nbval-")


def pytest_unconfigure(config: pytest.Config) -> None:
    if CACHE in config.stash:
        shutil.rmtree(config.stash[CACHE], ignore_errors=True)
