"""A parametric synthetic head, made by code alone: see `Face`."""

from audioplane.synthetic.face.identity import Identity, sample_identity
from audioplane.synthetic.face.model import EXTRAS, Face, FaceModel
from audioplane.synthetic.face.parts import Label
from audioplane.synthetic.face.shapes import NAMES
from audioplane.synthetic.specs import Appearance

__all__ = ["EXTRAS", "NAMES", "Appearance", "Face", "FaceModel", "Identity", "Label", "sample_identity"]
