"""Records, notebooks and figures of a clone: found from inside, never taken for another project's, never silent."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from audioplane import cli
from audioplane.cli import reproduce
from audioplane.errors import UserError
from audioplane.experiments import runner
from audioplane.runtime import clone


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """As if installed from a wheel, standing in somebody's own project; returns that project."""
    own = tmp_path / "project"
    (own / "notebooks").mkdir(parents=True)
    (own / "pyproject.toml").write_text('[project]\nname = "my-own"\n')
    (own / "records" / "demo").mkdir(parents=True)
    monkeypatch.setattr(clone, "PACKAGE", tmp_path / "site-packages" / "audioplane")
    monkeypatch.chdir(own)
    return own


@pytest.fixture
def other_notebook(installed: Path) -> Path:
    path = installed / "notebooks" / "12_my_own_analysis.ipynb"
    cell = nbformat.v4.new_code_cell("print(6 * 7)", execution_count=1)
    cell.outputs = [nbformat.v4.new_output("stream", text="a result of last year\n")]
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    return path


def test_the_clone_is_found_around_the_package_and_from_inside(repository, monkeypatch, tmp_path):
    assert clone.find() == repository
    monkeypatch.setattr(clone, "PACKAGE", tmp_path / "audioplane")
    monkeypatch.chdir(repository / "notebooks")
    assert clone.find() == repository


def test_records_are_found_from_inside_a_clone_or_missed_in_words(installed, repository, monkeypatch):
    with pytest.raises(UserError, match=r"records/demo lies in a clone .* none around .*site-packages"):
        runner.committed("table2")
    with pytest.raises(UserError, match=r"records/phonetic\.json"):
        clone.folder("records", "phonetic.json")
    monkeypatch.chdir(repository / "notebooks")
    assert len(runner.committed("table2").records) > 0
    with pytest.raises(UserError, match="has no records/smoke"):
        runner.committed("table2", "smoke")


@pytest.mark.parametrize("arguments", [["12"], ["all"], []])
def test_other_peoples_notebooks_stay_as_they_are(other_notebook, monkeypatch, capsys, arguments):
    monkeypatch.setattr(reproduce, "make_tables", lambda *_: 0)
    before = other_notebook.read_bytes()
    assert cli.main(["reproduce", *arguments, "--preset", "smoke"]) == 2
    assert "clone" in capsys.readouterr().err
    assert other_notebook.read_bytes() == before


def test_a_persons_notebook_beside_ours_is_not_ours(repository, monkeypatch, tmp_path):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "audioplane").mkdir()
    (tmp_path / "audioplane" / "__init__.py").touch()
    (tmp_path / "pyproject.toml").write_text((repository / "pyproject.toml").read_text())
    for name in ("12_table4_margins", "12_my_own_analysis"):
        (tmp_path / "notebooks" / f"{name}.ipynb").touch()
    monkeypatch.setattr(clone, "PACKAGE", tmp_path / "audioplane")
    assert [path.stem for path in reproduce.choose(None, ["12"])] == ["12_table4_margins"]
    chosen = reproduce.choose(tmp_path / "notebooks", ["12"])  # asked for by folder
    assert [path.stem for path in chosen] == ["12_my_own_analysis", "12_table4_margins"]


def test_figures_and_tables_go_nowhere_unasked(installed, capsys):
    assert cli.main(["figures", "fig1"]) == 2
    assert "figures lies in a clone" in capsys.readouterr().err
    assert sorted(path.name for path in installed.iterdir()) == ["notebooks", "pyproject.toml", "records"]


def test_the_list_of_notebooks_is_whole(repository):
    folder = repository / "notebooks"
    found = {path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.ipynb")}
    assert {name for name in found if "checkpoints" not in name} == set(reproduce.NOTEBOOKS)
    assert list(reproduce.NOTEBOOKS) == sorted(reproduce.NOTEBOOKS, key=lambda name: name.rpartition("/")[2])
