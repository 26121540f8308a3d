"""Widgets for notebooks: controls around the same drawing functions that make the static figures.

| widget | shows | without a kernel | without JavaScript |
| --- | --- | --- | --- |
| `GaussianViewer` | the trained head, orbited, questioned, speaking | everything but another voice | a picture |
| `saliency_scrubber`, `prototype_explorer`, `plane_explorer` | figures with controls | what `save` put in | a picture |
| `method_scrubber` | heads beside the truth | what `save` put in | a picture |
| `Driver` | head + voice -> film | nothing: it says so | a picture |
| `UserStudy` | blind rating | rates; the ratings are downloaded | a picture |
| `speaker_scrubber` | a Subject, frame by frame | a picture | a picture |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from audioplane import registry

if TYPE_CHECKING:
    from audioplane.widgets.comparison import method_scrubber
    from audioplane.widgets.driver import Driver
    from audioplane.widgets.gaussian_viewer import GaussianViewer
    from audioplane.widgets.scrubber import speaker_scrubber
    from audioplane.widgets.user_study import UserStudy

_HOMES = {
    "Driver": "driver",
    "GaussianViewer": "gaussian_viewer",
    "UserStudy": "user_study",
    "method_scrubber": "comparison",
    "speaker_scrubber": "scrubber",
}

__all__ = [
    "Driver",
    "GaussianViewer",
    "UserStudy",
    "method_scrubber",
    "speaker_scrubber",
]


def __getattr__(name: str) -> Any:
    """Imports a widget on first use; a method's own ones are named by its `MethodSpec`."""
    import importlib

    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    for method in registry.names() if not name.startswith("_") else ():
        if name in registry.spec(method).widgets:
            return registry.load(registry.spec(method).widgets[name])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
