"""audioplane: the reproducible companion of the Audio-Plane paper.

The public names below are imported on first use (PEP 562), so that `import audioplane` and the command line
stay light. To add one: a line in `_HOME`, one in `__all__`, one under `TYPE_CHECKING`; a test holds the three
together.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from audioplane.moved import follow

# torch's idle OpenMP threads would spin and take the cores from our own kernels (a quarter of the rasterizer's speed);
# torch reads this when it is first imported, so import audioplane before torch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

follow()

__version__ = "0.1.0"

__all__ = ["Config", "Subject", "TalkingHead", "UserError", "__version__", "rasterization"]

# public name -> the module it lives in
_HOME = {
    "Config": "audioplane.config",
    "Subject": "audioplane.subject",
    "TalkingHead": "audioplane.inference.talking_head",
    "UserError": "audioplane.errors",
    "rasterization": "audioplane.splat",
}
_ROOMS = {"speakers": "audioplane.synthetic"}  # public name of a package -> where it lies

if TYPE_CHECKING:
    from audioplane.config import Config
    from audioplane.errors import UserError
    from audioplane.inference.talking_head import TalkingHead
    from audioplane.splat import rasterization
    from audioplane.subject import Subject


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(_ROOMS[name])
    if name not in _HOME:
        raise AttributeError(f"module 'audioplane' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value  # the next access does not come through here
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
