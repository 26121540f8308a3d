"""What trains and speaks needs none of the optional packages; what does need one says which in a sentence."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from audioplane.cli import main
from audioplane.runtime import extras

ROOT = Path(__file__).resolve().parents[1]
OPTIONAL = sorted(module for modules in extras.PACKAGES.values() for module in modules)
WITHOUT = f"""
import sys

sys.modules |= dict.fromkeys({OPTIONAL!r})  # None: importing it fails as if it were not there
"""
TRAIN = """
from audioplane.inference.talking_head import TalkingHead
from audioplane.training.trainer import Trainer
from tests.tiny_run import TINY
from tests.tiny_subject import TinySubject

trainer = Trainer(TINY, TinySubject())
trainer.run()
TalkingHead.export(trainer, sys.argv[1] + "/head.safetensors").speak([0.1, -0.1] * 3000, sys.argv[1] + "/film.mp4")
"""
COMMAND = """
from audioplane.cli import main

sys.exit(main(sys.argv[1:]))
"""


def run_without(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT + code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def test_training_and_speaking_need_no_optional_package(tmp_path: Path) -> None:
    done = run_without(TRAIN, str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "film.mp4").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (("demo", "--browser", "--no-open", "--out", "OUT.html"), "notebooks"),
        (("completion", "bash"), "completion"),
        (("figures", "fig2", "--preset", "smoke", "--out", "OUT"), "notebooks"),
    ],
)
def test_what_is_missing_is_said(arguments: tuple[str, ...], extra: str, tmp_path: Path) -> None:
    done = run_without(COMMAND, *(word.replace("OUT", str(tmp_path / "out")) for word in arguments))
    assert done.returncode == 2, done.stderr
    assert done.stderr.strip().splitlines()[-1].endswith(f"pip install 'audioplane[{extra}]'")


def test_another_missing_module_is_no_advice() -> None:
    assert extras.advice(ModuleNotFoundError("no", name="audioplane.nothing")) is None
    assert extras.advice(ModuleNotFoundError("no")) is None


def test_every_extra_installs_the_modules_that_it_is_named_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {key: [Requirement(line).name for line in lines] for key, lines in project["optional-dependencies"].items()}
    assert names.keys() - {"dev"} == extras.PACKAGES.keys()
    core = {Requirement(line).name for line in project["dependencies"]}
    for extra, modules in extras.PACKAGES.items():
        installed = {name.replace("-", "_") for name in names[extra]}
        brought = {"IPython", "matplotlib_inline", "traitlets"}  # by jupyterlab
        assert set(modules) - brought <= installed | {"espeakng_loader"}
        assert not installed & core


@pytest.mark.parametrize("level", ["loud", "0"])
def test_a_log_level_that_is_none_is_refused(
    level: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AUDIOPLANE_LOG", level)
    assert main(["speakers"]) == 2
    assert "AUDIOPLANE_LOG is one of debug" in capsys.readouterr().err
