"""Which device runs what is not told otherwise."""

from __future__ import annotations


def kind() -> str:
    """ "cuda" where there is a GPU that torch can use, else "cpu"."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
