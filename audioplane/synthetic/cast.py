"""Brings a speaker's parts together: voice and motion, face, camera, light and room."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from audioplane.errors import UserError
from audioplane.synthetic.face import Face, Identity, sample_identity
from audioplane.synthetic.face.model import RiggedFace
from audioplane.synthetic.filming import AHEAD, Angles, Camera, Production, still_camera, turn
from audioplane.synthetic.specs import SPEAKERS, SpeakerSpec, held_out_spec

BACKENDS = ("ours", "ict")
"""Whose head: ours, made by code alone, or that of ICT-FaceKit for users who fetched it."""

HELD_OUT = re.compile(r"held_out_(\d{1,6})")


def find(name: str) -> SpeakerSpec:
    """The speaker `name`: one of the embedded ones, or `held_out_N`.

    Raises:
        UserError: there is none.
    """
    held_out = HELD_OUT.fullmatch(name)
    if held_out:
        return held_out_spec(int(held_out[1]))
    if name not in SPEAKERS:
        raise UserError(f"there is no speaker {name!r}; there are {', '.join(SPEAKERS)}, and held_out_N")
    return SPEAKERS[name]


def identity_of(spec: SpeakerSpec) -> Identity:
    """The face's identity: the same for the same speaker, always."""
    return sample_identity(spec.identity_seed, spec.appearance)


def head(identity: Identity, backend: str) -> RiggedFace:
    """The head of a person.

    Raises:
        UserError: no such backend, or its files are missing.
    """
    if backend == "ours":
        return Face(identity)
    if backend == "ict":
        from audioplane.synthetic.ict.model import IctFace

        return IctFace(identity)
    raise UserError(f"there is no backend {backend!r}; there are {', '.join(BACKENDS)}")


def bring_together(
    name: str,
    size: int,
    seconds: float,
    seed: int,
    voice: str | None,
    backend: str = "ours",
    around: Angles = AHEAD,
    turns: str = "speech",
) -> Production:
    """All that is filmed for the speaker `name`.

    Args:
        name: of the speaker.
        size: of the picture, pixels.
        seconds: length of the performance.
        seed: of its motion.
        voice: what is spoken; None: the speaker's own voice.
        backend: whose head it is, one of `BACKENDS`.
        around: where the camera stands; the lamps stay where they are.
        turns: how far the head turns, one of `motion.body.TURNS`.

    Raises:
        UserError: there is no such speaker or voice, or the backend's files are missing.
    """
    from audioplane.synthetic.backgrounds import KINDS, background
    from audioplane.synthetic.lights import studio
    from audioplane.synthetic.materials import Paint
    from audioplane.synthetic.performance import perform
    from audioplane.synthetic.scene import Pose, Scene

    spec = find(name)
    play = perform(spec, seconds, seed, voice, turns=turns)
    identity = identity_of(spec)
    face = head(identity, backend)
    K, rest_pose = still_camera(size, around)
    room = background(KINDS[spec.background_seed % len(KINDS)], size, size, spec.background_seed)
    paint = Paint(
        iris_colour=identity.iris,
        iris_radius=face.paint.iris_radius,
        freckles=identity.freckles,
        seed=spec.identity_seed,
    )
    lamps = studio(-1.0 if spec.background_seed % 2 else 1.0)

    def place(around: Angles) -> Camera:
        light = lamps if around == AHEAD else lamps.turned(turn(around))
        scene = Scene(face, K, room, paint, light, distance=float(rest_pose[2, 3]))

        def camera(vertices: np.ndarray, head: np.ndarray, torso: np.ndarray, gaze: np.ndarray) -> Any:
            return scene.render(Pose(vertices, head, torso, gaze))

        return camera

    return Production(spec.about, face, play, place(around), room, around, place)
