"""torchvision and LPIPS that import and run beside any build of torch; the only file that knows the trap.

PyPI has no CPU build of torchvision: beside a CPU torch its compiled operators do not load, and importing it
fails with "operator torchvision::nms does not exist" before it reaches the networks, which need none of those
operators. On exactly that error the two missing operators are declared (by name, without code), and the
import succeeds. Declaring them beside a torchvision that does load would abort the process, so it is never
done beforehand.

Whoever imports torchvision, or a package that does (lpips, face_alignment), calls `import_torchvision` first.
"""

from __future__ import annotations

import sys
import threading
import warnings
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from audioplane.runtime import weights

if TYPE_CHECKING:
    import torch

Backbone = Literal["alex", "vgg", "squeeze"]
BACKBONES: tuple[Backbone, ...] = ("alex", "vgg", "squeeze")

_MISSING_OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_lock = threading.Lock()
_declarations: Any = None  # a torch.library.Library lives as long as its last reference


def import_torchvision() -> ModuleType:
    """Imports torchvision: networks and transforms always work, compiled operators where they load."""
    global _declarations
    with _lock:
        try:
            return import_module("torchvision")
        except RuntimeError as error:
            if "torchvision::nms does not exist" not in str(error) or _declarations is not None:
                raise
        _declarations = _declare_operators()
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]  # what the failed import left half done
        return import_module("torchvision")


def _declare_operators() -> Any:
    import torch

    library = torch.library.Library("torchvision", "DEF")
    for schema in _MISSING_OPERATORS:
        library.define(schema)
    return library


def import_lpips() -> ModuleType:
    """Imports the `lpips` package on every build."""
    import_torchvision()
    return import_module("lpips")


def lpips_network(backbone: Backbone, *, random_backbone: bool = False) -> torch.nn.Module:
    """An LPIPS network (version 0.1) in evaluation mode, without gradients for its weights.

    Called with two images (B, 3, H, W) in [-1, 1], it gives distances (B, 1, 1, 1) >= 0; smaller is closer.

    Args:
        backbone: "alex", "vgg" or "squeeze"; the ImageNet weights are found by `audioplane.runtime.weights`, never
            downloaded here. The small calibrated layers on top come with the lpips package.
        random_backbone: an untrained backbone, to test the wiring; its numbers mean nothing.

    Raises:
        ValueError: an unknown backbone.
        UserError: the backbone's weights are not on this machine; the message says how to get them.
    """
    if backbone not in BACKBONES:
        raise ValueError(f"backbone must be one of {', '.join(BACKBONES)}, got {backbone!r}")
    path = None if random_backbone else weights.require(f"lpips-{backbone}")
    lpips = import_lpips()
    with warnings.catch_warnings():
        # lpips still asks torchvision for networks in the manner of before 0.13.
        warnings.filterwarnings("ignore", message="The parameter 'pretrained'|Arguments other than a weight")
        network = lpips.LPIPS(net=backbone, pnet_rand=True, verbose=False)
    if path is not None:
        _load_backbone(network.net, path)
    return network.eval().requires_grad_(False)


def _load_backbone(network: torch.nn.Module, path: Any) -> None:
    """Fills lpips' slices from a torchvision checkpoint: `slice2.3.weight` was `features.3.weight`."""
    import torch

    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    network.load_state_dict(
        {name: checkpoint["features." + name.split(".", 1)[1]] for name in network.state_dict()}, strict=True
    )
