"""Freezes what gsplat draws on CUDA, so that machines without a GPU test against its real output.

python -m tests.splat.freeze_goldens      (on a machine with CUDA)
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from audioplane.splat import rasterization
from tests.splat.scenes import NAMES, Scene, scene

GOLDENS = Path(__file__).parent / "goldens.npz"
KINDS = ("cloud", "needles", "huge", "pile", "faint", "opaque", "edge")
MODES = ("classic", "antialiased")


def golden_scene(kind: str) -> Scene:
    return scene(21, 60, (48, 40), 2, kind=kind)


def results(s: Scene, mode: str) -> dict[str, np.ndarray]:
    """Picture, alphas and all gradients of a scene, on whatever device it lies."""
    leaves = s.leaves()
    colors, alphas, _ = rasterization(
        **leaves,
        Ks=s.Ks,
        width=s.width,
        height=s.height,
        rasterize_mode=mode,
        packed=False,  # type: ignore[arg-type]
    )
    weights = torch.randn(colors.shape, generator=torch.Generator().manual_seed(5)).to(colors.device)
    ((colors * weights).sum() + alphas.sum()).backward()
    found = {"colors_out": colors, "alphas_out": alphas, **{name: leaves[name].grad for name in NAMES}}
    return {name: value.detach().cpu().numpy() for name, value in found.items()}


def on_cuda(s: Scene) -> Scene:
    return Scene(*(v.cuda() if isinstance(v, torch.Tensor) else v for v in vars(s).values()))


def main() -> None:
    if not torch.cuda.is_available():
        sys.exit("Goldens are gsplat's own output: run this on a machine with CUDA.")
    arrays = {
        f"{kind}/{mode}/{name}": value
        for kind in KINDS
        for mode in MODES
        for name, value in results(on_cuda(golden_scene(kind)), mode).items()
    }
    np.savez_compressed(GOLDENS, **arrays)
    print(f"{len(arrays)} arrays in {GOLDENS} ({GOLDENS.stat().st_size // 1000} kB)")


if __name__ == "__main__":
    main()
