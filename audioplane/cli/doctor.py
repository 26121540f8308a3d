"""Tells what this installation is, what it will run on and why, and which optional files it has.

Only looks: nothing is compiled, downloaded or written. What is missing is no failure: the exit status stays
0.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import shutil
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import audioplane
from audioplane.errors import UserError
from audioplane.runtime import cache, weights

NAME = "doctor"
HELP = "what this installation is, what it will run on, and what is missing"

# fmt: off
PACKAGES = (
    "torch", "torchvision", "gsplat", "numba", "numpy", "scipy", "librosa", "soundfile", "av",
    "opencv-python", "imageio-ffmpeg", "lpips", "face-alignment", "matplotlib", "ipywidgets", "anywidget",
    "jupyterlab", "espeakng-loader",
)
# fmt: on


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="the same as JSON")


def run(args: argparse.Namespace) -> int:
    report = examine()
    print(json.dumps(report, indent=2) if args.json else describe(report))
    return 0


def examine() -> dict[str, Any]:
    """Everything the doctor knows, as plain data."""
    return {
        "audioplane": {"version": audioplane.__version__, "folder": str(_package_folder())},
        "python": {"version": platform.python_version(), "executable": sys.executable},
        "system": {"name": platform.platform(), "machine": platform.machine()},
        "packages": {name: _version(name) for name in PACKAGES},
        "device": _device(),
        "rasterizer": _rasterizer(),
        "threads": _threads(),
        "ffmpeg": _ffmpeg(),
        "folders": {
            "cache": _told(cache.folder),
            "assets": _told(weights.assets_folder),
            "assets_found": Path(_told(weights.assets_folder)).is_dir(),
        },
        "kernels": _kernels(),
        "audio": _audio(),
        "model_files": {name: _model_file(name) for name in weights.REGISTRY},
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _device() -> dict[str, Any]:
    import torch

    # Not torch.version.cuda: that says how torch was built, not that a GPU answers.
    devices = []
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            devices.append({"name": properties.name, "memory_gib": round(properties.total_memory / 2**30, 1)})
    return {
        "used": "cuda" if devices else "cpu",
        "cuda_devices": devices,
        "torch_built_for_cuda": torch.version.cuda,
        "nvcc": shutil.which("nvcc"),
        "processor": _processor(),
    }


def _processor() -> str:
    """The processor's name where the system tells it, else its family."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _rasterizer() -> dict[str, str]:
    from audioplane import splat

    name, reason = splat.backend()
    return {"name": name, "reason": reason}


def _threads() -> dict[str, Any]:
    import torch

    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"torch": torch.get_num_threads(), "usable_cores": usable}


def _ffmpeg() -> dict[str, str | None]:
    try:
        imageio_ffmpeg = import_module("imageio_ffmpeg")
        return {"path": imageio_ffmpeg.get_ffmpeg_exe(), "version": imageio_ffmpeg.get_ffmpeg_version()}
    except (ImportError, RuntimeError) as error:  # RuntimeError: the package holds no binary for this system
        return {"path": None, "version": None, "reason": str(error)}


def _told(question: Callable[[], Path]) -> str:
    """A folder, or the sentence that says why there is none."""
    try:
        return str(question())
    except UserError as error:
        return f"none: {error}"


def _kernels() -> dict[str, Any]:
    """Whether compiled kernels run, and where those of the rasterizer are kept (other rooms' lie in the same way)."""
    import numba

    from audioplane.runtime import compiled, contracts, kernel_cache

    folders = sorted({path.parent for path in _package_folder().rglob("*.py")})
    runs = not numba.config.DISABLE_JIT  # type: ignore[attr-defined]
    place = kernel_cache.place(_package_folder() / "splat") if runs and not contracts.CHECK else None
    damaged = [str(path) for folder in folders for path in kernel_cache.damaged(folder)] if place else []
    place_text = compiled.SWITCHED_OFF if not runs else kernel_cache.NOWHERE if place is None else str(place)
    named = os.environ.get(kernel_cache.VARIABLE)
    if place and named and Path(named).absolute() not in place.parents:
        place_text += f" ({named}, which {kernel_cache.VARIABLE} names, cannot be written)"
    if runs and contracts.CHECK:
        place_text = "compiled anew in every process, with bounds checks: AUDIOPLANE_CHECK is set"
    return {"run": runs, "kept_in": str(place) if place else None, "damaged": damaged, "text": place_text}


