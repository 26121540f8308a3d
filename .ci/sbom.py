"""Writes sbom.cdx.json: weights and voices in a wheel (CycloneDX 1.6), for `.dist-info/sboms` (PEP 770).

    python .ci/sbom.py            writes it
    python .ci/sbom.py --check    fails where it is not what it would write

No third-party code is bundled; dependencies stand in the wheel's metadata. Weights and voices were made by this
project, but for Whisper's. The same files give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "sbom.cdx.json"
KINDS = {  # suffix, or file of other people's -> what it is, licence, where it comes from
    ".safetensors": ("machine-learning-model", "Apache-2.0", "Trained by this project; see the model card beside it."),
    "whisper.safetensors": (
        "machine-learning-model",
        "MIT",
        "Cut from OpenAI's Whisper tiny.en (d3dd57d3...); see pretrained/whisper/MODEL_CARD.md and its LICENSE.",
    ),
    ".ogg": ("data", "CC0-1.0", "Speech that espeak-ng read from the project's own texts."),
}


def files() -> list[str]:
    """Tracked files of the package that are neither source nor text."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "audioplane"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    return sorted(name for name in listed if Path(name).suffix in KINDS)


def component(name: str) -> dict[str, Any]:
    """One file."""
    kind, licence, told = KINDS.get(Path(name).name) or KINDS[Path(name).suffix]
    return {
        "type": kind,
        "bom-ref": name,
        "name": name,
        "description": told,
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256((ROOT / name).read_bytes()).hexdigest()}],
        "licenses": [{"license": {"id": licence}}],
    }


def document() -> dict[str, Any]:
    """The whole document."""
    text = (ROOT / "audioplane" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    assert found is not None
    version = found[1]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "library",
                "bom-ref": f"pkg:pypi/audioplane@{version}",
                "name": "audioplane",
                "version": version,
                "purl": f"pkg:pypi/audioplane@{version}",
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            }
        },
        "components": [component(name) for name in files()],
    }


def main() -> int:
    text = json.dumps(document(), indent=2) + "\n"
    if "--check" in sys.argv:
        if not OUT.is_file() or OUT.read_text(encoding="utf-8") != text:
            print("sbom.cdx.json is not up to date: run `make sbom`", file=sys.stderr)
            return 1
        return 0
    OUT.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
