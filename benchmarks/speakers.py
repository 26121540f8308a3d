"""How fast a speaker's frames are rendered: CPU milliseconds a frame, and frames a second on all threads.

    python benchmarks/speakers.py [--hair short] [--frames 24] [--threads 2]

Everything a frame holds is in it: moving the face, normals, shadow map, both pictures, labels, depth.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from audioplane.synthetic.backgrounds import background
from audioplane.synthetic.face import NAMES, Appearance, Face, sample_identity
from audioplane.synthetic.scene import Pose, Scene

DISTANCE, WIDTH = 1.2, 0.42  # metres: camera to head, and what the picture's width covers there


def poses(face: Face, count: int) -> list[Pose]:
    """A head that turns and opens its mouth; its torso is still."""
    found = []
    for t in range(count):
        weights = np.zeros(len(NAMES))
        weights[NAMES.index("jawOpen")] = 0.25 + 0.25 * np.sin(t)
        head, torso = np.eye(4), np.eye(4)
        angle = 0.2 * np.sin(0.3 * t)
        head[:3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
        head[:3, 3] = torso[:3, 3] = [0.0, -0.04, DISTANCE]
        found.append(Pose(face.vertices(weights), head, torso, face.gaze_flow(weights)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hair", nargs="*", default=["short", "long", "bob", "bun", "buzz"])
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    head = f"{'hair':8}{'triangles':>10}{'size':>6}{'CPU ms/frame':>14}{'frames/s':>10}"
    print(f"{head}  ({arguments.threads} threads)")
    for hair in arguments.hair:
        face = Face(sample_identity(3, Appearance(hair=hair, beard="none", masculinity=0.5)))
        moves = poses(face, arguments.frames)
        for size in (256, 512):
            focal = size / WIDTH * DISTANCE
            intrinsics = np.array([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]])
            scene = Scene(face, intrinsics, background("shelf", size, size), face.paint, distance=DISTANCE)
            for _ in scene.render_many(moves[:2]):
                pass  # compiled, or read from the cache
            wall, used = time.perf_counter(), time.process_time()
            for _ in scene.render_many(moves):
                pass
            used, wall = time.process_time() - used, time.perf_counter() - wall
            count = len(moves)
            print(
                f"{hair:8}{len(face.faces):10}{size:6}{1e3 * used / count:14.1f}{count / wall:10.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
