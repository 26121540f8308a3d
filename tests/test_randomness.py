"""Randomness is an argument (SPEC 7): nothing in the package draws from a global generator."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "audioplane"
NUMPY_OWN = {"default_rng", "Generator", "SeedSequence", "PCG64", "Philox", "BitGenerator"}
"""Of `numpy.random`: what makes generators or names their types."""
DRAWS = {"rand", "randn", "randint", "randperm", "normal", "bernoulli", "multinomial", "poisson"}
IN_PLACE = {"uniform_", "normal_", "bernoulli_", "random_", "exponential_", "cauchy_", "log_normal_", "geometric_"}
LIKE = {"rand_like", "randn_like", "randint_like"}
"""Of torch: the first two take `generator=`, the last have none."""
SEEDED = {
    "pretrained/expression/training.py": "torch's layers draw their first weights globally",
    "pretrained/phonetic/training.py": "torch's layers draw their first weights globally",
    "pretrained/av_encoder/training.py": "torch's layers draw their first weights globally",
    "pretrained/syncnet/training.py": "torch's layers draw their first weights globally",
    "splat/toy_scene.py": "gsplat's strategy draws globally",
    "training/densify.py": "gsplat's strategies draw globally",
}
"""Files that seed torch's global generators for others' code, by `seeds.seeded_globally`, which puts them back."""


def global_draws(text: str) -> list[str]:
    """What a source draws from global generators: "line: call"."""
    found, tree = [], ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) and any(alias.name == "random" for alias in node.names):
            found.append(f"{node.lineno}: import random")
        if isinstance(node, ast.ImportFrom) and node.module in ("random", "numpy.random"):
            found.append(f"{node.lineno}: from {node.module} import")
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        name, of = node.func.attr, ast.unparse(node.func.value)
        has_generator = any(keyword.arg == "generator" for keyword in node.keywords)
        if (
            (of in ("np.random", "numpy.random") and name not in NUMPY_OWN)
            or (of == "torch" and name in DRAWS and not has_generator)
            or (of == "torch" and name in LIKE)
            or (name in IN_PLACE and not has_generator)
            or (name == "default_rng" and not node.args)
            or (name == "sample" and of.startswith("torch.distributions"))
        ):
            found.append(f"{node.lineno}: {ast.unparse(node)}")
    return found


def seeds_globally(text: str) -> list[str]:
    """Calls that seed a global generator."""
    calls = [ast.unparse(node) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    return [call for call in calls if call.startswith(("torch.manual_seed(", "torch.seed(", "torch.cuda.manual_seed"))]


def sources() -> dict[str, str]:
    return {p.relative_to(PACKAGE).as_posix(): p.read_text(encoding="utf-8") for p in sorted(PACKAGE.rglob("*.py"))}


def test_nothing_draws_from_a_global_generator():
    assert {name: found for name, text in sources().items() if (found := global_draws(text))} == {}


def test_the_global_generator_is_seeded_for_others_alone_and_put_back():
    texts = sources()
    helper = "runtime/seeds.py"
    assert {name for name, text in texts.items() if "seeded_globally(" in text} == {helper, *SEEDED}
    assert {name: found for name, text in texts.items() if (found := seeds_globally(text)) and name != helper} == {}


@pytest.mark.parametrize(
    "line",
    [
        "np.random.rand(3)",
        "np.random.seed(0)",
        "np.random.default_rng()",
        "torch.randn(3)",
        "torch.randn_like(x)",
        "x.uniform_(0, 1)",
        "import random",
        "from random import choice",
        "from numpy.random import rand",
    ],
)
def test_a_global_draw_is_seen(line: str):
    assert global_draws(line)


@pytest.mark.parametrize(
    "line",
    [
        "np.random.default_rng(0)",
        "torch.randn(3, generator=g)",
        "x.uniform_(0, 1, generator=g)",
        "rng.random(3)",
        "x: np.random.Generator",
    ],
)
def test_a_generators_draw_is_not(line: str):
    assert not global_draws(line)


def test_a_global_seed_is_seen():
    assert seeds_globally("torch.manual_seed(0)")
    assert seeds_globally("torch.cuda.manual_seed_all(0)")
    assert not seeds_globally("torch.Generator().manual_seed(0)")
