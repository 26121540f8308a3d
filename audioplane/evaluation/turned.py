"""Protocol `turned`: an embedded speaker's held-out moments, filmed anew from beyond the range that was trained.

The performance is brought together again from the settings that the Subject was made with, and a frame filmed anew
from its own camera must be the Subject's, byte for byte; then cameras go round. What each pixel shows was seen in
training if its point in space is what some training frame shows there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from audioplane.errors import UserError
from audioplane.evaluation import shape
from audioplane.evaluation.evaluate import spaced
from audioplane.evaluation.heads import captured, time_in_clip
from audioplane.inference.poses import yaw_and_pitch
from audioplane.metrics.image import decibel, squared_error
from audioplane.subject.masks import FACE, HAIR
from audioplane.synthetic import making
from audioplane.synthetic.filming import Production, moved, rigid, still_camera

if TYPE_CHECKING:
    from audioplane.inference.talking_head import TalkingHead
    from audioplane.subject import Subject

FRAMES = 6  # held-out moments
SAME = 0.006  # metres within which a training frame shows the same point
WITNESSES = 16  # training frames that are asked, beside those that turn farthest


@dataclass(frozen=True)
class View:
    """A moment from another camera.

    Attributes:
        t: of the Subject. beyond: degrees of yaw beyond the training range. viewmat: (4, 4). picture, without_head:
            (H, W, 3) uint8. label: (H, W). depth: (H, W) metres, 0 for nothing.
    """

    t: int
    beyond: float
    viewmat: NDArray
    picture: NDArray
    without_head: NDArray
    label: NDArray
    depth: NDArray


def production(subject: Subject) -> Production:
    """The production that a Subject was filmed from.

    Raises:
        UserError: it is no embedded speaker's, or was made by another version.
    """
    made = subject.manifest.provenance.get("settings")
    names = {item.name for item in fields(making.Settings)}
    if not isinstance(made, dict) or not set(made) <= names:
        raise UserError(
            f"{subject.path} is not an embedded speaker; only these can be filmed from other cameras "
            "(`audioplane speakers make`)"
        )
    found = making.production_of(making.Settings(**made))
    t = subject.test.start
    head, torso = (rigid(track[t : t + 1])[0] for track in (found.play.head_pose, found.play.torso_pose))
    original = getattr(subject, "original", subject)
    _, rest = still_camera(original.width, found.around)
    vertices = moved(found.actor, found.play, t)
    seen = found.camera(vertices, rest @ head, rest @ torso, found.actor.gaze_flow(found.play.blendshapes[t]))
    if not np.array_equal(seen.rgb, original.frame(t)):
        raise UserError(f"{subject.path} was made by another version of audioplane; make it again")
    return found


def views(subject: Subject, beyond: Sequence[float], count: int = FRAMES) -> Iterator[View]:
    """Held-out moments of an embedded speaker, from either side, by so many degrees beyond the training range."""
    found, original = production(subject), getattr(subject, "original", subject)
    assert found.place is not None
    train = subject.viewmats[subject.train.start : subject.train.stop]
    yaws = yaw_and_pitch(subject.viewmats, train)[:, 0]
    low, high = (
        yaws[subject.train.start : subject.train.stop].min(),
        yaws[subject.train.start : subject.train.stop].max(),
    )
    heads, torsos = rigid(found.play.head_pose), rigid(found.play.torso_pose)
    for t in spaced(subject.test, count):
        vertices, gaze = moved(found.actor, found.play, t), found.actor.gaze_flow(found.play.blendshapes[t])
        for degrees in beyond:
            for wanted in (low - degrees, high + degrees):
                around = (found.around[0] + float(wanted - yaws[t]), found.around[1])
                _, rest = still_camera(original.width, around)
                seen = found.place(around)(vertices, rest @ heads[t], rest @ torsos[t], gaze)
                yield _sized(
                    View(t, degrees, rest @ heads[t], seen.rgb, seen.without_head, seen.label, seen.depth), subject
                )


def _sized(view: View, subject: Subject) -> View:
    """At a Subject's size."""
    size = (subject.width, subject.height)
    if view.label.shape[::-1] == size:
        return view
    colours = [cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in (view.picture, view.without_head)]
    rest = [cv2.resize(one, size, interpolation=cv2.INTER_NEAREST) for one in (view.label, view.depth)]
    return View(view.t, view.beyond, view.viewmat, *colours, *rest)


