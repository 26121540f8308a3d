"""Evaluation in one pass: the numbers of separate passes, and crops that do not depend on how much was smoothed."""

from __future__ import annotations

import threading

import cv2
import numpy as np
import pytest
import torch

from audioplane.errors import UserError
from audioplane.evaluation.evaluate import evaluate, evaluate_all
from audioplane.evaluation.protocols import PROTOCOLS
from audioplane.metrics.image import as_float, decibel, psnr, squared_error
from audioplane.metrics.mouth import BOX, CROP, MouthFrame
from audioplane.runtime import threads
from tests.tiny_subject import TinySubject


@pytest.mark.parametrize("name", ["head over truth", "mouth", "degstalk"])
def test_renders_of_one_pass_have_the_numbers_of_their_own(name):
    subject, protocol = TinySubject(), PROTOCOLS[name]
    subject.hair_mask = lambda t: subject.head_mask(t) & (np.arange(subject.height)[:, None] < 12)
    renders = [lambda t: np.roll(subject.frame(t), 1, axis=1), lambda t: subject.frame(t) / 255 * 0.9]
    together = evaluate_all(subject, renders, protocol=protocol)
    for render, (summary, series) in zip(renders, together, strict=True):
        alone, own = evaluate(subject, render, protocol=protocol)
        assert summary == alone
        assert summary.psnr == pytest.approx(series["psnr"].mean())
        assert all(np.array_equal(series[key], own[key]) for key in own)
    assert together[0][0].psnr != together[1][0].psnr


def test_measures_of_a_frame_are_those_of_the_picture_functions():
    subject = TinySubject()
    _, series = evaluate(subject, lambda t: np.roll(subject.frame(t), 1, axis=0))
    for k, t in enumerate(subject.test):
        wrong, true = np.roll(subject.frame(t), 1, axis=0), subject.frame(t)
        assert series["head_psnr"][k] == pytest.approx(psnr(wrong, true, subject.head_mask(t)), rel=1e-12)
        assert series["mouth_psnr"][k] == pytest.approx(psnr(wrong, true, subject.motion_mask(t)), rel=1e-12)
        assert decibel(float(squared_error(wrong, true).mean())) == pytest.approx(psnr(wrong, true), rel=1e-12)


