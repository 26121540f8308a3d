"""Builds the site into `site/`: notebooks as they ran, the guides, the cards, and the API from docstrings.

    python .ci/site.py            builds it
    python .ci/site.py --check    builds it, and fails if a link within it leads nowhere

No notebook is run and nothing is downloaded: notebooks show their outputs, docstrings are read from the sources. Only
the head that speaks on the page is written by the installed package (`audioplane demo --browser`).
"""

from __future__ import annotations

import argparse
import html.parser
import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parents[1]
SOURCE, OUT = ROOT / "build" / "site-source", ROOT / "site"
COPIED = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "CITATION.cff", "LICENSE", "docs", "figures")
COPIED += ("notebooks", "benchmarks/README.md")
INDEX = """# audioplane
:BADGE:
```{include} README.md
:start-after: "# audioplane"
```

```{toctree}
:hidden:
:caption: Guides
head
docs/using
docs/inputs
docs/gpu
docs/widgets
docs/add_a_method
docs/status
docs/measures
docs/reliability
docs/dependencies
benchmarks/README
```

```{toctree}
:hidden:
:caption: Notebooks
:glob:
notebooks/*
notebooks/*/*
```

```{toctree}
:hidden:
:caption: Papers and cards
docs/paper_map
:PAGES:
```

```{toctree}
:hidden:
:caption: Project
CONTRIBUTING
CHANGELOG
SECURITY
docs/release
```
"""
BADGE = """
[![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/:REPOSITORY:/HEAD?urlpath=lab/tree/notebooks)
"""
HEAD = """# A head on this page

The head that ships speaks six seconds, drawn by your browser. Drag it to turn it; the keys stand in
[Widgets](docs/widgets.md#keys-and-mouse). The page alone, to keep: [head-alone.html](head-alone.html).

```{raw} html
<iframe src="head-alone.html" title="A talking head that you can turn" loading="lazy" allow="fullscreen"
  style="width: 100%; height: 1150px; border: 1px solid var(--color-background-border)"></iframe>
```
"""
STYLE = "div.cell_output { overflow-x: auto }  /* tables that are wider than the page */\n"
HIDDEN = ("pretrained", "synthetic", "preprocess", "plots", "experiments", "cli", "runtime", "surface", "paper")
"""Folders whose functions are no interface: the API leaves them out."""
SETTINGS = """
project, author, copyright = "audioplane", "The audioplane authors", "the audioplane authors, Apache-2.0"
extensions = ["myst_nb", "sphinx.ext.napoleon", "autoapi.extension", "sphinx-mathjax-offline"]
html_theme, html_title, html_static_path, html_css_files = "furo", "audioplane", ["_static"], ["site.css"]
nb_execution_mode = "off"
nb_mime_priority_overrides = [("html", "image/jpeg", 5), ("html", "image/png", 6)]
myst_enable_extensions, myst_heading_anchors = ["dollarmath", "amsmath"], 4
autoapi_dirs, autoapi_root, autoapi_add_toctree_entry = [{package!r}], "api", True
autoapi_ignore = [f"*/{room}/*" for room in {hidden!r}]
autoapi_options = ["members", "show-module-summary"]
autoapi_python_class_content = "both"
exclude_patterns = ["README.md"]
suppress_warnings = ["myst.xref_missing", "myst.header", "misc.highlighting_failure", "mystnb.unknown_mime_type"]
suppress_warnings += ["toc.not_included", "docutils", "ref", "autoapi", "image.not_readable"]
"""


def gather() -> None:
    """Puts all pages into one folder, in the places that their links among each other expect."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    SOURCE.mkdir(parents=True)
    for name in COPIED:
        origin, place = ROOT / name, SOURCE / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if origin.is_dir():
            shutil.copytree(origin, place, ignore=shutil.ignore_patterns(".ipynb_checkpoints", "*.pdf"))
        else:
            shutil.copy(origin, place)
    pages = []
    for origin in sorted((ROOT / "audioplane").rglob("*.md")):
        place = SOURCE / origin.relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(origin, place)
        pages.append(place.relative_to(SOURCE).with_suffix("").as_posix())
    repository = os.environ.get("GITHUB_REPOSITORY", "")  # OWNER/NAME, where GitHub builds the site
    badge = BADGE.replace(":REPOSITORY:", repository) if repository else ""
    index = INDEX.replace(":PAGES:", "\n".join(pages)).replace(":BADGE:", badge)
    (SOURCE / "index.md").write_text(index, encoding="utf-8")
    (SOURCE / "_static").mkdir()
    (SOURCE / "_static" / "site.css").write_text(STYLE, encoding="utf-8")
    (SOURCE / "head.md").write_text(HEAD, encoding="utf-8")
    (SOURCE / "conf.py").write_text(
        SETTINGS.replace("{package!r}", repr(str(ROOT / "audioplane"))).replace("{hidden!r}", repr(HIDDEN)),
        encoding="utf-8",
    )


class _Links(html.parser.HTMLParser):
    """What a page links to, and the names within it."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value for name, value in attrs if name in ("href", "src") and value]


def dead_links() -> list[str]:
    """Links within the site whose files are not there."""
    found = []
    for page in sorted(OUT.rglob("*.html")):
        for link in _Links(page).links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or not parts.path:
                continue
            target = page.parent / unquote(parts.path)
            if not target.exists():
                found.append(f"{page.relative_to(OUT)}: {link}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail if a link leads nowhere")
    args = parser.parse_args()
    gather()
    shutil.rmtree(OUT, ignore_errors=True)
    draft = SOURCE.parent / "site"  # its notebooks' copies end up beside it, in build/
    shutil.rmtree(draft, ignore_errors=True)
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-q", str(SOURCE), str(draft)]
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    shutil.move(draft, OUT)
    speak = [
        sys.executable,
        "-m",
        "audioplane",
        "demo",
        "--browser",
        "--no-open",
        "--out",
        str(OUT / "head-alone.html"),
    ]
    status |= subprocess.run(speak, cwd=ROOT, check=False).returncode
    dead = dead_links()
    print(f"{OUT}: {sum(1 for _ in OUT.rglob('*.html'))} pages, {len(dead)} dead links")
    print("\n".join(dead[:50]))
    return status or (1 if args.check and dead else 0)


if __name__ == "__main__":
    sys.exit(main())
