"""Sound as it should be heard: tracks, channels, levels, headers, times; and what is no sound."""

from __future__ import annotations

import logging
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audioplane.errors import UserError
from audioplane.media.reader import MediaReader
from audioplane.media.sound import check_audio, load_audio, resample
from audioplane.media.writer import write_video
from audioplane.runtime import large_arrays
from tests.media.films import encode, ffmpeg, scene


def voice(seconds: float = 2.0, rate: int = 16_000, seed: int = 0) -> np.ndarray:
    """Band-limited noise in bursts, (n,) float32 in about +-0.5."""
    rng, n = np.random.default_rng(seed), round(seconds * rate)
    time = np.arange(n) / rate
    carrier = sum(np.sin(2 * np.pi * f * time + rng.uniform(0, 6)) for f in rng.uniform(150, 3000, 30))
    line = carrier * (0.2 + np.sin(2 * np.pi * 1.7 * time + seed) ** 2)
    return (0.5 * line / np.abs(line).max()).astype(np.float32)


def alike(a: np.ndarray, b: np.ndarray) -> float:
    n = min(len(a), len(b))
    return float(np.corrcoef(a[:n], b[:n])[0, 1])


def level(got: np.ndarray, true: np.ndarray) -> float:
    """Decibels by which the one is louder."""
    return float(20 * np.log10(got.std() / true.std()))


# Channels


def test_an_inverted_channel_does_not_silence_it(tmp_path: Path) -> None:
    own = voice()
    soundfile.write(tmp_path / "a.wav", np.stack([own, -own], 1), 16_000)
    got = load_audio(tmp_path / "a.wav")
    assert abs(alike(got, own)) > 0.999
    assert abs(level(got, own)) < 0.1


@pytest.mark.parametrize("silent", [0, 1])
def test_a_voice_on_one_channel_keeps_its_level(tmp_path: Path, silent: int) -> None:
    own = voice()
    both = np.stack([own, own], 1)
    both[:, silent] *= 1e-3
    soundfile.write(tmp_path / "a.wav", both, 16_000)
    assert abs(level(load_audio(tmp_path / "a.wav"), own)) < 0.1


@pytest.mark.parametrize("channels", ["5.1", "7.1", "quad"])
def test_surround_is_mixed_down_without_losing_the_voice(tmp_path: Path, channels: str) -> None:
    own, count = voice(), {"5.1": 6, "7.1": 8, "quad": 4}[channels]
    line = np.zeros((len(own), count), np.float32)
    centre = 2 if count > 4 else 0
    line[:, centre] = own
    line[:, 1] += 0.02 * voice(seed=1)  # the room
    if count > 4:
        line[:, 3] = 0.9 * np.sin(2 * np.pi * 40 * np.arange(len(own)) / 16_000)  # low effects
    soundfile.write(tmp_path / "raw.wav", line, 16_000)
    ffmpeg("-channel_layout", channels, "-i", tmp_path / "raw.wav", "-c:a", "flac", tmp_path / "a.flac")
    got = load_audio(tmp_path / "a.flac")
    assert alike(got, own) > 0.99
    assert abs(level(got, own)) < 1


def test_stereo_that_goes_together_is_averaged(tmp_path: Path) -> None:
    left, right = voice(), 0.8 * voice() + 0.1 * voice(seed=3)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], 1), 16_000, subtype="FLOAT")
    np.testing.assert_allclose(load_audio(tmp_path / "a.wav"), (left + right) / 2, atol=1e-5)


# Levels


@pytest.mark.parametrize("full", [2.0**15, 2.0**23, 2.0**31])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_floats_in_the_range_of_integers_are_scaled_and_said(
    tmp_path: Path, full: float, subtype: str, caplog: pytest.LogCaptureFixture
) -> None:
    own = voice()
    soundfile.write(tmp_path / "a.wav", own * full, 16_000, subtype=subtype)
    with caplog.at_level(logging.WARNING, "audioplane"):
        got = load_audio(tmp_path / "a.wav")
    np.testing.assert_allclose(got, own, atol=1e-4)
    assert "divided by" in caplog.text


def test_floats_beyond_one_are_not_cut_off(tmp_path: Path) -> None:
    own = voice()
    soundfile.write(tmp_path / "a.wav", 6 * own, 16_000, subtype="FLOAT")
    got = load_audio(tmp_path / "a.wav")
    assert alike(got, own) > 0.9999
    assert 0.9 < np.abs(got).max() <= 1
    path = encode(tmp_path / "a.mkv", scene(50), "-pix_fmt", "yuv420p")
    ffmpeg("-i", path, "-i", tmp_path / "a.wav", "-c", "copy", tmp_path / "b.mkv")
    assert alike(MediaReader.open(tmp_path / "b.mkv").sound().samples, own) > 0.9999


def test_samples_that_no_recording_has_are_refused(tmp_path: Path) -> None:
    own = voice()
    own[7] = 1e30
    soundfile.write(tmp_path / "a.wav", own, 16_000, subtype="FLOAT")
    with pytest.raises(UserError, match="export it again"):
        load_audio(tmp_path / "a.wav")


