"""All measures of a head, or of one film against another, as plain data: what `audioplane evaluate` prints and writes.

A number that cannot be had says why ("weights missing: ...") instead of being absent.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from audioplane.audio.features import load_audio
from audioplane.errors import UserError
from audioplane.evaluation import inspection, lip_sync, shape, turned
from audioplane.evaluation.evaluate import Render, compare, spaced
from audioplane.evaluation.heads import SHIFT, captured, evaluate_head, head_speed, renderer, time_in_clip
from audioplane.evaluation.networks import by_networks
from audioplane.evaluation.protocols import DEFAULT, Protocol
from audioplane.evaluation.resized import at_size_of
from audioplane.media.videos import Film, Pair, at_rate
from audioplane.metrics.eyes import blink_statistics
from audioplane.metrics.face import aue, deformation, iou, lmd
from audioplane.metrics.syncnet.scorers import FPS, Scorer
from audioplane.runtime.threads import in_parallel
from audioplane.subject import blendshapes

if TYPE_CHECKING:
    from audioplane.inference.talking_head import TalkingHead
    from audioplane.subject import Subject

OWN_EXPRESSION = "each frame's own blendshapes of eyes and brows, as its pose"
TRUTH_FRAMES = 100  # of the held-out ones, at which vertices are compared


def of_head(head: TalkingHead, subject: Subject, protocol: Protocol = DEFAULT, neural: bool = False) -> dict[str, Any]:
    """A head on its subject's held-out frames.

    Args:
        head: with every Gaussian evaluated (`sparse=False`). neural: LPIPS, FID, BRISQUE and SyncNet too, which take
            minutes.

    Returns:
        size of the pictures, the head's, and the Subject's where that is another (`subject_size`); protocol; measures,
        and the same with the audio late (`shifted`); sync; truths, of embedded speakers; shape; what the protocol
        measures from beyond the training range (`turned`); speed.
    """
    given, subject = subject, at_size_of(head, subject)
    (summary, _), (late, _) = evaluate_head(head, subject, (0.0, SHIFT), protocol=protocol)
    draw = renderer(head, subject, protocol=protocol, ahead=subject.test)
    found: dict[str, Any] = {
        "subject": subject.name,
        "size": [subject.width, subject.height],
        **({} if given is subject else {"subject_size": [given.width, given.height]}),
        "protocol": protocol.to_dict() | {"expression": "none" if captured(head, subject) is None else OWN_EXPRESSION},
        "measures": summary.to_dict(),
        "shifted": {"seconds": SHIFT, **late.to_dict()},
        "sync": sync_of_head(subject, draw, Scorer.best_here() if neural else [Scorer.built_in()]),
        "truths": truths(head, subject),
        "shape": shape.of_head(head, subject),
        "speed": speed(head, subject),
        "gaussians": len(head.cloud),
    }
    if protocol.beyond:
        found["turned"] = turned.of_head(head, subject, protocol.beyond)
    if neural:
        shown = list(subject.test)
        pictures, true = (list(in_parallel(show, shown)) for show in (draw, subject.frame))
        found["neural"] = by_networks(pictures, true, protocol.network)
    return found


def sync_of_head(subject: Subject, draw: Render, scorers: Sequence[Scorer]) -> dict[str, Any]:
    """LSE-D, LSE-C and offset of the held-out clip by each scorer, with the controls of the truth; or why not."""
    why = lip_sync.missing(subject.fps, len(subject.test))
    if why:
        return {"missing": why}
    return {one.name: lip_sync.of_subject(one, subject, {"render": draw}).to_dict() for one in scorers}


def truths(head: TalkingHead, subject: Subject) -> dict[str, Any] | None:
    """For embedded speakers only, else None: motion of the Gaussians against the true motion of the skin, mm."""
    frames = spaced(subject.test, TRUTH_FRAMES)
    lips = subject.vertex_groups.get("lips")
    if lips is None or subject.vertices(frames[0]) is None:
        return None
    codes, faces = head.encode(subject.audio), captured(head, subject)
    face = lambda t: None if faces is None else faces[t]  # noqa: E731
    clouds = [head.deform(codes[t], time_in_clip(subject, t), face(t), subject.viewmats[t]) for t in frames]
    points = np.stack([cloud.means.numpy() for cloud in clouds])
    weights = head.cloud.opacities.sigmoid().numpy().reshape(-1)
    vertices = np.stack([np.asarray(subject.vertices(t)) for t in frames])
    shown = [t for t in frames[:: max(1, len(frames) // 20)] if subject.motion_mask(t).any()]
    maps = [inspection.frame_picture(head, codes[t], subject.viewmats[t], face(t)).dynamism for t in shown]
    masks = [subject.motion_mask(t) | (subject.eyes_mask(t) & (faces is not None)) for t in shown]
    overlaps = [iou(g.numpy(), mask) for g, mask in zip(maps, masks, strict=True) if g is not None]
    try:
        moved = asdict(deformation(points, weights, vertices, lips))
    except ValueError as error:
        moved = {"missing": str(error)}
    return {**moved, "dynamism_iou": float(np.mean(overlaps)) if overlaps else None}


def speed(head: TalkingHead, subject: Subject) -> dict[str, Any]:
    """How fast the head draws, one frame after the other; the audio's share is given apart."""
    start = time.perf_counter()
    codes = head.encode(subject.audio)
    audio = 1e3 * (time.perf_counter() - start) / len(codes)
    timed = head_speed(head, subject)
    return {**timed.to_dict(), "left_out": ["audio", "encoding"], "audio_ms_per_frame": audio}


