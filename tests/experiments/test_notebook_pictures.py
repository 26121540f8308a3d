"""Pictures of notebooks become small, and nothing else of them changes."""

import base64
import copy
import io

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

from audioplane.experiments.notebook_pictures import STEPS, fit


def picture(width: int, kind: str, seed: int) -> str:
    noise = np.random.default_rng(seed).integers(0, 256, (40, width // 8, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).resize((width, 320)).save(out, kind, **({"quality": 95} if kind == "JPEG" else {}))
    return base64.b64encode(out.getvalue()).decode()


@pytest.fixture
def notebook() -> nbformat.NotebookNode:
    bundles = (
        {"image/png": picture(900, "PNG", 1), "text/html": "<b>kept</b>", "text/plain": "a"},
        {"image/jpeg": picture(2000, "JPEG", 2), "text/plain": "b"},
    )
    cells = [new_code_cell("1", outputs=[new_output("display_data", bundle)]) for bundle in bundles]
    return new_notebook(cells=[*cells, new_code_cell("2", outputs=[new_output("stream", text="said")])])


def opened(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text)))


def without_pictures(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    bare = copy.deepcopy(notebook)
    for cell in bare.cells[:2]:
        for kind in ("image/png", "image/jpeg"):
            cell.outputs[0].data.pop(kind, None)
    return bare


@pytest.mark.parametrize("limit", [10_000_000, 120_000, 1])
def test_pictures_become_small_and_all_else_stays(notebook: nbformat.NotebookNode, limit: int) -> None:
    before = copy.deepcopy(notebook)
    fit(notebook, limit)
    nbformat.validate(notebook)
    assert without_pictures(notebook) == without_pictures(before)
    sizes = [opened(cell.outputs[0].data["image/jpeg"]).size for cell in notebook.cells[:2]]
    assert all(width <= STEPS[0][0] for width, _ in sizes)
    assert sizes[0][0] / sizes[0][1] == pytest.approx(900 / 320, rel=0.01), "no picture is stretched"
    assert len(nbformat.writes(notebook)) < len(nbformat.writes(before))
    assert limit == 1 or len(nbformat.writes(notebook)) <= limit


def test_a_picture_that_would_grow_stays(notebook: nbformat.NotebookNode) -> None:
    out = io.BytesIO()
    Image.new("RGB", (4, 4)).save(out, "PNG", optimize=True)
    tiny = base64.b64encode(out.getvalue()).decode()
    notebook.cells[0].outputs[0].data["image/png"] = tiny
    fit(notebook)
    assert notebook.cells[0].outputs[0].data["image/png"] == tiny
