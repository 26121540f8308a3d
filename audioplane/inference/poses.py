"""Head poses for a voice: the filmed ones forth and back, a typical one, or natural idle motion."""

from __future__ import annotations

import numpy as np

from audioplane.errors import UserError

POSES = ("test", "still", "natural")
TURNING = (6.0, 12.0)  # degrees of pitch and yaw to which people turn who speak, for heads that may (`can_turn`)
BEYOND = 20.0  # degrees beyond the filmed poses to which a head with a surface holds together; then it fades
BEYOND_CLOUD = 3.0  # the same of a head that is a cloud


def named(
    name: str, count: int, fps: float, seed: int, seen: np.ndarray, held_out: np.ndarray, can_turn: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Poses by one of the names of `POSES`.

    Args:
        name: "test" (the held-out clip, forth and back), "still" or "natural". count: T. seed: of natural ones.
        seen: (S, 4, 4) camera-from-head of the training frames. held_out: (R, 4, 4) of the held-out ones, may be none.
        can_turn: whether it was trained on a surface, so that natural poses may turn as people do.

    Returns:
        (T, 4, 4), and (T,) which torso goes with each: 0 the still one, k the one of held-out frame k - 1.

    Raises:
        UserError: no such name, or a head without held-out frames.
    """
    still = np.zeros(count, dtype=int)
    if name == "test":
        if not len(held_out):
            raise UserError("this head has no poses of a held-out clip; take --poses still or natural")
        at = back_and_forth(count, len(held_out))
        return held_out[at], at + 1
    if name == "still":
        return np.tile(seen[typical(seen)], (count, 1, 1)), still
    if name == "natural":
        return natural_poses(seen, count, fps, seed, turning=TURNING if can_turn else (0.0, 0.0)), still
    raise UserError(f"poses are one of {', '.join(POSES)}, not '{name}'")


def back_and_forth(count: int, length: int) -> np.ndarray:
    """`count` indices into a clip of `length` frames that run to its end and back, without a jump."""
    if length < 2:
        return np.zeros(count, dtype=int)
    phase = np.arange(count) % (2 * length - 2)
    return np.where(phase < length, phase, 2 * length - 2 - phase)


def typical(viewmats: np.ndarray) -> int:
    """The frame whose pose is nearest the mean of all."""
    flat = viewmats[:, :3].reshape(len(viewmats), -1)
    spread = np.maximum(flat.std(axis=0), 1e-6)
    return int(np.square((flat - flat.mean(axis=0)) / spread).sum(axis=1).argmin())


def yaw_and_pitch(views: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """How poses are turned away from the typical one, degrees.

    Args:
        views: (T, 4, 4). seen: (S, 4, 4) of which one is the typical.

    Returns:
        (T, 2): yaw to the image right, pitch up.
    """
    from scipy.spatial.transform import Rotation

    middle = seen[typical(seen), :3, :3].astype(np.float64)
    turns = np.degrees(Rotation.from_matrix(views[:, :3, :3] @ middle.T).as_rotvec())
    return np.stack([-turns[:, 1], -turns[:, 0]], axis=1)


def turned_about(viewmat: np.ndarray, yaw: float, pitch: float = 0.0) -> np.ndarray:
    """A pose turned about the head's middle, degrees to the image right and up: (4, 4) float32."""
    from scipy.spatial.transform import Rotation

    turned = np.array(viewmat, np.float64)
    turned[:3, :3] = Rotation.from_euler("yx", [-yaw, -pitch], degrees=True).as_matrix() @ turned[:3, :3]
    return turned.astype(np.float32)


def filmed_range(seen: np.ndarray) -> np.ndarray:
    """Between which yaws and pitches a head was filmed, degrees about the typical pose: ((least, most), (least, most)).

    Args:
        seen: (S, 4, 4).
    """
    angles = yaw_and_pitch(seen, seen)
    return np.stack([angles.min(axis=0), angles.max(axis=0)], axis=1)


def natural_poses(
    viewmats: np.ndarray,
    count: int,
    fps: float,
    seed: int,
    extent: float = 0.8,
    turning: tuple[float, float] = (0.0, 0.0),
) -> np.ndarray:
    """Smooth seeded head motion around the typical pose, as large as the subject's own, or larger.

    Args:
        viewmats: (T, 4, 4) poses that were seen. count: frames wanted. fps: frames a second.
        seed: of the motion. extent: times the subject's own spread; below 1, views stay where the head was learned.
        turning: degrees of pitch and yaw that are reached at least.

    Returns:
        (count, 4, 4) float32.
    """
    from scipy.spatial.transform import Rotation

    middle = viewmats[typical(viewmats)].astype(np.float64)
    turns = Rotation.from_matrix(viewmats[:, :3, :3] @ middle[:3, :3].T).as_rotvec()
    shifts = viewmats[:, :3, 3] - middle[:3, 3]
    spread = np.concatenate([turns, shifts], axis=1).std(axis=0)
    generator, times = np.random.default_rng(seed), np.arange(count) / fps
    motion = np.zeros((count, 6))
    for _ in range(4):  # slow waves whose periods do not divide each other
        rate, phase = generator.uniform(0.06, 0.35, 6), generator.uniform(0, 2 * np.pi, 6)
        motion += np.sin(2 * np.pi * rate * times[:, None] + phase) / 2.0
    spread = extent * spread
    spread[:2] = np.maximum(spread[:2], np.radians(turning) / 2.0)
    motion = np.clip(motion / np.sqrt(0.5), -2.0, 2.0) * spread
    poses = np.tile(middle, (count, 1, 1))
    poses[:, :3, :3] = Rotation.from_rotvec(motion[:, :3]).as_matrix() @ middle[:3, :3]
    poses[:, :3, 3] += motion[:, 3:]
    return poses.astype(np.float32)


# Film
