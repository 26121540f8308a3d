"""The steps in their order: `prepare` runs them and writes the Subject."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np

from audioplane import __version__, cache, weights
from audioplane.errors import UserError
from audioplane.prepare import background, bundle, cached, face_shape, flow, masks, trajectory
from audioplane.prepare.bundle import Lens, Poses
from audioplane.prepare.landmarks import KINDS, Track, follow, ibug, landmarker
from audioplane.prepare.source import Source
from audioplane.prepare.survey import EVERY, Survey, crop, cuts, frame_count, survey
from audioplane.prepare.verdict import Facts
from audioplane.subject.format import FPS, SAMPLE_RATE
from audioplane.subject.masks import HAIR, TORSO, face_height, motion_mask, mouth_opening
from audioplane.subject.sync import mouth_sound_sync
from audioplane.subject.writer import SubjectWriter

T = TypeVar("T")
Progress = Callable[[str, int], Callable[[int], object]]
"""Opens a bar: (name, total) -> a function that is told how much more is done."""

SHORTEST = 2.0  # seconds
LEAST_SHARE = 0.5  # of the frames, that must have a face
GAP = 3  # samples of the survey without a face that end a stretch
LATE = 1.5  # frames by which sound and picture must differ before `--shift-audio auto` moves the sound
SKIPPABLE = ("hair", "flow", "weights", "bundle", "inertia", "refine")


@dataclass(frozen=True)
class Settings:
    """Every choice.

    Attributes:
        size: side of the Subject's pictures, pixels. start, end: of what is taken, seconds after the first picture.
        landmarks: "mediapipe" or "face-alignment". focal: in sides of the picture; 0 searches it.
        shift_audio: seconds by which the sound is put later, or "auto". train: seconds to learn from, the rest is held
            out; 0 takes 80 %. rounds: of photometric refinement. refine_size: side of its pictures, pixels.
        skip: parts that are left out, of `SKIPPABLE`. seed: of the still cloud.
    """

    size: int = 512
    start: float = 0.0
    end: float | None = None
    landmarks: str = "mediapipe"
    focal: float = 0.0
    shift_audio: float | str = 0.0
    train: float = 0.0
    rounds: int = 2
    refine_size: int = 128
    skip: tuple[str, ...] = ()
    seed: int = 0

    def check(self) -> None:
        """Refuses what is not possible, in a sentence."""
        if not 64 <= self.size <= 1024 or self.size % 2:
            raise UserError(f"--size is an even number from 64 to 1024, not {self.size}")
        if self.start < 0 or (self.end is not None and self.end <= self.start):
            raise UserError(f"--start and --end must lie in order, from 0 s on; got {self.start:g} and {self.end}")
        if self.landmarks not in KINDS:
            raise UserError(f"--landmarks is {' or '.join(KINDS)}, not {self.landmarks!r}")
        unknown = [name for name in self.skip if name not in SKIPPABLE]
        if unknown:
            raise UserError(f"--skip takes {', '.join(SKIPPABLE)}; not {unknown[0]!r}")
        if isinstance(self.shift_audio, str) and self.shift_audio != "auto":
            raise UserError(f"--shift-audio takes seconds or auto, not {self.shift_audio!r}")


@dataclass(frozen=True)
class Look:
    """What the first look at a video told: see `Survey`; `first` frame and `count` of what is taken."""

    seen: Survey
    end: float
    damaged: str
    first: int
    count: int

    @property
    def breaks(self) -> list[int]:
        """Cuts within what is taken, counted from its first frame."""
        return [t - self.first for t in cuts(self.seen.change) if self.first < t < self.first + self.count]


class Preparation:
    """One video on its way to a Subject.

    Args:
        video: the file. settings: every choice. progress: opens a bar for a step.
    """

    def __init__(self, video: Path, settings: Settings, progress: Progress) -> None:
        settings.check()
        self.settings, self.progress = settings, progress
        self.source = Source.open(video)
        if not self.source.has_sound:
            raise UserError(f"{video} has no sound track: a talking head cannot be learnt without the voice")
        self.finder = landmarker(settings.landmarks)
        digest = weights.digest(video)
        self.steps = cached.Steps(cache.make("prepare", digest[:16]), digest)
        cached.remove_leftovers(self.steps.folder)

    def bar(self, name: str, total: int) -> Callable[[int], object]:
        return self.progress(name, total)

    # Looking

    def look(self) -> Look:
        """Reads all timestamps, searches faces and cuts, and takes the longest stretch with a face.

        Raises:
            UserError: too short, or hardly any face.
        """
        own, path = self.settings, self.source.path
        timing = self.steps("read", self._read, {})
        end, damaged = float(timing["end"]), str(timing["damaged"])
        stop = min(end, own.end) if own.end else end
        count = frame_count(stop, own.start)
        if count < SHORTEST * FPS:
            whole = f"it lasts {end:.2f} s" + (f" ({damaged})" if damaged else "")
            taken = "" if own.start == 0 and not own.end else f", of which {max(stop - own.start, 0):.2f} s are taken"
            raise UserError(f"{path} is too short: {whole}{taken}; at least {SHORTEST:g} s are needed, better minutes")
        arrays = self.steps(
            "survey", lambda: self._survey(own.start, count),
            {"start": own.start, "count": count, "landmarks": own.landmarks}, ("read",),
        )  # fmt: skip
        seen = Survey(arrays["faces"], arrays["change"], arrays["repeated"])
        if seen.share < LEAST_SHARE:
            raise UserError(
                f"{path}: a face was found in only {seen.share:.0%} of the frames; take a stretch in which the person "
                "faces the camera, with --start and --end"
            )
        first, last = _longest(np.isfinite(seen.faces[:, 0, 0]))
        first, last = first * EVERY, min(last * EVERY, count)
        if last - first < SHORTEST * FPS:
            raise UserError(f"{path}: the face is never there for {SHORTEST:g} s together")
        return Look(seen, end, damaged, first, last - first)

    def _read(self) -> dict[str, Any]:
        timing = self.source.timing()
        return {"times": timing.times, "end": timing.end, "declared": timing.declared, "damaged": timing.damaged}

    def _survey(self, start: float, count: int) -> dict[str, Any]:
        seen = survey(self.source, self.finder, start, count, self.bar("look", count))
        return {"faces": seen.faces, "change": seen.change, "repeated": seen.repeated}

    # The pieces of one stretch

    def piece(self, look: Look, first: int, count: int) -> Piece:
        """Everything about `count` frames from `first` on, both counted as in `look.seen`."""
        box = crop(look.seen.main, self.source.width, self.source.height)
        return Piece(self, look, first, count, box)


def _longest(there: np.ndarray) -> tuple[int, int]:
    """First and end of the longest run of samples whose gaps are shorter than `GAP`."""
    filled = there.copy()
    edges = np.flatnonzero(np.diff(np.concatenate([[1], there.astype(int), [1]])))
    for a, b in zip(edges[::2], edges[1::2], strict=True):
        if b - a < GAP:
            filled[a:b] = True
    edges = np.flatnonzero(np.diff(np.concatenate([[0], filled.astype(int), [0]])))
    runs = list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
    return max(runs, key=lambda run: run[1] - run[0])


@dataclass
class Piece:
    """One stretch of a video: its steps, and the Subject made of them.

    Attributes:
        whole: the video. look: what is known of it. first, count: frames. box: the crop, pixels of the video.
    """

    whole: Preparation
    look: Look
    first: int
    count: int
    box: tuple[int, int, int, int]

    @property
    def settings(self) -> Settings:
        return self.whole.settings

    @property
    def start(self) -> float:
        """Seconds after the first picture."""
        return self.settings.start + self.first / FPS

    @property
    def breaks(self) -> list[int]:
        """Frames of this piece that do not go on from the one before."""
        return [t - self.first for t in cuts(self.look.seen.change) if self.first < t < self.first + self.count]

    def frames(self) -> Iterator[np.ndarray]:
        """The cropped pictures, size x size x 3 uint8."""
        return self.whole.source.pictures(self.start, self.count, self.box, self.settings.size)

    def step(
        self, name: str, make: Callable[[], dict[str, Any]], after: tuple[str, ...] = (), **settings: Any
    ) -> cached.Arrays:
        """A cached step that also depends on which frames these are."""
        where = {"start": self.start, "count": self.count, "box": list(self.box), "size": self.settings.size}
        return self.whole.steps(name, make, {**where, **settings}, after)

    # Steps

    def faces_and_mattes(self) -> tuple[Track, masks.Pictures, masks.Pictures | None]:
        """Landmarks and mattes, side by side: they need nothing of each other."""
        scale, hair = self.settings.size / self.box[2], "hair" not in self.settings.skip
        seen = self.look.seen.expected(self.first + self.count)[self.first :]
        expected = (seen - [self.box[0], self.box[1], 0]) * scale

        def find() -> dict[str, Any]:
            track = follow(self.frames(), self.whole.finder, expected, self.whole.bar("landmarks", self.count))
            return {"points": track.points, "presence": track.presence, "blendshapes": track.blendshapes}

        def matte() -> dict[str, Any]:
            people, hairs = masks.mattes(self.frames(), hair, self.whole.bar("mattes", self.count))
            both = {"people": people.blob, "people_at": people.offsets}
            return both if hairs is None else {**both, "hairs": hairs.blob, "hairs_at": hairs.offsets}

        with ThreadPoolExecutor(2) as pool:
            a = pool.submit(self.step, "landmarks", find, ("survey",), landmarks=self.settings.landmarks)
            b = pool.submit(self.step, "mattes", matte, hair=hair)
            found, drawn = a.result(), b.result()
        track = Track(found["points"], found["presence"], found.get("blendshapes"))
        if track.found.mean() < LEAST_SHARE:
            raise UserError(f"{self.whole.source.path}: the face was followed in only {track.found.mean():.0%} of frames")
        hairs = masks.Pictures(drawn["hairs"], drawn["hairs_at"]) if "hairs" in drawn else None
        return track, masks.Pictures(drawn["people"], drawn["people_at"]), hairs

    def pose(self, track: Track) -> tuple[Lens, Poses]:
        """Focal length, shape and poses from points."""
        skip = [name for name in SKIPPABLE if name in self.settings.skip and name not in ("hair", "refine")]
        made = self.step("pose", lambda: self._pose(track), ("landmarks",), focal=self.settings.focal, skip=skip)
        return Lens(*made["lens"].tolist()), Poses(made["R"], made["t"])

    def _pose(self, track: Track) -> dict[str, Any]:
        skip, size, seen = self.settings.skip, self.settings.size, track.found
        path = HeadPath.find(track, size, self.settings.focal, "weights" not in skip, "bundle" not in skip)
        tracks = None
        if "flow" not in skip:
            tracks = flow.track(
                self.frames(), path.shape, path.poses, path.lens, self.breaks, "weights" not in skip,
                self.whole.bar("flow", self.count),
            )  # fmt: skip
        inertia = 1e-4 if "inertia" in skip else 1.0
        poses = trajectory.solve(
            path.points, path.shape, path.weights, path.poses, path.lens, self.breaks, tracks, seen, inertia=inertia
        )
        return {"lens": [path.lens.focal, path.lens.x, path.lens.y], "R": poses.R, "t": poses.t, "shape": path.shape}

    def labels(self, draw: masks.Labeller, seen: np.ndarray) -> masks.Pictures:
        """A label picture of every frame."""

        def make() -> dict[str, Any]:
            done, out = self.whole.bar("masks", self.count), []
            for label in _each(lambda t, frame: _label(draw, seen, t, frame), self.frames()):
                out.append(label)
                done(1)
            pictures = masks.Pictures.of(out)
            return {"blob": pictures.blob, "at": pictures.offsets}

        made = self.step("labels", make, ("pose", "mattes"))
        return masks.Pictures(made["blob"], made["at"])

    def refined(self, lens: Lens, poses: Poses, labels: masks.Pictures, points: np.ndarray, seen: np.ndarray) -> Poses:
        """Poses from pictures."""
        own = self.settings
        if "refine" in own.skip:
            return poses

        def make() -> dict[str, Any]:
            from audioplane.prepare import refine

            stage = self._stage(lens, poses, labels, points, seen)
            done = self.whole.bar("refine", refine.work(int(seen.sum()), own.rounds))
            found = refine.refine(stage, poses, self.breaks, own.rounds, own.seed, done)
            return {"R": found.R, "t": found.t}

        made = self.step("refine", make, ("labels",), rounds=own.rounds, side=own.refine_size, seed=own.seed)
        return Poses(made["R"], made["t"])

    def _stage(self, lens: Lens, poses: Poses, labels: masks.Pictures, points: np.ndarray, seen: np.ndarray) -> Any:
        from audioplane.prepare.refine import Stage

        side, tall = self.settings.refine_size, face_height(points[seen])

        def shrink(t: int, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            label = labels[t]
            head = _half(label >= HAIR, side)
            moving = _half(motion_mask(label, points[t], tall), side)
            look = (cv2.erode(head.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0) & ~moving
            small = cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA)
            return small, head.astype(np.uint8) | look.astype(np.uint8) << 1

        both = list(_each(shrink, self.frames()))
        K = lens.K.copy()
        K[:2] *= side / self.settings.size
        images, heads = np.stack([b[0] for b in both]), np.stack([b[1] for b in both])
        return Stage(images, heads, K, poses.matrices(), seen)

    def behind(self, labels: masks.Pictures) -> tuple[np.ndarray, float]:
        """The still background, and the share of it that was seen."""

        def make() -> dict[str, Any]:
            image, share = background.still_background(self.frames(), labels, self.whole.bar("background", self.count))
            return {"image": image, "share": share}

        made = self.step("background", make, ("labels",))
        return made["image"], float(made["share"])

    def sound(self, opening: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
        """16 kHz samples in step with the frames, and what is known of them."""
        seconds = self.count / FPS
        shift: float | str = self.settings.shift_audio
        plain = self.whole.source.sound(self.start, seconds)
        sync = mouth_sound_sync(opening, plain.samples)
        facts: dict[str, Any] = {
            "rate": plain.rate, "channels": plain.channels, "codec": plain.codec, "starts_at": round(plain.start, 4),
            "lag_frames": None if sync is None else round(sync.lag, 2),
            "lag_correlation": None if sync is None else round(sync.correlation, 3),
        }  # fmt: skip
        if shift == "auto":
            shift = 0.0
            if sync is not None and abs(sync.lag) > LATE and sync.correlation > max(0.2, sync.at_zero + 0.02):
                shift = sync.lag / FPS
        facts["shifted"] = round(float(shift), 4)
        samples = plain.samples if not shift else self.whole.source.sound(self.start - float(shift), seconds).samples
        lacking = round(seconds * SAMPLE_RATE) - len(samples)
        return np.pad(samples, (0, max(lacking, 0))), facts

    # The whole

    def write(self, out: Path, name: str) -> Facts:
        """Runs all steps and writes the Subject; returns what is worth knowing about it."""
        track, people, hairs = self.faces_and_mattes()
        lens, poses = self.pose(track)
        seen = track.found
        landmarks = ibug(track.points[..., :2])
        points = _filled(landmarks, seen)
        draw = masks.Labeller(self.settings.size, people, hairs, points, poses, lens, self.breaks)
        labels = self.labels(draw, seen)
        with ThreadPoolExecutor(2) as pool:
            waiting = pool.submit(self.behind, labels)
            poses = self.refined(lens, poses, labels, points, seen)
            still, share = waiting.result()
        samples, about_sound = self.sound(mouth_opening(landmarks))
        facts = Facts.gather(
            self.look, self.whole.source, self.start, self.count, self.box, self.settings.size, self.breaks, seen,
            landmarks, poses, lens, share, samples, about_sound,
        )  # fmt: skip
        provenance = {
            "made_by": f"audioplane prepare {__version__}", "source_sha256": self.whole.steps.source,
            "landmarks": self.settings.landmarks, "skipped": list(self.settings.skip),
            "poses_refined_on_pictures": "refine" not in self.settings.skip, **facts.as_json(),
        }  # fmt: skip
        with SubjectWriter(out, name, self.settings.size, self.settings.size, provenance=provenance) as writer:
            self._fill(writer, labels, still, samples)
            writer.set_landmarks(landmarks)
            writer.set_cameras(lens.K, poses.matrices())
            if track.blendshapes is not None:
                writer.set_blendshapes(track.blendshapes)
            if self.settings.train:
                end = min(round(self.settings.train * FPS), self.count)
                writer.set_split((0, end), (end, self.count))
        return facts

    def _fill(self, writer: SubjectWriter, labels: masks.Pictures, still: np.ndarray, samples: np.ndarray) -> None:
        writer.set_background(still)
        writer.set_audio(samples)
        writer.describe_without_head("the still background, with the neck painted upward under the head")
        done = self.whole.bar("write", self.count)

        def pictures(t: int, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            label = labels[t]
            return frame, label, background.without_head(frame, label, still)

        for frame, label, empty in _each(pictures, self.frames()):
            writer.add_frame(frame, label, without_head=empty)
            done(1)


def _label(draw: masks.Labeller, seen: np.ndarray, t: int, frame: np.ndarray) -> np.ndarray:
    label = draw(t, frame)
    if not seen[t]:  # no face: whoever is there is not the head to learn
        label[label >= HAIR] = TORSO
    return label


def _half(mask: np.ndarray, side: int) -> np.ndarray:
    return cv2.resize(mask.astype(np.uint8) * 255, (side, side), interpolation=cv2.INTER_AREA) > 127


def _filled(landmarks: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Landmarks with frames that have none filled from their neighbours."""
    at, flat = np.flatnonzero(seen), landmarks.reshape(len(landmarks), -1)
    every = np.arange(len(landmarks))
    columns = [np.interp(every, at, flat[at, k]) for k in range(flat.shape[1])]
    return np.stack(columns, 1).reshape(landmarks.shape).astype(np.float64)


