"""A trained head as a browser takes it: its tables once, in steps too small to see, then the vector of each frame.

`widgets/field.js` reads this and moves the Gaussians as `inference.folding` does; Gaussians that move come first. It
knows no method: S, the deformation MLP, and by `methods.types.Wiring` how a frame's vector enters it.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audioplane.audio.features import SAMPLE_RATE
from audioplane.evaluation import inspection
from audioplane.evaluation.heads import captured, codes_late
from audioplane.evaluation.resized import at_size_of
from audioplane.inference import drawing
from audioplane.inference.folding import FoldedBranch
from audioplane.inference.poses import BEYOND, BEYOND_CLOUD, filmed_range, typical
from audioplane.methods.types import Condition, Modulation, Wiring
from audioplane.motion.own_range import CONTROLS, TITLES
from audioplane.widgets.page import jpeg

if TYPE_CHECKING:
    from audioplane.inference.talking_head import TalkingHead
    from audioplane.subject import Subject

ROW_STEPS = 2e-5, 0.006  # of positions in metres, of all else in a Gaussian's row
FEATURE_STEP = 0.09  # of a feature, in what it adds to the inputs of the first layer's units, root sum of squares
SMALL = 50_000  # numbers, up to which a table is sent as finely as its integers can
NEIGHBOURS = 8  # whose distance tells how dense the cloud is
TRUTH_QUALITY = 82  # of JPEG
Mark = tuple[float, float, str]
"""A sound: seconds from the start of the voice, to, and its name."""
NOT_FOLDED = "speak in the browser: what moves its Gaussians cannot be folded into one small matrix a frame"
BOUNDED = "speak in the browser: its offsets pass a tanh, which the page does not know"


@dataclass(frozen=True)
class Packed:
    """Arrays in one block of bytes. `facts`: JSON, in it `parts`: name -> (dtype, shape, first byte)."""

    facts: dict[str, Any]
    data: bytes


def pack(arrays: dict[str, NDArray], facts: dict[str, Any]) -> Packed:
    """Puts arrays of float16, float32, uint8 or uint16 behind each other, each at a multiple of four bytes.

    Of each array come all first bytes, then all second ones and so on: like beside like is compressed better.
    """
    parts, blocks, at = {}, [], 0
    for name, array in arrays.items():
        block = np.ascontiguousarray(array).view(np.uint8).reshape(-1, array.itemsize).T.tobytes()
        block += bytes(-len(block) % 4)
        parts[name] = (array.dtype.name, list(array.shape), at)
        blocks.append(block)
        at += len(block)
    return Packed({**facts, "parts": parts}, b"".join(blocks))


def bake_head(head: TalkingHead) -> Packed:
    """Everything of a head that does not depend on the frame.

    Returns:
        arrays of N Gaussians, of which the first M move, P numbers each, W features, H1 + H2 first units (each padded
        to fours): `rows` (P, N) uint16 between `low` and `high` (P,); `order` (N,), their numbers in the head; `layer`
        (N,), their branch, 0 in front; of each branch, those of branch k with "_k" behind their names: `static` (W, M)
        uint8 between `static_low` and `static_high` (W,), the networks, `gain_index` and `extra_index`, of the wiring,
        `handles`, rows of all of them; `mean_vector`, over the training voice, at rest; where an expression drives the
        head, `controls` (C, 2, E), what
        each of `own_range.CONTROLS` adds to the end of a vector at its two ends, and `bounds` (2, E); for colours, of
        all N, `still_dynamism`, `still_moved` (mm), `density` (Gaussians a cm^3); `strength` (N - M, groups), root mean
        square of each group of S, where those that rest have one; `behind`, the torso as JPEG; `palette` (256, 3).
    """
    from matplotlib import colormaps

    folded, cannot = list(head.branches.values()), why_not(head)
    sizes = [len(branch.rows) for branch in folded]
    moves = torch.zeros(sum(sizes), dtype=torch.bool)
    if not cannot:
        for branch, own in zip(folded, moves.split(sizes), strict=True):
            own[branch.moving] = True
    order = torch.cat([moves.nonzero()[:, 0], (~moves).nonzero()[:, 0]])
    packed = torch.cat([branch.rows for branch in folded]) if not cannot else head.cloud.pack()
    rows, low, high = _quantised(packed[order], np.uint16, np.repeat(ROW_STEPS, (3, packed.shape[1] - 3)))
    scales = torch.stack([branch.branch.units for branch in folded]).amax(dim=0)
    moved, dynamism = inspection.movement(head, head.extras["codes"][::4])
    arrays = {
        "rows": rows,
        "low": low,
        "high": high,
        "order": order.numpy().astype(np.uint16 if len(order) <= 2**16 else np.float32),
        "still_dynamism": _half(dynamism.mean(0)[order]),
        "still_moved": _half(moved.mean(0).norm(dim=1)[order]),
        "density": _half(torch.from_numpy(density(head.cloud.means.numpy()))[order]),
        "behind": np.frombuffer(jpeg(drawing.torso(head, 0, head.width, head.height), 92), np.uint8),
        "palette": np.round(255 * colormaps["viridis"](np.arange(256))[:, :3]).astype(np.uint8),
        "scales": scales.numpy(),
        "layer": np.repeat(np.arange(len(sizes), dtype=np.uint8), sizes)[order.numpy()],
    }
    still = head.viewmats[typical(head.viewmats.numpy())]
    facts: dict[str, Any] = {
        "name": head.about["name"],
        "count": rows.shape[1],
        "moving": int(moves.sum()),
        "numbers": len(rows),
        "width": head.width,
        "height": head.height,
        "K": head.K.flatten().tolist(),
        "view": still.flatten().tolist(),
        "center": list(head.method.box.center),
        "half": head.method.box.half,
        "cannot": [cannot] if cannot else [],
        "filmed": filmed_range(head.viewmats.numpy()).tolist(),  # degrees: yaw, pitch
        "beyond": BEYOND if head.can_turn else BEYOND_CLOUD,
        "branches": [],
    }
    if not cannot:
        with torch.no_grad():
            conditions = [head.condition(code) for code in head.extras["codes"][::8]]
            for k, (title, places) in enumerate(zip(head.branches, _places(head), strict=True)):
                own, more = _decoder(folded[k], scales, places, conditions)
                arrays |= {f"{name}_{k}" if k else name: array for name, array in own.items()}
                facts["branches"].append(more | {"name": title})
            facts |= facts["branches"][0] | {"moving": facts["moving"], "name": facts["name"]}
            if facts["groups"] and len(folded) == 1:
                arrays |= _strength(folded[0], order[facts["moving"] :])
            arrays["mean_vector"] = vectors(head, head.extras["codes"]).mean(0).numpy()
            steering, facts["controls"] = _controls(head)
            arrays |= steering
    return pack(arrays, facts)


def _controls(head: TalkingHead) -> tuple[dict[str, NDArray], list[dict[str, Any]]]:
    """What a person may steer of the expression, in the units of a vector."""
    own = head.own_range
    if own is None or not own.is_captured:
        return {}, []
    ends = np.stack([own.up, own.down], axis=1) / own.spread
    bounds = np.stack([own.low - own.rest, own.high - own.rest]) / own.spread
    facts = [{"title": TITLES[name], "least": -1 if own.down[c].any() else 0} for c, name in enumerate(CONTROLS)]
    return {"controls": ends.astype(np.float32), "bounds": bounds.astype(np.float32)}, facts


def _places(head: TalkingHead) -> list[NDArray]:
    """Where each branch's vector stands in that of all (`vectors`): an index for each of its numbers."""
    condition, found, start = head.condition(head.extras["codes"][0]), [], 0
    shared = 0 if condition.expression is None else len(condition.expression)
    sizes = [len(branch.vector(condition)) - shared for branch in head.method.each()]
    for size in sizes:
        found.append(np.concatenate([start + np.arange(size), sum(sizes) + np.arange(shared)]))
        start += size
    return found


