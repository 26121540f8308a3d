"""What each pixel shows: from mattes of person and hair (of the head too, with a face parser), and landmarks; steady.

The networks see one frame at a time and flicker along the hair. Head and hair move with the skull, so their masks are
averaged over neighbouring frames after these were moved onto one another by the head's pose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from audioplane.preprocess.bundle import Lens, Poses, project
from audioplane.preprocess.face_mesh import infer, interpreter
from audioplane.runtime import weights
from audioplane.subject.masks import BACKGROUND, FACE, HAIR, MOUTH, OUTER_LIPS, TORSO, fill_hull
from audioplane.subject.pack import decode_png, encode_png

if TYPE_CHECKING:
    from audioplane.preprocess.face_parsing import BiSeNet

SIDE, HAIR_SIDE = 256, 512
HAIR_EVERY = 2  # hair is looked for in every second frame: its network is the slowest
AROUND = (1, 2, 3, 2, 1)  # weights of the frames that are averaged
LOBE = 0.023  # of the face's height squared: area below which a piece of torso amid the picture is none
EDGE = 0.012  # reach, in sides of the picture, in which outlines are drawn to edges of the frame


class Pictures:
    """T gray pictures, kept as PNG: `blob` and the T + 1 `offsets` of them in it."""

    def __init__(self, blob: np.ndarray, offsets: np.ndarray) -> None:
        self.blob, self.offsets = blob, offsets
        self._read = lru_cache(maxsize=16)(self._decode)

    @classmethod
    def of(cls, pictures: Iterable[np.ndarray]) -> Pictures:
        """H x W uint8 each."""
        data = [np.frombuffer(encode_png(picture), np.uint8) for picture in pictures]
        return cls(np.concatenate(data), np.cumsum([0, *map(len, data)]))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, t: int) -> np.ndarray:
        return self._read(int(t))

    def _decode(self, t: int) -> np.ndarray:
        image = decode_png(self.blob[self.offsets[t] : self.offsets[t + 1]].tobytes())
        assert image is not None
        return image


@dataclass(frozen=True)
class Mattes:
    """How much each pixel is of a kind, 0 to 255, 256 x 256 each.

    Attributes:
        people: T. hairs: of every second frame, or None. heads: T, with their hair; None where landmarks have to tell.
    """

    people: Pictures
    hairs: Pictures | None = None
    heads: Pictures | None = None

    def arrays(self) -> dict[str, np.ndarray]:
        """As a step keeps them."""
        kinds = {"people": self.people, "hairs": self.hairs, "heads": self.heads}
        there = {kind: pictures for kind, pictures in kinds.items() if pictures is not None}
        offsets = {f"{kind}_at": pictures.offsets for kind, pictures in there.items()}
        return {**{kind: pictures.blob for kind, pictures in there.items()}, **offsets}

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> Mattes:
        """The inverse of `arrays`."""
        kinds = ("people", "hairs", "heads")
        return cls(**{kind: Pictures(arrays[kind], arrays[f"{kind}_at"]) for kind in kinds if kind in arrays})


def mattes(frames: Iterable[np.ndarray], with_hair: bool, progress: Callable[[int], object]) -> Mattes:
    """Person and hair by MediaPipe's networks.

    Args:
        frames: T pictures, H x W x 3 uint8. with_hair: whether to look for hair. progress: called with 1 a frame.

    Raises:
        MissingWeightsError: a model file is missing.
    """
    selfie = interpreter(weights.require("selfie"))
    net = interpreter(weights.require("hair")) if with_hair else None
    people, hairs = [], []
    seen = np.zeros((1, HAIR_SIDE, HAIR_SIDE, 4), np.float32)  # the fourth channel stays 0: no earlier mask
    for t, frame in enumerate(frames):
        small = _resized(frame, SIDE)
        people.append(_encoded(infer(selfie, small[None].astype(np.float32) / 255)[0][0, ..., 0]))
        if net is not None and t % HAIR_EVERY == 0:
            np.divide(_resized(frame, HAIR_SIDE), np.float32(255), out=seen[0, ..., :3])
            none, hair = np.moveaxis(infer(net, seen)[0][0], 2, 0)
            hairs.append(_encoded(_resized(1 / (1 + np.exp(np.clip(none - hair, -60, 60))), SIDE)))
        progress(1)
    return Mattes(Pictures.of(people), Pictures.of(hairs) if hairs else None)


def parsed(
    frames: Iterable[np.ndarray], network: BiSeNet, with_hair: bool, progress: Callable[[int], object]
) -> Mattes:
    """Person, hair and head by a face parser: arguments as of `mattes`, and the network."""
    from audioplane.preprocess.face_parsing import parse

    people, hairs, heads = [], [], []
    for t, frame in enumerate(frames):
        person, hair, head = (_encoded(share) for share in parse(network, frame, SIDE))
        people.append(person)
        heads.append(head)
        if with_hair and t % HAIR_EVERY == 0:
            hairs.append(hair)
        progress(1)
    return Mattes(Pictures.of(people), Pictures.of(hairs) if hairs else None, Pictures.of(heads))


def _resized(image: np.ndarray, side: int) -> np.ndarray:
    if image.shape[:2] == (side, side):
        return image
    way = cv2.INTER_AREA if image.shape[0] > side else cv2.INTER_LINEAR
    return cv2.resize(image, (side, side), interpolation=way)


def _encoded(share: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)


@dataclass(frozen=True)
class Labeller:
    """Draws label pictures.

    Attributes:
        size: side of the pictures. mattes: of them. landmarks: T x 68 x 2 pixels, no NaN. poses, lens: of the head.
            breaks: frames that do not go on from the one before.
    """

    size: int
    mattes: Mattes
    landmarks: np.ndarray
    poses: Poses
    lens: Lens
    breaks: Sequence[int] = ()

    def __call__(self, t: int, frame: np.ndarray) -> np.ndarray:
        """H x W uint8 labels of frame t."""
        points = self.landmarks[t]
        up, across, middle = _axes(points)
        at = np.arange(self.size) + 0.5
        x, y = (at - middle[0])[None], (at - middle[1])[:, None]
        rise, aside = x * up[0] + y * up[1], np.abs(x * across[0] + y * across[1])
        tall = float(np.linalg.norm(points[27] - points[8]))
        near = (aside < 1.15 * tall) & (rise > -1.0 * tall)
        rough, hair, head = self._averaged(t)
        person, hairy = to_edges(rough, frame, EDGE), (hair > 0.5) & near
        upper = above_jaw(points, self.size) | hairy if self.mattes.heads is None else _mostly(head, rough, EDGE)
        label = np.where(person > 0.5, TORSO, BACKGROUND).astype(np.uint8)
        head = _largest((person > 0.5) & upper & near)
        inner = fill_hull(np.concatenate([points[:17], points[17:27]]), self.size, self.size)
        label[head] = FACE
        label[head & hairy & ~(inner & (rise < 0.05 * tall))] = HAIR
        lips = fill_hull(points[list(OUTER_LIPS)], self.size, self.size)
        label[lips] = MOUTH
        return _without_crumbs(label, LOBE * tall**2)

    def _averaged(self, t: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Person, hair and head in frame t, in [0, 1], steadied; 0 where there is no matte."""
        half, total, every = len(AROUND) // 2, 0.0, HAIR_EVERY
        people, hairs, heads = self.mattes.people, self.mattes.hairs, self.mattes.heads
        person, hair, head = np.zeros((3, SIDE, SIDE), np.float32)
        first = max([c for c in self.breaks if c <= t], default=0)
        last = min([c for c in self.breaks if c > t], default=len(people))
        for s in range(max(t - half, first), min(t + half + 1, last)):
            weight = float(AROUND[s - t + half])
            person += weight * self._moved(people[s], s, t)
            if hairs is not None:
                at = min(s // every, len(hairs) - 1)
                hair += weight * self._moved(hairs[at], at * every, t)
            if heads is not None:
                head += weight * self._moved(heads[s], s, t)
            total += 255 * weight
        full = (self.size, self.size)
        return tuple(cv2.resize(m / total, full, interpolation=cv2.INTER_LINEAR) for m in (person, hair, head))  # type: ignore[return-value]

    def _moved(self, matte: np.ndarray, s: int, t: int) -> np.ndarray:
        """A matte of frame s where it would be in frame t: 256 x 256 float32."""
        moved = cv2.warpAffine(matte, self._between(s, t), (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
        return moved.astype(np.float32)

    def _between(self, s: int, t: int) -> np.ndarray:
        """The 2 x 3 similarity that moves the head of frame s onto that of frame t, in pixels of the mattes."""
        corners = np.array([[-0.08, 0, -0.03], [0.08, 0, -0.03], [0, -0.1, -0.03]])
        a, b = project(corners, self.poses[[s, t]], self.lens) * (SIDE / self.size) - 0.5
        za, zb = (complex(*(p[1] - p[0])) for p in (a, b))
        turn = zb / za
        matrix = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
        return np.column_stack([matrix, b.mean(0) - matrix @ a.mean(0)])


def _axes(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors up and across the face, and the bridge of the nose's foot between the eyes: pixels."""
    across = points[42:48].mean(0) - points[36:42].mean(0)
    across = across / np.linalg.norm(across)
    return np.array([across[1], -across[0]]), across, points[36:48].mean(0)


def above_jaw(points: np.ndarray, size: int) -> np.ndarray:
    """H x W bool: above the line of the jaw, which goes on sideways from the lobes of the ears."""
    up, across, _ = _axes(points)
    far = 4 * size
    jaw, first, last = points[2:15], points[2], points[14]
    beyond = [last + far * across, last + far * (across + up), first + far * (up - across), first - far * across]
    outline = np.concatenate([jaw, beyond])
    picture = np.zeros((size, size), np.uint8)
    cv2.fillPoly(picture, [np.round((outline - 0.5) * 16).astype(np.int32)], 1, cv2.LINE_8, 4)
    return picture.astype(bool)


def to_edges(share: np.ndarray, frame: np.ndarray, reach: float) -> np.ndarray:
    """A guided filter (He et al. 2013): the mask's outline moves to edges of the frame nearby.

    Args:
        share: H x W in [0, 1]. frame: H x W x 3 uint8. reach: in widths of the picture.
    """
    side = (2 * max(round(reach * len(share) / 2), 1) + 1,) * 2
    guide = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    share = share.astype(np.float32)
    mean_g, mean_s = cv2.blur(guide, side), cv2.blur(share, side)
    slope = (cv2.blur(guide * share, side) - mean_g * mean_s) / (cv2.blur(guide * guide, side) - mean_g**2 + 1e-3)
    return cv2.blur(slope, side) * guide + cv2.blur(mean_s - slope * mean_g, side)


def _mostly(part: np.ndarray, whole: np.ndarray, reach: float) -> np.ndarray:
    """H x W bool: where a part is more than half of the whole around; also a little beyond the whole's outline.

    Args:
        part, whole: H x W in [0, 1]. reach: in widths of the picture.
    """
    side = (2 * max(round(reach * len(part)), 1) + 1,) * 2
    return cv2.blur(part, side) > 0.5 * cv2.blur(whole, side) + 1e-4


def _largest(mask: np.ndarray) -> np.ndarray:
    """The largest connected piece, holes filled."""
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    if count <= 1:
        return mask
    mask = pieces == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros(mask.shape, np.uint8)
    cv2.drawContours(filled, outlines, -1, 1, cv2.FILLED)
    return filled.astype(bool)


def _without_crumbs(label: np.ndarray, lobe: float) -> np.ndarray:
    """Other people become background, lobes of ears (of up to `lobe` pixels) part of the face."""
    whole = (label > BACKGROUND).astype(np.uint8)
    count, pieces = cv2.connectedComponents(whole, connectivity=4)
    if count > 2:
        kept = np.bincount(pieces[label >= HAIR], minlength=count)
        kept[0] = 0
        label[(whole > 0) & (pieces != int(kept.argmax()))] = BACKGROUND
    count, pieces, stats, _ = cv2.connectedComponentsWithStats((label == TORSO).astype(np.uint8), connectivity=4)
    amid = stats[:, cv2.CC_STAT_TOP] + stats[:, cv2.CC_STAT_HEIGHT] < len(label)  # shoulders reach the lower edge
    small = (stats[:, cv2.CC_STAT_AREA] < lobe) & amid
    label[small[pieces] & (pieces > 0)] = FACE  # what hangs below the line of the jaw but is no neck: lobes of ears
    return label
