"""Memory of hours of sound: `python -m tests.reliability.hours WHAT HOURS [RUN]` prints seconds and megabytes.

    encode     the codes
    plan       the codes, natural poses, eyes and brows: all that `speak` knows before its first picture
    draw       the plan, then `PICTURES` of its pictures, with what memory does meanwhile
    film       the writer alone: pictures of one colour for all frames, and the sound
    speak      all of it

Without RUN a head of 32 pixels is made for it.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

LIMIT = 1.5 * 2**30  # bytes
FPS, SIZE, PICTURES = 25, 32, 3000


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
    """Does one of the things above in this process."""
    from audioplane.cli import main
    from audioplane.inference.talking_head import TalkingHead
    from audioplane.media.sound import load_audio
    from audioplane.media.writer import write_video

    if what == "speak":
        assert main(["speak", str(run), str(sound), "--out", str(out), "--poses", "natural", "--size", str(SIZE)]) == 0
    elif what == "film":
        audio = load_audio(sound)
        count = round(len(audio) / 16_000 * FPS)
        write_video(out, (np.full((SIZE, SIZE, 3), t % 256, np.uint8) for t in range(count)), FPS, audio)
    elif what == "encode":
        codes = TalkingHead.load(run).encode(load_audio(sound))
        assert np.isfinite(codes.numpy()).all()
    else:
        pictures = TalkingHead.load(run).frames(load_audio(sound), "natural", SIZE)
        for number in range(PICTURES if what == "draw" else 1):
            assert next(pictures).shape == (SIZE, SIZE, 3)
            if number % 500 == 0:
                print(f"picture {number}: {now() / 2**20:.0f} MB, at most {peak() / 2**20:.0f}", flush=True)
        pictures.close()


def now() -> int:
    """The memory that this process has, bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


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
