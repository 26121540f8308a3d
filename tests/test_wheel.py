"""The wheel and the source distribution: every file is in them, and what they install works far from any clone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("hatchling")

ROOT = Path(__file__).resolve().parents[1]
Run = Callable[..., subprocess.CompletedProcess[str]]


def build(source: Path, out: Path, *kinds: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(out), *kinds],
        cwd=source, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    build(ROOT, out)
    return out


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


def packed(wheel: Path) -> set[str]:
    return {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}


@pytest.fixture(scope="module")
def tracked() -> set[str]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone: nothing says which files belong to the package")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "audioplane"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return {name for name in listed if name and (ROOT / name).exists()}


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel, tracked):
    assert packed(wheel) == tracked


def test_the_source_distribution_makes_the_same_wheel(built, wheel, tmp_path):
    (source,) = built.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        archive.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    build(folder, tmp_path / "again", "-t", "wheel")
    (again,) = (tmp_path / "again").glob("*.whl")
    assert packed(again) == packed(wheel)
    assert again.read_bytes() == wheel.read_bytes()


def test_the_wheel_tells_what_is_in_it(wheel, tracked):
    """An SBOM (PEP 770) that is up to date, and only Python as a bound that is not a lower one."""
    archive = zipfile.ZipFile(wheel)
    (name,) = [name for name in archive.namelist() if "/sboms/" in name]
    bill = json.loads(archive.read(name))
    assert {one["name"] for one in bill["components"]} == {
        name for name in tracked if name.endswith((".safetensors", ".ogg"))
    }
    done = subprocess.run(
        [sys.executable, ".ci/sbom.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (name,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
    head = archive.read(name).decode().split("\n\n")[0]
    assert "Requires-Python: >=3.11" in head
    assert not [
        line for line in head.splitlines() if line.startswith("Requires-Dist: torch") and "==" in line.split(";")[0]
    ]


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs the Python of an environment with the wheel and this one's dependencies, out of the clone's sight."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder / "env", with_pip=False, symlinks=True)
    paths = {"base": str(folder / "env"), "platbase": str(folder / "env")}
    site = Path(sysconfig.get_path("purelib", "venv", vars=paths))
    zipfile.ZipFile(wheel).extractall(site)
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")  # its own .pth files do not count
    python = folder / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    elsewhere = folder / "a project of somebody's"
    elsewhere.mkdir()
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "AUDIOPLANE_PRESET")}
    env |= {"AUDIOPLANE_CACHE": str(folder / "cache"), "AUDIOPLANE_PRESET": "smoke"}

    def run(*arguments: str, cwd: Path = elsewhere, status: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run([python, *arguments], cwd=cwd, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == status, (arguments, done.stderr[-3000:])
        return done

    place = run("-c", "import audioplane; print(audioplane.__file__)").stdout
    assert str(site) in place, place
    return run


def test_records_notebooks_and_figures_are_missed_in_words(installed):
    said = installed("-c", "from audioplane.experiments import runner; runner.committed('table2')", status=1).stderr
    assert "UserError: records/demo lies in a clone of the audioplane repository" in said
    assert "clone" in installed("-m", "audioplane", "reproduce", "12", status=2).stderr
    assert "clone" in installed("-m", "audioplane", "figures", "fig1", status=2).stderr


def test_records_are_found_by_a_wheel_that_stands_in_a_clone(installed):
    if not (ROOT / "records").is_dir():
        pytest.skip("the source distribution has no records")
    code = "from audioplane.experiments import runner; print(len(runner.committed('table2').records))"
    assert int(installed("-c", code, cwd=ROOT / "notebooks").stdout) > 0


@pytest.mark.slow
def test_the_readmes_commands(installed, tmp_path):
    """Four commands and a doctor, at the quickest preset."""
    installed("-m", "audioplane", "doctor")
    installed(
        "-m", "audioplane", "speakers", "make", "adam", "--out", "subjects/adam", "--seconds", "12", "--size", "64"
    )
    installed("-m", "audioplane", "train", "subjects/adam", "--out", "runs/adam", "--preset", "smoke")
    installed("-m", "audioplane", "evaluate", "runs/adam", "subjects/adam")
    installed("-m", "audioplane", "speak", "runs/adam", "german_drive", "--out", "talk.mp4", "--size", "64")
    code = """
from audioplane import TalkingHead, rasterization, speakers
from audioplane.speakers.voice import load_voice
from audioplane.widgets import GaussianViewer
head = TalkingHead.load("runs/adam")
viewer = GaussianViewer(head, load_voice("english_drive").audio[:16_000])
assert viewer.save("talk.html").stat().st_size > 100_000
"""
    installed("-c", code)


CELLS = """
import sys, nbformat
from nbclient import NotebookClient
book = nbformat.read(sys.argv[1], as_version=4)
code = [cell for cell in book.cells if cell.cell_type == "code"]
book.cells = [cell for k, cell in enumerate(code) if k == 0 or any(word in cell.source for word in sys.argv[2:])]
assert len(book.cells) == len(sys.argv) - 1, "the notebook has other cells"
NotebookClient(book, timeout=None, kernel_name="python3", resources={"metadata": {"path": "."}}).execute()
print(*(output.get("data", {}).get("text/plain", "") for output in book.cells[-1].outputs))
"""


def test_the_notebook_of_verdicts_says_that_records_are_missing(installed):
    """Without records it ends in a sentence, not with an empty table; in a clone it finds them."""
    notebook = ROOT / "notebooks" / "99_agreement.ipynb"
    if not notebook.is_file():
        pytest.skip("the source distribution has no notebooks")
    arguments = "-c", CELLS, str(notebook), "runner.committed", "provenance ="
    said = installed(*arguments, status=1).stderr
    assert "lies in a clone of the audioplane repository, and there is none around" in said
    shown = installed(*arguments, cwd=notebook.parent).stdout
    assert "records" in shown
    assert "Empty DataFrame" not in shown


@pytest.mark.slow
@pytest.mark.parametrize("name", ["01_gaussian_splatting", "03_audio_plane"])
def test_notebooks_from_another_folder(installed, name):
    """The kernel stands far from the clone; these need no records."""
    code = f"""
import nbformat
from nbclient import NotebookClient
book = nbformat.read({str(ROOT / "notebooks" / f"{name}.ipynb")!r}, as_version=4)
NotebookClient(book, timeout=None, kernel_name="python3", resources={{"metadata": {{"path": "."}}}}).execute()
"""
    installed("-c", code)
