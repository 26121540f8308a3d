"""Which device runs what is not told otherwise."""

from __future__ import annotations


def kind() -> str:
    """ "cuda" where there is a GPU that torch can use, else "cpu"."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def known(name: str) -> str:
    """The name of a device that somebody typed, if there is one of that name.

    Raises:
        UserError: no such device here.
    """
    import torch

    from audioplane.errors import UserError

    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"--device is cpu or cuda, or cuda:N for one of several, not {name[:40]!r}")
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == "cuda" and (device.index or 0) >= gpus:
        raise UserError(
            f"--device {name}: torch sees no such GPU here (`audioplane doctor`); leave it away for the CPU"
        )
    return name
