"""The networks themselves, on an embedded speaker: a face that no one owns and whose truth is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from audioplane import synthetic
from audioplane.preprocess.face_mesh import FaceMesh, anchors, box_around, merged
from audioplane.preprocess.landmarks import follow, ibug, landmarker
from audioplane.preprocess.pipeline import prepare
from audioplane.preprocess.settings import Settings
from audioplane.subject import Subject


def test_anchors_are_the_detectors_896() -> None:
    at = anchors()
    assert at.shape == (896, 2)
    np.testing.assert_allclose(at[0], [1 / 32, 1 / 32])
    np.testing.assert_allclose(at[2], [3 / 32, 1 / 32])
    np.testing.assert_allclose(at[511], [31 / 32, 31 / 32])
    np.testing.assert_allclose(at[512], [1 / 16, 1 / 16])


def test_detections_that_overlap_are_averaged() -> None:
    boxes = np.tile(np.array([10.0, 10, 8, 8]), (3, 4))[:, :16]
    boxes[1, 0], boxes[2, :2] = 11, 40
    found = merged(boxes, np.array([0.9, 0.6, 0.7]))
    assert [round(score, 1) for _, score in found] == [0.9, 0.7]
    assert found[0][0][0] == pytest.approx((0.9 * 10 + 0.6 * 11) / 1.5)


@pytest.fixture(scope="module")
def adam() -> Subject:
    return synthetic.make("adam", seconds=4, size=256)


@pytest.mark.slow
def test_the_mesh_finds_an_embedded_speaker_and_follows_his_mouth(assets: Path, adam: Subject) -> None:
    pytest.importorskip("ai_edge_litert", reason="needs the package ai-edge-litert")
    finder = landmarker("mediapipe")
    [box] = finder.detect(adam.frame(0))
    expected = np.tile([box.x, box.y, box.size], (50, 1))
    track = follow((adam.frame(t) for t in range(50)), finder, expected, lambda done: None)
    assert track.found.all()
    points = ibug(track.points)[..., :2]
    away = np.linalg.norm(points - adam.landmarks[:50], axis=2).mean(0)
    assert away[27:60].mean() < 5  # of 256; definitions differ by a little everywhere
    opening, truth = (np.linalg.norm(p[:, 62] - p[:, 66], axis=1) for p in (points, adam.landmarks[:50]))
    assert np.corrcoef(opening, truth)[0, 1] > 0.8
    assert track.blendshapes is not None
    jaw = track.blendshapes[:, 24]  # jawOpen
    assert np.corrcoef(jaw, truth)[0, 1] > 0.6


@pytest.mark.slow
def test_a_turned_or_shrunk_picture_gives_the_same_face(assets: Path, adam: Subject) -> None:
    pytest.importorskip("ai_edge_litert", reason="needs the package ai-edge-litert")
    import cv2

    from audioplane.runtime import weights

    mesh = FaceMesh(weights.require("face-landmarker"))
    frame = adam.frame(10)
    [box] = mesh.detect(frame)
    face = mesh.look(frame, box_around(mesh.look(frame, box).points))
    turn = cv2.getRotationMatrix2D((127.5, 127.5), 25, 0.9)
    turned = cv2.warpAffine(frame, turn, (256, 256), borderMode=cv2.BORDER_REPLICATE)
    [box] = mesh.detect(turned)[:1]
    again = mesh.look(turned, box_around(mesh.look(turned, box).points))
    moved = (face.points[:, :2] - 0.5) @ turn[:, :2].T + turn[:, 2] + 0.5
    assert np.linalg.norm(again.points[:, :2] - moved, axis=1).mean() < 1.5


@pytest.mark.slow
def test_a_speaker_who_leaves_the_picture_is_told_so(
    assets: Path, adam: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ai_edge_litert", reason="needs the package ai-edge-litert")
    import clips
    import cv2

    def moved(t: int) -> np.ndarray:  # to the right by a third of the picture, then out of it
        far = 85 if 25 <= t < 40 else 200 if t >= 70 else 0
        way = np.array([[1, 0, far], [0, 1, 0]], np.float32)
        return cv2.warpAffine(adam.frame(t), way, (256, 256), borderMode=cv2.BORDER_REPLICATE)

    count = adam.num_frames
    video = clips.write(tmp_path / "leaves.mkv", [moved(t) for t in range(count)], sound=adam.audio[None])
    monkeypatch.setenv("AUDIOPLANE_CACHE", str(tmp_path / "cache"))
    [(folder, facts)] = prepare(video, tmp_path / "made", Settings(size=128, skip=("refine", "flow")))
    assert facts.frames == pytest.approx(70, abs=8)
    assert facts.lost == [(pytest.approx(2.8, abs=0.32), count / 25)]
    assert facts.cut_off == [(pytest.approx(1.0, abs=0.09), pytest.approx(1.6, abs=0.09))]
    said = " ".join(facts.troubles())
    assert "the face is gone at" in said
    assert "cut off by the picture's edge" in said
    subject = Subject.open(folder)
    assert [p for p in subject.validate() if p.severity == "error"] == []
    assert subject.head_mask(32)[:, -4:].any()
