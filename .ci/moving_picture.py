"""Makes figures/adam_speaks.webp, with which the README opens: the head that ships speaks an embedded voice.

python .ci/moving_picture.py
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

from audioplane import TalkingHead
from audioplane.synthetic.voice import SAMPLE_RATE, load_voice

OUT = Path(__file__).resolve().parents[1] / "figures" / "adam_speaks.webp"
SECONDS, EVERY, QUALITY, LIMIT = 5.0, 2, 72, 500_000


def main() -> int:
    head = TalkingHead.load("adam")
    audio = load_voice("english_drive").audio[: int(SECONDS * SAMPLE_RATE)]
    frames = [Image.fromarray(frame) for k, frame in enumerate(head.frames(audio, poses="natural")) if k % EVERY == 0]
    duration = round(1000 * EVERY / head.fps)
    frames[0].save(
        OUT, "WEBP", save_all=True, append_images=frames[1:], duration=duration, loop=0, quality=QUALITY, method=6
    )
    size = OUT.stat().st_size
    print(f"{OUT}: {size / 1e3:.0f} kB, {len(frames)} frames")
    return 0 if size <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
