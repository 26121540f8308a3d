"""One stretch of a video: its steps, and the Subject made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np

from audioplane import __version__
from audioplane.errors import UserError
from audioplane.media.reader import decimal
from audioplane.media.sound import Sound
from audioplane.preprocess import background, cached, flow, lag, masks, slips, trajectory
from audioplane.preprocess.bundle import Lens, Poses
from audioplane.preprocess.capture import capture_quality
from audioplane.preprocess.head_path import HeadPath
from audioplane.preprocess.landmarks import Track, follow, ibug
from audioplane.preprocess.preparation import LEAST_SHARE, Look, Preparation
from audioplane.preprocess.settings import SKIPPABLE, Settings
from audioplane.preprocess.survey import cuts
from audioplane.preprocess.verdict import LATE, Facts
from audioplane.subject.format import FPS, SAMPLE_RATE
from audioplane.subject.masks import HAIR, TORSO, face_height, motion_mask, mouth_opening
from audioplane.subject.torso import without_head
from audioplane.subject.writer import SubjectWriter

T = TypeVar("T")


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
    def start(self) -> Fraction:
        """Seconds after the first picture."""
        return decimal(self.settings.start) + Fraction(self.first, int(FPS))

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
        where = {"start": str(self.start), "count": self.count, "box": list(self.box), "size": self.settings.size}
        return self.whole.steps(name, make, {**where, **settings}, after)

    # Steps

    def face(self) -> Track:
        """Landmarks of every frame.

        Raises:
            UserError: the face cannot be followed.
        """
        scale = self.settings.size / self.box[2]
        seen = self.look.seen.expected(self.first + self.count)[self.first :]
        expected = (seen - [self.box[0], self.box[1], 0]) * scale

        def find() -> dict[str, Any]:
            track = follow(self.frames(), self.whole.finder, expected, self.whole.bar("landmarks", self.count))
            return {"points": track.points, "presence": track.presence, "blendshapes": track.blendshapes}

        found = self.step("landmarks", find, ("survey",), landmarks=self.settings.landmarks)
        track = Track(found["points"], found["presence"], found.get("blendshapes"))
        if track.found.mean() < LEAST_SHARE:
            raise UserError(
                f"{self.whole.source.path}: the face could be followed in only {track.found.mean():.0%} of the frames"
            )
        return track

    def mattes(self) -> masks.Mattes:
        """Who is person and what is hair in every frame; needs nothing of the landmarks."""
        hair = "hair" not in self.settings.skip

        def matte() -> dict[str, Any]:
            done, parser = self.whole.bar("mattes", self.count), self.whole.parser
            if parser is None:
                return masks.mattes(self.frames(), hair, done).arrays()
            return masks.parsed(self.frames(), parser, hair, done).arrays()

        by: dict[str, Any] = {"parser": self.whole.parser_digest} if self.whole.parser_digest else {}
        return masks.Mattes.of(self.step("mattes", matte, hair=hair, **by))

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
                self.frames(),
                path.shape,
                path.poses,
                path.lens,
                self.breaks,
                "weights" not in skip,
                self.whole.bar("flow", self.count),
            )
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
            from audioplane.preprocess import refine

            stage = self._stage(lens, poses, labels, points, seen)
            done = self.whole.bar("refine", refine.work(int(seen.sum()), own.rounds))
            found = refine.refine(stage, poses, self.breaks, own.rounds, own.seed, done)
            return {"R": found.R, "t": found.t}

        made = self.step("refine", make, ("labels",), rounds=own.rounds, side=own.refine_size, seed=own.seed)
        return Poses(made["R"], made["t"])

    def _stage(self, lens: Lens, poses: Poses, labels: masks.Pictures, points: np.ndarray, seen: np.ndarray) -> Any:
        from audioplane.preprocess.refine import Stage

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
        plain, found_lag = self._voice(opening)
        steady = found_lag is not None and lag.is_steady(found_lag, opening, plain.samples, LATE)
        facts: dict[str, Any] = {
            "rate": plain.rate,
            "channels": plain.channels,
            "codec": plain.codec,
            "track": plain.track,
            "notes": list(plain.notes),
            "starts_at": round(plain.start, 4),
            "lag_frames": None if found_lag is None else round(found_lag.frames, 2),
            "lag_correlation": None if found_lag is None else round(found_lag.correlation, 3),
            "lag_clear": found_lag is not None and found_lag.clear,
            "lag_steady": steady,
        }
        found = slips.find(opening, plain.samples)
        facts["slips"] = [
            {"at": round(float(self.start) + s.frame / FPS, 2), "frames": round(s.frames, 2)} for s in found
        ]
        course = [(0, 0.0)]
        if shift == "auto":
            shift = 0.0
            if found_lag is not None and steady and found_lag.clear and abs(found_lag.frames) > LATE:
                shift = found_lag.frames / FPS
            course = slips.shifts([replace(s, frame=slips.quietest(plain.samples, s.frame)) for s in found], self.count)
        facts["shifted"] = round(float(shift), 4)
        facts["slips_mended"] = len(course) - 1
        samples = self._moved(course, float(shift), plain.track) if shift or len(course) > 1 else plain.samples
        return np.pad(samples, (0, max(round(seconds * SAMPLE_RATE) - len(samples), 0))), facts

    def _voice(self, opening: np.ndarray) -> tuple[Sound, lag.Lag | None]:
        """The sound of this stretch, and its lag: of several tracks the one that clearly goes with the mouth.

        The track that was asked for, or that the reader chose, where none of the others does so more clearly.
        """
        source, seconds = self.whole.source, self.count / FPS
        plain = source.sound(self.start, seconds)
        told = lag.find(opening, plain.samples)
        if self.settings.audio_track or (told is not None and told.clear):
            return plain, told
        for track in source.tracks:
            if track.number == plain.track:
                continue
            try:
                other = source.sound(self.start, seconds, track.number)
            except UserError:  # that track cannot be decoded
                continue
            found = lag.find(opening, other.samples)
            if found is not None and found.clear:
                note = f"of its sound tracks {track} goes with the mouth and was taken; see --audio-track"
                return replace(other, notes=(*other.notes, note)), found
        return plain, told

    def _moved(self, course: list[tuple[int, float]], shift: float, track: int) -> np.ndarray:
        """The sound, from each frame of a course on so many frames later, and all of it `shift` seconds."""
        parts, edges = [], [*(frame for frame, _ in course), self.count]
        for (frame, later), end in zip(course, edges[1:], strict=True):
            at, seconds = float(self.start) + (frame - later) / FPS - shift, (end - frame) / FPS
            samples = self.whole.source.sound(at, seconds, track).samples
            parts.append(np.pad(samples, (0, max(round(seconds * SAMPLE_RATE) - len(samples), 0))))
        return np.concatenate(parts)

    # The whole

    def write(self, out: Path, name: str, before_naming: Callable[[Path, Path], Any] | None = None) -> Facts:
        """Runs all steps and writes the Subject; returns what is worth knowing about it.

        Args:
            out: its folder. name: of the speaker. before_naming: see `SubjectWriter`.
        """
        size = self.settings.size
        with ThreadPoolExecutor(3) as pool:  # beside the main line, what does not wait for it
            mattes = pool.submit(self.mattes)
            track = self.face()
            seen, landmarks = track.found, ibug(track.points[..., :2])
            heard = pool.submit(self.sound, mouth_opening(landmarks))
            lens, poses = self.pose(track)
            points = _filled(landmarks, seen)
            draw = masks.Labeller(size, mattes.result(), points, poses, lens, self.breaks)
            labels = self.labels(draw, seen)
            with SubjectWriter(out, name, size, size) as writer:
                writer.before_naming = before_naming
                filled = pool.submit(self._fill, writer, labels)
                poses = self.refined(lens, poses, labels, points, seen)
                samples, about_sound = heard.result()
                share = filled.result()
                facts = Facts.gather(
                    self.look, self.whole.source, self.settings.start, float(self.start), self.count, self.box,
                    size, self.breaks, seen, landmarks, poses, lens, share, samples, about_sound,
                )  # fmt: skip
                if track.blendshapes is not None:
                    facts = replace(facts, capture=capture_quality(track.blendshapes, landmarks, seen))
                writer.provenance = self._provenance(facts)
                writer.set_audio(samples)
                writer.set_landmarks(landmarks)
                writer.set_cameras(lens.K, poses.matrices())
                if track.blendshapes is not None:
                    writer.set_blendshapes(track.blendshapes)
                if 0 < (end := round(self.settings.train * FPS)) < self.count:
                    writer.set_split((0, end), (end, self.count))
        return facts

    def _provenance(self, facts: Facts) -> dict[str, Any]:
        return {
            "made_by": f"audioplane prepare {__version__}",
            "source_sha256": self.whole.steps.source,
            "landmarks": self.settings.landmarks,
            "skipped": list(self.settings.skip),
            "masks": "BiSeNet face parsing" if self.whole.parser_digest else "MediaPipe",
            "poses_refined_on_pictures": "refine" not in self.settings.skip,
            **facts.as_json(),
        }

    def _fill(self, writer: SubjectWriter, labels: masks.Pictures) -> float:
        """Writes all pictures; returns the share of the background that was seen."""
        still, share = self.behind(labels)
        writer.set_background(still)
        writer.describe_without_head("the still background, with the neck painted upward under the head")
        done = self.whole.bar("write", self.count)

        def pictures(t: int, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            label = labels[t]
            return frame, label, without_head(frame, label, still)

        for frame, label, empty in _each(pictures, self.frames()):
            writer.add_frame(frame, label, without_head=empty)
            done(1)
        return share


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
