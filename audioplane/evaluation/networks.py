"""Measures by other people's networks, or in one line why they cannot be had here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from audioplane.runtime.weights import MissingWeightsError

MISSING = "weights missing"
BRISQUE_FRAMES = 25  # frames that BRISQUE is averaged over


def lpips(pairs: Iterable[tuple[NDArray, NDArray]], backbone: str = "alex") -> float | str:
    """The mean LPIPS of pairs of whole pictures, or that its weights are missing."""
    from audioplane.metrics.perceptual import Lpips

    try:
        network = Lpips(backbone)  # type: ignore[arg-type]
    except MissingWeightsError as error:
        return f"{MISSING}: {error}"
    return float(np.mean([network(a, b) for a, b in pairs]))


def by_networks(pictures: Sequence[NDArray], truths: Sequence[NDArray], backbone: str) -> dict[str, float | str]:
    """LPIPS, FID and BRISQUE of whole pictures (H, W, 3), or what is missing."""
    from audioplane.metrics import perceptual

    def brisque() -> float:
        return float(np.mean([perceptual.brisque(a) for a in pictures[:: max(1, len(pictures) // BRISQUE_FRAMES)]]))

    asked: dict[str, Callable[[], float | str]] = {
        f"lpips-{backbone}": lambda: lpips(zip(pictures, truths, strict=True), backbone),
        "fid": lambda: perceptual.fid(pictures, truths),
        "brisque": brisque,
    }
    found: dict[str, float | str] = {}
    for name, work in asked.items():
        try:
            found[name] = work()
        except MissingWeightsError as error:
            found[name] = f"{MISSING}: {error}"
        except ValueError as error:
            found[name] = str(error)
    return found