def was_seen(view: View, subject: Subject) -> NDArray[np.bool_]:
    """Which pixels of the head some training frame shows: (H, W)."""
    rows, columns = np.nonzero(view.label >= HAIR)
    places, found = _places(view, subject, rows, columns), np.zeros(len(rows), bool)
    for t in _witnesses(subject):
        found |= _shown(places, subject, t)[1]
    mask = np.zeros(view.label.shape, bool)
    mask[rows[found], columns[found]] = True
    return mask


def carried(view: View, subject: Subject) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The moment's own frame, carried over to a view by the true depth.

    So a head would look that has every point in its place, and of each the colour that it has from the front.

    Returns:
        the picture, (H, W, 3); which pixels of the head the frame shows, (H, W).
    """
    rows, columns = np.nonzero(view.label >= HAIR)
    pixels, found = _shown(_places(view, subject, rows, columns), subject, view.t)
    at, frame = (pixels[found] - 0.5).T[::-1], subject.frame(view.t).astype(np.float32)
    picture, mask = view.without_head.copy(), np.zeros(view.label.shape, bool)
    mask[rows[found], columns[found]] = True
    colours = [map_coordinates(frame[..., c], at, order=1, mode="nearest") for c in range(3)]
    picture[mask] = np.round(np.stack(colours, 1)).astype(np.uint8)
    return picture, mask


def _places(view: View, subject: Subject, rows: NDArray, columns: NDArray) -> NDArray[np.float64]:
    """Where pixels of a view lie: (N, 3) metres, head coordinates."""
    rays = np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))], 1) @ np.linalg.inv(subject.K.astype(np.float64)).T
    places: NDArray[np.float64] = (rays * view.depth[rows, columns, None] - view.viewmat[:3, 3]) @ view.viewmat[:3, :3]
    return places


def _shown(places: NDArray, subject: Subject, t: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Pixels (N, 2) of places (N, 3) in frame t, and whether it is these that the frame shows there."""
    pose, depth = subject.viewmats[t].astype(np.float64), subject.depth(t)
    assert depth is not None
    seen = places @ pose[:3, :3].T + pose[:3, 3]
    pixels = (seen @ subject.K.astype(np.float64).T)[:, :2] / seen[:, 2:]
    column, row = np.floor(pixels).astype(int).T
    within = (row >= 0) & (column >= 0) & (row < depth.shape[0]) & (column < depth.shape[1])
    at = depth[np.clip(row, 0, depth.shape[0] - 1), np.clip(column, 0, depth.shape[1] - 1)]
    return pixels, within & (at > 0) & (np.abs(at - seen[:, 2]) < SAME)


def _witnesses(subject: Subject) -> list[int]:
    train = subject.viewmats[subject.train.start : subject.train.stop]
    angles = yaw_and_pitch(train, train)
    ends = {int(pick(angles[:, axis])) for axis in (0, 1) for pick in (np.argmin, np.argmax)}
    return sorted({*(subject.train.start + t for t in ends), *spaced(subject.train, WITNESSES)})


