"""Memory of hours of sound: `python -m tests.reliability.hours encode|speak HOURS` prints seconds and megabytes."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

LIMIT = 1.5 * 2**30  # bytes


def voice(path: Path, hours: float) -> Path:
    """A file of speech-like noise, written minute by minute."""
    import soundfile

    rng, times = np.random.default_rng(0), np.arange(60 * 16_000) / 16_000
    loud = np.clip(np.sin(2 * np.pi * 3.1 * times), 0, None) * np.clip(np.sin(2 * np.pi * 0.2 * times) + 0.7, 0, 1)
    with soundfile.SoundFile(path, "w", 16_000, 1, "PCM_16", format="WAV") as file:
        for _ in range(round(60 * hours)):
            file.write(0.3 * loud * (np.sin(2 * np.pi * 140 * times) + 0.3 * rng.standard_normal(len(times))))
    return path


def measure(what: str, run: Path, sound: Path, out: Path) -> None:
    """Encodes or speaks in this process."""
    if what == "encode":
        from audioplane.inference.talking_head import TalkingHead
        from audioplane.media.sound import load_audio

        codes = TalkingHead.load(run).encode(load_audio(sound))
        assert np.isfinite(codes.numpy()).all()
    else:
        from audioplane.cli import main

        assert main(["speak", str(run), str(sound), "--out", str(out)]) == 0


def peak() -> int:
    """The most memory that this process has had, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> int:
    what, hours = sys.argv[1], float(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        if len(sys.argv) > 3:
            run = Path(sys.argv[3])
        else:
            made = "import pathlib, sys; from tests.reliability import inputs; inputs.make(pathlib.Path(sys.argv[1]))"
            subprocess.run([sys.executable, "-c", made, f"{folder}/good"], check=True)
            run = Path(folder) / "good" / "run"
        sound = voice(Path(folder) / "voice.wav", hours)
        before, began = peak(), time.monotonic()
        measure(what, run, sound, Path(folder) / "film.mp4")
        seconds = time.monotonic() - began
        print(f"{what} {hours:g} h: {seconds:.0f} s, {peak() / 2**20:.0f} MB (before: {before / 2**20:.0f})")
        return int(peak() > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
