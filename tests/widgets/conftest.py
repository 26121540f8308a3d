"""A trained head, JupyterLab and Notebook 7 for the widgets; one server has both, and is started once."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from audioplane.inference.talking_head import TalkingHead
    from audioplane.subject import Subject


@pytest.fixture(scope="session")
def smoke() -> tuple[Subject, TalkingHead]:
    """The speaker and head of the notebooks at their quickest preset (cached); every Gaussian is evaluated."""
    from audioplane.experiments import session
    from audioplane.inference.talking_head import TalkingHead

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(session.VARIABLE, "smoke")
        subject = session.subject("adam")
        run = session.trained(subject, session.settings())
    return subject, TalkingHead.load(run, sparse=False)


@pytest.fixture(scope="session")
def ball_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a small head that moves as a trained one does."""
    from tests.widgets.awake import awake

    folder = tmp_path_factory.mktemp("ball")
    awake(folder)
    return folder / "head.safetensors"


@pytest.fixture(scope="session")
def ball(ball_file: Path) -> TalkingHead:
    """The head of that file; every Gaussian is evaluated."""
    from audioplane.inference.talking_head import TalkingHead

    return TalkingHead.load(ball_file, sparse=False)


LIMIT = 300_000
"""Milliseconds that an application may take for anything: a machine of continuous integration may do other things."""


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab or Notebook 7; `lab(name, *cells)` puts a notebook into its folder: its address."""

    folder: Path
    address: str
    token: str
    application: str = "JupyterLab"

    def __call__(self, name: str, *cells: str, notebook: Path | None = None) -> str:
        import nbformat

        name = f"{self.application}-{name}"  # the kernel of the other's would still run
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        book.metadata["kernelspec"] = {
            "name": "python3",
            "display_name": "Python 3 (ipykernel)",
            "language": "python",
        }
        text = notebook.read_text(encoding="utf-8") if notebook else json.dumps(book)
        (self.folder / name).write_text(text, encoding="utf-8")
        return self.at(name)

    def at(self, name: str) -> str:
        place = {"JupyterLab": "lab/tree", "Notebook": "notebooks"}[self.application]
        return f"{self.address}/{place}/{name}?reset&token={self.token}"  # nothing that was open before

    def ask(self, path: str, method: str = "GET") -> Any:
        """What the server answers to /api/PATH."""
        headers = {"Authorization": f"token {self.token}"}
        request = urllib.request.Request(f"{self.address}/api/{path}", method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or "null")


@pytest.fixture(scope="session", params=["JupyterLab", "Notebook"])
def lab(server: Lab, request: pytest.FixtureRequest) -> Lab:
    """Each of the applications that show notebooks."""
    if request.param == "Notebook":
        pytest.importorskip("notebook", reason="Notebook 7 is not installed")
    return replace(server, application=request.param)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[Lab]:
    """JupyterLab, and Notebook 7 where it is installed, on a free port, with a folder, settings and signatures."""
    pytest.importorskip("jupyterlab", reason="JupyterLab is not installed")
    folder, token = tmp_path_factory.mktemp("lab"), secrets.token_hex(8)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "notebook-extension/tracker": {
            "autoStartDefaultKernel": True,  # else it may ask which one
            "windowingMode": "none",  # else cells out of sight lose their text
        },
        "apputils-extension/notification": {"fetchNews": "false"},
    }
    for name, values in settings.items():
        file = folder / "overrides" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(values))
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        "--allow-root",
        f"--ServerApp.port={port}",
        f"--ServerApp.root_dir={folder}",
        f"--IdentityProvider.token={token}",
        "--ServerApp.port_retries=0",
        "--LabApp.news_url=",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    environment = {
        **os.environ,
        "PYTHONPATH": str(repository),
        "AUDIOPLANE_PRESET": "smoke",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "JUPYTER_CONFIG_DIR": str(folder / "overrides"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "overrides"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "overrides"),
        "JUPYTER_PLATFORM_DIRS": "1",
    }
    with open(folder / "log", "wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    running = Lab(folder, f"http://127.0.0.1:{port}", token)
    try:
        for _ in range(960):
            if server.poll() is not None:
                pytest.fail(f"JupyterLab did not start:\n{(folder / 'log').read_text()[-2000:]}")
            try:
                running.ask("")
                break
            except OSError:
                time.sleep(0.25)
        yield running
    finally:
        server.terminate()
        server.wait(20)


def run_all(page: Page) -> None:
    """Runs every cell of the notebook that is open."""
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    page.wait_for_selector(
        ".jp-Notebook-ExecutionIndicator[data-status=idle]", state="attached"
    )  # a narrow toolbar hides it
    for _ in range(12):  # a kernel that is replaced while the page is loading forgets what it was asked
        page.wait_for_timeout(2000)
        page.click('.lm-MenuBar-itemLabel:text-is("Run")')
        page.click('.lm-Menu-itemLabel:text-is("Run All Cells")')
        page.wait_for_timeout(3000)
        if page.locator(".jp-CodeCell .jp-InputPrompt").nth(1).inner_text().strip() not in ("", "[ ]:"):
            return
    pytest.fail("the cells do not run")


def wait_for_viewers(page: Page, count: int = 1) -> None:
    """Waits until so many viewers of heads are there, and all of them can draw."""
    viewers = "[...document.querySelectorAll('canvas.ap-canvas')].map((canvas) => canvas.viewer)"
    page.wait_for_function(f"((all) => all.length === {count} && all.every((one) => one?.painter?.behind))({viewers})")
