"""A toy method in a folder of its own, as anybody could write one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from audioplane import registry

TOY = '''
"""A toy: the positions themselves and the audio code, into the deformation MLP."""
from dataclasses import dataclass
from typing import ClassVar

from audioplane.config import MethodConfig, MethodSpec, ours
from audioplane.deform.mlp import DeformationMLP
from audioplane.experiments.tables import Column, Row, Table
from audioplane.methods.base import Branch, Method, offset_units

@dataclass(frozen=True)
class ToyConfig(MethodConfig):
    NAME: ClassVar[str] = "toy"
    hidden: int = ours(16, "width of the network", low=8)

class ToyBranch(Branch):
    def __init__(self, config, cloud, box, generator):
        super().__init__(cloud, box, offset_units(box.half, cloud.sh.shape[1], 0.1, 0.1, 0.2, 1.0, 0.3))
        self.mlp = DeformationMLP(3, config.audio.code, len(self.units), config.method.hidden, 8, generator)

    def static_features(self):
        return self.points()

class Toy(Method):
    def make_branch(self, name, cloud, generator):
        return ToyBranch(self.config, cloud, self.box, generator)

SPEC = MethodSpec(ToyConfig, "Toy", "nobody, never", Toy, {}, "audioplane_method_toy:TABLES")
TABLES = {
    "table1": Table(
        name="table1", number="1", title="Narrow and wide", data="", method="toy",
        rows=(Row("narrow", ("method.hidden=8",)), Row("wide", ())), columns=(Column("adam", "adam"),),
        measures=("head_psnr", "mouth_psnr"), claims=(),
    )
}
'''


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a toy method that a temporary folder holds."""
    package = tmp_path / "methods" / "toy"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(TOY, encoding="utf-8")
    monkeypatch.setenv(registry.VARIABLE, "")
    registry.add(package.parent)
    yield "toy"
    registry.spec.cache_clear()
    sys.modules.pop("audioplane_method_toy", None)
