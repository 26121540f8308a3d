"""Fixtures, markers and profiles that every test may use."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserType, Page

# No deadline: the first example pays for compiling kernels. On CI the same examples every time.
hypothesis.settings.register_profile("audioplane", deadline=None)
hypothesis.settings.register_profile("audioplane-ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("audioplane-ci" if os.environ.get("CI") else "audioplane")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow as well")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--slow"):
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="slow: give --slow"))
    on_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if on_gpu and not _cuda_available():
        for item in on_gpu:
            item.add_marker(pytest.mark.skip(reason="no GPU that torch can use"))


def _cuda_available() -> bool:
    import torch

    return torch.cuda.is_available()


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture
def assets() -> Path:
    """The folder of real inputs and model files, named by AUDIOPLANE_ASSETS; skips without."""
    folder = os.environ.get("AUDIOPLANE_ASSETS")
    if not folder:
        pytest.skip("AUDIOPLANE_ASSETS is not set")
    if not Path(folder).is_dir():
        pytest.fail(f"AUDIOPLANE_ASSETS names {folder}, which is not a folder")
    return Path(folder)


@pytest.fixture
def empty_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine on which nothing was ever downloaded: cache and library folders are inside `tmp_path`."""
    monkeypatch.setenv("AUDIOPLANE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    for variable in ("AUDIOPLANE_ASSETS", "XDG_CACHE_HOME", "TORCH_HOME"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


# A browser, for pages that are to be looked at

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--autoplay-policy=no-user-gesture-required",
    "--mute-audio",
]
# What JupyterLab says of itself: it asks for files that need not be there. Notebook 7 misses a schema and a command.
QUIET = ("favicon", "ERR_INTERNET_DISCONNECTED", "Failed to load resource", "debugger state")
QUIET = (*QUIET, "(reading 'schema')", "'filebrowser:open-path' not registered")
# What anywidget says on a slow machine; the widgets mend it.
QUIET = (*QUIET, "[anywidget] Failed to initialize model")


LONGEST = 1200.0  # seconds that a test with a browser may take
RUNNING: set[int] = set()  # browsers, by the numbers of their processes


def launch(chromium: BrowserType) -> Browser:
    """Starts a headless Chromium with software GL; skips where there is none."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("no Chromium is installed")
    browser = chromium.launch(executable_path=path, args=ARGUMENTS)
    session = browser.new_browser_cdp_session()
    processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    session.detach()
    RUNNING.add(next(one["id"] for one in processes if one["type"] == "browser"))
    return browser


@contextmanager
def limited(seconds: float, processes: set[int] = RUNNING) -> Iterator[None]:
    """Ends browsers after so many seconds: some calls wait for a page without a limit, and fail once it is gone."""

    def end() -> None:
        for pid in processes:
            with suppress(ProcessLookupError):
                os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))

    timer = threading.Timer(seconds, end)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    if "browser" not in getattr(item, "fixturenames", ()):
        return (yield)
    with limited(LONGEST):
        return (yield)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium with software GL; skips where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = launch(playwright.chromium)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a file or an address; the test fails on anything wrong that the page says, at its end."""
    contexts, wrong = [], []

    def note(words: str) -> None:
        if not any(word in words for word in QUIET):
            wrong.append(words)

    def open_it(where: Path | str, offline: bool = False, **options: Any) -> Page:
        context = browser.new_context(offline=offline, accept_downloads=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)  # for a machine that does other things too
        page.on("console", lambda message: message.type == "error" and note(message.text))
        page.on("pageerror", lambda error: note(f"{error} {error.stack}"))
        page.goto(where.as_uri() if isinstance(where, Path) else where)
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert not wrong
