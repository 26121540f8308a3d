"""What the widgets with a page of their own are."""

from __future__ import annotations

import uuid
from typing import Any

import anywidget
import traitlets


class Widget(anywidget.AnyWidget):
    """A widget that tells its page which model is its own.

    anywidget turns away all that is sent to a model whose module took more than two seconds to load, for as long as the
    page lives. Of its own model a page can mend that; see `keepHearing` in `elements.js`.

    Args:
        traits: of the widget, by their names.
    """

    own_id = traitlets.Unicode().tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        own_id = uuid.uuid4().hex  # it goes along with the first state, since a later message may not be heard
        super().__init__(model_id=own_id, own_id=own_id, **traits)
