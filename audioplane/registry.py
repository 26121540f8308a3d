"""The methods there are: one folder a method, found by name and loaded on first use.

A method is a package with a `SPEC` (`config.MethodSpec`). The built-in ones stand below; a folder named by the variable
AUDIOPLANE_METHODS (several are separated as in PATH) holds further ones, a package each, and `add` names one from
Python. Code in such a folder is run, as any code that its user imports.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audioplane.errors import UserError

if TYPE_CHECKING:
    from audioplane.config import MethodSpec

VARIABLE = "AUDIOPLANE_METHODS"
DEFAULT = "audio_plane"
BUILT_IN = {
    "audio_plane": "audioplane.methods.audio_plane",
    "synctalk_pp": "audioplane.methods.synctalk_pp",
    "talking_gaussian": "audioplane.methods.talking_gaussian",
    "degstalk": "audioplane.methods.degstalk",
    "gaussian_talker": "audioplane.methods.gaussian_talker",
}


def add(folder: str | Path) -> None:
    """Makes the methods in `folder` known, to this process and to those that it starts."""
    folders = os.environ.get(VARIABLE, "").split(os.pathsep)
    if str(folder) not in folders:
        os.environ[VARIABLE] = os.pathsep.join([*filter(None, folders), str(folder)])


def names() -> list[str]:
    """Of all methods: the built-in ones first."""
    return [*BUILT_IN, *_further()]


def package(name: str) -> str:
    """The dotted name of a method's package, which can be imported from then on.

    Raises:
        UserError: there is no such method.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]
    further = _further()
    if name not in further:
        raise UserError(f"there is no method '{name}'; there are {', '.join(names())}")
    dotted = f"audioplane_method_{name}"
    if dotted not in sys.modules:
        place = importlib.util.spec_from_file_location(
            dotted, further[name] / "__init__.py", submodule_search_locations=[str(further[name])]
        )
        assert place is not None
        assert place.loader is not None
        module = importlib.util.module_from_spec(place)
        sys.modules[dotted] = module
        try:
            place.loader.exec_module(module)
        except BaseException:
            del sys.modules[dotted]
            raise
    return dotted


@functools.cache
def spec(name: str) -> MethodSpec:
    """What a method says of itself.

    Raises:
        UserError: there is no such method.
    """
    return importlib.import_module(package(name)).SPEC


def modules(name: str) -> tuple[str, ...]:
    """The modules that a method enters by: its package, and where its model stands.

    Raises:
        UserError: there is no such method.
    """
    model = spec(name).model
    return package(name), model.partition(":")[0] if isinstance(model, str) else model.__module__


def load(place: Any) -> Any:
    """What "module:name" names; anything else is returned as it is."""
    if not isinstance(place, str):
        return place
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def _further() -> dict[str, Path]:
    """The methods in the folders of AUDIOPLANE_METHODS: name -> its package's folder."""
    folders = [Path(folder) for folder in os.environ.get(VARIABLE, "").split(os.pathsep) if folder]
    found = {p.parent.name: p.parent for folder in folders for p in sorted(folder.glob("*/__init__.py"))}
    return {name: path for name, path in found.items() if name not in BUILT_IN}