def _each(function: Callable[[int, np.ndarray], T], frames: Iterator[np.ndarray], threads: int = 2) -> Iterator[T]:
    """function(t, frame) of every frame, in order, on some threads."""
    with ThreadPoolExecutor(threads) as pool:
        numbered = enumerate(frames)
        while batch := list(islice(numbered, 8 * threads)):
            yield from pool.map(lambda item: function(*item), batch)


@dataclass(frozen=True)
class HeadPath:
    """Focal length, shape and first poses from landmarks alone.

    Attributes:
        lens: of the pictures. shape: N x 3 metres. weights: N. points: T x N x 2 pixels. poses: T; frames without a
            face have a neighbour's.
    """

    lens: Lens
    shape: np.ndarray
    weights: np.ndarray
    points: np.ndarray
    poses: Poses

    @staticmethod
    def find(track: Track, size: int, focal: float, semantic: bool, adjust: bool) -> HeadPath:
        """SyncTalk++'s Head Motion Tracker and bundle adjustment (Eq. 7, 8, 11, 12).

        Args:
            track: of the face. size: side of the pictures. focal: in sides; 0 searches. semantic: whether brows, lids,
                lips and jaw weigh less. adjust: whether shape and poses are refined together.
        """
        seen = track.found
        if track.points.shape[1] == 68:
            shape = face_shape.GENERIC
        else:
            shape = face_shape.mean_shape(track.points)
            s, R, t = face_shape.to_head_axes(ibug(shape))
            shape = s * shape @ R.T + t
        weigh = face_shape.semantic_weights(shape) if semantic else np.ones(len(shape))
        use = weigh > 0
        shape, weigh = shape[use], weigh[use]
        points = track.points[:, use, :2].astype(np.float64)
        known = points[seen]
        lens = Lens(focal * size, size / 2, size / 2)
        if not focal:
            lens, _ = bundle.search_focal(known, shape, weigh, size)
        poses = bundle.fit_poses(known, shape, weigh, bundle.first_poses(known, shape, weigh, lens), lens)
        if adjust:
            chosen = bundle.keyframes(len(known))
            shape, _, _ = bundle.adjust(known[chosen], shape, weigh, poses[chosen], lens)
            poses = bundle.fit_poses(known, shape, weigh, poses, lens)
        number = np.searchsorted(np.flatnonzero(seen), np.arange(len(seen))).clip(0, len(known) - 1)
        return HeadPath(lens, shape, weigh, points, poses[number])


