"""Captures as people have them: Live Link Face's CSV, arrays, and what is wrong with a file said in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from audioplane.errors import UserError
from audioplane.motion.captures import at_rate, read_capture
from audioplane.subject import blendshapes

LIVE = (
    "EyeBlinkLeft",
    *(name[0].upper() + name[1:] for name in blendshapes.NAMES if name != "eyeBlinkLeft"),
    "HeadYaw",
)


def live_link(
    path: Path, count: int, fps: int, lid: Callable[[float], float], skip: frozenset[int] = frozenset()
) -> Path:
    rows = [",".join(["Timecode", "BlendshapeCount", *LIVE])]
    for t in range(count):
        if t not in skip:
            second, frame = divmod(t, fps)
            values = [lid(t / fps), *[0.25] * (len(LIVE) - 2), -0.9]
            rows.append(",".join([f"23:59:{50 + second:02d}:{frame:02d}.123", "61", *map(str, values)]))
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def wave(second: float) -> float:
    return float(0.5 + 0.4 * np.sin(3 * second))


@pytest.mark.parametrize("skip", [frozenset(), frozenset(range(70, 90))])
def test_a_csv_of_live_link_face_is_read_by_its_time_codes(tmp_path: Path, skip: frozenset[int]) -> None:
    found = read_capture(live_link(tmp_path / "take.csv", 240, 60, wave, skip), 25.0)
    assert found.shape == (100, 52)
    expected = [wave(t / 25) for t in range(100)]
    assert np.abs(found[:, blendshapes.index("eyeBlinkLeft")] - expected).max() < (0.05 if skip else 0.02)
    assert np.allclose(found[:, blendshapes.index("jawOpen")], 0.25)


def test_the_rate_may_be_given(tmp_path: Path) -> None:
    path = live_link(tmp_path / "take.csv", 240, 60, wave)
    assert len(read_capture(path, 25.0, 30.0)) == 200


def test_an_array_has_the_heads_rate_or_the_one_that_is_given(tmp_path: Path) -> None:
    weights = np.random.default_rng(0).random((50, 52))
    np.save(tmp_path / "a.npy", weights)
    assert np.array_equal(read_capture(tmp_path / "a.npy", 25.0), weights)
    assert len(read_capture(tmp_path / "a.npy", 25.0, 50.0)) == 25
    assert len(at_rate(weights[:1], 30.0, 25.0)) == 1


def test_a_blink_between_two_frames_of_a_slower_rate_is_seen(tmp_path: Path) -> None:
    track = np.zeros((600, 52))
    track[300:310] = 1.0  # a sixth of a second at 60 frames a second
    assert at_rate(track, 60.0, 25.0).max() == 1.0


def broken(tmp_path: Path, kind: str) -> Path:
    path = tmp_path / ("a.npy" if kind.startswith("array") else "a.csv")
    if kind == "array of another shape":
        np.save(path, np.zeros((10, 51)))
    elif kind == "array with NaN":
        np.save(path, np.full((10, 52), np.nan))
    elif kind == "array of objects":
        np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    elif kind == "no capture":
        path.write_text("a,b\n1,2\n")
    elif kind == "no frames":
        path.write_text(",".join(LIVE) + "\n")
    elif kind == "a word":
        path.write_text(",".join(LIVE) + "\n" + ",".join(["x"] * len(LIVE)) + "\n")
    elif kind == "time codes that leap":
        path.write_text(leaping("23:0:0:29", "99999999:0:0:0"))
    elif kind == "bytes":
        path.write_bytes(bytes(range(128, 256)))
    return path


def leaping(*codes: str) -> str:
    """A take of a row for each time code."""
    rows = [",".join([code, "61", *["0.25"] * len(LIVE)]) for code in codes]
    return "\n".join([",".join(["Timecode", "BlendshapeCount", *LIVE]), *rows]) + "\n"


@pytest.mark.parametrize("code", ["nan:0:0:29", "inf:0:0:29", "1e400:0:0:29", "1e308:0:0:29", "0:0:0:nan", "a:b"])
def test_time_codes_that_are_no_times_are_not_looked_at(tmp_path: Path, code: str) -> None:
    (tmp_path / "a.csv").write_text(leaping("0:0:0:28", code, "0:0:0:29"))
    assert len(read_capture(tmp_path / "a.csv", 25.0)) == 3


@pytest.mark.parametrize("rate", [1e-9, 1e-300])
def test_a_rate_that_makes_years_of_it_is_refused(tmp_path: Path, rate: float) -> None:
    np.save(tmp_path / "a.npy", np.zeros((50, 52)))
    with pytest.raises(UserError, match=r"a\.npy lasts .* hours, more than the limit subject_frames"):
        read_capture(tmp_path / "a.npy", 25.0, rate)


KINDS = {
    "array of another shape": "expected",
    "array with NaN": "NaN",
    "array of objects": "a.npy",
    "no capture": "names 0 of ARKit's 52",
    "no frames": "no frames",
    "a word": "line 2",
    "bytes": "not a CSV",
    "time codes that leap": r"a\.csv lasts 2e\+08 hours, more than the limit subject_frames",
    "missing": "there is no file",
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_wrong_is_said(tmp_path: Path, kind: str) -> None:
    with pytest.raises(UserError, match=KINDS[kind]):
        read_capture(broken(tmp_path, kind), 25.0)


def test_a_real_take_of_live_link_face(assets: Path) -> None:
    path = assets / "captures" / "livelink" / "testset.csv"
    found = read_capture(path, 25.0)
    assert found.shape == (508, 52)  # 1,218 rows at 60 a second
    assert 0.5 < found[:, blendshapes.index("eyeBlinkLeft")].max() <= 1.0
