"""The repository stays small: what one clones is mostly what one reads."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILE, NOTEBOOK, TREE = 500_000, 400_000, 26_400_000  # bytes; half of the tree are weights and voices
LARGER = {
    "audioplane/audio/whisper.safetensors": 4_300_000,
    "audioplane/audio/av_encoder.safetensors": 600_000,
    "audioplane/audio/phonetic.safetensors": 2_300_000,
    "audioplane/inference/heads/adam.safetensors": 1_500_000,
    "audioplane/metrics/syncnet/weights.safetensors": 1_200_000,
    "notebooks/20_user_study.ipynb": 600_000,  # three films are the widget's state
    "records/demo/records.jsonl.xz": 1_900_000,  # every run of a paper's tables, in one archive
}
"""What may be larger, and how large."""


@pytest.fixture(scope="module")
def sizes() -> dict[str, int]:
    """The size of each file that git has, or would take."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not in a clone")
    paths = {name: ROOT / name for name in done.stdout.split("\0") if name}
    return {name: path.stat().st_size for name, path in paths.items() if path.is_file()}


def test_no_file_is_larger_than_it_may_be(sizes: dict[str, int]) -> None:
    def limit(name: str) -> int:
        return LARGER.get(name, NOTEBOOK if name.endswith(".ipynb") else FILE)

    assert {name: size for name, size in sizes.items() if size > limit(name)} == {}


def test_the_tree_is_small(sizes: dict[str, int]) -> None:
    assert sum(sizes.values()) <= TREE


def test_figures_for_print_are_made_on_demand(sizes: dict[str, int]) -> None:
    assert [name for name in sizes if name.endswith(".pdf")] == []
