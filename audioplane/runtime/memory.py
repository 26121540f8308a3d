"""A process that is allowed too little memory (`ulimit -v`) is told before it begins.

Large arrays that do not fit end in an exception. Below a certain room it is small pieces that are missing, within
compilers, threads and encoders, which then abort the process or wait for ever.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

from audioplane.errors import UserError

LEAST = 2**30  # bytes of addresses: with 0.6 of them, commands on the smallest inputs were seen to abort
IMPORTS = 1.5 * 2**30  # what the libraries take besides, before they are imported


def check_room() -> None:
    """Refuses to begin with less room than what works.

    Raises:
        UserError: this process may not take enough memory; says how much it needs.
    """
    left, need = _left(), LEAST + (0 if "torch" in sys.modules else IMPORTS)
    if left < need:
        raise UserError(
            f"this process may take only {max(left, 0) / 2**20:.0f} MiB more of memory and needs {need / 2**20:.0f}; "
            "allow it more (`ulimit -v unlimited`)"
        )


def give_back() -> None:
    """Gives memory back to the system: of `large_arrays`, and what is freed, where its C library knows how (glibc).

    The library keeps what is freed in pieces below 32 MiB for later. Between the pieces of hours of sound that is a
    few hundred megabytes, in which hardly anything lies.
    """
    from audioplane.runtime import large_arrays  # not before numpy is needed

    large_arrays.release()
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # another C library, Windows
        return
    trim(0)


def _left() -> float:
    """Bytes of addresses that this process may still take; infinite where nothing limits them."""
    try:
        import resource
    except ImportError:  # Windows
        return float("inf")
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return float("inf")
    try:
        taken = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    except OSError:  # macOS, which does not hold processes to this limit
        return float("inf")
    return limit - taken