def test_arrays_out_of_range_are_refused() -> None:
    own = voice()
    np.testing.assert_array_equal(check_audio(own), own)
    np.testing.assert_array_equal(check_audio(2.2 * own), 2.2 * own)
    for bad in (32767 * own, 100 * own):
        with pytest.raises(UserError, match="divide"):
            check_audio(bad)
    with pytest.raises(UserError, match="floats"):
        check_audio((32767 * own).astype(np.int16))


# Headers


def test_an_unclosed_header_is_read_to_the_end(tmp_path: Path) -> None:
    own = voice()
    soundfile.write(tmp_path / "a.wav", own, 16_000)
    data = bytearray((tmp_path / "a.wav").read_bytes())
    place = data.index(b"data") + 4
    for size in (b"\0\0\0\0", b"\xff\xff\xff\xff"):
        data[4:8] = data[place : place + 4] = size
        (tmp_path / "b.wav").write_bytes(data)
        assert alike(load_audio(tmp_path / "b.wav"), own) > 0.999
        assert len(load_audio(tmp_path / "b.wav")) == len(own)
    (tmp_path / "cut.wav").write_bytes((tmp_path / "a.wav").read_bytes()[:20_000])
    assert len(load_audio(tmp_path / "cut.wav")) == pytest.approx(10_000, abs=100)


@pytest.mark.parametrize("codec", ["flac", "ogg", "aac", "mp3"])
def test_a_recording_without_an_end_is_read_as_far_as_it_goes(tmp_path: Path, codec: str) -> None:
    soundfile.write(tmp_path / "a.wav", voice(4), 16_000)
    path = tmp_path / f"a.{codec}"
    ffmpeg("-i", tmp_path / "a.wav", path)
    (tmp_path / f"cut.{codec}").write_bytes(path.read_bytes()[: int(0.6 * path.stat().st_size)])
    whole = ffmpeg("-v", "quiet", "-i", tmp_path / f"cut.{codec}", "-f", "s16le", "-ac", 1, "-ar", 16_000, "-")
    assert len(load_audio(tmp_path / f"cut.{codec}")) == pytest.approx(len(whole) / 2, abs=1600)
    assert len(whole) > 20_000


def test_glued_mp3_speaks_to_the_end(tmp_path: Path) -> None:
    pieces = []
    for k in range(3):
        soundfile.write(tmp_path / "a.wav", voice(2, 44_100, k), 44_100)
        ffmpeg("-i", tmp_path / "a.wav", "-metadata", f"title={k}", tmp_path / f"{k}.mp3")
        pieces.append((tmp_path / f"{k}.mp3").read_bytes())
    (tmp_path / "all.mp3").write_bytes(b"".join(pieces))
    got = load_audio(tmp_path / "all.mp3")
    assert len(got) / 16_000 == pytest.approx(6, abs=0.25)
    assert got[-16_000:].std() > 0.3 * got.std()


def test_what_is_no_sound_is_refused(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "slow.wav"), "wb") as out:
        out.setparams((1, 2, 7, 0, "NONE", ""))
        out.writeframes(b"\1\0" * 500)
    encode(tmp_path / "mute.mp4", scene(), "-pix_fmt", "yuv420p")
    for name, said in {
        "slow.wav": "rate of 7",
        "mute.mp4": "has no sound",
        "none.wav": "no sound file",
        ".": "folder",
    }.items():
        with pytest.raises(UserError, match=said):
            load_audio(tmp_path / name)


# Tracks


def tracks(path: Path, voices: list[np.ndarray], default: int, *arguments: object) -> Path:
    """A film with sound tracks, the one of that number flagged."""
    encode(path.with_suffix(".v.mkv"), scene(50), "-pix_fmt", "yuv420p")
    inputs: list[object] = ["-i", path.with_suffix(".v.mkv")]
    maps: list[object] = ["-map", "0:v"]
    for k, own in enumerate(voices):
        soundfile.write(path.with_suffix(f".{k}.wav"), own, 16_000)
        inputs += ["-i", path.with_suffix(f".{k}.wav")]
        maps += ["-map", f"{k + 1}:a", f"-disposition:a:{k}", "default" if k + 1 == default else "0"]
    ffmpeg(*inputs, *maps, "-c:v", "copy", *arguments, path)
    return path


def test_the_track_that_has_the_voice_is_taken(tmp_path: Path) -> None:
    nothing, own, other = 0 * voice(), voice(), voice(seed=5)
    flagged = tracks(tmp_path / "a.mkv", [nothing, own], 2, "-c:a", "flac")
    first = tracks(tmp_path / "b.mkv", [nothing, own, other], 1, "-c:a", "flac")
    plain = tracks(tmp_path / "c.mp4", [own, other], 1)
    chosen = tracks(tmp_path / "d.mkv", [other, own], 2, "-c:a", "flac")
    for path in (flagged, first, plain, chosen):
        assert alike(load_audio(path), own) > 0.99, path.name
        assert alike(MediaReader.open(path).sound().samples, own) > 0.99
    assert MediaReader.open(flagged).sound().track == 2
    assert "is silent" in " ".join(MediaReader.open(flagged).sound().notes)


