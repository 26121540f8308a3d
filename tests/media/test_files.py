"""Names and contents that would lead elsewhere, and the writer: formats, tags, two at once, folders that refuse."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import av
import numpy as np
import pytest

from audioplane.errors import UserError
from audioplane.media import videos
from audioplane.media.reader import MediaReader
from audioplane.media.sound import load_audio
from audioplane.media.writer import FORMATS, write_video
from tests.media.films import ffmpeg, psnr, scene, shown


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "a.mp4"
    write_video(path, scene(), 25, np.zeros(8000, np.float32))
    return path


@pytest.mark.parametrize(
    "name", ["http:x.mp4", "concat:a|b.mp4", "12:30.mp4", "file:x.mp4", "%03d.mp4", "-i.mp4", "pipe:0"]
)
def test_a_name_is_only_a_name(film: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(film, name)
    assert MediaReader.open(name).width == 64
    assert len(videos.look(name).times) == 12
    assert len(load_audio(name)) >= 7900
    if Path(name).suffix:
        write_video(f"new-{name}", scene(), 25)
        write_video(name, scene(), 25)
        assert len(videos.look(name).times) == 12
    with pytest.raises(UserError, match="does not exist"):
        MediaReader.open("http:127.0.0.1/none.mp4")


def test_playlists_open_no_other_file(film: Path, tmp_path: Path) -> None:
    (tmp_path / "list.mp4").write_text(f"ffconcat version 1.0\nfile '{film.name}'\n")
    (tmp_path / "list.m3u8").write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:8\n#EXTINF:8,\n{film}\n#EXT-X-ENDLIST\n")
    (tmp_path / "a.mp4").symlink_to(film)
    for name in ("list.mp4", "list.m3u8"):
        with pytest.raises(UserError, match="can be read"):
            MediaReader.open(tmp_path / name)
        with pytest.raises(UserError, match="cannot be read"):
            load_audio(tmp_path / name)


def test_tags_that_are_not_utf8_do_no_harm(film: Path, tmp_path: Path) -> None:
    ffmpeg("-i", film, "-c", "copy", "-metadata", "title=QQQQQ", "-metadata:s:a", "title=QQQQQ", tmp_path / "a.mkv")
    data = (tmp_path / "a.mkv").read_bytes()
    (tmp_path / "b.mkv").write_bytes(data.replace(b"QQQQQ", b"\xe9\xfcQQQ"))
    source = MediaReader.open(tmp_path / "b.mkv")
    assert "QQQ" in str(source.tracks[0]).encode("utf-8").decode()


# Writing


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_suffix_chooses_the_container(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    sound = 0.1 * np.ones(8000, np.float32)
    assert write_video(path, scene(), 25, sound) == 12
    with av.open(str(path)) as file:
        names, codecs = file.format.name.split(","), [s.codec_context.name for s in file.streams]
        tags = {key.lower(): value for key, value in file.metadata.items()}
        codec = file.streams.video[0].codec_context
        assert (codec.color_range, codec.colorspace, codec.color_primaries, codec.color_trc) == (1, 1, 1, 1)
    assert {".mkv": "matroska", ".webm": "webm"}.get(suffix, "mp4") in names
    assert codecs == (["vp9", "opus"] if suffix == ".webm" else ["h264", "aac"])
    assert tags["synthetic"] == "true"
    assert tags["comment"].startswith("Synthetic")
    assert path.read_bytes()[:4] == (b"\x1aE\xdf\xa3" if suffix in (".mkv", ".webm") else path.read_bytes()[:4])
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("size", [(64, 48), (1280, 720)])
def test_films_have_the_colours_that_were_given(tmp_path: Path, size: tuple[int, int]) -> None:
    frames = scene(2, *size)
    write_video(tmp_path / "a.mp4", frames, 25, quality=4)
    assert psnr(shown(tmp_path / "a.mp4"), frames) > 36
    assert psnr(np.stack([p for _, p in videos.read(tmp_path / "a.mp4")]), frames) > 36
    flat = np.full((3, 64, 64, 3), (255, 0, 0), np.uint8)
    write_video(tmp_path / "b.mp4", flat, 25, quality=1)
    assert np.abs(shown(tmp_path / "b.mp4").astype(int) - flat).max() <= 3


@pytest.mark.parametrize("name", ["a.gif", "a.avi", "a.png", "a", "a.mp4.txt"])
def test_what_cannot_be_written_is_refused_before_any_work(tmp_path: Path, name: str) -> None:
    def frames():
        raise AssertionError("work was done")
        yield

    with pytest.raises(UserError, match=r"\.mp4.*\.webm"):
        write_video(tmp_path / name, frames(), 25)
    assert list(tmp_path.iterdir()) == []


def test_two_writers_of_one_file_leave_one_whole_film(tmp_path: Path) -> None:
    path, gate = tmp_path / "a.mp4", threading.Barrier(2)

    def frames(count: int):
        for frame in scene(count):
            gate.wait(10)
            yield frame

    writers = [threading.Thread(target=write_video, args=(path, frames(10), 25)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(videos.look(path).times) == 10
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize("folder", ["/proc", "/dev/null"])
def test_a_folder_that_refuses_ends_in_a_sentence(folder: str) -> None:
    if not Path(folder).exists():
        pytest.skip(f"no {folder} here")
    with pytest.raises(UserError, match=r"could not be written|must be a folder"):
        write_video(f"{folder}/a.mp4", scene(), 25)
