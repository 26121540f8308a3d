"""Mutation testing: what share of small changes of the source do the tests notice?

    pip install --target build/mutants cosmic-ray
    PYTHONPATH=build/mutants .venv/bin/python benchmarks/mutants.py --file metrics/face.py --minutes 30
    .venv/bin/python benchmarks/mutants.py --by-hand --file splat/ply.py

With --by-hand, the changes of `mutants_by_hand.json` are tried, which needs no cosmic-ray. Else cosmic-ray finds the
places and makes the changes, and of all mutants a seeded random sample is tried, as many as the processor time allows.
Each is tried in a process of its own, forked from one that has imported the libraries, in which the one module is
replaced: nothing on disk changes. It is judged by the tests that `JUDGES` names. What cannot change a result is left
out: annotations, the texts of errors, decorators; so is what any run would notice, such as a shift of floats by bits;
and compiled kernels, which each mutant would compile anew.
"""

from __future__ import annotations

import argparse
import ast
import importlib.machinery
import importlib.util
import json
import os
import random
import resource
import shlex
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
BY_HAND = Path(__file__).with_name("mutants_by_hand.json")
SYNC = "metrics/test_series_properties.py metrics/test_syncnet.py"
JUDGES = {
    "metrics/eyes.py": "metrics/test_eyes.py",
    "metrics/face.py": "metrics/test_face.py metrics/test_face_properties.py",
    "metrics/image.py": "metrics/test_metrics.py metrics/test_image_properties.py reference/test_measures.py",
    "metrics/mouth.py": "metrics/test_metrics.py metrics/test_series_properties.py evaluation/test_evaluate.py",
    "metrics/statistics.py": "metrics/test_series_properties.py metrics/test_statistics.py",
    "metrics/sync.py": SYNC + " -k 'distances or lag or score or roc or codes or clips'",
    "metrics/syncnet/crops.py": "metrics/test_crops_properties.py metrics/test_syncnet.py -k 'crop or mouth or face'",
    "metrics/syncnet/mfcc.py": SYNC + " -k 'mfcc or cepstra or louder'",
    "splat/cpu.py": "splat/test_rasterization.py splat/test_robustness.py",
    "splat/gaussians.py": "splat/test_gaussians_properties.py splat/test_gaussians.py",
    "splat/ply.py": "splat/test_ply.py splat/test_gaussians.py splat/test_gaussians_properties.py",
    "splat/reference.py": "splat/test_gaussians_properties.py splat/test_rasterization.py",
    "splat/strategies.py": "splat/test_robustness.py -k 'strategy or relocation'",
    "training/checkpoint.py": "training/test_data_properties.py training/test_damaged_files.py",
    "training/dataset.py": "training/test_data_properties.py",
    "training/densify.py": "training/test_data_properties.py training/test_densify.py",
    "training/optimizers.py": "training/test_rates_properties.py training/test_trainer.py",
    "training/sparse_adam.py": "training/test_sparse_adam.py training/test_data_properties.py -k adam",
    "training/trainer.py": "training/test_rates_properties.py training/test_conditions.py training/test_trainer.py",
}
"""What pytest is given for each file."""
LIBRARIES = (
    "audioplane numpy scipy.stats scipy.ndimage scipy.signal scipy.spatial cv2 torch numba pytest skimage.metrics"
)
LEFT_OUT = ("core/RemoveDecorator",)
ALIKE = ({"Add", "Sub", "Mul", "Div", "FloorDiv"}, {"BitAnd", "BitOr", "BitXor"})
"""Binary operators that are replaced by each other."""
TIMES = 10
"""A mutant that needs so many times the tests' own processor time, and a minute, counts as noticed: it runs forever."""


class Verdict(NamedTuple):
    noticed: bool
    seconds: float
    """Of processor."""
    said: str
    """The end of what the tests printed."""


def silent_lines(source: str) -> set[int]:
    """Lines of annotations and of `raise`: what no test of a result can see."""
    found: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        parts: list[Any] = [node] if isinstance(node, ast.Raise) else []
        if isinstance(node, (ast.arg, ast.AnnAssign)) and node.annotation:
            parts.append(node.annotation)
        if isinstance(node, ast.FunctionDef) and node.returns:
            parts.append(node.returns)
        for part in parts:
            found |= set(range(part.lineno, part.end_lineno + 1))
    return found


def is_plain(mutation: Any, silent: set[int]) -> bool:
    """Whether a mutation is one that a test might miss."""
    if mutation.operator_name in LEFT_OUT or mutation.start_pos[0] in silent:
        return False
    name, *operators = mutation.operator_name.split("_")
    return not name.endswith("ReplaceBinaryOperator") or any(set(operators) <= kind for kind in ALIKE)


def candidates(files: list[str], seed: int) -> list[Any]:
    """Mutants of the files in a random order."""
    from cosmic_ray.commands.init import _all_work_items  # type: ignore[import-not-found]

    kept = []
    for name in files:
        path = ROOT / "audioplane" / name
        silent = silent_lines(path.read_text(encoding="utf-8"))
        mutations = [item.mutations[0] for item in _all_work_items([path], {})]
        kept += [mutation for mutation in mutations if is_plain(mutation, silent)]
    random.Random(seed).shuffle(kept)
    return kept


