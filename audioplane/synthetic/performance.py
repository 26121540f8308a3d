"""A speaker's performance of an utterance: all motion of face, head and torso, as tracks at the video's frame rate."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from audioplane.errors import UserError
from audioplane.motion.blinks import blinks
from audioplane.motion.body import Body, body, turned_widely
from audioplane.motion.expression import expression
from audioplane.motion.gaze import gaze, look_shapes
from audioplane.motion.swing import swing
from audioplane.motion.timing import TRACK_RATE, Timing, sample, speech_timing
from audioplane.subject import blendshapes
from audioplane.subject.phonemes import Phoneme
from audioplane.synthetic.articulation import Articulation, articulate
from audioplane.synthetic.script import Script, script_for
from audioplane.synthetic.specs import SpeakerSpec
from audioplane.synthetic.visemes import mouth_shapes
from audioplane.synthetic.voice import SAMPLE_RATE, load_voice

SHORTEST = 2.0  # seconds


@dataclass(frozen=True)
class Performance:
    """A performance. Frame t shows the time (t + 0.5) / fps: the middle of its share of the audio.

    Attributes:
        audio: (n,) float32, 16 kHz mono, exactly T / fps seconds.
        phonemes: seconds from the start of `audio`.
        fps: frames a second.
        train_frames: frames of the training part; all later ones are for test (0 for a driving voice).
        blendshapes: (T, 52) float32 in [0, 1], in the order of `audioplane.subject.blendshapes.NAMES`.
        extras: tracks beyond ARKit's, each (T,) float32 in [0, 1]; see `visemes.EXTRAS`.
        head_pose: (T, 6) float32, rotation vector (radians) and translation (metres) of the head about its mean pose,
            in head axes (x image right, y down, z back): positive x nods down, positive y turns to the image left.
        torso_pose: (T, 6) float32, the same for the torso; small.
        hair_swing: (T, 3) float32, metres in head axes: how far hair that hangs free strays.
        breath: (T,) float32, filling of the lungs, 0..1.
        opening: (T,) float32, the inner-lip distance that the articulation asks for, mm of a mean adult face.
    """

    audio: np.ndarray
    phonemes: tuple[Phoneme, ...]
    fps: float
    train_frames: int
    blendshapes: np.ndarray
    extras: dict[str, np.ndarray]
    head_pose: np.ndarray
    torso_pose: np.ndarray
    hair_swing: np.ndarray
    breath: np.ndarray
    opening: np.ndarray

    @property
    def num_frames(self) -> int:
        return len(self.blendshapes)

    @property
    def times(self) -> np.ndarray:
        """(T,) seconds."""
        return (np.arange(self.num_frames) + 0.5) / self.fps

    def shape(self, name: str) -> np.ndarray:
        """The track of one blendshape, (T,)."""
        return self.blendshapes[:, blendshapes.index(name)]


def perform(
    spec: SpeakerSpec,
    seconds: float | None = None,
    seed: int = 0,
    voice: str | None = None,
    fps: float = 25.0,
    turns: str = "speech",
) -> Performance:
    """Animates a speaker with a voice.

    Args:
        spec: who.
        seconds: length; `None`: all there is (100 s for a speaker's own voice). A shorter performance keeps the split:
            four fifths from the training texts, one fifth from the test texts.
        seed: of everything but the words: blinks, gaze, brows, head, breath.
        voice: drives this face with another voice, by its name; the speech is then what that voice says.
        fps: frames a second.
        turns: how far the head turns, one of `motion.body.TURNS`.

    Returns:
        The performance. The same arguments give the same bytes on the same machine.

    Raises:
        UserError: the voice does not exist or has not that many seconds.
    """
    if fps <= 0:
        raise ValueError(f"perform: fps must be positive; got {fps}")
    foreign = voice is not None and voice != spec.voice
    spoken = load_voice(spec.voice if voice is None else voice)
    order_seed = spec.identity_seed if spec.shuffled and not foreign else None
    speed = 1.0 if foreign else spec.voice_speed
    available = spoken.seconds / speed
    if seconds is None:
        seconds = float(np.floor(available * fps)) / fps
    if not SHORTEST <= seconds <= available + 1e-6:
        raise UserError(
            f"{spec.name} with voice {spoken.name!r} can speak for {SHORTEST:g} to {available:.1f} s; "
            f"asked for {seconds:g} s"
        )
    frames = round(seconds * fps)
    script = script_for(spoken, frames / fps, speed, order_seed, fps)
    return act(spec, script, seed, fps, turns)


def act(spec: SpeakerSpec, script: Script, seed: int = 0, fps: float = 25.0, turns: str = "speech") -> Performance:
    """Adds the motion to the words, whose audio is a whole number of frames long."""
    frames = round(len(script.audio) * fps / SAMPLE_RATE)
    seconds = frames / fps
    articulation = articulate(script.phonemes, script.audio, SAMPLE_RATE, seconds, shortest_hold=1.05 / fps)
    timing = speech_timing(script.phonemes, articulation.loudness, seconds)
    moves = body(timing, _generator(spec, seed, "body"))
    if turns == "wide":
        moves = turned_widely(moves, _generator(spec, seed, "turns"))
    times = (np.arange(frames) + 0.5) / fps
    shapes, extras = _faces(spec, seed, articulation, timing, moves, times)
    head = sample(moves.head, times)
    return Performance(
        audio=script.audio,
        phonemes=script.phonemes,
        fps=fps,
        train_frames=script.train_frames,
        blendshapes=shapes,
        extras=extras,
        head_pose=(head - head.mean(axis=0)).astype(np.float32),
        torso_pose=sample(moves.torso, times).astype(np.float32),
        hair_swing=sample(swing(moves.head, TRACK_RATE), times).astype(np.float32),
        breath=sample(moves.breath, times).astype(np.float32),
        opening=sample(articulation.aperture, times).astype(np.float32),
    )


def _faces(
    spec: SpeakerSpec, seed: int, articulation: Articulation, timing: Timing, moves: Body, times: np.ndarray
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """All 52 weights and the extras: the mouth of the speech, then what the rest of the face adds."""
    asymmetry = float(_generator(spec, 0, "asymmetry").uniform(-1, 1))  # of the person, not of the performance
    mouth, extras = mouth_shapes(articulation, times, asymmetry)
    weights = mouth.astype(np.float64)

    def add(name: str, track: np.ndarray) -> None:
        weights[:, blendshapes.index(name)] += track

    for name, track in expression(timing, _generator(spec, seed, "expression")).items():
        add(name, sample(track, times))
    nod, turn = np.degrees(moves.head[:, 0]), np.degrees(moves.head[:, 1])
    looking = gaze(timing, np.stack([-turn, -nod], axis=1), _generator(spec, seed, "gaze"))
    for name, track in look_shapes(sample(looking, times)).items():
        add(name, track)
    lids = sample(blinks(timing, _generator(spec, seed, "blinks")), times)
    for side, lid in (("Left", lids[:, 0]), ("Right", lids[:, 1])):
        # Lids follow the gaze down; squint and wide eyes give way to the blink.
        follow = 0.35 * weights[:, blendshapes.index("eyeLookDown" + side)]
        add("eyeBlink" + side, lid + follow * (1 - lid))
        for name in ("eyeSquint", "eyeWide"):
            weights[:, blendshapes.index(name + side)] *= 1 - lid
    return np.clip(weights, 0, 1).astype(np.float32), extras


def _generator(spec: SpeakerSpec, seed: int, process: str) -> np.random.Generator:
    """One stream a process, so that a change in one leaves the others as they are."""
    return np.random.default_rng([seed, spec.identity_seed, zlib.crc32(process.encode())])
