"""Names of speakers, and paths that stay inside their folder."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import pytest

from audioplane.errors import UserError
from audioplane.runtime.names import as_name, check_name, inside, is_name

GOOD = ("adam", "tiny-0", "Élise", "王小明", "Anna B. (2)", "a_b+c", "7", "x" * 80)
BAD = ("", ".", "..", "../x", "a/b", "a\\b", "*", "a?", "[a]", "-x", " x", "x ", "x.", "a\nb", "a\0b", "<b>", "a'b")
BAD += ("$x", "=1", "@x", "a:b", "x" * 81, "王" * 61, "\ud800", "a\u202eb", "{x}", "~")


def test_names_that_can_be_and_cannot() -> None:
    for name in GOOD:
        assert check_name(name, "the name") == name
    for name in (*BAD, None, 3, b"x"):
        with pytest.raises(UserError, match="the name must consist of letters"):
            check_name(name, "the name")


@hypothesis.given(st.text(max_size=300))
def test_any_text_becomes_a_name(text: str) -> None:
    name = as_name(text, "speaker")
    assert is_name(name)
    assert text == name or not is_name(text)


def test_a_part_lies_inside_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "subject"
    (folder / "features").mkdir(parents=True)
    assert inside(folder, "features/mel.npy") == folder / "features" / "mel.npy"
    for name in ("../x", "features/../../x", "/etc/passwd", "", ".", "a//b", "a\\b", "a\0", "C:x", "features/."):
        with pytest.raises(UserError, match="no name of a file inside"):
            inside(folder, name)
    (tmp_path / "outside").write_text("x")
    (folder / "link").symlink_to(tmp_path / "outside")
    (folder / "deep").symlink_to(tmp_path)
    (folder / "within").symlink_to(folder / "features")
    for name in ("link", "deep/outside"):
        with pytest.raises(UserError, match="leads out of"):
            inside(folder, name)
    assert inside(folder, "within")
