"""Training data, made by code: speaking mouths of people who do not exist, with voices that do not ship.

Faces are `held_out_N`, whom no table shows. Their voices are espeak-ng's, in variants of which none is a voice that
ships, and they say the sentences of the shipped voices' training parts: the shipped voices, their test sentences and
the driving texts stay unseen. Only the skin and teeth around the mouth are rendered, 6 ms a frame.
"""

from __future__ import annotations

import hashlib
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from audioplane.runtime import arrays, cache, files
from audioplane.runtime.source_hash import source_hash
from audioplane.subject.phonemes import LENGTH, Phoneme
from audioplane.synthetic import cast
from audioplane.synthetic.face.model import RiggedFace
from audioplane.synthetic.filming import DISTANCE, project, rigid
from audioplane.synthetic.lights import studio
from audioplane.synthetic.performance import Performance, act
from audioplane.synthetic.scene import Pose, Scene
from audioplane.synthetic.script import Script
from audioplane.synthetic.voice import SAMPLE_RATE, load_voice

if TYPE_CHECKING:
    from audioplane.synthetic.voice.espeak import Espeak

PIXELS, METRES = 64, 0.128  # of the square that is rendered around the mouth
REACH = 0.075  # metres around the mouth's centre within which the mesh is kept
LANGUAGES = {  # espeak's voices, and the shipped voices whose training sentences they say
    "en": (("en-us", "en-gb-scotland", "en-gb-x-rp"), ("english_a", "english_b")),
    "zh": (("cmn",), ("chinese_m",)),
    "fr": (("fr", "fr-be", "fr-ch"), ("french_m", "french_f")),
    "de": (("de",), ("german_f",)),
}
VARIANTS = (
    "m1", "m2", "m5", "m8", "f2", "f3", "f4", "f5", "klatt", "klatt2", "klatt3", "klatt4", "Alicia", "Andrea",
    "Andy", "Denis", "Diogo", "Gene", "Henrique", "Hugo", "Jacky", "Lee", "Marco", "Mario", "Michael", "Mike", "Reed",
    "adam", "anika", "antonio", "aunty", "boris", "caleb", "david", "ed", "edward", "grandma", "grandpa", "gustave",
    "ian", "john", "linda", "max", "michel", "miguel", "norbert", "pablo", "paul", "quincy", "rob", "robert", "sandro",
    "shelby", "steph", "steph2", "travis", "victor", "zac",
)  # fmt: skip
"""espeak's variants, without those of the voices that ship and without whispers and robots."""

LIPS = str.maketrans({"ʉ": "u", "ʍ": "w", "ʲ": "j", ":": LENGTH})
"""Letters of varieties that no voice that ships speaks -> those with the same lips, whose articulation is known."""

FIRST_FOR_TESTS = 900_000
"""`held_out_N` from this N on are never trained on."""

TESTS = (  # voices that ship, from a second on, for so many seconds: nothing of it is trained on
    *((name, 80.0, 18.0) for name in ("english_a", "english_b", "chinese_m", "french_m", "french_f", "german_f")),
    *((name, 0.0, 18.0) for name in ("english_drive", "chinese_drive", "french_drive", "german_drive")),
    *((name, 18.0, 18.0) for name in ("english_drive", "chinese_drive")),
)


@dataclass(frozen=True)
class Mouth:
    """One person speaking.

    Attributes:
        name: of the person. audio: (n,) float32, 16 kHz.
        frames: (T, 64, 64) uint8, grey, 2 mm a pixel; the head fills them.
        landmarks: (T, 68, 2) float32 in their pixels; most lie outside.
    """

    name: str
    audio: NDArray[np.float32]
    frames: NDArray[np.uint8]
    landmarks: NDArray[np.float32]

    def save(self, path: Path) -> None:
        files.write_arrays(
            path, {"name": self.name, "audio": self.audio, "frames": self.frames, "landmarks": self.landmarks}
        )

    @classmethod
    def load(cls, path: Path) -> Mouth:
        found = arrays.read_npz(path)
        return cls(str(found["name"]), found["audio"], found["frames"], found["landmarks"])


