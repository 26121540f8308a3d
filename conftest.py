"""What holds for every pytest run of this repository, notebooks included."""

from __future__ import annotations

from pathlib import Path

import pytest

SANITIZERS = Path(__file__).parent / "notebooks" / "sanitize.cfg"


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Makes a bare `pytest --nbval` the right one: this environment's kernel, and our sanitizers."""
    if getattr(config.option, "nbval", False):
        config.option.nbval_current_env = True
        config.option.nbval_sanitize_with = config.option.nbval_sanitize_with or str(SANITIZERS)
