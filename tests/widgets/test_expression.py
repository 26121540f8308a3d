"""Eyes and brows in the browser and in the driver: a saved page blinks, and sliders do what Python does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from audioplane.inference.talking_head import TalkingHead
from audioplane.motion.own_range import CONTROLS
from audioplane.training.trainer import Trainer
from audioplane.widgets import Driver, GaussianViewer
from tests.tiny_run import awaken, tiny
from tests.tiny_subject import TinySubject

if TYPE_CHECKING:
    from playwright.sync_api import Page

VIEWER = "document.querySelector('canvas')?.viewer"


def make(folder: Path, expression: bool) -> TalkingHead:
    trainer = Trainer(tiny("audio_plane", f"method.expression={str(expression).lower()}"), TinySubject())
    trainer.run()
    awaken(trainer)
    TalkingHead.export(trainer, folder / "head.safetensors")
    return TalkingHead.load(folder, sparse=False)


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> TalkingHead:
    return make(tmp_path_factory.mktemp("head"), True)


def moved(page: Page) -> np.ndarray:
    """The packed Gaussians of the page, in the head's order."""
    rows, order = page.evaluate(f"(v => [Array.from(v.cloud.rows), Array.from(v.parts.order.data)])({VIEWER})")
    found = np.array(rows).reshape(len(order), -1)
    return found[np.argsort(order)]


@pytest.mark.parametrize("control", range(len(CONTROLS)))
def test_a_slider_moves_what_python_moves(
    head: TalkingHead, control: int, tmp_path: Path, open_page: Callable[..., Page]
) -> None:
    voice, own = TinySubject().audio[:16_000], head.own_range
    assert own is not None
    page = open_page(GaussianViewer(head, voice, expression="none").save(tmp_path / "talk.html"))
    page.wait_for_function(f"{VIEWER}?.cloud")
    page.evaluate(f"{VIEWER}.seek(9)")
    page.evaluate(f"{VIEWER}.setControl({control}, 0.7)")
    shares = np.zeros((1, len(CONTROLS)))
    shares[0, control] = 0.7
    expected = head.deform(head.encode(voice)[9], expression=own.steered(shares)[0]).pack().numpy()
    assert np.abs(moved(page) - expected)[:, :3].max() < 1e-4
    assert np.abs(moved(page) - expected).max() < 2e-2


def test_a_saved_page_blinks(head: TalkingHead, tmp_path: Path, open_page: Callable[..., Page]) -> None:
    """The vectors of its frames hold what is natural; a person can add to it by hand."""
    voice = np.tile(TinySubject().audio, 4)
    faces, own = head.expressions(voice), head.own_range
    assert faces is not None
    assert own is not None
    assert own.closure(faces).max() > 0.9
    page = open_page(GaussianViewer(head, voice).save(tmp_path / "talk.html"))
    page.wait_for_function(f"{VIEWER}?.cloud")
    vectors = np.array(page.evaluate(f"Array.from({VIEWER}.talk.parts.vectors.data)")).reshape(len(faces), -1)
    expected = own.standardise(faces)
    half = 0.51 * np.ptp(expected, axis=0) / 65535  # of a step of sixteen bits
    assert (np.abs(vectors[:, -faces.shape[1] :] - expected) <= np.maximum(half, 1e-6)).all()
    page.get_by_label("closed eyes").first.fill("1")
    assert page.evaluate(f"{VIEWER}.state.controls[0]") == 1


def test_a_head_that_the_voice_alone_drives_has_no_such_sliders(tmp_path: Path, open_page: Callable[..., Page]) -> None:
    still = make(tmp_path, False)
    page = open_page(GaussianViewer(still, TinySubject().audio[:16_000]).save(tmp_path / "talk.html"))
    page.wait_for_function(f"{VIEWER}?.cloud")
    assert page.get_by_text("eyes and brows").count() == 0
    driver = Driver({"still": still})
    assert all(control.disabled for control in (driver.eyes, *driver.controls))


def test_the_driver_shows_the_face_and_steers_the_film(head: TalkingHead) -> None:
    driver = Driver({"tiny": head})
    before = driver.face.value
    assert not driver.eyes.disabled
    driver.controls[CONTROLS.index("blink")].value = 1.0
    assert driver.face.value != before
    assert driver._steer() == (1.0, 0.0, 0.0, 0.0)
    driver.source.value = "ships"
    audio = TinySubject().audio
    steered = head.expressions(audio, "none", steer=driver._steer())
    assert steered is not None
    assert head.own_range is not None
    assert head.own_range.closure(steered).min() > 0.9