def synthesized(person: int, seconds: float, espeak: Espeak) -> Script:
    """What person N says, in a voice of their own.

    Args:
        person: N of held_out_N; everything is drawn from it.
        seconds: a whole number of frames.
        espeak: the library, open; what it says depends a little on what it said before.
    """
    from audioplane.synthetic.voice.make import Recipe, read_texts, speak

    rng = np.random.default_rng([person, 0x5A])
    spec = cast.find(f"held_out_{person}")
    voices, texts = LANGUAGES[spec.language]
    voice = f"{voices[rng.integers(len(voices))]}+{VARIANTS[rng.integers(len(VARIANTS))]}"
    rate = round((215 if spec.language == "zh" else 158) * rng.uniform(0.8, 1.25))
    recipe = Recipe(spec.language, spec.sex, voice, rate, int(rng.integers(25, 76)))
    sentences = [line for name in texts for line in read_texts(name)["train"]]
    count = round(seconds * SAMPLE_RATE)
    line, phonemes, clock = np.zeros(0), [], float(rng.uniform(0.05, 0.4))
    for place in rng.permutation(len(sentences)):
        spoken = speak(espeak, sentences[place], recipe, rate)
        at = round(clock * espeak.sample_rate)
        line = np.pad(line, (0, max(0, at + len(spoken.samples) - len(line))))
        line[at : at + len(spoken.samples)] += spoken.samples
        phonemes += [replace(p.moved(clock), ipa=p.ipa.translate(LIPS)) for p in spoken.phonemes]
        clock += spoken.seconds + float(rng.uniform(0.15, 0.6))
        if clock > seconds:
            break
    audio = resample_poly(line, SAMPLE_RATE, espeak.sample_rate)
    audio = np.pad(audio, (0, max(0, count - len(audio))))[:count]
    audio *= 0.06 / max(float(np.sqrt((audio**2).mean())), 1e-6)
    return Script(np.tanh(audio).astype(np.float32), tuple(p for p in phonemes if p.end <= seconds), 0)


def shipped(name: str, start: float, seconds: float) -> Script:
    """A stretch of a voice that ships, from `start` seconds on, cut without regard to words."""
    voice = load_voice(name)
    first, count = round(start * SAMPLE_RATE), round(seconds * SAMPLE_RATE)
    inside = [p.moved(-start) for p in voice.phonemes if p.start >= start and p.end <= start + seconds]
    return Script(voice.audio[first : first + count].copy(), tuple(Phoneme(**vars(p)) for p in inside), 0)


def film(person: int, script: Script) -> Mouth:
    """Person N says the words of a script."""
    spec = cast.find(f"held_out_{person}")
    identity = cast.identity_of(spec)
    face = cast.head(identity, "ours")
    play = act(spec, script, seed=person)
    return _shoot(spec.name, face, play, np.random.default_rng([person, 0xF1]))


class _Part:
    """The part of a face's mesh near the mouth, as `Scene` reads it."""

    def __init__(self, face: RiggedFace, near: NDArray[np.bool_]) -> None:
        kept = near[face.faces].any(axis=1)
        self.used = np.unique(face.faces[kept])
        number = np.full(len(face.rest), -1)
        number[self.used] = np.arange(len(self.used))
        self.faces, self.materials, self.labels = number[face.faces[kept]], face.materials[kept], face.labels[kept]
        for name in ("rest", "uv", "albedo", "roughness", "occlusion", "coverage", "flow", "torso_weight"):
            setattr(self, name, getattr(face, name)[self.used])


