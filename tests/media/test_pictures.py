"""Pictures as they are to be seen: colour, orientation, interlacing; each against what FFmpeg shows or a formula."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from audioplane.media import videos
from audioplane.media.colour import HLG, PQ, Colour
from audioplane.media.orientation import Orientation
from audioplane.media.reader import MediaReader
from tests.media.films import encode, ffmpeg, psnr, scene, shown


def pictures(path: Path) -> np.ndarray:
    return np.stack([picture for _, picture in videos.read(path)])


# Colour

MATRICES = {"bt709": "bt709", "bt601": "smpte170m"}


@pytest.mark.parametrize("matrix", ["bt709", "bt601"])
@pytest.mark.parametrize("full", ["tv", "pc"])
def test_tagged_films_are_read_by_their_tags(tmp_path: Path, matrix: str, full: str) -> None:
    frames = scene()
    convert = f"scale=out_color_matrix={matrix}:out_range={full},setparams=colorspace={MATRICES[matrix]}:range={full}"
    path = encode(tmp_path / "a.mp4", frames, "-vf", convert, "-pix_fmt", "yuv444p", "-crf", 2)
    assert psnr(pictures(path), frames) > 42


@pytest.mark.parametrize(("width", "height", "matrix"), [(64, 48, "bt601"), (1280, 720, "bt709"), (720, 1280, "bt709")])
def test_untagged_films_are_read_as_players_do(tmp_path: Path, width: int, height: int, matrix: str) -> None:
    frames = scene(2, width, height)
    path = tmp_path / "a.mkv"
    convert = f"scale=out_color_matrix={matrix}:out_range=tv,format=yuv444p,setparams=colorspace=unknown:range=unknown"
    encode(path, frames, "-vf", convert, "-pix_fmt", "yuv444p", "-c:v", "ffv1")
    assert MediaReader.open(path).colour.matrix == (1 if matrix == "bt709" else 6)
    assert psnr(pictures(path), frames) > 42


def as_hdr(frames: np.ndarray, transfer: int) -> np.ndarray:
    """SDR of BT.709 as HDR of BT.2020 with white at 203 cd/m2 (BT.2087, BT.2408): (T, H, W, 3) uint16."""
    light = (
        203
        * (frames / 255.0) ** 2.4
        @ np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]).T
    )
    if transfer == PQ:
        y = (light / 10_000) ** (2610 / 16384)
        signal = ((3424 / 4096 + 2413 / 128 * y) / (1 + 2392 / 128 * y)) ** (2523 / 32)
    else:
        luminance = (light @ [0.2627, 0.6780, 0.0593])[..., None]
        scene_light = light / 1000 * (luminance / 1000) ** (1 / 1.2 - 1)
        high = 0.17883277 * np.log(np.maximum(12 * scene_light - 0.28466892, 1e-9)) + 0.55991073
        signal = np.where(scene_light <= 1 / 12, np.sqrt(3 * scene_light), high)
    return np.rint(65535 * signal.clip(0, 1)).astype(np.uint16)


def tagged(matrix: str, primaries: str, transfer: str) -> str:
    """FFmpeg's filter that names the colours of frames."""
    return f"setparams=colorspace={matrix}:color_primaries={primaries}:color_trc={transfer}:range=tv"


HDR = {HLG: "arib-std-b67", PQ: "smpte2084"}


@pytest.mark.parametrize("transfer", [HLG, PQ])
def test_hdr_looks_like_the_sdr_it_was_made_of(tmp_path: Path, transfer: int) -> None:
    frames = scene()
    convert = f"scale=out_color_matrix=bt2020:out_range=tv,{tagged('bt2020nc', 'bt2020', HDR[transfer])}"
    coder = ("-c:v", "libx265", "-crf", 8, "-pix_fmt", "yuv420p10le", "-x265-params", "log-level=none")
    path = encode(tmp_path / "a.mov", as_hdr(frames, transfer), "-vf", convert, *coder, pixels="rgb48le")
    source = MediaReader.open(path)
    assert source.colour.is_hdr
    assert "mapped to BT.709" in " ".join(source.notes)
    seen = pictures(path)
    assert psnr(seen[:, :, 20:], frames[:, :, 20:]) > 34
    assert seen[0, 6:14, 6:14].mean() > 215  # white stays near white


def test_what_is_brighter_than_white_is_rolled_off_without_a_step() -> None:
    ramp = np.linspace(0, 1, 4096)
    import av

    frame = av.VideoFrame.from_ndarray(
        np.repeat((65535 * ramp).astype(np.uint16)[None, :, None], 3, 2).repeat(2, 0), format="rgb48le"
    )
    from av.video.reformatter import VideoReformatter

    for transfer in (HLG, PQ):
        seen = Colour(9, True, transfer, 9).rgb(frame, VideoReformatter())[0].astype(int)
        assert np.ptp(seen, axis=1).max() <= 1  # gray stays gray
        steps = np.diff(seen[:, 0])
        assert steps.min() >= 0
        assert steps.max() <= 2
        assert seen[-1, 0] == 255


