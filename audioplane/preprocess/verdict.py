"""The report on a video: what was found in it, in numbers and words, and whether it can be used."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from audioplane.media.reader import MediaReader
from audioplane.preprocess.bundle import Lens, Poses
from audioplane.preprocess.capture import CaptureQuality
from audioplane.preprocess.pose_errors import rms_jitter
from audioplane.preprocess.survey import EVERY, silences
from audioplane.subject.format import FPS
from audioplane.subject.masks import face_height

if TYPE_CHECKING:
    from audioplane.preprocess.preparation import Look

SMALL_FACE = 110  # pixels from brows' middle to chin, in the video, below which lips are mush
SHORT = 45.0  # seconds below which a voice is hardly learnt
LATE = 1.5  # frames by which sound and picture may differ
TELLING = 10.0  # seconds below which one's own voice may not show as such
BEYOND = 0.005  # of the picture's side, by which a landmark must be outside for the face to be cut off
BRIEF = 5  # frames; what is shorter is not told by its time


@dataclass(frozen=True)
class Facts:
    """What was found in a video.

    Attributes:
        file: its name. width, height, rate, codec: of its pictures. frames, seconds, start: of what was taken.
        looked_at: seconds that were asked for; the longest stretch of them with a face was taken. lost: (start, end) in
            seconds of the video, as --start and --end take them, at which no face is there outside of that stretch.
        crop: left, top, side in its pixels. face_pixels: from the bridge of the nose to the chin, in its pixels.
        face_share: of the frames that have a face. gone: (start, end) in seconds of the video without one, in what was
            taken. cut_share: of the frames in which part of the face is beyond the picture's edge. cut_off: when, as
            `gone`. focal: in sides of the picture.
        cuts: seconds of the video at which it jumps. silences: (start, end) of it without speech.
        other_faces: share of the frames with a second face. jitter_degrees, jitter_mm: root mean square second
            difference of the head's pose, its own motion and error together. turns_degrees: spread of the head's
            rotation (left-right, up-down, roll). background_seen: share of the background that was ever visible.
            change: usual change from frame to frame of the background. damaged: what is wrong with the file, or "".
        sound: see `Piece.sound`. clipping: share of samples at full scale. notes: what was done to pictures and sound
            beyond what every file needs, each in words. face: which was asked for. capture: how good that of eyes and
            brows is; None where the landmarks come without one.
    """

    file: str
    width: int
    height: int
    rate: float
    codec: str
    start: float
    frames: int
    seconds: float
    looked_at: float
    lost: list[tuple[float, float]]
    crop: tuple[int, int, int]
    face_pixels: float
    face_share: float
    gone: list[tuple[float, float]]
    cut_share: float
    cut_off: list[tuple[float, float]]
    focal: float
    cuts: list[float]
    silences: list[tuple[float, float]]
    other_faces: float
    jitter_degrees: float
    jitter_mm: float
    turns_degrees: tuple[float, float, float]
    background_seen: float
    damaged: str
    sound: dict[str, Any] = field(default_factory=dict)
    clipping: float = 0.0
    notes: list[str] = field(default_factory=list)
    face: str = "largest"
    capture: CaptureQuality | None = None

    @staticmethod
    def gather(
        look: Look,
        source: MediaReader,
        asked: float,
        start: float,
        count: int,
        box: tuple[int, int, int, int],
        size: int,
        breaks: list[int],
        seen: np.ndarray,
        landmarks: np.ndarray,
        poses: Poses,
        lens: Lens,
        background_seen: float,
        samples: np.ndarray,
        sound: dict[str, Any],
    ) -> Facts:
        """From what the steps found; landmarks T x 68 x 2 pixels of the crop resized to `size`; asked: --start."""
        from scipy.spatial.transform import Rotation

        turns = Rotation.from_matrix(poses.R).as_rotvec(degrees=True)
        face = np.array([0.0, 0.0, -0.08])
        cut = beyond(landmarks, size)
        lost = np.repeat(~np.isfinite(look.seen.main[:, 0]), EVERY)[: len(look.seen.change)]
        lost[look.first : look.first + look.count] = False
        places = 1000 * (poses.R @ face + poses.t)[:, :2]
        relative = Rotation.from_matrix(poses.R @ poses.R[len(poses) // 2].T).as_rotvec(degrees=True)
        return Facts(
            file=source.path.name, width=source.width, height=source.height, rate=round(float(source.rate), 3),
            codec=source.codec, start=round(start, 3), frames=count, seconds=round(count / FPS, 2),
            looked_at=round(len(lost) / FPS, 2), lost=spans(lost, asked), gone=spans(~seen, start),
            cut_share=round(float(cut.mean()), 4), cut_off=spans(cut, start),
            crop=(box[0], box[1], box[2]), face_pixels=round(face_height(landmarks) * box[2] / size, 1),
            face_share=round(float(seen.mean()), 4), focal=round(lens.focal / size, 3),
            cuts=[round(start + t / FPS, 2) for t in breaks],
            silences=[(round(start + a, 2), round(start + b, 2)) for a, b in silences(samples)],
            other_faces=round(look.seen.others, 3), jitter_degrees=round(rms_jitter(relative, tuple(breaks)), 3),
            jitter_mm=round(rms_jitter(places, tuple(breaks)), 3),
            turns_degrees=tuple(round(float(turns[:, k].std()), 1) for k in (1, 0, 2)),  # type: ignore[arg-type]
            background_seen=round(background_seen, 3), damaged=look.damaged, sound=sound,
            clipping=round(float((np.abs(samples) > 0.999).mean()), 5),
            notes=[*source.notes, *sound.get("notes", ())], face=look.seen.choice,
        )  # fmt: skip

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def troubles(self) -> list[str]:
        """What may hurt, the worst first; each one sentence."""
        out = []
        if self.damaged:
            out.append(f"the file is damaged: {self.damaged}; what can be read was taken")
        if self.lost:
            out.append(
                f"the face is gone at {_times(self.lost)}: of {self.looked_at:.1f} s only the longest stretch with a "
                "face was taken; --start and --end choose another"
            )
        if self.face_share < 0.98:
            when = f" (at {_times(self.gone)})" if self.gone else ""
            out.append(f"{1 - self.face_share:.0%} of the frames have no face{when} and are not to be learnt from")
        if self.cut_share > 0.005:
            when = f" (at {_times(self.cut_off)})" if self.cut_off else ""
            out.append(
                f"in {self.cut_share:.1%} of the frames the face is cut off by the picture's edge{when}: leave them "
                "out with --start and --end, or film with more room around the head"
            )
        if self.face_pixels < SMALL_FACE:
            out.append(f"the face is small ({self.face_pixels:.0f} pixels from nose bridge to chin): lips will be soft")
        if self.seconds < SHORT:
            out.append(f"{self.seconds:.0f} s are little: a voice wants a minute or more")
        out += self._lag_troubles()
        for slip in self.sound.get("slips", ()):
            order = "later" if slip["frames"] > 0 else "earlier"
            mended = "mended" if self.sound.get("slips_mended") else "--shift-audio auto mends it"
            out.append(
                f"at about {slip['at']:g} s the picture slips against the sound: from there on it comes "
                f"{abs(slip['frames']):.1f} frames {order}; {mended}"
            )
        if self.other_faces > 0.1:
            taken = "the larger" if self.face == "largest" else f"--face {self.face}"
            out.append(
                f"there is a second face in {self.other_faces:.0%} of the frames; {taken} was taken, --face "
                "chooses another"
            )
        if self.cuts:
            times = ", ".join(f"{t:g}" for t in self.cuts[:6])
            out.append(f"the picture jumps at {times} s{' and later' if len(self.cuts) > 6 else ''}: see --split")
        if self.silences:
            quiet = sum(b - a for a, b in self.silences)
            out.append(f"nobody speaks for {quiet:.0f} s of it")
        if self.sound.get("rate", 48000) < 16000:
            out.append(f"the sound was recorded at {self.sound['rate'] / 1000:g} kHz: f, s and sh sound alike in it")
        if self.clipping > 0.001:
            out.append("the sound is clipped")
        if max(self.turns_degrees[:2]) < 1.0:
            out.append("the head hardly turns: its sides stay unknown")
        return out + ([] if self.capture is None else self.capture.troubles())

    def _lag_troubles(self) -> list[str]:
        """What mouth and sound say of each other."""
        lag, steady, clear = (self.sound.get(f"lag_{name}") for name in ("frames", "steady", "clear"))
        if lag is None or (steady and not clear and self.seconds < TELLING):
            return ["whether mouth and sound are in step cannot be told from it"]
        if steady and not clear:
            return ["mouth and sound hardly go together: is this the speaker's own voice?"]
        if abs(lag) <= LATE and steady:
            return []
        order, moved = "after" if lag > 0 else "before", self.sound.get("shifted")
        if moved:
            done = f"the sound was shifted by {moved:+.2f} s"
        elif steady:
            done = "--shift-audio auto corrects it"
        else:
            done = "but not all through it: look, then move it with --shift-audio"
        return [f"the mouth moves {abs(lag):.1f} frames ({abs(lag) / FPS:.2f} s) {order} the sound; {done}"]

    def verdict(self) -> str:
        """One word: good, usable or poor."""
        whole = self.face_share - self.cut_share  # of the frames show all of the face
        poor = bool(self.damaged) or whole < 0.8 or self.face_pixels < 0.6 * SMALL_FACE or self.seconds < 8
        troubles = len(self.troubles())
        return "poor" if poor else "good" if troubles == 0 else "usable"

    def report(self) -> str:
        """Plain words for the user."""
        sound = self.sound
        lag = sound.get("lag_frames")
        told = (
            "unknown"
            if lag is None or not sound["lag_clear"]
            else f"{lag:+.1f} frames (correlation {sound['lag_correlation']:.2f})"
        )
        x, y, side = self.crop
        lines = [
            f"{self.file}: {self.width}x{self.height} {self.codec} at {self.rate:g} a second, "
            f"sound {sound['rate'] / 1000:g} kHz x{sound['channels']}",
            f"  taken     {self.frames} frames, {self.seconds:.1f} s from {self.start:g} s on; crop {side} at {x}, {y}",
            f"  face      in {self.face_share:.1%} of frames, {self.face_pixels:.0f} pixels from nose bridge to chin",
            f"  pose      focal length {self.focal:.2f} sides; jitter {self.jitter_degrees:.2f} degrees, "
            f"{self.jitter_mm:.2f} mm a frame squared",
            f"  lag       {told}",
            *([] if self.capture is None else [f"  eyes      {self.capture.line()}"]),
            *(f"  note      {note}" for note in self.notes),
            f"  verdict   {self.verdict()}" + "".join(f"\n            - {trouble}" for trouble in self.troubles()),
        ]
        return "\n".join(lines)


def beyond(landmarks: np.ndarray, size: int) -> np.ndarray:
    """T bool: frames in which some of the T x 68 x 2 landmarks are outside of the picture."""
    reach = BEYOND * size
    with np.errstate(invalid="ignore"):
        outside = (landmarks < -reach) | (landmarks > size + reach)
    return np.asarray(outside.any((1, 2)))


def spans(frames: np.ndarray, start: float) -> list[tuple[float, float]]:
    """(start, end) in seconds of each run of true frames that is not brief; the first frame is at `start`."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], frames.astype(int), [0]])))
    runs = [(a, b) for a, b in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True) if b - a >= BRIEF]
    return [(round(start + a / FPS, 2), round(start + b / FPS, 2)) for a, b in runs]


def _times(runs: list[tuple[float, float]], most: int = 4) -> str:
    """The first few, in words."""
    told = ", ".join(f"{a:g}-{b:g}" for a, b in runs[:most])
    return f"{told} s{' and later' if len(runs) > most else ''}"