class Replaced(importlib.machinery.SourceFileLoader):
    """Loads a module from a text instead of its file."""

    def __init__(self, name: str, path: str, text: str) -> None:
        super().__init__(name, path)
        self.text = text

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.text, self.path, "exec")


def judge(path: Path, text: str, limit: float = float("inf")) -> Verdict:
    """Whether the tests of a file notice that it has another text; in a process of its own.

    Args:
        path: the file, below the package.
        text: what stands in it instead.
        limit: seconds of processor after which it is ended, and counts as noticed.
    """
    with tempfile.TemporaryFile() as output:
        child = os.fork()
        if child == 0:
            _run_tests(path, text, limit, output.fileno())
        _, status, used = os.wait4(child, 0)
        output.seek(max(0, output.seek(0, os.SEEK_END) - 3000))
        said = output.read().decode(errors="replace")
    return Verdict(status != 0, used.ru_utime + used.ru_stime, said)


def _run_tests(path: Path, text: str, limit: float, output: int) -> None:
    """Ends the process; its status is 0 where the tests pass."""
    if limit < float("inf"):  # of processor: how busy the machine is must not decide
        resource.setrlimit(resource.RLIMIT_CPU, (int(limit) + 1, int(limit) + 5))
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    spec = importlib.util.spec_from_loader(name, Replaced(name, str(path), text), origin=str(path))

    class Finder:
        @staticmethod
        def find_spec(wanted: str, *_: Any) -> Any:
            return spec if wanted == name else None

    sys.meta_path.insert(0, Finder)  # type: ignore[arg-type]
    os.dup2(output, 1)
    os.dup2(output, 2)
    words = shlex.split(JUDGES[path.relative_to(ROOT / "audioplane").as_posix()])
    tests = [f"tests/{word}" if word.endswith(".py") else word for word in words]
    status = int(import_module("pytest").main(["-x", "-q", "-p", "no:cacheprovider", *tests]))
    sys.stdout.flush()
    os._exit(status)


def mutated(mutation: Any, source: str) -> str:
    import cosmic_ray.plugins  # type: ignore[import-not-found]
    from cosmic_ray.mutating import mutate_code  # type: ignore[import-not-found]

    operator = cosmic_ray.plugins.get_operator(mutation.operator_name)(**mutation.operator_args)
    return mutate_code(source, operator, mutation.occurrence) or source


def found(files: list[str], seed: int) -> Iterator[tuple[Path, str]]:
    """(file, its changed text) of cosmic-ray's mutants, in a random order; says how many there are."""
    every = candidates(files, seed)
    print(json.dumps({"mutants": len(every)}), flush=True)
    for mutation in every:
        path = Path(mutation.module_path)
        yield path, mutated(mutation, path.read_text(encoding="utf-8"))


def by_hand(files: list[str]) -> Iterator[tuple[Path, str]]:
    """(file, its changed text) of the mutants that are written down."""
    for one in written_down():
        if one["file"] in files:
            path = ROOT / "audioplane" / one["file"]
            source = path.read_text(encoding="utf-8")
            assert one["old"] in source, f"{one['file']} has no {one['old']!r} any more"
            yield path, source.replace(one["old"], one["new"], 1)


def written_down() -> list[dict[str, str]]:
    """`mutants_by_hand.json`: file, old and new text of each."""
    return json.loads(BY_HAND.read_text(encoding="utf-8"))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--file", action="append", choices=list(JUDGES), help="default all")
    parser.add_argument("--by-hand", action="store_true", help="the mutants of mutants_by_hand.json")
    parser.add_argument("--minutes", type=float, default=30.0, help="of processor, for the mutants alone")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    os.chdir(ROOT)
    os.environ["CI"] = "true"  # the same examples of hypothesis for each mutant
    sys.path.insert(0, str(ROOT))  # this tree, whatever is installed
    counts = Counter[str]()
    for library in LIBRARIES.split():
        import_module(library)
    every = dict.fromkeys(one["file"] for one in written_down()) if given.by_hand else JUDGES
    chosen, own = given.file or list(every), {}
    for name in chosen:
        path = ROOT / "audioplane" / name
        verdict = judge(path, path.read_text(encoding="utf-8"))
        if verdict.noticed:
            sys.exit(f"the tests of {name} fail without any change: {JUDGES[name]}\n{verdict.said}")
        own[path] = verdict.seconds
        print(json.dumps({"file": name, "tests": round(verdict.seconds, 1)}), flush=True)
    left = 60 * given.minutes
    for path, after in by_hand(chosen) if given.by_hand else found(chosen, given.seed):
        if left < 0:
            break
        before = path.read_text(encoding="utf-8")
        pairs = enumerate(zip(before.splitlines(), after.splitlines(), strict=False), 1)
        change = next((f"{line}: {a.strip()}  ->  {b.strip()}" for line, (a, b) in pairs if a != b), "")
        if change:
            verdict = judge(path, after, max(60.0, TIMES * own[path]))
            left -= verdict.seconds
            where, outcome = path.relative_to(ROOT).as_posix(), "noticed" if verdict.noticed else "survived"
            counts[outcome] += 1
            print(json.dumps({"file": where, "outcome": outcome, "change": change}), flush=True)
    tried, noticed = counts.total(), counts["noticed"]
    print(f"{tried} mutants tried, {noticed} noticed ({100 * noticed / max(tried, 1):.0f} %)")


if __name__ == "__main__":
    main()