def _audio() -> dict[str, str]:
    """The audio features of a run without other settings, and what makes them."""
    from audioplane.audio.front_ends import describe_features
    from audioplane.config import AudioConfig

    own = AudioConfig()
    return {"features": own.features, "front_end": describe_features(own)}


def _model_file(name: str) -> dict[str, Any]:
    file = weights.REGISTRY[name]
    try:
        path, places = weights.find(name), file.candidates()
    except UserError:  # no home folder, which "assets" tells
        path, places = None, []
    return {
        "purpose": file.purpose,
        "found": str(path) if path else None,
        "looked_for": [str(place) for place in places],
        "how_to_get_it": file.how,
        "url": file.url,
        "licence": file.licence,
    }


def _package_folder() -> Path:
    return Path(audioplane.__file__).parent


def describe(report: dict[str, Any]) -> str:
    """The report as text for people."""
    device, threads, folders = report["device"], report["threads"], report["folders"]
    lines = [f"audioplane {report['audioplane']['version']} in {report['audioplane']['folder']}", ""]
    rows = {
        "Python": f"{report['python']['version']}  {report['python']['executable']}",
        "system": report["system"]["name"],
        "device": _device_line(device),
        "rasterizer": f"{report['rasterizer']['name']}: {report['rasterizer']['reason']}",
        "threads": f"{threads['torch']} for torch and our kernels, {threads['usable_cores']} cores usable",
        "ffmpeg": _ffmpeg_line(report["ffmpeg"]),
        "kernels": _kernels_line(report["kernels"]),
        "audio": f"{report['audio']['features']}: {report['audio']['front_end']}",
        "cache": folders["cache"],
        "assets": folders["assets"] + ("" if folders["assets_found"] else "  (no such folder yet)"),
    }
    lines += [f"{label:<12}{text}" for label, text in rows.items()]
    lines += ["", "Packages"]
    lines += [f"  {name:<18}{version or 'not installed'}" for name, version in report["packages"].items()]
    files = report["model_files"]
    found = sum(file["found"] is not None for file in files.values())
    lines += ["", f"Optional model files ({found} of {len(files)} found; all else works without them)"]
    for name, file in files.items():
        state = f"found    {file['found']}" if file["found"] else f"missing  {file['how_to_get_it']}"
        lines.append(f"  {name:<18}{file['purpose']:<44}{state}")
    return "\n".join(lines)


def _device_line(device: dict[str, Any]) -> str:
    if device["cuda_devices"]:
        gpus = ", ".join(f"{gpu['name']} ({gpu['memory_gib']} GiB)" for gpu in device["cuda_devices"])
        nvcc = device["nvcc"] or "not found"
        return f"cuda  {gpus}; torch is built for CUDA {device['torch_built_for_cuda']}; nvcc {nvcc}"
    why = (
        f"torch is built for CUDA {device['torch_built_for_cuda']}, but no GPU answers"
        if device["torch_built_for_cuda"]
        else "torch is a build without CUDA"
    )
    return f"cpu  {device['processor']}; {why}"


def _kernels_line(kernels: dict[str, Any]) -> str:
    lost = len(kernels["damaged"])
    return f"{kernels['text']}{f'; {lost} kept files are damaged and will be made again' if lost else ''}"


def _ffmpeg_line(ffmpeg: dict[str, str | None]) -> str:
    return f"{ffmpeg['version']}  {ffmpeg['path']}" if ffmpeg["path"] else f"none: {ffmpeg.get('reason')}"
