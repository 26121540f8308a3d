"""A box of ipywidgets that keeps its keys, says when no kernel answers, and brings a picture along."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ipywidgets
import traitlets

from audioplane.widgets import page
from audioplane.widgets.base import Widget


class BoxKeeper(Widget):
    """The last child of a `Box`: a line of words, empty as long as the kernel answers."""

    _esm = page.script("elements.js", "box.js")
    _css = page.text("widgets.css")
    label = traitlets.Unicode("state of the kernel").tag(sync=True)
    dark = traitlets.Bool(False).tag(sync=True)  # the page says so

    def __init__(self) -> None:
        super().__init__()
        self.on_msg(lambda widget, content, buffers: widget.send({"kind": "here"}))


class Box(page.WithStill, ipywidgets.VBox):
    """A column of ipywidgets.

    Args:
        children: what stands in it; `children` has a `BoxKeeper`, `keeper`, behind them.
    """

    def __init__(self, children: Sequence[Any]) -> None:
        self.keeper = BoxKeeper()
        super().__init__([*children, self.keeper])
