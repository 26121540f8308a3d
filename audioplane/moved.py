"""Old names of modules, from before they were sorted into rooms: `import audioplane.head` still works.

A module that is asked for by an old name is the very module of the new name, not a second copy. Of a package that moved
as a whole one line is enough. Names inside of modules are not followed.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

MOVED = {
    "cache": "runtime.cache",
    "compiled": "runtime.compiled",
    "compose": "media.writer",
    "contact_sheet": "plots.contact_sheet",
    "doctor": "cli.doctor",
    "evaluate": "evaluation.evaluate",
    "fetch": "cli.fetch",
    "fields": "methods.audio_plane",
    "fields.head_kernels": "deform.mlp_kernels",
    "fields.heads": "deform.mlp",
    "fields.plane_kernels": "deform.plane_kernels",
    "fields.planes": "deform.planes",
    "figures": "plots",
    "head": "inference.talking_head",
    "inference.codes": "audio.codes",
    "hearing": "evaluation.audio_probe",
    "model": "methods.audio_plane.model",
    "moment": "plots.frame_panel",
    "notebook": "experiments.session",
    "paper_figures": "experiments.paper_figures",
    "phonetic": "pretrained.phonetic",
    "prepare": "preprocess",
    "prepare.source": "media.reader",
    "protocols": "evaluation.protocols",
    "report": "evaluation.report",
    "reproduce": "cli.reproduce",
    "schedule": "training.state",
    "speakers": "synthetic",
    "study": "evaluation.user_study",
    "sync": "pretrained.syncnet",
    "sync.crops": "metrics.syncnet.crops",
    "sync.mfcc": "metrics.syncnet.mfcc",
    "sync.network": "metrics.syncnet.network",
    "sync.scorers": "metrics.syncnet.scorers",
    "threads": "runtime.threads",
    "train": "training.trainer",
    "videos": "media.videos",
    "vision_backbones": "metrics.vision_backbones",
    "weights": "runtime.weights",
}
"""Below `audioplane`: old name -> new one; what lies below an old name lies below the new one."""


class _Alias(Loader):
    def __init__(self, name: str) -> None:
        self.name = name

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        self.module = import_module(self.name)
        self.own = self.module.__spec__
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.own  # the import system has put the old name's there


class _Finder(MetaPathFinder):
    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        package, *parts = fullname.split(".")
        for cut in range(len(parts), 0, -1):  # the longest name that moved
            old = ".".join(parts[:cut])
            if package == "audioplane" and old in MOVED:
                return ModuleSpec(fullname, _Alias(".".join([package, MOVED[old], *parts[cut:]])))
        return None


def follow() -> None:
    """Lets the import system know the old names, once.

    Raises:
        ImportError: the package lies in a zip, where its weights, voices and pages cannot be read.
    """
    if not Path(__file__).is_file():
        raise ImportError(f"audioplane reads files of its own and cannot run inside {__file__}: install it")
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())  # before the path's: it would find a second copy below an old package
