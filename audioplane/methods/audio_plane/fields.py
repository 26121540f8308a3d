"""What moves the Gaussians: one file a method, `build` picks it by the config."""

from __future__ import annotations

import torch

from audioplane.methods.audio_plane.config import AudioPlaneConfig
from audioplane.methods.audio_plane.field import AudioPlane
from audioplane.methods.audio_plane.six_planes import SixPlanes
from audioplane.methods.audio_plane.tri_plane import TriPlane

Field = AudioPlane | TriPlane | SixPlanes
KINDS: dict[str, type[AudioPlane] | type[TriPlane] | type[SixPlanes]] = {
    "audio_plane": AudioPlane,
    "tri_plane": TriPlane,
    "six_planes": SixPlanes,
}


def build(config: AudioPlaneConfig, code: int, outputs: int, generator: torch.Generator, expression: int = 0) -> Field:
    """The field that `config.field` names.

    Args:
        config: of the field.
        code: size of the audio code.
        outputs: numbers in a Gaussian's offset.
        generator: of the initial values.
        expression: blendshapes that drive the field beside the sound; 0 is the paper.
    """
    return KINDS[config.field](config, code, outputs, generator, expression)
