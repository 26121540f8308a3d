"""The one way kernels are compiled: serial, without the interpreter lock, kept on disk (see `kernel_cache`).

Two variables of the environment change it: `AUDIOPLANE_CHECK=1` compiles every kernel anew with bounds checks, which
make a wrong index an IndexError instead of a damaged memory (slow: to look for faults, and once in the tests);
`NUMBA_DISABLE_JIT=1`, numba's own, leaves nothing that could run, which the first call says.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numba
from numba import njit

from audioplane.errors import UserError
from audioplane.runtime import kernel_cache
from audioplane.runtime.contracts import CHECK

SWITCHED_OFF = "NUMBA_DISABLE_JIT is set, and kernels cannot run without numba's compiler: unset it"


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """A decorator like `numba.njit(cache=True, nogil=True, **options)` whose cache knows the whole folder."""

    def wrap(function: Callable[..., Any]) -> Any:
        if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
            return _switched_off(function)
        dispatcher = njit(nogil=True, boundscheck=CHECK or None, **options)(function)
        if not CHECK:
            kernel_cache.attach(dispatcher)
        return dispatcher

    return wrap


def _switched_off(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def refuse(*_: Any, **__: Any) -> Any:
        raise UserError(SWITCHED_OFF)

    return refuse