def test_display_p3_is_mapped(tmp_path: Path) -> None:
    frames = np.full((3, 48, 64, 3), (200, 80, 60), np.uint8)
    convert = f"scale=out_color_matrix=bt709:out_range=tv,{tagged('bt709', 'smpte432', 'bt709')}"
    path = encode(tmp_path / "a.mp4", frames, "-vf", convert, "-pix_fmt", "yuv444p", "-crf", 1)
    # Display P3 to BT.709 by the published matrix, in linear light
    to_709 = np.array([[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]])
    wanted = 255 * ((np.array([200, 80, 60]) / 255) ** 2.4 @ to_709.T).clip(0, 1) ** (1 / 2.4)
    np.testing.assert_allclose(pictures(path)[1, 20, 30], wanted, atol=3)


# Orientation

TURNS = {
    (): (Fraction(1), False, False, False),
    ("-display_rotation", 90): (Fraction(1), True, False, True),
    ("-display_rotation", 180): (Fraction(1), False, True, True),
    ("-display_rotation", 270): (Fraction(1), True, True, False),
    ("-display_hflip",): (Fraction(1), False, True, False),
    ("-display_vflip",): (Fraction(1), False, False, True),
    ("-display_rotation", 90, "-display_hflip"): None,
    ("-display_rotation", 90, "-display_vflip"): None,
}


@pytest.mark.parametrize("turn", TURNS)
def test_turns_and_mirrors_are_as_ffmpeg_shows_them(tmp_path: Path, turn: tuple) -> None:
    plain = encode(tmp_path / "plain.mp4", scene(), "-pix_fmt", "yuv420p", "-crf", 4)
    turned = tmp_path / "turned.mp4"
    ffmpeg(*turn, "-i", plain, "-c", "copy", turned)
    wanted = shown(turned)
    source, seen = MediaReader.open(turned), pictures(turned)
    assert seen.shape == wanted.shape
    assert (source.height, source.width) == seen.shape[1:3]
    assert psnr(seen, wanted) > 38
    if TURNS[turn] is not None:
        assert source.orientation == Orientation(*TURNS[turn])
    assert bool(source.notes) == bool(turn)


def test_evaluate_sees_through_the_display_matrix(tmp_path: Path) -> None:
    plain = encode(tmp_path / "plain.mp4", scene(), "-pix_fmt", "yuv420p", "-crf", 4)
    lying = encode(tmp_path / "l.mp4", np.rot90(scene(), -1, (1, 2)), "-pix_fmt", "yuv420p", "-crf", 4)
    turned = tmp_path / "turned.mp4"
    ffmpeg("-display_rotation", 90, "-i", lying, "-c", "copy", turned)
    assert min(psnr(a, b) for a, b in videos.pair(turned, plain)) > 38


@pytest.mark.parametrize("aspect", ["2/1", "1/2", "16/15"])
def test_pixels_that_are_not_square_are_made_so(tmp_path: Path, aspect: str) -> None:
    path = encode(tmp_path / "a.mp4", scene(), "-vf", f"setsar={aspect}", "-pix_fmt", "yuv420p", "-crf", 4)
    wide = round(64 * Fraction(aspect))
    wanted = shown(path, "-vf", f"scale={wide}:48:flags=area,setsar=1")
    assert psnr(pictures(path), wanted) > 30
    assert (videos.look(path).width, videos.look(path).height) == (wide, 48)


# Interlacing


def combing(picture: np.ndarray) -> float:
    """How far lines stand out of both their neighbours, in levels."""
    green = picture[..., 1].astype(float)
    above, below = green[1:-1] - green[:-2], green[1:-1] - green[2:]
    return float(np.where(above * below > 0, np.minimum(abs(above), abs(below)), 0).mean())


@pytest.mark.parametrize("order", ["tff", "bff"])
@pytest.mark.parametrize("name", ["a.mts", "a.mpg", "a.mkv"])
def test_interlaced_films_are_deinterlaced(tmp_path: Path, order: str, name: str) -> None:
    x = np.arange(160)
    bars = [np.where((x - 6 * t) // 20 % 2, 200, 40).astype(np.uint8) for t in range(40)]
    frames = np.stack([np.broadcast_to(bar[None, :, None], (96, 160, 3)) for bar in bars])
    weave = f"tinterlace={'interleave_top' if order == 'tff' else 'interleave_bottom'},setfield={order}"
    coder = {
        "a.mts": ("-c:v", "libx264", "-crf", 6, "-x264-params", f"{order}=1"),
        "a.mpg": ("-c:v", "mpeg2video", "-q:v", 2, "-flags", "+ilme+ildct"),
        "a.mkv": ("-c:v", "libx264", "-crf", 6, "-x264-params", f"{order}=1"),
    }[name]
    path = encode(tmp_path / name, frames, "-vf", weave, *coder, "-pix_fmt", "yuv420p", rate=50)
    source = MediaReader.open(path)
    assert source.interlaced
    assert "deinterlaced" in " ".join(source.notes)
    seen = pictures(path)
    assert len(seen) == 20
    raw = shown(path)
    assert max(combing(picture) for picture in raw[3:-3]) > 10
    assert max(combing(picture) for picture in seen[1:-1]) < 2
    # the first of the two moments is shown: frames 0, 2, 4 ... of the fifty a second
    assert psnr(seen[6], frames[12]) > 22


def test_films_that_are_not_interlaced_are_left_alone(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", scene(), "-pix_fmt", "yuv420p")
    source = MediaReader.open(path)
    assert not source.interlaced
    assert source.notes == ()
