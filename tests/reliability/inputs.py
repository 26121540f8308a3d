"""One small valid input of each kind, which cases copy and damage."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import torch

from audioplane import registry
from audioplane.experiments import records
from tests.media.films import encode, scene
from tests.subject.test_ad_nerf import make_folder
from tests.subject_cases import make_case, write_case
from tests.tiny_run import tiny

RATE = 16_000


def settings(method: str = registry.DEFAULT, *further: str) -> list[str]:
    """Arguments of `audioplane train` for the shortest run of a method that passes through every part of training."""
    from audioplane.config import preset

    changes = {path: value for path, (value, _) in tiny(method).differences(preset("smoke", method)).items()}
    return ["--preset", "smoke", "--set", *(f"{path}={value}" for path, value in changes.items()), *further]


def voice(path: Path, seconds: float = 0.5, rate: int = RATE) -> Path:
    import soundfile

    times = np.arange(int(seconds * rate)) / rate
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * 220 * times) * (1 + np.sin(2 * np.pi * 3 * times)) / 2, rate)
    return path


def make(folder: Path) -> Path:
    """Makes subject, run, voice, film, cloud, other layout, ratings in `folder`; the run by training."""
    from audioplane.config import preset
    from audioplane.evaluation import user_study
    from audioplane.inference.export import export
    from audioplane.splat.gaussians import random_gaussians
    from audioplane.splat.ply import save_ply
    from audioplane.subject import Subject
    from audioplane.training.callbacks import Scalars
    from audioplane.training.trainer import Trainer

    folder.mkdir(parents=True)
    write_case(folder / "subject", make_case(80, 32))
    subject = Subject.open(folder / "subject")
    (folder / "run").mkdir()
    config = preset("smoke").replace(*settings()[3:])
    trainer = Trainer(config, subject, folder / "run", [Scalars(folder / "run", every=5)], device="cpu")
    trainer.run()
    export(trainer, folder / "run" / "head.safetensors")
    voice(folder / "voice.wav")
    encode(folder / "film.mp4", scene(30), "-pix_fmt", "yuv420p")
    points = torch.rand(50, 3, generator=torch.Generator().manual_seed(0))
    save_ply(random_gaussians(points, 0.01, 1, torch.Generator().manual_seed(1)), folder / "cloud.ply")
    make_folder(folder / "nerf")
    rating = {"participant": "p", "identity": "adam", "position": 0, "rating": 3}
    rows = [rating | {"method": m, "criterion": c} for m in ("a", "b") for c in user_study.CRITERIA]
    user_study.append(folder / "ratings.csv", rows)
    (folder / "records").mkdir()
    record(folder / "records" / "record.json")
    records.pack([records.Record.load(folder / "records" / "record.json")], folder / "records")
    models(folder)
    return folder


def models(folder: Path) -> None:
    """Small models, a capture and features, as other programs write them."""
    from audioplane.restore.network import Inpainter
    from audioplane.restore.restorer import About, Restorer
    from audioplane.subject import blendshapes
    from tests.audio import test_whisper_files as whisper_files

    (folder / "models").mkdir()
    for kind in whisper_files.KINDS:
        whisper_files.write(kind, whisper_files.weights(1), folder / "models")
    Restorer(Inpainter(torch.Generator().manual_seed(0)), About("tiny", 32, 40.0)).save(folder / "restorer.safetensors")
    weights = np.random.default_rng(0).random((40, blendshapes.COUNT)).astype(np.float32)
    np.save(folder / "take.npy", weights)
    rows = [f"0:0:{t // 30}:{t % 30}," + ",".join(f"{w:.3f}" for w in row) for t, row in enumerate(weights)]
    (folder / "take.csv").write_text("\n".join([",".join(["Timecode", *blendshapes.NAMES]), *rows]) + "\n")
    np.save(folder / "aud_ds.npy", np.random.default_rng(1).standard_normal((8, 16, 29)).astype(np.float32))


def record(path: Path) -> None:
    """A record of a run."""
    values = {
        "identity": "f3f7ba4d48ce",
        "key": "01e3380eed85",
        "code": "d4145adb0bb9",
        "config": {"seed": 0, "schedule": {"size": 64, "coarse": 5, "fine": 5}, "loss": {"perceptual": "dssim"}},
        "clip": {"speaker": "adam", "seconds": 4.0, "size": 64},
        "driven": None,
        "versions": {"audioplane": "0", "torch": "0"},
        "device": "cpu",
        "made": "2026-01-01",
        "seconds": {"train": 1.0, "evaluate": 1.0},
        "facts": {},
        "measures": {"protocol": "paper", "head_psnr": 30.0},
        "series": {"psnr": [1.0, None, 2.0]},
    }
    path.write_text(json.dumps(values))


def copy(good: Path, names: tuple[str, ...], folder: Path) -> None:
    """Copies some of the valid inputs to a new folder."""
    folder.mkdir(parents=True)
    for name in names:
        if (good / name).is_dir():
            shutil.copytree(good / name, folder / name)
        else:
            shutil.copy2(good / name, folder / name)


def accept(subject: Path, part: str) -> None:
    """Writes a changed part's size and hash into the manifest, so that what it holds is looked at."""
    import hashlib

    manifest = json.loads((subject / "manifest.json").read_text())
    data = (subject / part).read_bytes()
    manifest["parts"][part] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    (subject / "manifest.json").write_text(json.dumps(manifest))
