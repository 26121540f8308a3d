"""`audioplane reproduce` runs notebooks in order and in place, and says what failed."""

import nbformat
import pytest

from audioplane import cli
from audioplane.cli import reproduce

CELL = nbformat.v4.new_code_cell


@pytest.fixture
def folder(tmp_path):
    """02 fails in its second cell; 01 and 03 do not; they tell in `order` when they ran."""
    tell = "with open('order', 'a') as order:\n    order.write('{0}')"
    _write(tmp_path / "03_last.ipynb", tell.format(3), "1 + 1")
    _write(tmp_path / "01_first.ipynb", tell.format(1), "import os\nos.path.exists('01_first.ipynb')")
    _write(tmp_path / "02_fails.ipynb", tell.format(2), "1 / 0", "'never'")
    return tmp_path


def _write(path, *sources):
    nbformat.write(nbformat.v4.new_notebook(cells=[CELL(source) for source in sources]), path)


def _results(path):
    cells = nbformat.read(path, as_version=4).cells
    return [output.data["text/plain"] for cell in cells for output in cell.outputs]


def test_all_run_in_order_and_a_failure_is_told(folder, capsys):
    untouched = (folder / "02_fails.ipynb").read_bytes()
    assert cli.main(["reproduce", "--notebooks", str(folder)]) == 1
    assert (folder / "order").read_text() == "123"
    assert _results(folder / "01_first.ipynb") == ["True"]
    assert _results(folder / "03_last.ipynb") == ["2"]
    assert (folder / "02_fails.ipynb").read_bytes() == untouched
    assert sorted(path.suffix for path in folder.iterdir()) == ["", ".ipynb", ".ipynb", ".ipynb"]
    captured = capsys.readouterr()
    assert [line.split("  ")[0] for line in captured.out.splitlines()[:3]] == [
        "[1/3] 01_first.ipynb",
        "[2/3] 02_fails.ipynb",
        "[3/3] 03_last.ipynb",
    ]
    assert "2 of 3 notebooks reproduced" in captured.out
    assert "ZeroDivisionError" in captured.err


MEETING = """
import pathlib, time
pathlib.Path("{0} is here").touch()
begin = time.monotonic()
while not pathlib.Path("{1} is here").exists():
    assert time.monotonic() - begin < 120, "the other never came"
    time.sleep(0.1)
"""


def test_two_run_beside_each_other(folder, capsys):
    """Each waits for the other; one that fails is told, and the rest still run."""
    pair = [folder / "04_one.ipynb", folder / "05_two.ipynb"]
    for path, names in zip(pair, (("one", "two"), ("two", "one")), strict=True):
        _write(path, MEETING.format(*names), "'met'")
    outcomes = reproduce.run_notebooks([*pair, folder / "02_fails.ipynb", folder / "03_last.ipynb"], jobs=2)
    assert [_results(path) for path in pair] == [["'met'"], ["'met'"]]
    assert _results(folder / "03_last.ipynb") == ["2"]
    assert {one.notebook.name for one in outcomes if one.error} == {"02_fails.ipynb"}
    lines = capsys.readouterr().out.splitlines()
    assert [line[:6] for line in lines] == ["[1/4] ", "[2/4] ", "[3/4] ", "[4/4] "]
    assert sum("FAILED" in line for line in lines) == 1


def test_a_chosen_one_alone_and_again_the_same_bytes(folder, capsys):
    arguments = ["reproduce", "--notebooks", str(folder), "03"]
    assert cli.main(arguments) == 0
    once = (folder / "03_last.ipynb").read_bytes()
    assert cli.main(arguments) == 0
    assert (folder / "03_last.ipynb").read_bytes() == once
    assert _results(folder / "01_first.ipynb") == []
    assert "1 of 1 notebooks reproduced" in capsys.readouterr().out


def test_list_runs_nothing(folder, capsys):
    assert cli.main(["reproduce", "--list", "--notebooks", str(folder)]) == 0
    assert [line.rsplit("/")[-1][:2] for line in capsys.readouterr().out.splitlines()] == ["01", "02", "03"]
    assert not (folder / "order").exists()


def test_what_is_not_there_is_named(folder, tmp_path, capsys):
    assert cli.main(["reproduce", "--notebooks", str(folder), "07"]) == 2
    assert "01_first, 02_fails, 03_last" in capsys.readouterr().err
    assert cli.main(["reproduce", "--notebooks", str(tmp_path / "nowhere")]) == 2
    assert "There is no folder" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert cli.main(["reproduce", "--notebooks", str(tmp_path / "empty")]) == 2


WIDGET = """
from audioplane.widgets.figure_widget import FigureWidget, slider
from matplotlib.figure import Figure

FigureWidget(lambda values: (Figure((1, 1)), "a square"), [slider("x", "x", 0, 9)], {"x": 0}, "A square.")
"""


def test_widgets_are_kept_as_pictures_unless_they_need_no_kernel(tmp_path):
    _write(tmp_path / "01_still.ipynb", WIDGET)
    cell = CELL(WIDGET, metadata={"tags": [reproduce.KEEP]})
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "02_kept.ipynb")
    assert cli.main(["reproduce", "--notebooks", str(tmp_path)]) == 0
    still, kept = (nbformat.read(tmp_path / name, as_version=4) for name in ("01_still.ipynb", "02_kept.ipynb"))
    assert set(still.cells[0].outputs[0].data) == {"image/jpeg", "text/plain"}
    assert "A square." in still.cells[0].outputs[0].data["text/plain"]
    assert reproduce.STATE not in still.metadata
    assert [set(output.data) >= {"image/jpeg"} for output in still.cells[0].outputs] == [True]
    picture, widget = kept.cells[0].outputs
    assert {"image/jpeg", "text/html"} <= set(picture.data)
    assert reproduce.VIEW in widget.data
    assert kept.metadata[reproduce.STATE]


def test_progress_is_not_kept_and_warnings_are(tmp_path, capsys):
    lines = "import sys", "print('20%| of it', file=sys.stderr)", "display({'text/plain': '0%| | 0/3'}, raw=True)"
    closed, said = "print(file=sys.stderr)", "print('20% off', file=sys.stderr)"
    _write(tmp_path / "01_bar.ipynb", "\n".join(lines), closed, said)
    assert cli.main(["reproduce", "--notebooks", str(tmp_path)]) == 0
    first, empty, second = nbformat.read(tmp_path / "01_bar.ipynb", as_version=4).cells
    assert first.outputs == empty.outputs == []
    assert second.outputs[0].text == "20% off\n"
