"""`import audioplane` is light, and its public names are what they say."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import audioplane

# fmt: off
HEAVY = [
    "torch", "torchvision", "gsplat", "numba", "cv2", "lpips", "librosa", "matplotlib", "ipywidgets",
    "pandas", "scipy", "imageio", "nbclient",
]
# fmt: on


@pytest.mark.parametrize("module", ["audioplane", "audioplane.cli"])
def test_import_is_light(module):
    code = f"import sys, {module}; print(*(name for name in {HEAVY} if name in sys.modules))"
    assert _python(code) == ""


def test_listing_the_commands_is_light():
    code = (
        "import sys; from audioplane.cli import COMMANDS, make_parser; make_parser(list(COMMANDS)); "
        f"print(*(name for name in {HEAVY} if name in sys.modules))"
    )
    assert _python(code) == ""


def _python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_public_names_are_written_in_three_places_alike():
    tree = ast.parse(Path(audioplane.__file__).read_text(encoding="utf-8"))
    (typing_only,) = [node for node in tree.body if isinstance(node, ast.If)]
    imported = {
        alias.name: node.module for node in typing_only.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert imported == audioplane._HOME
    assert set(audioplane.__all__) == set(audioplane._HOME) | {"__version__"}


@pytest.mark.parametrize("name", sorted(audioplane._HOME))
def test_public_name_is_what_its_module_defines(name):
    assert getattr(audioplane, name) is getattr(importlib.import_module(audioplane._HOME[name]), name)
    assert name in dir(audioplane)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        audioplane.nothing  # noqa: B018
