"""The files that set the project up agree with each other and install what they say."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import audioplane

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = ("dev", "notebooks", "measures", "prepare", "speech", "tensorboard", "completion")
NOT_SET_UP = ("ray",)  # extras that the lock pins and `make setup` leaves out: large, and for clusters alone


@pytest.fixture(scope="module")
def lock():
    """The lines of requirements.lock that hold for this Python and system: name -> requirement."""
    lines = [line.split("#")[0].strip() for line in (ROOT / "requirements.lock").read_text().splitlines()]
    pins = [Requirement(line) for line in lines if line]
    return {canonicalize_name(pin.name): pin for pin in pins if pin.marker is None or pin.marker.evaluate()}


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def wanted(project):
    """Everything `pip install .[dev,notebooks,measures,prepare,speech,tensorboard,completion]` asks for by name."""
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *(line for name in EXTRAS for line in extras[name])]
    return _here(lines)


def _here(lines):
    requirements = [Requirement(line) for line in lines]
    return [one for one in requirements if one.marker is None or one.marker.evaluate()]


def test_the_lock_holds_only_exact_public_pins():
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        if not line.startswith(("#", "    #")):
            assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*( ; .+)?", line), line


def test_the_lock_pins_every_dependency_within_its_bounds(lock, wanted, project):
    left_out = [line for name in NOT_SET_UP for line in project["optional-dependencies"][name]]
    for requirement in [*wanted, *_here(left_out)]:
        (pin,) = lock[canonicalize_name(requirement.name)].specifier
        assert requirement.specifier.contains(pin.version), requirement


def test_one_package_provides_cv2(lock):
    assert [name for name in lock if name.startswith("opencv")] == ["opencv-python"]


def test_pip_accepts_the_lock_for_the_installed_environment(wanted):
    if Path(sys.prefix) != ROOT / ".venv":
        pytest.skip("this environment was not made by make")
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "--quiet"]
    command += ["-c", str(ROOT / "requirements.lock"), *map(str, wanted)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_environment_yml_gives_python_and_the_locked_project(project):
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, section = environment["dependencies"]
    (python,) = [entry for entry in conda if entry.startswith("python=")]
    assert Requirement("python" + project["requires-python"]).specifier.contains(python.split("=")[1])
    assert "pip" in conda
    assert section == {
        "pip": ["-c requirements.lock", "-e .[dev,notebooks,measures,prepare,speech,tensorboard,completion]"]
    }
    assert set(project["optional-dependencies"]) == {*EXTRAS, *NOT_SET_UP}
    assert (
        "-c requirements.lock -e '.[dev,notebooks,measures,prepare,speech,tensorboard,completion]'"
        in (ROOT / "Makefile").read_text()
    )


def test_versions_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == audioplane.__version__
    assert citation["preferred-citation"]["title"].startswith("Audio-Plane: Audio Factorization Plane")


def test_the_workflow_does_what_ci_does():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())
    steps = workflow["jobs"]["test"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == ["bash .ci/run"]
    assert "\nmake test\n" in (ROOT / ".ci" / "run").read_text()


def test_the_readmes_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    for page in ("README.md", "CONTRIBUTING.md"):
        named = set(re.findall(r"(?:`|^ *)make ([a-z]+)", (ROOT / page).read_text(), re.MULTILINE))
        assert named <= targets, page
