"""Labels that hold still, the background behind a moving person, and what is kept between runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import fake_face
import numpy as np
import pytest

from audioplane.preprocess import background, bundle, cached, masks
from audioplane.preprocess.face_shape import GENERIC
from audioplane.subject.masks import BACKGROUND, FACE, HAIR, MOUTH, TORSO
from audioplane.subject.torso import without_head


def labeller(count: int, flicker: float = 0.0) -> tuple[masks.Labeller, list[np.ndarray]]:
    poses = fake_face.moving(count)
    frames = fake_face.paint(poses, fake_face.babble(count))
    mattes = fake_face.mattes(frames, True, lambda done: None)
    if flicker:  # the outline breathes from frame to frame, as networks' do
        rng = np.random.default_rng(0)
        sides = 1 + 2 * rng.uniform(0, flicker, count).astype(int)
        people = [cv2.dilate(mattes.people[t], np.ones((side, side), np.uint8)) for t, side in enumerate(sides)]
        mattes = replace(mattes, people=masks.Pictures.of(people))
    points = bundle.project(GENERIC, poses, fake_face.LENS)
    return masks.Labeller(fake_face.SIZE, mattes, points, poses, fake_face.LENS), frames


def test_labels_say_what_was_painted_in_every_frame() -> None:
    draw, frames = labeller(12)
    for t, frame in enumerate(frames):  # the first and last ones too, which have fewer neighbours
        label = draw(t, frame)
        points = draw.landmarks[t]
        at = lambda point: label[int(point[1]), int(point[0])]  # noqa: B023, E731
        assert at(points[30]) == FACE
        assert at(points[48:60].mean(0)) == MOUTH
        assert at(points[[19, 24]].mean(0) + 0.38 * (points[27] - points[8])) == HAIR
        assert at((32, 60)) == TORSO
        assert at((3, 3)) == BACKGROUND
        wall = (frame[..., 2].astype(int) > frame[..., 0] + 60) & (np.arange(64)[:, None] < 44)
        wall = cv2.erode(wall.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        assert (label[wall] == BACKGROUND).mean() > 0.95


def test_averaging_takes_the_flicker_out() -> None:
    draw, frames = labeller(20, flicker=9)
    steady, _ = labeller(20)

    def area(t: int) -> float:
        return float((draw(t, frames[t]) >= HAIR).sum() / (steady(t, frames[t]) >= HAIR).sum())

    def raw(t: int) -> float:
        return float((draw.mattes.people[t] > 127).sum() / (steady.mattes.people[t] > 127).sum())

    once, averaged = (np.diff([f(t) for t in range(2, 18)]).std() for f in (raw, area))
    assert averaged < 0.7 * once


def test_nothing_is_averaged_over_a_cut() -> None:
    draw, frames = labeller(10)
    cut = replace(draw, breaks=(5,))
    dark = masks.Pictures.of([draw.mattes.people[t] if t < 5 else 0 * draw.mattes.people[t] for t in range(10)])
    broken = replace(cut, mattes=replace(draw.mattes, people=dark))
    np.testing.assert_array_equal(cut(4, frames[4]), broken(4, frames[4]))


def test_lobes_of_ears_are_of_the_face_and_a_bit_of_shoulder_is_not() -> None:
    label = np.zeros((100, 100), np.uint8)
    label[20:60, 30:70] = FACE
    label[52:58, 25:30] = TORSO  # hangs beside the jaw
    label[95:, 35:40] = TORSO  # as small, and reaches the edge
    label[60:95, 37] = FACE
    label[80:95, 45:75] = TORSO  # too large for a lobe
    label[60:80, 50] = FACE
    found = masks._without_crumbs(label.copy(), 40.0)
    assert (found[52:58, 25:30] == FACE).all()
    assert (found[95:, 35:40] == TORSO).all()
    assert (found[80:95, 45:75] == TORSO).all()


def test_where_a_parser_knows_the_head_landmarks_do_not_tell() -> None:
    draw, frames = labeller(6)
    columns = np.tile((np.arange(masks.SIDE) + 0.5) * fake_face.SIZE / masks.SIDE, (masks.SIDE, 1))
    left = [np.where(columns < draw.landmarks[t, 30, 0], draw.mattes.people[t], 0) for t in range(6)]
    heads = masks.Pictures.of([side.astype(np.uint8) for side in left])
    told = replace(draw, mattes=replace(draw.mattes, hairs=None, heads=heads))
    assert masks.Mattes.of(told.mattes.arrays()).heads is not None
    for t in (0, 3):
        label, nose = told(t, frames[t]), told.landmarks[t, 30]
        row, column = int(nose[1]), int(nose[0])
        assert label[row, column - 5] == FACE
        assert label[row, column + 5] == TORSO  # inside the jaw's line, and not of the head


def test_the_guided_filter_moves_an_outline_to_an_edge() -> None:
    frame = np.zeros((64, 64, 3), np.uint8)
    frame[:, 30:] = 200
    rough = np.zeros((64, 64), np.float32)
    rough[:, 28:] = 1
    refined = masks.to_edges(cv2.GaussianBlur(rough, (0, 0), 1.5), frame, 0.12) > 0.5
    assert abs(int(refined[32].argmax()) - 30) <= 1


def test_the_background_is_what_is_behind_the_person() -> None:
    rng = np.random.default_rng(0)
    wall = rng.integers(0, 255, (64, 64, 3), np.uint8)
    frames, labels = [], []
    for t in range(40):
        label = np.zeros((64, 64), np.uint8)
        label[16:48, t : t + 16] = FACE
        label[60:, 20:40] = TORSO  # never moves away
        noise = rng.normal(0, 3, wall.shape)
        frames.append(np.where(label[..., None] > 0, 0, np.clip(wall + noise, 0, 255)).astype(np.uint8))
        labels.append(label)
    found, share = background.still_background(frames, masks.Pictures.of(labels), lambda done: None)
    hidden = np.zeros((64, 64), bool)
    hidden[58:, 18:42] = True
    assert np.abs(found.astype(int) - wall)[~hidden].mean() < 3
    assert share == pytest.approx(1 - hidden.mean(), abs=0.02)
    assert 60 < found[hidden].mean() < 195  # painted from around, not black


def test_without_its_head_a_frame_keeps_all_else() -> None:
    draw, frames = labeller(8)
    wall = np.full((64, 64, 3), (0, 255, 0), np.uint8)
    for t in (0, 5):
        label = draw(t, frames[t])
        made = without_head(frames[t], label, wall)
        far = cv2.dilate((label >= HAIR).astype(np.uint8), np.ones((7, 7), np.uint8)) == 0
        np.testing.assert_array_equal(made[far], frames[t][far])
        high = (label >= HAIR) & (np.arange(64)[:, None] < 24)
        assert (made[high] == (0, 255, 0)).all()
    empty = np.zeros((64, 64), np.uint8)
    np.testing.assert_array_equal(without_head(frames[0], empty, wall), frames[0])


def test_the_painted_neck_begins_without_a_seam() -> None:
    label = np.zeros((400, 400), np.uint8)
    label[240:, 140:260] = TORSO
    cv2.circle(label, (200, 160), 110, FACE, -1)
    frame = np.where(label[..., None] == TORSO, (150, 90, 70), (220, 170, 140)).astype(np.uint8)
    made = without_head(frame, label, np.full_like(frame, 255))
    np.testing.assert_allclose(made[255:300, 180:220], np.broadcast_to((150, 90, 70), (45, 40, 3)), atol=2)
    assert (made[100, 180:220] == 255).all()


def test_collars_are_not_drawn_up_and_a_chin_beyond_the_edge_leaves_no_hole() -> None:
    label = np.zeros((400, 400), np.uint8)
    label[300:, 120:280] = TORSO
    cv2.ellipse(label, (210, 300), (60, 120), 0, 0, 360, FACE, -1)  # its chin is below the picture
    frame = np.where(label[..., None] == TORSO, (150, 90, 70), (220, 170, 140)).astype(np.uint8)
    frame[300:, 120:140] = 250  # a collar
    made = without_head(frame, label, np.zeros_like(frame)).astype(int)
    under = cv2.dilate((label == FACE).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    assert (np.abs(made[380:, 160:260] - (150, 90, 70)).max(2) < 4).all()
    assert (made[under] < 200).all()


def test_steps_are_made_once_and_again_when_what_they_depend_on_changes(tmp_path: Path) -> None:
    made = []

    def make(value: int) -> dict[str, np.ndarray]:
        made.append(value)
        return {"x": np.full(3, value)}

    def run(first: int, second: int) -> int:
        steps = cached.Steps(tmp_path, "video")
        steps("one", lambda: make(first), {"a": first})
        return int(steps("two", lambda: make(10 * second), {"b": second}, ("one",))["x"][0])

    assert run(1, 2) == 20
    assert run(1, 2) == 20
    assert made == [1, 20]
    run(1, 3)
    assert made == [1, 20, 30]
    run(2, 3)
    assert made == [1, 20, 30, 2, 30]
