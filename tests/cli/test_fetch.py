"""`audioplane fetch`: a checked download or nothing."""

import hashlib
from dataclasses import replace

import pytest

from audioplane import UserError, cli
from audioplane.cli import fetch
from audioplane.runtime import weights

CONTENT = b"a small network" * 1000


@pytest.fixture
def published(empty_home, monkeypatch):
    """`syncnet`, published as a file of this machine."""
    home = empty_home / "public.model"
    home.write_bytes(CONTENT)
    file = replace(weights.REGISTRY["syncnet"], url=home.as_uri(), sha256=hashlib.sha256(CONTENT).hexdigest())
    monkeypatch.setitem(weights.REGISTRY, "syncnet", file)
    return file


def test_it_lands_where_it_is_looked_for(published, capsys):
    assert cli.main(["fetch", "syncnet"]) == 0
    path = weights.require("syncnet")
    assert path.read_bytes() == CONTENT
    assert str(path) in capsys.readouterr().out


def test_what_is_here_is_not_fetched_again(published, monkeypatch):
    fetch.download(published)
    monkeypatch.setattr(fetch, "_copy", None)  # a download would fail now
    assert cli.main(["fetch", "syncnet"]) == 0


@pytest.mark.parametrize("change", [{"sha256": "0" * 64}, {"url": "file:///no/such/file"}])
def test_a_failure_is_told_and_leaves_nothing(published, change):
    file = replace(published, **change)
    with pytest.raises(UserError, match=r"not kept|cannot be reached"):
        fetch.download(file)
    assert list(file.candidates()[0].parent.iterdir()) == []


def test_by_hand_says_how(empty_home):
    with pytest.raises(UserError, match="by hand: unzip deepspeech"):
        fetch.download(weights.REGISTRY["deepspeech"])


def test_an_unknown_name_lists_the_known(empty_home, capsys):
    assert cli.main(["fetch", "lpips"]) == 2
    assert "lpips-alex" in capsys.readouterr().err


def test_without_a_name_it_lists(published, capsys):
    fetch.download(published)
    assert cli.main(["fetch"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(weights.REGISTRY)
    assert [line.split()[1] for line in lines].count("here") == 1
