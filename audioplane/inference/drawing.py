"""How a head's frames are drawn: one a core on the CPU; on a GPU in batches, of which each is waited for once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from audioplane.errors import UserError
from audioplane.inference import arguments, compositing
from audioplane.inference.poses import back_and_forth
from audioplane.media.marks import mark_stamp, put_mark
from audioplane.runtime.threads import in_parallel
from audioplane.splat.gaussians import Picture, layered, splat_batch, splat_layers

if TYPE_CHECKING:
    from audioplane.inference.portrait import Portrait
    from audioplane.inference.talking_head import TalkingHead
    from audioplane.restore.restorer import Restorer

BATCH = 16  # frames that come back from a GPU together
TILE = 128  # pixels a side with one thread: lists of fewer, larger tiles are made and read faster; threads share tiles


@dataclass(frozen=True)
class Shot:
    """What a frame shows; arguments of `TalkingHead.render`."""

    code: Tensor
    view: np.ndarray
    behind: np.ndarray
    time: float
    face: np.ndarray | None


def camera(head: TalkingHead, size: int) -> tuple[int, int, Tensor]:
    """Width and height in pixels, and K (3, 3), of a width that was asked for; 0 for the trained one.

    Raises:
        UserError: no such size.
    """
    size = arguments.size(size)
    if size == 0 or size == head.width:
        return head.width, head.height, head.K
    scale = size / head.width
    return size, max(1, round(head.height * scale)), head.K * head.K.new_tensor([[scale], [scale], [1.0]])


def torso(head: TalkingHead, index: int, width: int, height: int) -> np.ndarray:
    """Torso and background, 0 the still one, then those of the test clip: (H, W, 3) uint8.

    Raises:
        UserError: the picture is damaged.
    """
    import cv2

    ends = head.extras["torso_ends"]
    start = int(ends[index - 1]) if index else 0
    image = cv2.imdecode(head.extras["torso"][start : int(ends[index])].numpy(), cv2.IMREAD_COLOR)
    if image is None:
        raise UserError(f"picture {index} of the head's torso is damaged; train it again or copy it again")
    image = np.ascontiguousarray(image[..., ::-1])
    return image if image.shape[1] == width else cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)


def frame(
    head: TalkingHead,
    audio_code: Tensor,
    viewmat: np.ndarray | Tensor,
    behind: np.ndarray | None,
    size: int,
    time: float,
    expression: np.ndarray | Tensor | None,
    restorer: Restorer | None = None,
) -> np.ndarray | Tensor:
    """One picture (H, W, 3) uint8, still on a GPU if the head is and nothing is restored; arguments of
    `TalkingHead.render`."""
    width, height, K = camera(head, size)
    view = arguments.numbers(viewmat, (4, 4), "viewmat")
    audio_code = arguments.numbers(audio_code, tuple(head.extras["codes"].shape[1:]), "audio_code")
    condition = head.condition(audio_code, time, expression, view)
    view, K = view.to(head.device), K.to(head.device)
    try:
        tile = max(16, TILE // torch.get_num_threads()) if head.device.type == "cpu" else 16  # gsplat's own
        picture = splat_layers(head._deformed(condition), view, K, width, height, tile)
    except ValueError as error:  # the rasterizer refuses NaN
        raise UserError(f"the head has numbers that give no picture ({error}); train it again") from error
    if behind is None:
        behind = torso(head, 0, width, height)
    composited = _composited(picture, arguments.picture(behind, (height, width, 3), "behind"))
    return composited if restorer is None else restorer(host(composited), picture.alpha.cpu().numpy())


def _composited(picture: Picture, behind: np.ndarray) -> np.ndarray | Tensor:
    if picture.alpha.device.type == "cpu":
        return compositing.composite(picture.rgb.numpy(), picture.alpha.numpy(), behind)
    there = torch.from_numpy(behind)
    there = there.pin_memory() if picture.alpha.is_cuda else there
    return compositing.composite_plain(picture.rgb, picture.alpha, there.to(picture.alpha.device, non_blocking=True))


def batch(head: TalkingHead, shots: Sequence[Shot], size: int, restorer: Restorer | None = None) -> np.ndarray:
    """The pictures of several shots, drawn in one call on a GPU and waited for once: (B, H, W, 3) uint8."""
    width, height, K = camera(head, size)
    with torch.no_grad(), torch.autocast(head.device.type, enabled=False):
        views = torch.from_numpy(np.stack([shot.view for shot in shots]).astype(np.float32)).to(head.device)
        clouds = [head._deformed(head.condition(shot.code, shot.time, shot.face, shot.view)) for shot in shots]
        layers = {
            name: splat_batch([cloud[name] for cloud in clouds], views, K.to(head.device), width, height)
            for name in clouds[0]
        }
        picture = layered(layers)
        behind = torch.from_numpy(np.stack([shot.behind for shot in shots]))
        behind = behind.pin_memory() if picture.alpha.is_cuda else behind
        behind = behind.to(picture.alpha.device, non_blocking=True)
        pictures = host(compositing.composite_plain(picture.rgb, picture.alpha, behind))
        if restorer is None:
            return pictures
        return np.stack([restorer(*pair) for pair in zip(pictures, picture.alpha.cpu().numpy(), strict=True)])


class DrawnAhead:
    """Frames that are asked for one by one, about in order, perhaps from several threads, and drawn in batches.

    Args:
        head: on a GPU. shot: of a frame's number. frames: that will be asked for. size: width in pixels.
    """

    def __init__(self, head: TalkingHead, shot: Callable[[int], Shot], frames: Sequence[int], size: int) -> None:
        self.head, self.shot, self.frames, self.size = head, shot, list(frames), size
        self.places = {t: k for k, t in enumerate(self.frames)}
        self.ready: dict[int, np.ndarray] = {}
        self.lock = threading.Lock()

    def __call__(self, t: int) -> np.ndarray:
        """Frame t: (H, W, 3) uint8."""
        with self.lock:
            if t not in self.ready:
                at = self.places.get(t)
                some = [t] if at is None else self.frames[at : at + BATCH]
                self.ready |= zip(some, batch(self.head, [self.shot(k) for k in some], self.size), strict=True)
            return self.ready.pop(t)


def host(picture: np.ndarray | Tensor) -> np.ndarray:
    """A picture on the host; waits for it."""
    return picture.cpu().numpy() if isinstance(picture, Tensor) else picture


def film(
    head: TalkingHead,
    shot: Callable[[int], Shot],
    count: int,
    size: int,
    stamp: np.ndarray | None,
    put: Callable[[np.ndarray, int], np.ndarray] | None = None,
    restorer: Restorer | None = None,
) -> Iterator[np.ndarray]:
    """The pictures of `count` shots.

    Args:
        head: that speaks. shot: of a number. size: width in pixels, 0 for the trained one.
        stamp: the visible mark, or None. put: what is done to a picture of a number before it is marked.
        restorer: of the seam between head and torso, or None.

    Yields:
        (H, W, 3) uint8 RGB.
    """

    def finished(image: np.ndarray, k: int) -> np.ndarray:
        image = image if put is None else put(image, k)
        if stamp is not None:
            put_mark(image, stamp)
        return image

    if head.device.type == "cpu":
        draw = lambda k: finished(head.render(*_given(shot(k), size), restorer), k)  # noqa: E731
        yield from in_parallel(draw, range(count), torch.get_num_threads())
        return
    for start in range(0, count, BATCH):
        numbers = range(start, min(start + BATCH, count))
        for k, image in zip(numbers, batch(head, [shot(k) for k in numbers], size, restorer), strict=True):
            yield finished(image, k)


def _given(own: Shot, size: int) -> tuple[Tensor, np.ndarray, np.ndarray, int, float, np.ndarray | None]:
    return own.code, own.view, own.behind, size, own.time, own.face


def check_restorer(head: TalkingHead, restorer: Restorer, portrait: Portrait | None) -> None:
    """Refuses a restorer of somebody else, and one where the torso is filmed.

    Raises:
        UserError: it is one of these.
    """
    if portrait is not None:
        raise UserError("a portrait's torso is the camera's own, there is nothing to restore; leave one of them away")
    if restorer.about.name != head.about["name"]:
        raise UserError(f"this head is of {head.about['name']}; the torso restorer is of {restorer.about.name}")


def portrait_views(head: TalkingHead, portrait: Portrait, count: int) -> np.ndarray:
    """The poses of the first `count` frames of a portrait's film, forth and back: (count, 4, 4).

    Raises:
        UserError: the portrait is of somebody else.
    """
    subject = portrait.subject
    if subject.name != head.about["name"]:
        raise UserError(f"this head is of {head.about['name']}; the portrait's clip shows {subject.name}")
    return subject.viewmats[_portrait_frames(portrait, count)]


def _portrait_frames(portrait: Portrait, count: int) -> np.ndarray:
    return portrait.subject.test.start + back_and_forth(count, len(portrait.subject.test))


def portrait_film(
    head: TalkingHead, portrait: Portrait, codes: Tensor, faces: np.ndarray | None, mark: bool
) -> Iterator[np.ndarray]:
    """The face in the frames of its source clip.

    Args:
        head: that speaks. portrait: into whose frames. codes: (T, code). faces: (T, E) expressions, or None.
        mark: whether to write the visible mark.

    Yields:
        (H, W, 3) uint8 RGB.
    """
    subject, frames = portrait.subject, _portrait_frames(portrait, len(codes))

    def shot(k: int) -> Shot:
        t, face = int(frames[k]), None if faces is None else faces[k]
        return Shot(codes[k], subject.viewmats[t], subject.without_head(t), k / max(len(codes) - 1, 1), face)

    def put(image: np.ndarray, k: int) -> np.ndarray:
        return portrait.put(image, int(frames[k]))

    yield from film(head, shot, len(codes), subject.width, mark_stamp(subject.width) if mark else None, put)
