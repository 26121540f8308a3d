"""Large arrays lie in a file without a name: the same numbers, little memory, nothing left behind."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from audioplane.audio import whisper
from audioplane.audio.activity import speech_steps
from audioplane.audio.mel import StandardisedSteps
from audioplane.media.sound import check_audio
from audioplane.motion.timing import timing_of_sound
from audioplane.runtime import large_arrays

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere they lie in memory, or cannot be looked at")
SECONDS = 700  # of sound: beyond the ten minutes from which features are computed in pieces
TWO_MINUTES = 120 * 16_000 * 4  # bytes, what is looked at at once


def resident(array: np.ndarray) -> int:
    """Bytes of an array that lie in this process's memory."""
    place, inside = array.ctypes.data, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        words = line.split()
        if "-" in words[0] and not words[0].endswith(":"):
            start, end = (int(word, 16) for word in words[0].split("-"))
            inside = start <= place < end
        elif inside and words[0] == "Rss:":
            return 1024 * int(words[1])
    raise AssertionError("the array lies in no mapping")


@pytest.fixture(scope="module")
def long_voice() -> np.ndarray:
    found, rng = large_arrays.zeros(SECONDS * 16_000, in_file=True), np.random.default_rng(0)
    for second in range(SECONDS):
        own = slice(second * 16_000, (second + 1) * 16_000)
        found[own] = rng.uniform(-0.3, 0.3, 16_000) * (second % 3 > 0)
    return found


def test_small_arrays_are_zeros_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_arrays.tempfile, "TemporaryFile", None)  # would end in a TypeError
    found = large_arrays.zeros(1000)
    assert found.dtype == np.float32
    assert found.shape == (1000,)
    assert not found.any()


@on_linux
def test_what_is_released_is_not_lost_and_takes_no_memory() -> None:
    found = large_arrays.zeros(large_arrays.BLOCK + 3)
    assert found.dtype == np.float32
    assert found.shape == (large_arrays.BLOCK + 3,)
    assert not found[:: 1 << 12].any()
    found[:] = np.arange(len(found), dtype=np.float32)
    assert resident(found) > 4 * large_arrays.BLOCK
    large_arrays.release()
    assert resident(found) < 1 << 20
    assert np.array_equal(found, np.arange(len(found), dtype=np.float32))


@on_linux
def test_nothing_lies_in_the_folder_and_none_of_its_memory_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = len(os.listdir("/proc/self/fd"))
    found = large_arrays.zeros(1 << 20, in_file=True)
    assert list(tmp_path.iterdir()) == []
    assert len(large_arrays._maps) >= 1
    kept = len(large_arrays._maps)
    del found
    assert len(large_arrays._maps) == kept - 1
    assert len(os.listdir("/proc/self/fd")) == before


@on_linux
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EFBIG, errno.EINVAL])
def test_without_room_on_the_disk_they_lie_in_memory(error: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(large_arrays.os, "posix_fallocate", refuse)
    found = large_arrays.zeros(1 << 16, in_file=True)
    found[:] = 1
    assert found.sum() == 1 << 16


def test_without_a_folder_for_temporary_files_they_lie_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    found = large_arrays.zeros(1 << 16, in_file=True)
    found[:] = 1
    assert found.sum() == 1 << 16


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 25])
def test_parts_cover_everything_once(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_arrays, "BLOCK", 10)
    covered = np.zeros(count, int)
    for part in large_arrays.parts(count):
        assert 0 < part.stop - part.start <= 10
        covered[part] += 1
    assert (covered == 1).all()


@on_linux
@pytest.mark.parametrize(
    ("look", "most"),
    [
        (check_audio, large_arrays.BLOCK * 4),
        (lambda voice: speech_steps(voice, len(voice) // 320 + 1), TWO_MINUTES),
        (lambda voice: timing_of_sound(voice, len(voice) / 16_000), TWO_MINUTES),
        (lambda voice: StandardisedSteps(voice, 8), TWO_MINUTES),
        (lambda voice: whisper.WhisperSteps(voice, whisper.load(), (np.zeros(1), np.ones(1)), True), TWO_MINUTES),
    ],
    ids=["check_audio", "speech", "timing", "mel", "whisper"],
)
def test_who_looks_at_a_long_voice_keeps_no_more_of_it_than_a_part(
    look: Callable[[np.ndarray], object], most: int, long_voice: np.ndarray
) -> None:
    large_arrays.release()
    look(long_voice)
    assert resident(long_voice) <= most + (4 << 20)
