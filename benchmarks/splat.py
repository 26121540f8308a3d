"""How fast the CPU rasterizer is, what it costs in memory, and how far it is from what the machine could do.

    python benchmarks/splat.py

Every scene runs in a process of its own, with one thread and with two. The scene is a head-sized shell of random
anisotropic Gaussians that fills a third of the image and is two layers deep, as a trained head's cloud is. Times are
whole calls of `rasterization` (checks, projection, tiles, compositing, meta), the best of many.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from numba import njit

import audioplane  # noqa: F401 - before torch, see there
from audioplane.metrics.speed import peak_growth
from audioplane.splat import rasterization, reference
from audioplane.splat.compositing import _block_columns, _block_rows
from audioplane.splat.projection import Lens, project
from audioplane.splat.tiles import intersect

SCENES = ((5_000, 128), (10_000, 256), (20_000, 512), (50_000, 512))
TILE = 16
# Arithmetic of the compositing kernels for one pixel of one block and three channels, counted in their source: a fused
# multiply-add is two operations, a comparison, selection, minimum or rounding one.
FLOPS_FORWARD, FLOPS_BACKWARD = 36, 75


def head(count: int, size: int) -> dict[str, torch.Tensor]:
    """A cloud on an ellipsoid, 15 cm by 21 cm by 18 cm, 60 cm from the camera."""
    g = torch.Generator().manual_seed(0)
    means = torch.nn.functional.normalize(torch.randn(count, 3, generator=g), dim=-1)
    means = means * torch.tensor([0.075, 0.105, 0.09]) * (1 + 0.02 * torch.randn(count, 1, generator=g))
    spacing = math.sqrt(4 * math.pi * 0.09**2 / count)
    viewmats = torch.eye(4)[None].clone()
    viewmats[0, 2, 3] = 0.6
    return {
        "means": means,
        "quats": torch.randn(count, 4, generator=g),
        "scales": 0.6 * spacing * torch.exp(0.5 * torch.randn(count, 3, generator=g)),
        "opacities": torch.sigmoid(1.5 * torch.randn(count, generator=g) + 0.5),
        "colors": torch.rand(count, 3, generator=g),
        "viewmats": viewmats,
        "Ks": torch.tensor([[[2.0 * size, 0, size / 2], [0, 2.0 * size, size / 2], [0, 0, 1]]]),
    }


@njit
def _visited(offsets, flatten_ids, footprints, size, tile):
    """Pixels of all blocks that the compositor visits before any light test."""
    across, pixels = -(-size // tile), 0
    for k in range(offsets.shape[0] - 1):
        top, left = k // across * tile, k % across * tile
        for p in range(offsets[k], offsets[k + 1]):
            row = footprints[flatten_ids[p]]
            first, last = _block_columns(row, left, min(left + tile, size))
            for block in range(first, last):
                y0, y1 = _block_rows(row, left + 8 * block, top, min(top + tile, size))
                pixels += 8 * max(0, y1 - y0)
    return pixels


def pairs_visited(cloud: dict[str, torch.Tensor], size: int) -> int:
    lens = Lens(size, size, 0.01, 1e10, 0.0, 0.3)
    geometry = [cloud[k] for k in ("means", "quats", "scales", "opacities", "viewmats", "Ks")]
    radii, means2d, depths, conics, _ = project(*geometry, lens)
    images = np.zeros(len(cloud["means"]), np.int32)
    pairs = intersect(means2d, conics, cloud["opacities"], radii, depths, images, size, size, TILE, 1)
    return _visited(pairs.offsets, pairs.flatten_ids, pairs.footprints, size, TILE)


def best(run: Callable[[], object], seconds: float = 1.5) -> float:
    """The shortest of many runs, in seconds."""
    run()
    shortest, end = math.inf, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        run()
        shortest = min(shortest, time.perf_counter() - start)
    return shortest


def measure(count: int, size: int, threads: int) -> dict[str, float]:
    """One scene with so many threads: times in ms, the peak of memory of a step in MB, rates."""
    torch.set_num_threads(threads)
    cloud = head(count, size)
    leaves = {k: v.requires_grad_(k not in ("viewmats", "Ks")) for k, v in cloud.items()}
    weights = torch.rand(1, size, size, 3)

    def forward() -> None:
        with torch.no_grad():
            rasterization(**leaves, width=size, height=size, packed=False)

    def both() -> None:
        rasterization(**leaves, width=size, height=size, packed=False)[0].backward(weights)

    start = time.perf_counter()
    tiny = {name: one.requires_grad_(name not in ("viewmats", "Ks")) for name, one in head(100, 32).items()}
    rasterization(**tiny, width=32, height=32, packed=False)[0].backward(torch.rand(1, 32, 32, 3))
    first = time.perf_counter() - start
    memory = peak_growth(both)  # kernels are loaded by now, and no buffer of this size is there yet
    times = {"forward": best(forward), "both": best(both)}
    visited = pairs_visited(cloud, size)
    product = torch.rand(1024, 1024)
    peak = 2 * 1024**3 / best(lambda: product @ product, 0.7)
    return {
        "forward": 1e3 * times["forward"],
        "both": 1e3 * times["both"],
        "first": first,
        "visited": visited / 1e6,
        "ns_forward": 1e9 * times["forward"] / visited,
        "ns_both": 1e9 * times["both"] / visited,
        "memory": memory,
        "peak": peak / 1e9,
        "share": 100 * visited * (FLOPS_FORWARD + FLOPS_BACKWARD) / times["both"] / peak,
    }


def twin_ratio(count: int = 1_000, size: int = 128) -> tuple[float, float]:
    """Times of the dense twin over ours on one small scene, forward and both, two threads."""
    cloud = head(count, size)
    leaves = {k: v.requires_grad_(k not in ("viewmats", "Ks")) for k, v in cloud.items()}
    ratios = []
    for backward in (False, True):
        times = []
        for draw in (reference.rasterization, rasterization):

            def run(draw: Callable = draw, backward: bool = backward) -> None:
                with torch.set_grad_enabled(backward):
                    image = draw(**leaves, width=size, height=size)[0]
                    if backward:
                        image.sum().backward()

            times.append(best(run, 2.0))
        ratios.append(times[0] / times[1])
    return ratios[0], ratios[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=3, type=int, metavar=("COUNT", "SIZE", "THREADS"), help=argparse.SUPPRESS)
    one = parser.parse_args().one
    if one:
        print(json.dumps(measure(*one)))
        return
    timed = "fwd ms | fwd+bwd ms | ns/pair fwd | ns/pair both"
    print(f"| Gaussians | image | threads | {timed} | Mpairs | peak MB | of sgemm % |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for count, size in SCENES:
        alone = None
        for threads in (1, 2):
            command = [sys.executable, __file__, "--one", str(count), str(size), str(threads)]
            r = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            alone = alone or r
            ratio = "" if threads == 1 else f" ({r['forward'] / alone['forward']:.2f}, {r['both'] / alone['both']:.2f})"
            cells = [f"{count:,}", size, f"{threads}{ratio}", f"{r['forward']:.1f}", f"{r['both']:.1f}"]
            cells += [f"{r['ns_forward']:.2f}", f"{r['ns_both']:.2f}", f"{r['visited']:.1f}", f"{r['memory']:.0f}"]
            print("|", " | ".join(map(str, [*cells, f"{r['share']:.0f}"])), "|", flush=True)
    forward, both = twin_ratio()
    print(
        f"\nDense torch twin over ours, 1,000 Gaussians at 128: {forward:.0f}x forward, {both:.0f}x forward+backward."
    )


if __name__ == "__main__":
    main()