def prepare(
    video: str | Path, out: str | Path, settings: Settings = Settings(), name: str = "", split: bool = False,
    progress: Progress = lambda step, total: lambda done: None,
) -> list[tuple[Path, Facts]]:  # fmt: skip
    """Turns a video of one person who speaks into a Subject.

    Args:
        video: any file that FFmpeg reads. out: the new folder. settings: every choice.
        name: of the speaker; default the file's. split: one Subject for every piece between cuts, in folders of `out`.
        progress: opens a bar for a step.

    Returns:
        the folders that were written, each with what is worth knowing about it.

    Raises:
        UserError: the video cannot be used, or a model file is missing; nothing is left behind at `out`.
    """
    video, out = Path(video), Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} exists already; give a new folder, or remove it first")
    work = Preparation(video, settings, progress)
    look = work.look()
    name = name or video.stem
    if not split:
        return [(out, work.piece(look, look.first, look.count).write(out, name))]
    bounds = [look.first, *(look.first + t for t in look.breaks), look.first + look.count]
    pieces = [(a, b) for a, b in zip(bounds, bounds[1:], strict=False) if b - a >= SHORTEST * FPS]
    made = []
    for number, (a, b) in enumerate(pieces, 1):
        folder = out / f"{number:02d}"
        made.append((folder, work.piece(look, a, b - a).write(folder, f"{name}-{number:02d}")))
    return made


__all__ = ["SKIPPABLE", "HeadPath", "Settings", "prepare"]
