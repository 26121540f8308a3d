"""A Subject seen at a head's size: pictures and masks are resized as training resizes them.

`prepare` makes 512 pixels by default, the presets train at other sizes; a head is measured at the size that it was
trained at, and the record names both sizes.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import cv2
import numpy as np

from audioplane.errors import UserError
from audioplane.subject import Subject
from audioplane.subject.masks import LABEL_NAMES

if TYPE_CHECKING:
    from audioplane.inference.talking_head import TalkingHead


def at_size_of(head: TalkingHead, subject: Subject) -> Subject:
    """The subject at the head's size: itself where the sizes agree, else a `ResizedSubject`.

    Raises:
        UserError: the head's pictures have another shape, so it was trained on another Subject.
    """
    if (head.width, head.height) == (subject.width, subject.height):
        return subject
    if head.height != _height(subject, head.width):
        raise UserError(
            f"the head was trained at {head.width} x {head.height}, {subject.path} is {subject.width} x "
            f"{subject.height}, which is another shape; give the Subject it was trained on"
        )
    return ResizedSubject(subject, head.width)


def _height(subject: Subject, width: int) -> int:
    return round(subject.height * width / subject.width)


class ResizedSubject(Subject):
    """A Subject whose pictures, masks, cameras and landmarks are those of another size.

    Args:
        subject: at its own size. width: of the pictures wanted, pixels; the height follows.
    """

    def __init__(self, subject: Subject, width: int) -> None:
        super().__init__(subject.path, subject.manifest)
        self.original = subject
        self._size = (width, _height(subject, width))

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return ResizedSubject, (self.original, self._size[0])

    width = property(lambda self: self._size[0], doc="Width of the frames, pixels.")
    height = property(lambda self: self._size[1], doc="Height of the frames, pixels.")

    def _resized(self, picture: np.ndarray) -> np.ndarray:
        """(h, w, ...) -> (H, W, ...), as `training.dataset.FrameCache` does it."""
        if picture.shape[1::-1] == self._size:
            return picture
        return cv2.resize(picture, self._size, interpolation=cv2.INTER_AREA)

    def _mask(self, mask: np.ndarray) -> np.ndarray:
        return self._resized(mask.astype(np.uint8) * 255) > 127

    def frame(self, t: int) -> np.ndarray:
        """Frame t: H x W x 3 uint8 RGB."""
        return self._resized(self.original.frame(t))

    def without_head(self, t: int) -> np.ndarray:
        """Frame t without the head: H x W x 3 uint8 RGB."""
        return self._resized(self.original.without_head(t))

    def label(self, t: int) -> np.ndarray:
        """What most of each pixel of frame t shows: H x W uint8, as `Subject.label`."""
        large = self.original.label(t)
        shares = [self._resized((large == kind).astype(np.float32)) for kind in range(len(LABEL_NAMES))]
        return np.argmax(shares, axis=0).astype(np.uint8)

    def head_mask(self, t: int) -> np.ndarray:
        """Hair, face and mouth of frame t: H x W bool."""
        return self._mask(self.original.head_mask(t))

    def inner_mouth_mask(self, t: int) -> np.ndarray:
        """See `Subject.inner_mouth_mask`."""
        return self._mask(self.original.inner_mouth_mask(t))

    def motion_mask(self, t: int) -> np.ndarray:
        """What speech moves in frame t: H x W bool."""
        return self._mask(self.original.motion_mask(t))

    def eyes_mask(self, t: int) -> np.ndarray:
        """Eyes and brows of frame t: H x W bool."""
        return self._mask(self.original.eyes_mask(t))

    def depth(self, t: int) -> np.ndarray | None:
        """Distance in frame t: H x W float32 metres, 0 where unknown; or None. Distances are not mixed."""
        depth = self.original.depth(t)
        return None if depth is None else cv2.resize(depth, self._size, interpolation=cv2.INTER_NEAREST)

    @cached_property
    def background(self) -> np.ndarray:
        """The still background: H x W x 3 uint8 RGB."""
        return self._resized(self.original.background)

    @cached_property
    def _scale(self) -> np.ndarray:
        return np.array([self.width / self.original.width, self.height / self.original.height], np.float32)

    @property
    def K(self) -> np.ndarray:  # noqa: N802
        """Intrinsics, 3 x 3 float32; pixel centres at +0.5."""
        K = self.original.K.copy()
        K[:2] *= self.width / self.original.width
        return K

    @cached_property
    def landmarks(self) -> np.ndarray:
        """68 landmarks: T x 68 x 2 float32 pixels; NaN in frames where none were found."""
        return (self.original.landmarks * self._scale).astype(np.float32)
