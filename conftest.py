"""What holds for every pytest run of this repository, notebooks included."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import audioplane  # noqa: F401 - before torch, see there

SANITIZERS = Path(__file__).parent / "notebooks" / "sanitize.cfg"


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Makes a bare `pytest --nbval` the right one: this environment's kernel, our sanitizers, the quickest preset."""
    if getattr(config.option, "nbval", False):
        config.option.nbval_current_env = True
        config.option.nbval_sanitize_with = config.option.nbval_sanitize_with or str(SANITIZERS)
        os.environ.setdefault("AUDIOPLANE_PRESET", "smoke")  # kernels inherit it
