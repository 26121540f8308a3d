"""The rendered face in the frames of the source clip: hair, torso and background are then the camera's own.

SyncTalk++, Portrait-Sync Generator (Sec. III-D). The paper blurs the rendered face and puts it in; the code of SyncTalk
blurs the mask's edge instead (9 x 9 pixels of 512). Both are here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from audioplane.errors import UserError

if TYPE_CHECKING:
    from audioplane.subject import Subject

EDGES = ("face", "mask")
SIDE = 9  # pixels of 512 over which the mask's edge is blurred; SyncTalk's code
SIGMA = 0.7  # pixels of 512, of the blurred face; the paper names none


@dataclass(frozen=True)
class Portrait:
    """Where faces are put.

    Attributes:
        subject: whose held-out frames they are put into, forth and back.
        edge: "face" (the face is blurred; the paper) or "mask" (the mask is; SyncTalk's code).
    """

    subject: Subject
    edge: str = "face"

    def __post_init__(self) -> None:
        if self.edge not in EDGES:
            raise UserError(f"the edge of a portrait is one of {', '.join(EDGES)}, not '{self.edge}'")
        if not len(self.subject.test):
            raise UserError(f"subject '{self.subject.name}' has no held-out frames to put a face into")

    def put(self, picture: np.ndarray, t: int) -> np.ndarray:
        """A picture of the whole head (H, W, 3) uint8, in the subject's size, into frame t."""
        return put_face(picture, self.subject.frame(t), face_region(self.subject, t), self.edge)


def face_region(subject: Subject, t: int) -> np.ndarray:
    """What of frame t is replaced: the head without its hair, (H, W) bool."""
    return subject.head_mask(t) & ~subject.hair_mask(t)


def put_face(picture: np.ndarray, frame: np.ndarray, region: np.ndarray, edge: str = "face") -> np.ndarray:
    """The region of a picture over a frame.

    Args:
        picture: (H, W, 3), rendered. frame: (H, W, 3) of the same type, filmed. region: (H, W) bool.
        edge: see `Portrait`.

    Returns:
        (H, W, 3) of their type.
    """
    scale, share = picture.shape[1] / 512, region.astype(np.float32)
    if edge == "mask":
        side = max(3, round(SIDE * scale) | 1)
        share = cv2.GaussianBlur(share, (side, side), 0)
    else:
        picture = cv2.GaussianBlur(picture, (0, 0), max(SIGMA * scale, 0.3))
    mixed = frame + share[..., None] * (picture.astype(np.float32) - frame)
    return np.round(mixed).astype(frame.dtype) if frame.dtype == np.uint8 else mixed.astype(frame.dtype)