def why_not(head: TalkingHead) -> str:
    """Why a head cannot speak in the browser; "" where it can."""
    if not all(branch.branch.is_plain for branch in head.branches.values()):
        return BOUNDED
    return "" if head.is_folded else NOT_FOLDED


def _decoder(
    folded: FoldedBranch, scales: Tensor, places: NDArray, conditions: Sequence[Condition]
) -> tuple[dict[str, NDArray], dict[str, Any]]:
    """What moving Gaussians read, the networks (units and features padded to fours), and how a frame enters.

    Args:
        folded: a branch. scales: (P,), what an offset of 1 means on the page. places: of the branch's vector in that of
            all branches. conditions: some of the training voice.
    """
    branch, wiring = folded.branch, folded.branch.wiring()
    mlp, static = branch.mlp, folded.static
    assert static is not None
    first, bias, split = mlp.first.weight, mlp.first.bias, mlp.hidden
    parts = [(first[:split], bias[:split]), (first[split:], bias[split:])]
    share = torch.where(scales > 0, branch.units / scales.clamp_min(1e-12), 0.0)[:, None]
    features, low, high = _quantised(_padded(static, rows=False), np.uint8, _feature_steps(folded, conditions))
    arrays = {
        "static": features,
        "static_low": low,
        "static_high": high,
        "first": _half(torch.cat([_padded(weight[:, : mlp.width]) for weight, _ in parts])),
        "first_bias": torch.cat([_padded(own[:, None], columns=False)[:, 0] for _, own in parts]).numpy(),
        "second": _half(_padded(mlp.second.weight)),
        "second_bias": _padded(mlp.second.bias[:, None], columns=False)[:, 0].numpy(),
        "offset": _half(_padded(share * mlp.offset.weight)),
        "offset_bias": _padded(share * mlp.offset.bias[:, None], columns=False)[:, 0].numpy(),
        "dynamism": _half(_padded(mlp.dynamism.weight)),
        "dynamism_bias": _padded(mlp.dynamism.bias[:, None], columns=False)[:, 0].numpy(),
    }
    if mlp.extra:
        arrays["first_extra"] = _half(
            torch.cat([_padded(weight[:, mlp.width :], columns=False) for weight, _ in parts])
        )
    wired, facts = _wired(wiring, -(-mlp.width // 4) * 4, places)
    weight = branch.decode(
        static[:1], Modulation(torch.ones(mlp.width), torch.zeros(mlp.extra) if mlp.extra else None)
    ).weight
    groups = list(branch.feature_groups())
    own = {"moving": len(static), "weighted": weight is not None, "groups": groups, "features": mlp.width}
    return arrays | wired, {**facts, **own}


def _strength(folded: FoldedBranch, resting: Tensor) -> dict[str, NDArray]:
    """Root mean square of each group of S of the Gaussians `resting`, (n, groups); nothing where all are zero."""
    own, groups = folded.features(), len(folded.branch.feature_groups())
    if own is None or not len(resting):
        return {}
    strength = own[resting].float().view(len(resting), groups, -1).square().mean(2).sqrt()
    return {"strength": _half(strength)} if strength.any() else {}


def _feature_steps(folded: FoldedBranch, conditions: Sequence[Condition]) -> NDArray:
    """How fine each feature must be, (W,) padded to fours: the less the network listens to it, the coarser."""
    branch, mlp = folded.branch, folded.branch.mlp
    gains = [branch.modulation(branch.vector(condition)).gain for condition in conditions]
    loud = torch.stack([torch.ones(mlp.width) if gain is None else gain for gain in gains]).square().mean(0).sqrt()
    heard = (mlp.first.weight[:, : mlp.width].norm(dim=0) * loud).clamp_min(1e-6)
    return FEATURE_STEP / np.pad(heard.double().numpy(), (0, -mlp.width % 4), constant_values=1.0)


def _wired(wiring: Wiring, width: int, places: NDArray) -> tuple[dict[str, NDArray], dict[str, Any]]:
    """A wiring as arrays, at its places in the vector of all; gains padded to `width`, where features are zeros."""
    arrays = {}
    if wiring.gain is not None:
        arrays["gain_index"] = np.pad(places[list(wiring.gain)].astype(np.uint16), (0, width - len(wiring.gain)))
    if wiring.extra is not None:
        arrays["extra_index"] = places[list(wiring.extra)].astype(np.uint16)
    if wiring.handles:
        arrays["handles"] = _half(torch.cat([handle.rows.flatten() for handle in wiring.handles]))
    handles = [
        {"title": h.title, "first": int(places[h.first]), "size": h.rows.shape[1], "rows": len(h.rows)}
        for h in wiring.handles
    ]
    return arrays, {"power": wiring.power, "handles": handles}


def bake_talk(
    head: TalkingHead,
    audio: NDArray,
    poses: str = "still",
    expression: str | NDArray = "natural",
    marks: Sequence[Mark] = (),
) -> Packed:
    """What a browser needs for one voice.

    Args:
        head: which speaks. audio: (n,) 16 kHz mono float32. poses: "still" or "natural".
        expression: as for `TalkingHead.expressions`. marks: its sounds.

    Returns:
        arrays `vectors` (K, T) uint16 between `vector_low` and `vector_high` (K,), v of each frame
        (`methods.base.Branch.vector`); `sound`, Ogg Opus; `views` (T, 16), empty where the head keeps still.
    """
    codes = head.encode(audio)
    poses_of = head._poses(poses, len(codes), 0)[0]
    spoken = vectors(head, codes, head.expressions(audio, expression, 0, poses_of))
    return _talk(head, audio, spoken, poses_of if poses == "natural" else np.zeros((0, 4, 4)), marks)


def bake_comparison(head: TalkingHead, subject: Subject, frames: range) -> Packed:
    """What a browser needs to speak as a Subject was filmed, and the filmed pictures.

    Args:
        head: which speaks. subject: of any size in the head's shape. frames: that follow each other.

    Returns:
        as `bake_talk`, and `pictures`, the JPEGs of the frames one behind the other, which end where the facts'
        `pictures` say.

    Raises:
        UserError: the Subject has another shape.
    """
    subject = at_size_of(head, subject)
    codes, faces = codes_late(head, subject, 0.0), captured(head, subject)
    own = codes[[min(t, len(codes) - 1) for t in frames]]
    spoken = vectors(head, own, None if faces is None else faces[frames.start : frames.stop])
    start, end = (round(t / subject.fps * SAMPLE_RATE) for t in (frames.start, frames.stop))
    seconds = frames.start / subject.fps
    said = [p for p in subject.phonemes or () if p.end > seconds and p.start < frames.stop / subject.fps]
    marks = [(max(0.0, p.start - seconds), p.end - seconds, p.ipa) for p in said]
    films = [jpeg(subject.frame(t), TRUTH_QUALITY) for t in frames]
    pictures = np.frombuffer(b"".join(films), np.uint8)
    facts = {"pictures": np.cumsum([0, *map(len, films)]).tolist()}
    views = subject.viewmats[frames.start : frames.stop]
    return _talk(head, subject.audio[start:end], spoken, views, marks, {"pictures": pictures}, facts)


def _talk(
    head: TalkingHead,
    audio: NDArray,
    spoken: Tensor,
    views: NDArray,
    marks: Sequence[Mark],
    more: Mapping[str, NDArray] = MappingProxyType({}),
    facts: Mapping[str, Any] = MappingProxyType({}),
) -> Packed:
    steps, low, high = _quantised(spoken, np.uint16, np.zeros(spoken.shape[1]))
    arrays = {
        "vectors": steps,
        "vector_low": low,
        "vector_high": high,
        "views": views.reshape(-1, 16).astype(np.float32),
        "sound": encode_sound(audio),
        **more,
    }
    known = {"frames": len(spoken), "fps": head.fps, "seconds": len(audio) / SAMPLE_RATE}
    return pack(arrays, {**known, "marks": [list(mark) for mark in marks], **facts})


@torch.no_grad()
def vectors(head: TalkingHead, codes: Tensor, expressions: NDArray | None = None) -> Tensor:
    """v of each of audio codes (T, code), with expressions (T, E) or at rest: (T, K).

    Of several branches one stands behind the other, and the expression, which they share, at the end.
    """
    branches, shared = list(head.method.each()), len(head.expression_names)
    faces = [None] * len(codes) if expressions is None else expressions
    conditions = [head.condition(code, expression=face) for code, face in zip(codes, faces, strict=True)]
    rows = []
    for condition in conditions:
        own = [branch.vector(condition) for branch in branches]
        rows.append(torch.cat([*(v[: len(v) - shared] for v in own), own[0][len(own[0]) - shared :]]))
    return torch.stack(rows)


def encode_sound(audio: NDArray) -> NDArray:
    """(n,) 16 kHz float32 as Ogg Opus, bytes: every current browser plays it, without a delay at its start."""
    import soundfile

    out = io.BytesIO()
    with soundfile.SoundFile(out, "w", SAMPLE_RATE, 1, format="OGG", subtype="OPUS") as file:
        for start in range(0, len(audio), SAMPLE_RATE):  # long pieces overflow its stack
            file.write(np.clip(audio[start : start + SAMPLE_RATE], -1, 1))
    return np.frombuffer(out.getvalue(), np.uint8)


def density(points: NDArray) -> NDArray:
    """Gaussians a cm^3 around each of (N, 3) metres, from the distance of the eighth neighbour."""
    from scipy.spatial import KDTree

    count = min(NEIGHBOURS, len(points) - 1)
    far = KDTree(points).query(points, count + 1)[0][:, -1]
    return (count / (4 / 3 * np.pi * np.maximum(100 * far, 1e-3) ** 3)).astype(np.float32)


def _quantised(rows: Tensor, kind: type[np.unsignedinteger], steps: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Each column of (n, C) in whole steps above its least value, as a row of (C, n), and the values of 0 and the last.

    Steps are `steps` (C,), or as much larger as a column needs for the kind of integer; of a small table, as small as
    that kind allows.
    """
    table, last = rows.double().numpy(), np.iinfo(kind).max
    low, high = (table.min(0), table.max(0)) if len(table) else (np.zeros(table.shape[1]),) * 2
    own = np.maximum(steps if table.size > SMALL else 1e-12, (high - low) / last)
    levels = np.round((table - low) / own).astype(kind)
    return np.ascontiguousarray(levels.T), low.astype(np.float32), (low + last * own).astype(np.float32)


def _padded(table: Tensor, rows: bool = True, columns: bool = True) -> Tensor:
    """Zeros up to multiples of four."""
    more_rows, more_columns = -table.shape[0] % 4 * rows, -table.shape[1] % 4 * columns
    return torch.nn.functional.pad(table, (0, more_columns, 0, more_rows)).contiguous()


def _half(table: Tensor) -> NDArray:
    return table.detach().float().clamp(-65_504, 65_504).numpy().astype(np.float16)
