"""Optional packages, by the extra that installs them: `pip install 'audioplane[EXTRA]'`."""

from __future__ import annotations

PACKAGES: dict[str, tuple[str, ...]] = {
    "notebooks": (
        *("IPython", "anywidget", "ipywidgets", "jupyterlab", "matplotlib", "matplotlib_inline", "nbclient"),
        *("nbformat", "pandas", "seaborn", "traitlets"),
    ),
    "prepare": ("ai_edge_litert", "face_alignment"),
    "measures": ("lpips", "piq", "torchvision"),
    "speech": ("espeakng_loader",),
    "tensorboard": ("tensorboard",),
    "completion": ("shtab",),
    "ray": ("ray",),
}
"""Extra -> the modules that are imported from what it installs."""


def advice(error: ModuleNotFoundError) -> str | None:
    """What to install, as a sentence, if an optional package is missing; None if it is another module."""
    module = (error.name or "").partition(".")[0]
    for extra, modules in PACKAGES.items():
        if module in modules:
            return f"this needs the package {module}, which is not installed: pip install 'audioplane[{extra}]'"
    return None
