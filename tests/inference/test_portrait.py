"""Portraits: the rendered face in the source clip's frames."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from audioplane.errors import UserError
from audioplane.inference import drawing
from audioplane.inference.portrait import Portrait, face_region, put_face
from audioplane.inference.talking_head import TalkingHead
from audioplane.training.trainer import Trainer
from tests.tiny_run import tiny
from tests.tiny_subject import TinySubject


def subject() -> TinySubject:
    made = TinySubject()
    made.hair_mask = lambda t: made.head_mask(t) & (np.arange(made.height)[:, None] < made.height // 3)
    return made


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_the_face_is_the_pictures_and_the_rest_the_cameras(dtype: type) -> None:
    generator, region = np.random.default_rng(0), np.zeros((512, 512), bool)
    region[100:300, 150:400] = True
    top = 255 if dtype is np.uint8 else 1.0
    picture, frame = ((top * generator.random((512, 512, 3))).astype(dtype) for _ in range(2))
    by_mask, by_face = (put_face(picture, frame, region, edge) for edge in ("mask", "face"))
    assert by_mask.dtype == by_face.dtype == dtype
    inner, outer = region.copy(), region.copy()
    inner[:], outer[:] = (
        cv2.erode(region.astype(np.uint8), np.ones((9, 9))),
        cv2.dilate(region.astype(np.uint8), np.ones((9, 9))),
    )
    assert np.allclose(by_mask[inner], picture[inner])
    assert np.array_equal(by_mask[~outer], frame[~outer])
    assert not np.allclose(by_mask[outer & ~inner], frame[outer & ~inner])
    assert np.array_equal(by_face[~region], frame[~region])
    blurred = cv2.GaussianBlur(picture, (0, 0), 0.7)
    assert np.allclose(by_face[region], blurred[region])
    assert np.allclose(put_face(frame, frame, region, "mask"), frame), "the truth stays the truth"


def test_a_head_speaks_in_its_source_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, filmed = Trainer(tiny("synctalk_pp"), TinySubject()), subject()
    trainer.run()
    head = TalkingHead.export(trainer, tmp_path / "head.safetensors")
    audio = filmed.audio[:16_000]
    pictures = list(head.frames(audio, mark=False, portrait=Portrait(filmed, "mask")))
    bare = list(head.frames(audio, mark=False))
    assert len(pictures) == len(bare) == 25
    for k in (0, 14, 16):
        t = filmed.test[k if k < 15 else 28 - k]
        far = cv2.dilate(face_region(filmed, t).astype(np.uint8), np.ones((5, 5))) == 0
        assert np.array_equal(pictures[k][far], filmed.frame(t)[far])
        near = cv2.erode(face_region(filmed, t).astype(np.uint8), np.ones((5, 5))) > 0
        assert np.abs(pictures[k][near].astype(int) - bare[k][near]).mean() < 6
    marked: list[np.ndarray] = []
    monkeypatch.setattr(drawing, "put_mark", lambda image, stamp: marked.append(image))
    next(head.frames(audio, mark=False, portrait=Portrait(filmed)))
    assert not marked
    next(head.frames(audio, portrait=Portrait(filmed)))
    assert marked, "a portrait is marked as synthetic as any film is"
    for wrong in ({"poses": "still"}, {"size": 64}):
        with pytest.raises(UserError, match="poses and the size of its source clip"):
            next(head.frames(audio, portrait=Portrait(filmed), **wrong))
    filmed.name = "somebody"
    with pytest.raises(UserError, match="this head is of tiny-0"):
        next(head.frames(audio, portrait=Portrait(filmed)))


def test_what_cannot_be_a_portrait() -> None:
    filmed = subject()
    with pytest.raises(UserError, match="edge of a portrait is one of face, mask"):
        Portrait(filmed, "hair")
    filmed.test = range(0)
    with pytest.raises(UserError, match="no held-out frames"):
        Portrait(filmed)