def of_films(films: Pair, neural: bool = False) -> dict[str, Any]:
    """A film against the true one.

    Args:
        films: paired. neural: LPIPS, FID, BRISQUE, and what landmarks of both allow (LMD, AUE, lip sync), too.
    """
    means, _ = compare(films)
    pred, ref = films.pred, films.ref
    found: dict[str, Any] = {
        "pred": str(pred.path),
        "ref": str(ref.path),
        "size": [ref.width, ref.height],
        "frames": len(films.frames),
        "seconds": len(films.frames) / min(pred.fps, ref.fps),
        "protocol": Protocol(
            "films", "whole frames of two files as they come, paired by their times", codec="", crop="none"
        ).to_dict()
        | {"codec": "as in the files", "pasted": "unknown", "resized": films.resized},
        "measures": means,
    }
    notes = {name: list(film.notes) for name, film in (("pred", pred), ("ref", ref)) if film.notes}
    if notes:
        found["notes"] = notes
    if neural:
        found["neural"] = by_networks(*_listed(films), "alex")
        found["face"] = faces_of_films(films)
    return found


def _listed(pairs: Iterable[tuple[NDArray, NDArray]]) -> tuple[list[NDArray], list[NDArray]]:
    left, right = zip(*pairs, strict=True)
    return list(left), list(right)


def faces_of_films(films: Pair) -> dict[str, Any]:
    """LMD, AUE and lip sync of two films, by the landmarks that MediaPipe finds in both; or what is missing."""
    try:
        tracks = [follow(film) for film in (films.pred, films.ref)]
    except UserError as error:
        return {"missing": str(error)}
    count = min(len(track[0]) for track in tracks)
    tracks = [(marks[:count], shapes[:count]) for marks, shapes in tracks]
    (ours, our_shapes), (true, true_shapes) = tracks
    both = np.isfinite(ours).all(axis=(1, 2)) & np.isfinite(true).all(axis=(1, 2))
    if not both.any():
        return {"missing": "no frame shows a face in both films"}
    ours = ours * [films.ref.width / films.pred.width, films.ref.height / films.pred.height]
    return {
        "landmarks": "MediaPipe's mesh",
        "frames": count,
        "frames_with_both_faces": int(both.sum()),
        "lmd_mouth": lmd(ours, true),
        "lmd_face": lmd(ours, true, "face"),
        "aue_lower": aue(our_shapes[both], true_shapes[both]),
        "aue_upper": aue(our_shapes[both], true_shapes[both], "upper"),
        **blinks_of_films(our_shapes, true_shapes),
        "sync": sync_of_films(films, [marks for marks, _ in tracks]),
    }


def blinks_of_films(ours: NDArray, truth: NDArray) -> dict[str, Any]:
    """Blinks a minute, their seconds below half open and their depth, of blendshapes (T, 52) of two films."""
    found: dict[str, Any] = {}
    chosen = [blendshapes.index(name) for name in ("eyeBlinkLeft", "eyeBlinkRight")]
    for name, shapes in (("pred", ours), ("ref", truth)):
        lids = shapes[:, chosen].mean(axis=1)
        rest = float(np.median(lids))
        seen = blink_statistics((lids - rest) / max(1.0 - rest, 1e-3), FPS, least=0.35)
        found |= {f"{name}_blink_rate": seen.rate, f"{name}_blink_seconds": seen.duration}
        found[f"{name}_blink_closure"] = seen.closure
    return found


def sync_of_films(films: Pair, landmarks: Sequence[NDArray]) -> dict[str, Any]:
    """Lip sync of both films under the first one's sound (the true one's where it has none); or why there is none.

    Args:
        films: paired. landmarks: of pred and of ref, (T, 68, 2) in their own pixels, 25 a second.
    """
    sounding = films.pred if films.pred.has_sound else films.ref
    if not sounding.has_sound:
        return {"missing": "neither film has sound"}
    audio = load_audio(sounding.path)
    why = lip_sync.missing(FPS, min(len(landmarks[0]), len(audio) * int(FPS) // 16_000))
    if why:
        return {"missing": why}
    found = {}
    for scorer in Scorer.best_here():
        clips = {
            name: lip_sync.Clip(at_rate(film.path), marks)
            for name, film, marks in zip(("render", lip_sync.TRUTH), (films.pred, films.ref), landmarks, strict=True)
        }
        found[scorer.name] = lip_sync.lip_sync(scorer, audio, clips).to_dict()
    return found


def follow(film: Film) -> tuple[NDArray, NDArray]:
    """Landmarks (T, 68, 2), NaN where the face is lost, and blendshapes (T, 52) of a film at 25 frames a second.

    Raises:
        UserError: MediaPipe's files are missing, or there is no face.
    """
    try:
        from audioplane.preprocess.expressions import follow_film
        from audioplane.preprocess.landmarks import ibug
    except ImportError as error:
        raise UserError(f"finding faces in a film is not possible here ({error})") from error
    track = follow_film(film.path)
    assert track.blendshapes is not None  # the mesh always gives them
    return ibug(track.points)[..., :2], track.blendshapes
