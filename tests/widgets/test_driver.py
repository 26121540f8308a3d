"""The driver: head + voice -> film, and words instead of a traceback."""

from __future__ import annotations

import datetime
import io
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from audioplane.errors import UserError
from audioplane.inference.talking_head import TalkingHead
from audioplane.synthetic import typed_voice
from audioplane.widgets import Driver
from audioplane.widgets.driver import find_heads
from tests.widgets.people import wav


def upload(driver: Driver, content: bytes) -> None:
    driver.source.value = "file"
    driver.file.value = (
        {
            "name": "v.wav",
            "type": "audio/wav",
            "size": len(content),
            "content": memoryview(content),
            "last_modified": datetime.datetime.now(datetime.UTC),
        },
    )


def test_a_file_becomes_a_film_that_can_be_saved(smoke: Any, tmp_path: Path) -> None:
    driver = Driver({"adam": smoke[1]})
    assert driver.save.disabled
    upload(driver, wav(0.6))
    driver.speak.click()
    driver.wait()
    assert "15 frames, 0.6 s, marked as synthetic" in driver.status.value
    assert driver.progress.max == 15
    with av.open(io.BytesIO(driver.screen.children[0].value)) as film:
        assert sum(1 for _ in film.decode(video=0)) == 15
    driver.name.value = str(tmp_path / "talk.mp4")
    driver.save.click()
    assert (tmp_path / "talk.mp4").read_bytes() == driver.film
    (tmp_path / "talk.mp4").write_bytes(b"somebody's own")
    driver.save.click()
    assert "talk-2.mp4" in driver.status.value
    assert (tmp_path / "talk.mp4").read_bytes() == b"somebody's own"
    assert (tmp_path / "talk-2.mp4").read_bytes() == driver.film
    driver.name.value = str(tmp_path / "talk.mp4" / "below.mp4")
    driver.save.click()
    assert "could not be saved" in driver.status.value
    assert "Errno" not in driver.status.value


@pytest.fixture
def small(ball: TalkingHead) -> Driver:
    return Driver({"ball": ball})


def test_a_film_is_stopped(small: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the button, from whatever thread; by an interrupt of the kernel when it is made at once."""
    frames = small._head().frames
    monkeypatch.setattr(
        small._head(), "frames", lambda *a, **k: (small.stop.click() or frame for frame in frames(*a, **k))
    )
    small.speak.click()
    small.wait()
    assert "Stopped: no film was made" in small.status.value
    assert small.film == b""
    assert (small.speak.disabled, small.stop.disabled, small.save.disabled) == (False, True, True)

    def interrupted(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(small._head(), "frames", interrupted)
    with pytest.raises(KeyboardInterrupt):
        small.run()
    assert "Stopped" in small.status.value
    assert not small.speak.disabled


def test_the_kernel_answers_the_box(small: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = small.children[-1]
    sent: list[Any] = []
    monkeypatch.setattr(keeper, "send", sent.append)
    keeper._handle_custom_msg({"kind": "are you there"}, [])
    assert sent == [{"kind": "here"}]


def test_what_goes_wrong_is_said(smoke: Any) -> None:
    driver = Driver({"adam": smoke[1]})
    driver.source.value = "file"
    driver.run()
    assert "choose a sound file first" in driver.status.value
    upload(driver, b"no sound at all")
    driver.run()
    assert "could not be made: v.wav" in driver.status.value
    assert not driver.speak.disabled
    with pytest.raises(UserError, match="train one"):
        Driver({})


def test_heads_of_the_notebooks_are_found(smoke: Any) -> None:
    assert all(path.name == "head.safetensors" for path in find_heads().values())
    assert any(name.startswith("adam-") for name in find_heads())


def test_text_is_spoken() -> None:
    if not typed_voice.is_there():
        pytest.skip("espeak-ng is not installed")
    short, long = typed_voice.say("Hello."), typed_voice.say("Hello there, how do you do?")
    assert short.dtype == np.float32
    assert 0.2 < len(short) / 16_000 < len(long) / 16_000 < 6
    assert np.sqrt(np.square(long).mean()) == pytest.approx(typed_voice.LEVEL, rel=0.05)
    assert len(typed_voice.say("你好", "Chinese")) > 3200
    for text, voice in (("", "French"), ("x" * 3000, "French"), ("Hi", "Klingon")):
        with pytest.raises(UserError):
            typed_voice.say(text, voice)