def of_head(head: TalkingHead, subject: Subject, beyond: Sequence[float]) -> dict[str, Any]:
    """A head seen from beyond the range that it learned from.

    Args:
        head: trained. subject: its own, an embedded speaker at the head's size. beyond: degrees.

    Returns:
        for each of `beyond`, under "N degrees": PSNR (dB) over what of the head training saw and over all of it, the
            share that it saw, and the errors of depth and normals over the face that it saw.
    """
    codes, faces = head.encode(subject.audio), captured(head, subject)
    rows: dict[float, list[tuple[float, float, float]]] = {degrees: [] for degrees in beyond}
    errors: dict[float, list[NDArray]] = {degrees: [] for degrees in beyond}
    angles: dict[float, list[NDArray]] = {degrees: [] for degrees in beyond}
    for view in views(subject, beyond):
        code, face = codes[min(view.t, len(codes) - 1)], None if faces is None else faces[view.t]
        time = time_in_clip(subject, view.t)
        picture = head.render(code, view.viewmat, view.without_head, subject.width, time, face)
        error, whole, seen = squared_error(picture, view.picture), view.label >= HAIR, was_seen(view, subject)
        rows[view.beyond].append(
            (decibel(float(error[seen].mean())), decibel(float(error[whole].mean())), seen.sum() / whole.sum())
        )
        cloud = head.deform(code, time, face).to("cpu")
        depth = shape.drawn(cloud, view.viewmat, head.K, head.width, head.height).depth
        skin = seen & (view.label == FACE)
        errors[view.beyond].append(shape.depth_errors(depth, view.depth, skin))
        angles[view.beyond].append(shape.normal_errors(depth, view.depth, subject.K, skin))
    found = {}
    for degrees in beyond:
        over_seen, over_all, share = np.mean(rows[degrees], axis=0)
        found[f"{degrees:g} degrees"] = {
            "seen_psnr": float(over_seen),
            "head_psnr": float(over_all),
            "seen_share": float(share),
            **shape.summary(np.concatenate(errors[degrees]), np.concatenate(angles[degrees])),
        }
    return found


def of_frames(subject: Subject, beyond: Sequence[float]) -> dict[str, dict[str, float]]:
    """What a head of the right shape would reach that has its colours from the front (`carried`).

    Highlights, above all those of hair, move over a head that turns; no frame tells how.

    Args:
        subject: an embedded speaker. beyond: degrees.

    Returns:
        for each of `beyond`, under "N degrees": PSNR (dB) over what the moment's own frame shows, and its share of the
            head.
    """
    rows: dict[float, list[tuple[float, float]]] = {degrees: [] for degrees in beyond}
    for view in views(subject, beyond):
        picture, shown = carried(view, subject)
        error = squared_error(picture, view.picture)[shown].mean()
        rows[view.beyond].append((decibel(float(error)), shown.sum() / (view.label >= HAIR).sum()))
    means = {degrees: np.mean(own, axis=0) for degrees, own in rows.items()}
    return {
        f"{degrees:g} degrees": {"seen_psnr": float(a), "seen_share": float(b)} for degrees, (a, b) in means.items()
    }


def pictures(
    heads: Mapping[str, TalkingHead], subject: Subject, yaws: Sequence[float], t: int | None = None
) -> dict[str, list[NDArray[np.uint8]]]:
    """One held-out moment with the head turned by `yaws` degrees from its typical pose: the truth, then each head.

    Args:
        heads: name -> head of the subject, at its size. subject: an embedded speaker. t: of the moment; default the
            middle of the held-out part.

    Returns:
        name -> a picture for each of `yaws`, (H, W, 3).
    """
    found = production(subject)
    assert found.place is not None
    t = subject.test[len(subject.test) // 2] if t is None else t
    own = yaw_and_pitch(subject.viewmats[t : t + 1], subject.viewmats[subject.train.start : subject.train.stop])[0, 0]
    vertices, gaze = moved(found.actor, found.play, t), found.actor.gaze_flow(found.play.blendshapes[t])
    head_pose, torso_pose = (rigid(track[t : t + 1])[0] for track in (found.play.head_pose, found.play.torso_pose))
    shown: dict[str, list[NDArray[np.uint8]]] = {"truth": [], **{name: [] for name in heads}}
    drawn = {name: (head.encode(subject.audio)[t], captured(head, subject)) for name, head in heads.items()}
    for yaw in yaws:
        around = (found.around[0] + float(yaw - own), found.around[1])
        _, rest = still_camera(getattr(subject, "original", subject).width, around)
        seen = found.place(around)(vertices, rest @ head_pose, rest @ torso_pose, gaze)
        view = _sized(View(t, yaw, rest @ head_pose, seen.rgb, seen.without_head, seen.label, seen.depth), subject)
        shown["truth"].append(view.picture)
        for name, head in heads.items():
            code, faces = drawn[name]
            face, time = None if faces is None else faces[t], time_in_clip(subject, t)
            shown[name].append(head.render(code, view.viewmat, view.without_head, subject.width, time, face))
    return shown
