"""Protocols paste, crop and encode what they say; films are paired by their times."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from audioplane.errors import UserError
from audioplane.evaluation import protocols
from audioplane.evaluation.evaluate import compare, evaluate
from audioplane.evaluation.protocols import PROTOCOLS, Protocol
from audioplane.media import videos
from audioplane.media.writer import write_video
from tests.evaluation.ramps import film
from tests.tiny_subject import TinySubject


def write_irregular(path: Path, frames: list[np.ndarray], times: list[float]) -> None:
    """An mp4 whose frames are shown at `times`, seconds."""
    import av

    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = frames[0].shape[1], frames[0].shape[0], "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.options = {"crf": "5", "bf": "0"}
        for picture, at in zip(frames, times, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts, frame.time_base = round(1000 * at), Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())


def test_every_preset_is_found_and_a_wrong_one_named():
    assert all(protocols.find(name).name == name for name in PROTOCOLS)
    with pytest.raises(UserError, match="'talkinggaussian'"):
        protocols.find("talking")
    for bad in ({"region": "nose"}, {"pasted": "eyes"}, {"codec": "vp9 crf 3"}, {"codec": "libx264 crf 99"}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            Protocol("x", "x", **bad)


def test_truth_under_every_protocol_is_ideal():
    subject = TinySubject()
    subject.hair_mask = lambda t: subject.head_mask(t)
    for protocol in PROTOCOLS.values():
        summary, series = evaluate(subject, subject.frame, protocol=protocol)
        assert summary.protocol == protocol.name
        assert summary.psnr == np.inf, "both sides pass through the same codec"
        assert summary.ssim == pytest.approx(1.0)
        assert summary.ms_ssim is None, "too small a picture has none"
        assert len(series["psnr"]) == len(subject.test)


def test_pasting_hides_what_it_covers():
    """The same wrong render: the more of the truth is pasted, the better it looks."""
    subject = TinySubject()
    subject.hair_mask = lambda t: subject.head_mask(t) & (np.arange(subject.height)[:, None] < subject.height // 3)

    def wrong(t: int) -> np.ndarray:
        picture = subject.frame(t).copy()
        head = subject.head_mask(t)
        picture[head] = np.clip(picture[head].astype(int) + 20, 0, 255)
        return picture

    psnr = {name: evaluate(subject, wrong, protocol=PROTOCOLS[name])[0].psnr for name in PROTOCOLS}
    assert psnr["head over truth"] < psnr["torso"] < psnr["degstalk"]
    assert psnr["torso"] < psnr["portrait"]
    hair_alone = Protocol("hair", "", "full", "hair and torso")
    assert evaluate(subject, wrong, protocol=hair_alone)[0].psnr > psnr["torso"]


def test_a_codec_costs_what_it_costs():
    frames = film(8)
    fine, coarse = (list(protocols.through(f"libx264 crf {crf}", frames, 25)) for crf in (5, 45))
    errors = [
        np.mean([np.abs(a.astype(int) - b).mean() for a, b in zip(side, frames, strict=True)])
        for side in (fine, coarse)
    ]
    assert 0 < errors[0] < errors[1]
    assert protocols.even(np.zeros((5, 7, 3))).shape == (4, 6, 3)


def test_boxes():
    mask = np.zeros((20, 30), bool)
    mask[4:9, 10:12] = True
    assert protocols.box(mask) == (slice(4, 9), slice(10, 12))
    with pytest.raises(ValueError, match="pixel set"):
        protocols.box(np.zeros((3, 3), bool))
    marks = np.zeros((68, 2))
    marks[48:68], marks[27], marks[8] = (15.0, 12.0), (15.0, 0.0), (15.0, 10.0)
    assert protocols.mouth_box(marks, 20, 30) == (slice(7, 17), slice(10, 20))
    assert protocols.mouth_box(marks + [0, 7], 20, 30) == (slice(14, 20), slice(10, 20))  # noqa: RUF005
    with pytest.raises(ValueError, match="NaN"):
        protocols.mouth_box(marks * np.nan, 20, 30)


def test_films_are_paired_by_time(tmp_path):
    frames = film(20)
    write_video(tmp_path / "a.mp4", frames, 25, quality=5)
    write_video(tmp_path / "b.mp4", [f for f in frames for _ in range(2)], 50, quality=5)
    pair = videos.pair(tmp_path / "a.mp4", tmp_path / "b.mp4")
    assert pair.frames.tolist() == [[t, 2 * t] for t in range(20)]
    means, series = compare(pair)
    assert means["psnr"] > 40
    assert len(series["psnr"]) == 20
    assert videos.pair(tmp_path / "b.mp4", tmp_path / "a.mp4").frames.tolist() == [[2 * t, t] for t in range(20)]


def test_dropped_frames_do_not_shift_the_rest(tmp_path):
    frames, kept = film(20), [t for t in range(20) if t not in (5, 6, 7)]
    write_irregular(tmp_path / "holes.mp4", [frames[t] for t in kept], [t / 25 for t in kept])
    write_irregular(tmp_path / "whole.mp4", frames, [t / 25 for t in range(20)])
    pair = videos.pair(tmp_path / "holes.mp4", tmp_path / "whole.mp4")
    assert pair.frames.tolist() == [[k, t] for k, t in enumerate(kept)]
    assert compare(pair)[0]["psnr"] > 35


def test_other_sizes_and_lengths_are_refused_unless_asked(tmp_path):
    write_video(tmp_path / "a.mp4", film(20), 25)
    write_video(tmp_path / "small.mp4", film(20, side=24), 25)
    write_video(tmp_path / "short.mp4", film(12), 25)
    with pytest.raises(UserError, match=r"48 x 48.*24 x 24.*--resize"):
        videos.pair(tmp_path / "a.mp4", tmp_path / "small.mp4")
    assert len(list(videos.pair(tmp_path / "small.mp4", tmp_path / "a.mp4", resize=True))) == 20
    with pytest.raises(UserError, match=r"0\.80 s.*0\.48 s.*--cut"):
        videos.pair(tmp_path / "a.mp4", tmp_path / "short.mp4")
    assert len(videos.pair(tmp_path / "a.mp4", tmp_path / "short.mp4", cut=True).frames) == 12
    with pytest.raises(UserError, match="does not exist"):
        videos.look(tmp_path / "none.mp4")
    (tmp_path / "text.mp4").write_text("not a film")
    with pytest.raises(UserError, match="can be read"):
        videos.look(tmp_path / "text.mp4")


def test_a_film_at_another_rate(tmp_path):
    write_irregular(tmp_path / "slow.mp4", film(6), [t / 12.5 for t in range(6)])
    means = [picture.mean() for picture in videos.at_rate(tmp_path / "slow.mp4")]
    steps = np.round((np.array(means) - means[0]) / 3)
    assert steps.tolist()[:10] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
