"""A parametric synthetic head, made by code alone: see `Face`."""

from audioplane.speakers.face.identity import Identity, sample_identity
from audioplane.speakers.face.model import EXTRAS, Face, FaceModel
from audioplane.speakers.face.parts import Label
from audioplane.speakers.face.shapes import NAMES
from audioplane.speakers.specs import Appearance

__all__ = ["EXTRAS", "NAMES", "Appearance", "Face", "FaceModel", "Identity", "Label", "sample_identity"]