def test_a_track_is_taken_where_it_is_asked_for(tmp_path: Path) -> None:
    path = tracks(tmp_path / "a.mkv", [voice(), voice(seed=5)], 1, "-c:a", "flac")
    assert alike(load_audio(path, 2), voice(seed=5)) > 0.99
    assert alike(MediaReader.open(path, 2).sound().samples, voice(seed=5)) > 0.99
    for wrong in (3, -1):
        with pytest.raises(UserError, match=r"--audio-track.*track 1 \(flac, 16 kHz x1, flagged default\); track 2"):
            load_audio(path, wrong)
        with pytest.raises(UserError, match="--audio-track"):
            MediaReader.open(path, wrong)


# Times


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.mov", "a.webm"])
@pytest.mark.parametrize("late", [0.2, -0.12])
def test_sound_keeps_its_time_beside_the_pictures(tmp_path: Path, name: str, late: float) -> None:
    own = np.zeros(32_000, np.float32)
    own[16_000:16_400] = 0.7
    pictures, codec = ("v.webm", "libopus") if name.endswith("webm") else ("v.mp4", "aac")
    write_video(tmp_path / pictures, scene(50), 25)
    soundfile.write(tmp_path / "a.wav", own, 16_000)
    order = ("-itsoffset", late, "-i", tmp_path / "a.wav", "-i", tmp_path / pictures)
    if late < 0:
        order = ("-i", tmp_path / "a.wav", "-itsoffset", -late, "-i", tmp_path / pictures)
    ffmpeg(*order, "-map", "1:v", "-map", "0:a", "-c:v", "copy", "-c:a", codec, tmp_path / name)
    for got in (load_audio(tmp_path / name), MediaReader.open(tmp_path / name).sound().samples):
        assert np.argmax(np.abs(got) > 0.35) / 16_000 == pytest.approx(1 + late, abs=0.004)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov", "a.webm"])
def test_what_is_written_comes_back_in_its_place(tmp_path: Path, name: str) -> None:
    own = voice(2)
    write_video(tmp_path / name, scene(50), 25, own)
    got = load_audio(tmp_path / name)
    lags = {lag: alike(got[100 + lag : 30_000 + lag], own[100:30_000]) for lag in range(-40, 41)}
    assert max(lags, key=lambda lag: lags[lag]) == 0
    assert lags[0] > 0.98


def test_resampling_neither_aliases_nor_shifts() -> None:
    time = np.arange(48_000) / 48_000
    above = resample(np.sin(2 * np.pi * 11_000 * time).astype(np.float32), 48_000)[2000:-2000]
    assert 20 * np.log10(np.abs(above).max()) < -120
    below = resample(np.sin(2 * np.pi * 3000 * time).astype(np.float32), 48_000)
    np.testing.assert_allclose(
        below[500:-500], np.sin(2 * np.pi * 3000 * np.arange(16_000) / 16_000)[500:-500], atol=1e-4
    )
    np.testing.assert_array_equal(resample(below, 16_000), below)


def test_a_leap_of_hours_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIOPLANE_LIMITS", "film_gap_seconds=5")
    soundfile.write(tmp_path / "a.wav", voice(1), 16_000)
    leap = r"asetpts='if(gte(T,0.5),PTS+16000*20,PTS)'"
    ffmpeg("-i", tmp_path / "a.wav", "-af", leap, "-c:a", "pcm_s16le", tmp_path / "a.mkv")
    with pytest.raises(UserError, match="leap by 20 s"):
        load_audio(tmp_path / "a.mkv")


@pytest.mark.parametrize("case", ["plain", "another rate", "late beside pictures", "with a gap"])
def test_long_sound_in_a_file_is_the_same_as_in_memory(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, own = tmp_path / "a.wav", voice(2)
    soundfile.write(path, 3 * own, 44_100 if case == "another rate" else 16_000)  # some of it is clipped
    if case == "late beside pictures":
        path = tmp_path / "a.mkv"
        write_video(tmp_path / "v.mp4", scene(50), 25)
        ffmpeg("-itsoffset", 0.3, "-i", tmp_path / "a.wav", "-i", tmp_path / "v.mp4", "-c:v", "copy", path)
    if case == "with a gap":
        path = tmp_path / "a.mkv"
        gap = r"asetpts='if(gte(T,0.5),PTS+16000,PTS)'"
        ffmpeg("-i", tmp_path / "a.wav", "-af", gap, "-c:a", "pcm_s16le", path)
    short = load_audio(path)
    monkeypatch.setattr(large_arrays, "BLOCK", 3001)
    made: list[int] = []
    true_zeros = large_arrays.zeros

    def zeros(count: int, in_file: bool | None = None) -> np.ndarray:
        made.append(count)
        return true_zeros(count, in_file)

    monkeypatch.setattr(large_arrays, "zeros", zeros)
    long = load_audio(path)
    assert max(made) == len(long) > 3001
    assert long.dtype == np.float32
    assert short.tobytes() == long.tobytes()
