"""Which picture is shown when: at any rate, behind edit lists, after a seek; as FFmpeg shows them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from audioplane.errors import UserError
from audioplane.evaluation.evaluate import compare
from audioplane.media import reader, videos
from audioplane.media.reader import MediaReader
from tests.media.films import encode, ffmpeg, psnr, scene, shown


def counted(count: int) -> np.ndarray:
    """Frames that carry their number: 10 bits as bright and dark stripes."""
    bits = np.arange(count)[:, None] >> np.arange(10) & 1
    return np.repeat(np.repeat(40 + 170 * bits[:, None, :, None], 32, 1), 8, 2).repeat(3, 3).astype(np.uint8)


def number(picture: np.ndarray) -> int:
    """The inverse of `counted`."""
    width = picture.shape[1] // 10
    bits = [picture[:, width * k + width // 4 : width * (k + 1) - width // 4].mean() > 125 for k in range(10)]
    return sum(1 << k for k, bit in enumerate(bits) if bit)


def numbered(path: Path, count: int, *arguments: object, rate: object = 25) -> Path:
    return encode(path, counted(count), *arguments, "-pix_fmt", "yuv420p", rate=rate)


RATES = ["24000/1001", 24, 25, "30000/1001", 30, 48, 50, "60000/1001", 60, 100, 120]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("start", [0, 57])
def test_pictures_are_those_on_the_screen(tmp_path: Path, rate: object, start: int) -> None:
    fps = Fraction(rate)
    source = MediaReader.open(numbered(tmp_path / "a.mp4", int(4 * fps), rate=rate))
    moments = [start / Fraction(25) + Fraction(2 * t + 1, 50) for t in range(40)]
    wanted = [min(int(moment * fps), int(4 * fps) - 1) for moment in moments]  # exact: these are fractions
    assert [number(p) for p in source.pictures(start / 25, 40)] == wanted


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov", "a.webm"])
def test_films_at_another_rate_show_what_is_on_the_screen(tmp_path: Path, rate: object, name: str) -> None:
    coder = ("-c:v", "libvpx-vp9", "-cpu-used", 8, "-deadline", "realtime") if name.endswith("webm") else ()
    path = numbered(tmp_path / name, 60, *coder, rate=rate)
    times = [Fraction(t).limit_denominator(100_000) for t in videos.look(path).times]
    got = [number(picture) for picture in videos.at_rate(path)]
    wanted = [max(n for n, time in enumerate(times) if time <= Fraction(k, 25)) for k in range(len(got))]
    assert got == wanted
    assert len(got) == pytest.approx(60 / float(Fraction(rate)) * 25, abs=1)
    if Fraction(rate) == 50:
        assert got[:4] == [0, 2, 4, 6]


@pytest.mark.parametrize("rate", [25, 30, 50, 60])
def test_the_picture_of_a_moment_is_the_one_that_ffmpeg_shows(tmp_path: Path, rate: int) -> None:
    path = numbered(tmp_path / "a.mp4", 3 * rate, rate=rate)
    moments = [Fraction(2 * t + 1, 50) for t in range(0, 60, 7)]
    # to FFmpeg the picture at a moment is the last that has come by then
    fine = shown(path, "-vf", "fps=600:round=down")
    assert [number(p) for p in MediaReader.open(path).pictures_at(iter(moments))] == [
        number(fine[int(moment * 600)]) for moment in moments
    ]


def test_packets_before_the_start_are_not_frames(tmp_path: Path) -> None:
    whole = numbered(tmp_path / "whole.mp4", 100, "-g", 50, "-bf", 2)
    cut = tmp_path / "cut.mp4"
    ffmpeg("-ss", 1.2, "-i", whole, "-t", 1.6, "-c", "copy", cut)
    wanted = [number(picture) for picture in shown(cut)]
    film = videos.look(cut)
    assert len(film.times) == len(wanted)
    assert film.times[0] == 0
    assert [number(picture) for _, picture in videos.read(cut)] == wanted
    assert next(number(p) for p in MediaReader.open(cut).pictures(0, 1)) == wanted[0]
    same = tmp_path / "same.mp4"
    ffmpeg("-i", cut, "-pix_fmt", "yuv420p", "-crf", 1, same)
    assert min(psnr(a, b) for a, b in videos.pair(cut, same)) > 25
    with pytest.raises(UserError, match="--cut"):
        videos.pair(cut, whole)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.mov"])
def test_a_late_start_is_sought_and_gives_the_same_bytes(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = numbered(tmp_path / name, 1000, "-g", 125, "-bf", 2)
    source = MediaReader.open(path)
    decoded: list[int] = []
    keep = reader.progressive
    monkeypatch.setattr(reader, "progressive", lambda frames: (decoded.append(1) or frame for frame in keep(frames)))
    found = list(source.pictures(38.0, 25))
    assert len(decoded) < 600
    monkeypatch.setattr(reader, "LEADS", ())
    whole = list(source.pictures(38.0, 25))
    assert all((a == b).all() for a, b in zip(found, whole, strict=True))
    assert [number(picture) for picture in found] == list(range(950, 975))


def test_films_are_compared_frame_by_frame_whatever_their_rate(tmp_path: Path) -> None:
    slow = numbered(tmp_path / "slow.mp4", 50, rate=25)
    fast = encode(tmp_path / "fast.mkv", counted(50).repeat(2, 0), "-pix_fmt", "yuv420p", rate=50)
    pair = videos.pair(slow, fast)
    assert pair.frames.tolist() == [[t, 2 * t] for t in range(50)]
    assert all(number(a) == number(b) for a, b in pair)


def test_tiny_films_have_no_ssim(tmp_path: Path) -> None:
    for name in ("a.mkv", "b.mkv"):
        encode(tmp_path / name, scene(4, 8, 8), "-pix_fmt", "bgr0", "-c:v", "ffv1")
    means, _ = compare(videos.pair(tmp_path / "a.mkv", tmp_path / "b.mkv"))
    assert "ssim" not in means
    assert means["psnr"] == np.inf


def test_a_film_that_shrinks_while_it_is_read_ends_in_a_sentence(tmp_path: Path) -> None:
    path, other = numbered(tmp_path / "a.mp4", 40), numbered(tmp_path / "b.mp4", 40)
    pair = videos.pair(path, other)
    numbered(path, 20)
    with pytest.raises(UserError, match="ends before frame"):
        list(pair)
