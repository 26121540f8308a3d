"""Pictures at 25 a second by their timestamps, sound by its own, and files that are no good."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from audioplane.errors import UserError
from audioplane.media.reader import MediaReader, cut_out
from tests.preprocess import clips


def shown(path: Path, count: int, start: float = 0.0) -> list[int]:
    return [clips.number_of(frame) for frame in MediaReader.open(path).pictures(start, count)]


@pytest.mark.parametrize("rate", [10, 24, 25, 30, 50])
def test_each_frame_shows_what_is_on_the_screen_in_the_middle_of_its_time(tmp_path: Path, rate: int) -> None:
    path = clips.write(tmp_path / "a.mkv", clips.numbered(30), rate)
    count = min(int(30 / rate * 25), 30)
    assert shown(path, count) == [int((t + 0.5) / 25 * rate + 1e-9) for t in range(count)]


def test_a_variable_rate_stays_in_step(tmp_path: Path) -> None:
    times = [0, 0.02, 0.1, 0.11, 0.3, 0.34, 0.5]
    path = clips.write(tmp_path / "a.mkv", clips.numbered(7), times=times)
    wanted = [max(k for k, time in enumerate(times) if time <= (t + 0.5) / 25) for t in range(12)]
    assert shown(path, 12) == wanted


def test_a_late_first_picture_is_the_beginning(tmp_path: Path) -> None:
    path = clips.write(
        tmp_path / "a.mkv", clips.numbered(20), times=[0.4 + k / 25 for k in range(20)], sound=clips.click(1.2, 0.6)
    )
    assert shown(path, 5) == [0, 1, 2, 3, 4]
    assert loudest(MediaReader.open(path).sound().samples) == pytest.approx(0.2, abs=0.004)


def test_starting_later_takes_later_pictures(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mkv", clips.numbered(30))
    assert shown(path, 4, start=0.4) == [10, 11, 12, 13]


def test_timing_says_when_it_ends_and_that_nothing_is_damaged(tmp_path: Path) -> None:
    timing = MediaReader.open(clips.write(tmp_path / "a.mkv", clips.numbered(30), 20)).timing()
    assert len(timing.times) == 30
    assert timing.end == pytest.approx(1.5, abs=0.01)
    assert timing.damaged == ""


def loudest(samples: np.ndarray) -> float:
    """Seconds at which the click begins."""
    return int(np.argmax(np.abs(samples) > 0.3)) / 16000


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (16000, 2), (44100, 1), (48000, 2)])
def test_sound_of_any_rate_keeps_its_moments(tmp_path: Path, rate: int, channels: int) -> None:
    sound = clips.click(1.2, 0.7, rate, channels)
    path = clips.write(tmp_path / "a.mkv", clips.numbered(30), sound=sound, sound_rate=rate)
    made = MediaReader.open(path).sound()
    assert made.rate == rate
    assert made.channels == channels
    assert loudest(made.samples) == pytest.approx(0.7, abs=0.003)
    assert np.abs(made.samples).max() == pytest.approx(0.8, abs=0.1)


def test_sound_that_starts_late_is_laid_down_late(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mkv", clips.numbered(30), sound=clips.click(0.9, 0.3), sound_start=0.25)
    made = MediaReader.open(path).sound(0.0, 1.2)
    assert made.start == pytest.approx(0.25, abs=0.002)
    assert loudest(made.samples) == pytest.approx(0.55, abs=0.003)
    assert len(made.samples) == round(1.2 * 16000)
    assert loudest(MediaReader.open(path).sound(0.4, 0.5).samples) == pytest.approx(0.15, abs=0.003)


def test_what_is_cut_out_repeats_the_edge_where_it_reaches_over() -> None:
    image = np.arange(64, dtype=np.uint8).reshape(8, 8)[..., None].repeat(3, 2)
    cut = cut_out(image, (-2, 4, 6, 6), 0)
    np.testing.assert_array_equal(cut[:4, 2:], image[4:, :4])
    np.testing.assert_array_equal(cut[:4, 0], image[4:, 0])
    np.testing.assert_array_equal(cut[5, 2:], image[7, :4])
    assert cut_out(image, None, 4).shape == (4, 4, 3)


def test_pictures_that_lie_on_their_side_are_turned_upright(tmp_path: Path) -> None:
    import subprocess

    import imageio_ffmpeg

    image = np.zeros((32, 48, 3), np.uint8)
    image[:8] = 255  # white above
    plain = clips.write(tmp_path / "a.mp4", [image] * 5, codec="mpeg4")
    turned = tmp_path / "b.mp4"
    made = subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-display_rotation", "90", "-i", plain, "-c", "copy", turned],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("this ffmpeg cannot mark a video as turned")
    source = MediaReader.open(turned)
    assert (source.width, source.height) == (32, 48)
    frame = next(iter(source.pictures(0, 1)))
    assert frame.shape == (48, 32, 3)
    left, right = frame[:, :4].mean(), frame[:, -4:].mean()
    assert left > 200 > 50 > right  # turned by 90 degrees against the clock, what was above is left


def test_files_that_are_no_video_are_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("this is not a video" * 50)
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    whole = clips.write(tmp_path / "whole.mp4", clips.numbered(30), codec="mpeg4")
    (tmp_path / "cut.mp4").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    import soundfile

    soundfile.write(tmp_path / "voice.wav", np.zeros(16000), 16000)
    for name, said in {
        "none.mp4": "does not exist",
        ".": "is a folder",
        "empty.mp4": "is empty",
        "text.mp4": "not a video",
        "noise.mp4": "not a video",
        "cut.mp4": "damaged",
        "voice.wav": "only sound",
    }.items():
        with pytest.raises(UserError, match=said):
            MediaReader.open(tmp_path / name)


def test_no_sound_track_is_said(tmp_path: Path) -> None:
    source = MediaReader.open(clips.write(tmp_path / "a.mkv", clips.numbered(5)))
    assert not source.has_sound
    with pytest.raises(UserError, match="no sound track"):
        source.sound()


def test_a_file_that_breaks_off_is_read_as_far_as_it_goes_and_says_so(tmp_path: Path) -> None:
    whole = clips.write(tmp_path / "whole.mkv", clips.numbered(30, 64))
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: int(0.6 * whole.stat().st_size)])
    count = len(MediaReader.open(cut).timing().times)
    assert 0 < count < 30
    # frames that cannot be decoded repeat the last one that can
    assert len(list(MediaReader.open(cut).pictures(0, 30))) == 30