@pytest.mark.parametrize("centre", [(60.0, 50.0), (3.0, 2.0), (118.5, 97.0), (60.0, -40.0), (140.0, 50.0)])
def test_a_crop_is_that_of_the_whole_picture_smoothed(centre):
    picture = np.random.default_rng(0).integers(0, 256, (100, 120, 3), np.uint8)
    scale = 900.0  # pixels a metre: the crop shows 79 x 61 pixels
    found = MouthFrame(np.array([centre]), np.array([scale])).crop(picture, 0)

    width, height = BOX[0] * scale, BOX[1] * scale
    smooth = cv2.GaussianBlur(as_float(picture), (0, 0), width / CROP[1] / 2)
    x = centre[0] - width / 2 + (np.arange(CROP[1]) + 0.5) * width / CROP[1] - 0.5
    y = centre[1] - height / 2 + (np.arange(CROP[0]) + 0.5) * height / CROP[0] - 0.5
    places = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
    whole = cv2.remap(smooth, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    # OpenCV rounds places to 1/32 of a pixel, which may fall to either side.
    assert np.abs(found.reshape(whole.shape) - whole).max() < 0.01


def test_work_in_parallel_comes_in_order_and_on_one_thread_each():
    before, seen = torch.get_num_threads(), set()

    def work(k: int) -> tuple[int, int]:
        seen.add(threading.current_thread().name)
        return k * k, torch.get_num_threads()

    found = list(threads.in_parallel(work, iter(range(50))))
    assert found == [(k * k, 1) for k in range(50)]
    assert threading.current_thread().name not in seen
    assert torch.get_num_threads() == before
    with pytest.raises(ZeroDivisionError):
        list(threads.in_parallel(lambda k: 1 / (3 - k), range(10)))
    assert torch.get_num_threads() == before


class Lost(TinySubject):
    """Loses the face in some held-out frames: no head in the labels, no landmarks."""

    def __init__(self, frames: int = 120, lost: tuple[int, ...] = (100, 101, 110)) -> None:
        super().__init__(frames)
        self.test = range(frames - 40, frames)
        self.train = range(frames - 40)
        self.lost = lost
        self.landmarks[list(lost)] = np.nan

    def head_mask(self, t: int) -> np.ndarray:
        return super().head_mask(t) & (t not in self.lost)

    def motion_mask(self, t: int) -> np.ndarray:
        return super().motion_mask(t) & (t not in self.lost)

    def hair_mask(self, t: int) -> np.ndarray:
        return np.zeros((self.height, self.width), bool)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", PROTOCOLS)
def test_frames_without_a_face_are_left_out_and_counted(name):
    subject, protocol = Lost(), PROTOCOLS[name]
    found, series = evaluate(subject, lambda t: np.roll(subject.frame(t), 1, axis=1), protocol=protocol)
    assert (found.frames, found.frames_without_face) == (40, 3)
    kept = [t not in subject.lost for t in subject.test]
    for measure in ("head_psnr", "head_ssim", "mouth_psnr", "lip_error", "opening_true"):
        assert np.array_equal(np.isfinite(series[measure]), kept), measure
    for measure in ("head_psnr", "mouth_ssim", "lip_error", "psnr", "ssim"):
        value = getattr(found, measure)
        assert value == pytest.approx(np.nanmean(series[measure])), measure
    assert found.opening_lag is not None
    assert abs(found.opening_lag) <= 3, "a codec blurs so small a mouth"
    assert np.isfinite([found.opening_correlation, found.opening_amplitude, found.ceiling_correlation]).all()


def test_what_is_seen_does_not_depend_on_frames_in_which_nothing_is():
    whole, lost = Lost(lost=()), Lost(lost=(119, 80))
    render = lambda subject: lambda t: np.roll(subject.frame(t), 1, axis=0)  # noqa: E731
    inner, _ = evaluate(whole, render(whole), frames=range(81, 119))
    outer, _ = evaluate(lost, render(lost))
    assert outer.head_psnr == pytest.approx(inner.head_psnr)
    assert outer.lip_error == pytest.approx(inner.lip_error)
    assert outer.opening_correlation == pytest.approx(inner.opening_correlation)


def test_a_mouth_that_rests_has_no_lag_and_no_correlation():
    subject = TinySubject()
    resting, _ = evaluate(subject, lambda t: np.full((40, 40, 3), 90, np.uint8))
    assert resting.opening_lag is None
    assert np.isnan(resting.opening_correlation)
    assert resting.frames_without_face == 0


def test_a_clip_without_any_face_says_so():
    subject = Lost(lost=tuple(range(80, 120)))
    with pytest.raises(UserError, match="none of the 40 frames of tiny-0"):
        evaluate(subject, subject.frame)


class Blinking(TinySubject):
    """Lids whose landmarks close with the eyes of the picture."""

    def __init__(self) -> None:
        super().__init__(200, size=96)
        self.train, self.test = range(140), range(140, 200)
        self.closed = np.clip(
            np.exp(-(((np.arange(200)[:, None] - [30, 70, 110, 150, 180]) / 2.0) ** 2)).sum(axis=1), 0, 1
        )
        for eye, x in ((36, -0.25), (42, 0.25)):
            across = np.array([-0.12, -0.06, 0.06, 0.12, 0.06, -0.06])
            up = np.array([0, 0.1, 0.1, 0, -0.1, -0.1])
            for t in range(200):
                shape = np.stack([x + across, -0.2 - up * (1 - self.closed[t])], axis=1)
                self.landmarks[t, eye : eye + 6] = (shape * 0.5 + 0.5) * self.width
        self.landmarks[:, 27] = np.array([0.5, 0.4]) * self.width


def test_eyes_are_read_off_the_pictures() -> None:
    subject = Blinking()
    right, _ = evaluate(subject, lambda t: subject.frame(t))
    assert right.blink_f1 == right.ceiling_blink_f1 == 1.0
    assert right.eye_correlation == pytest.approx(right.ceiling_eye_correlation)
    assert right.eye_amplitude == pytest.approx(1.0)
    assert right.eye_correlation > 0.9
    assert right.eyes_psnr == np.inf
    staring, series = evaluate(subject, lambda t: subject.frame(145))
    assert staring.blink_f1 == 0.0
    assert abs(staring.eye_correlation or 0.0) < 0.3
    assert np.median(series["eyes_psnr"]) < 40
    masks = [subject.eyes_mask(t) & (subject.head_mask(t) | subject.motion_mask(t)) for t in subject.test]
    wrong, series = evaluate(subject, lambda t: np.roll(subject.frame(t), 1, axis=0))
    for k, t in enumerate(subject.test):
        expected = psnr(np.roll(subject.frame(t), 1, axis=0), subject.frame(t), masks[k])
        assert series["eyes_psnr"][k] == pytest.approx(expected, rel=1e-12)
    assert wrong.eyes_psnr == pytest.approx(series["eyes_psnr"].mean())
