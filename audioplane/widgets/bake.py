"""A trained head as a browser takes it: its tables once, 16 bits a number, then f_a of each frame.

`widgets/field.js` reads this and moves the Gaussians as `TalkingHead.deform` does; Gaussians that move come first.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audioplane.audio.features import SAMPLE_RATE
from audioplane.methods.audio_plane import inspect
from audioplane.methods.audio_plane.field import AudioPlane
from audioplane.widgets.page import jpeg

if TYPE_CHECKING:
    from audioplane.inference.talking_head import TalkingHead

NEIGHBOURS = 8  # whose distance tells how dense the cloud is
OVER_TIME = "speak in the browser: planes over time do not listen to a voice and cannot be folded"


@dataclass(frozen=True)
class Packed:
    """Arrays in one block of bytes. `facts`: JSON, in it `parts`: name -> (dtype, shape, first byte)."""

    facts: dict[str, Any]
    data: bytes


def pack(arrays: dict[str, NDArray], facts: dict[str, Any]) -> Packed:
    """Puts arrays of float16, float32, uint8 or uint16 behind each other, each at a multiple of four bytes."""
    parts, blocks, at = {}, [], 0
    for name, array in arrays.items():
        block = np.ascontiguousarray(array).tobytes()
        block += bytes(-len(block) % 4)
        parts[name] = (array.dtype.name, list(array.shape), at)
        blocks.append(block)
        at += len(block)
    return Packed({**facts, "parts": parts}, b"".join(blocks))


def bake_head(head: TalkingHead) -> Packed:
    """Everything of a head that does not depend on what it hears.

    Returns:
        arrays of N Gaussians, of which the first M move, P numbers each, W features, H1 + H2 first units (each padded
        to fours): `rows` (N, P) uint16 between `low` and `high` (P,); `order` (N,), their numbers in the head;
        `static` (M, W); the networks; `prototypes` (rows of all levels, D); `mean_code`, f_a over the training voice;
        for colours, of all N, `still_dynamism`, `still_moved` (mm), `density` (Gaussians a cm^3), `strength`
        (N, levels x sets), root mean square of Interp(P_ij) f_k; `behind`, the torso as JPEG; `palette` (256, 3).
    """
    from matplotlib import colormaps

    model, field = head.model, head.model.field
    moving = head._moving if head._static is not None else torch.arange(0)
    rest = torch.ones(len(head.cloud), dtype=torch.bool)
    rest[moving] = False
    order = torch.cat([moving, rest.nonzero()[:, 0]])
    rows, low, high = _quantised(head._rows[order])
    codes = head.extras["codes"][::4]
    moved, dynamism = inspect.movement(model, codes)
    arrays = {
        "rows": rows,
        "low": low,
        "high": high,
        "order": order.numpy().astype(np.float32),
        "still_dynamism": _half(dynamism.mean(0)[order]),
        "still_moved": _half(moved.mean(0).norm(dim=1)[order]),
        "density": _half(torch.from_numpy(density(head.cloud.means.numpy()))[order]),
        "behind": np.frombuffer(jpeg(head._torso(0, head.width, head.height), 92), np.uint8),
        "palette": np.round(255 * colormaps["viridis"](np.arange(256))[:, :3]).astype(np.uint8),
        "scales": model.scales.numpy(),
    }
    config, still = head.config, head.viewmats[_typical(head)]
    facts: dict[str, Any] = {
        "name": head.about["name"],
        "count": len(rows),
        "moving": len(moving),
        "numbers": rows.shape[1],
        "width": head.width,
        "height": head.height,
        "K": head.K.flatten().tolist(),
        "view": still.flatten().tolist(),
        "center": list(model.box.center),
        "half": model.box.half,
        "saliency": config.saliency.enabled,
        "kind": config.field.kind,
        "fusion": config.field.fusion,
        "levels": config.field.levels,
        "features": config.field.features,
        "cannot": [OVER_TIME] if head._static is None else [],
    }
    if head._static is not None:
        with torch.no_grad():
            arrays |= _field_arrays(head, order)
            arrays["mean_code"] = heard(head, head.extras["codes"]).mean(0).numpy()
    if isinstance(field, AudioPlane):
        arrays["prototypes"] = _half(torch.cat(list(field.prototypes)))
        facts["prototypes"] = [len(grid) for grid in field.prototypes]
    return pack(arrays, facts)


def _field_arrays(head: TalkingHead, order: Tensor) -> dict[str, NDArray]:
    """The folded field: what moving Gaussians read, and the networks, units and features padded to fours."""
    heads, field = head.model.field.heads, head.model.field
    assert head._static is not None
    first, bias, split = heads.first.weight, heads.first.bias, heads.hidden
    parts = [(first[:split], bias[:split]), (first[split:], bias[split:])]
    weights = [_padded(weight[:, : heads.width]) for weight, _ in parts]
    own = field.static(head.model.points()).float()  # type: ignore[union-attr]
    strength = own.view(len(own), -1, head.config.field.features).square().mean(2).sqrt()
    arrays = {
        "static": _half(_padded(head._static, rows=False)),
        "strength": _half(strength[order]),
        "first": _half(torch.cat(weights)),
        "first_bias": torch.cat([_padded(own_bias[:, None], columns=False)[:, 0] for _, own_bias in parts]).numpy(),
        "second": _half(_padded(heads.second.weight)),
        "second_bias": _padded(heads.second.bias[:, None], columns=False)[:, 0].numpy(),
        "offset": _half(_padded(heads.offset.weight)),
        "offset_bias": _padded(heads.offset.bias[:, None], columns=False)[:, 0].numpy(),
        "dynamism": _half(_padded(heads.dynamism.weight)),
        "dynamism_bias": _padded(heads.dynamism.bias[:, None], columns=False)[:, 0].numpy(),
    }
    if first.shape[1] > heads.width:
        extra = [_padded(weight[:, heads.width :], columns=False) for weight, _ in parts]
        arrays["first_extra"] = _half(torch.cat(extra))
    return arrays


def bake_talk(head: TalkingHead, audio: NDArray, poses: str = "still") -> Packed:
    """What a browser needs for one voice.

    Args:
        head: which speaks. audio: (n,) 16 kHz mono float32. poses: "still" or "natural".

    Returns:
        arrays `codes` (T, levels x D) float32, f_a of each frame (heads without prototypes: a itself); `sound`, Ogg
        Opus; `views` (T, 16), empty where the head keeps still.
    """
    codes = heard(head, head.encode(audio))
    views = head._poses(poses, len(codes), 0)[0].reshape(-1, 16) if poses == "natural" else np.zeros((0, 16))
    arrays = {"codes": codes.numpy(), "views": views.astype(np.float32), "sound": encode_sound(audio)}
    return pack(arrays, {"frames": len(codes), "fps": head.fps, "seconds": len(audio) / SAMPLE_RATE})


@torch.no_grad()
def heard(head: TalkingHead, codes: Tensor) -> Tensor:
    """What reaches the Gaussians of audio codes a (T, code): f_a (T, levels x D), or a itself without prototypes."""
    field = head.model.field
    return torch.stack([field.audio_code(a).flatten() for a in codes]) if isinstance(field, AudioPlane) else codes


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


def _typical(head: TalkingHead) -> int:
    from audioplane.inference.compositing import typical

    return typical(head.viewmats.numpy())


def _quantised(rows: Tensor) -> tuple[NDArray, NDArray, NDArray]:
    """Each column in 65,535 steps from its least to its largest value."""
    table = rows.numpy().astype(np.float64)
    low, high = table.min(0), table.max(0)
    steps = np.round((table - low) / np.maximum(high - low, 1e-12) * 65_535).astype(np.uint16)
    return steps, low.astype(np.float32), high.astype(np.float32)


def _padded(table: Tensor, rows: bool = True, columns: bool = True) -> Tensor:
    """Zeros up to multiples of four."""
    more_rows, more_columns = -table.shape[0] % 4 * rows, -table.shape[1] % 4 * columns
    return torch.nn.functional.pad(table, (0, more_columns, 0, more_rows)).contiguous()


def _half(table: Tensor) -> NDArray:
    return table.detach().float().clamp(-65_504, 65_504).numpy().astype(np.float16)
