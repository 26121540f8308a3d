from pathlib import Path

import numpy as np
import pytest

from audioplane.errors import UserError
from audioplane.inference import compositing
from audioplane.media.marks import mark_stamp, put_mark
from audioplane.media.writer import write_video


def test_composite_by_hand() -> None:
    rgb, alpha = np.full((1, 2, 3), 0.25, np.float32), np.array([[[0.5], [1.0]]], np.float32)
    behind = np.full((1, 2, 3), 100, np.uint8)
    assert compositing.composite(rgb, alpha, behind)[0, :, 0].tolist() == [114, 64]
    assert compositing.composite(8 * rgb, alpha, behind).max() == 255
    assert compositing.composite(-8 * rgb, alpha, behind).min() == 0


def test_nothing_in_front_leaves_the_background() -> None:
    behind = np.random.default_rng(0).integers(0, 256, (9, 7, 3)).astype(np.uint8)
    nothing = np.zeros((9, 7, 3), np.float32)
    np.testing.assert_array_equal(compositing.composite(nothing, nothing[..., :1], behind), behind)


def test_a_film_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def frames():
        yield np.zeros((16, 16, 3), np.uint8)
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        write_video(tmp_path / "x.mp4", frames(), 25.0)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="must be a folder"):
        write_video(tmp_path / "file" / "x.mp4", [], 25.0)


def test_odd_sizes_are_cut(tmp_path: Path) -> None:
    import av

    assert write_video(tmp_path / "x.mp4", [np.zeros((17, 33, 3), np.uint8)] * 3, 25.0) == 3
    with av.open(str(tmp_path / "x.mp4")) as film:
        assert (film.streams.video[0].width, film.streams.video[0].height) == (32, 16)


@pytest.mark.parametrize("width", [16, 64, 256, 512])
def test_the_mark_fits_or_stays_out(width: int) -> None:
    image = np.full((width, width, 3), 90, np.uint8)
    put_mark(image, mark_stamp(width))
    assert (image != 90).any() == (width > 60)


def test_a_torso_of_another_size_is_refused():
    head = np.zeros((8, 8, 3), np.float32)
    with pytest.raises(ValueError, match="behind: expected"):
        compositing.composite(head, head[..., :1], np.zeros((6, 6, 3), np.uint8))