def _shoot(name: str, face: RiggedFace, play: Performance, rng: np.random.Generator) -> Mouth:
    centre = face.landmarks(face.rest)[48:68].mean(axis=0) + np.array([0.0, 0.004, 0.0])
    away = np.abs(face.rest - centre)
    part: Any = _Part(face, (away[:, :2].max(axis=1) < REACH) & (face.rest[:, 2] < centre[2] + 0.09))
    room = np.full((PIXELS, PIXELS, 3), rng.integers(30, 226, 3), np.uint8)
    light = studio(float(rng.choice([-1.0, 1.0])))
    scene = Scene(part, np.eye(3), room, face.paint, light, distance=DISTANCE, shadow_size=160)
    rest_pose = np.eye(4)
    rest_pose[2, 3] = DISTANCE
    heads, torsos = rest_pose @ rigid(play.head_pose), rest_pose @ rigid(play.torso_pose)
    focal = PIXELS * DISTANCE / METRES
    frames = np.empty((play.num_frames, PIXELS, PIXELS), np.uint8)
    landmarks = np.empty((play.num_frames, 68, 2), np.float32)
    for t in range(play.num_frames):
        extras = {key: float(track[t]) for key, track in play.extras.items()} | {"breath": float(play.breath[t])}
        vertices = face.vertices(play.blendshapes[t], extras)
        x, y, z = heads[t][:3, :3] @ centre + heads[t][:3, 3]
        scene.intrinsics = np.array(
            [[focal, 0, PIXELS / 2 - focal * x / z], [0, focal, PIXELS / 2 - focal * y / z], [0, 0, 1]]
        )
        rgb = scene.render(Pose(vertices[part.used], heads[t], torsos[t])).rgb
        frames[t] = np.round(rgb @ np.array([0.299, 0.587, 0.114]))
        landmarks[t] = project(face.landmarks(vertices), scene.intrinsics, heads[t])
    return Mouth(name, play.audio, frames, landmarks)


def _speak_all(people: Sequence[int], seconds: float) -> list[Script]:
    from audioplane.synthetic.voice.espeak import opened

    espeak = opened()
    return [synthesized(person, seconds, espeak) for person in people]


def _film_to(path: Path, person: int, script: Script) -> None:
    import torch

    torch.set_num_threads(1)
    film(person, script).save(path)


def make(people: range, seconds: float, jobs: int = 2, report: Callable[[str], Any] = lambda line: None) -> list[Mouth]:
    """The mouths of `people`, from the cache where they have been made already.

    One fresh process speaks for all of them in order, which makes what espeak says repeatable.

    Raises:
        UserError: espeak-ng is not installed.
    """

    def scripts() -> list[Script]:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            return pool.submit(_speak_all, people, seconds).result()

    return _made(f"{people} {seconds}", list(people), scripts, jobs, report)


def make_tests(jobs: int = 2, report: Callable[[str], Any] = lambda line: None) -> list[Mouth]:
    """Held-out people with held-out voices and words: the shipped voices' test parts and the driving voices."""
    people = [FIRST_FOR_TESTS + k for k in range(len(TESTS))]
    return _made(f"tests {TESTS}", people, lambda: [shipped(*test) for test in TESTS], jobs, report)


def _made(
    asked: str, people: list[int], scripts: Callable[[], list[Script]], jobs: int, report: Callable[[str], Any]
) -> list[Mouth]:
    key = hashlib.sha256(f"{source_hash(__name__)} {asked}".encode())
    folder = cache.make("sync") / key.hexdigest()[:12]
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{person}.npz" for person in people]
    if not all(path.exists() for path in paths):
        with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
            waiting = [
                pool.submit(_film_to, path, person, script)
                for person, path, script in zip(people, paths, scripts(), strict=True)
                if not path.exists()
            ]
            for done, future in enumerate(waiting, 1):
                future.result()
                if done % 12 == 0 or done == len(waiting):
                    report(f"filmed {done} of {len(waiting)} people")
    return [Mouth.load(path) for path in paths]
