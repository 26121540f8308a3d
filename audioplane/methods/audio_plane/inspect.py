"""What a trained field holds, as arrays: attention over time, the factors of Eq. 10, what training changed, bytes.

Nothing is trained here and nothing drawn; `figures` draws what these functions return.
"""

# ruff: noqa: RUF001 - phonetic letters that look like Latin ones are meant

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audioplane.config import Config
from audioplane.deform.planes import LINE_NAMES, PLANE_NAMES, TRIPLES, sample_dense
from audioplane.methods.audio_plane.field import AudioPlane
from audioplane.methods.audio_plane.fields import build
from audioplane.methods.audio_plane.model import HeadModel, offset_scales
from audioplane.splat.gaussians import Gaussians, Picture

if TYPE_CHECKING:
    import pandas as pd

    from audioplane.inference.talking_head import TalkingHead
    from audioplane.subject import Subject
    from audioplane.synthetic.performance import Performance

CLASSES = {
    "p b m": "pbm",
    "f v": "fv",
    "t d n l s z": "tdnlszθðɾ",
    "k ɡ ŋ h": "kɡŋh",
    "ʃ tʃ r w": "ʃʒɹwʧʤj",
    "u o ɔ": "uʊoɔ",
    "i ɪ e ɛ": "iɪeɛ",
    "a ɑ ə ʌ": "aɑæəʌɐɒɜɚ",
}
SILENCE = "silence"


def before_training(head: TalkingHead) -> HeadModel:
    """The same cloud under the field that training started from (same seed, same draws)."""
    generator = torch.Generator().manual_seed(head.config.seed * 7919 + 3)
    return HeadModel(head.config, head.cloud, head.model.box, int(head.about["channels"]), generator).eval()


def at_rest(head: TalkingHead) -> TalkingHead:
    """The head with its mouth held still: the canonical cloud, whatever it hears."""
    from audioplane.inference.talking_head import TalkingHead

    return TalkingHead(before_training(head), head.about, head.extras, sparse=False)


@torch.no_grad()
def moment(head: TalkingHead, code: Tensor, view: NDArray) -> Picture:
    """Picture and dynamism map of one moment as training sees them: Eq. 4 and 14, one pass."""
    return head.model(code, torch.from_numpy(np.asarray(view)), head.K, head.width, head.height)


# Attention


@torch.no_grad()
def attention_over_time(field: AudioPlane, codes: Tensor) -> list[NDArray]:
    """Eq. 7's weights for every frame: for each level (T, sH), rows sum to one."""
    rows = [field.attention(code) for code in codes]
    return [torch.stack(level).numpy() for level in zip(*rows, strict=True)]


def sounds(subject: Subject | Performance) -> list[str]:
    """The class of sound (a key of `CLASSES`, or silence) that is spoken in each frame.

    Raises:
        ValueError: the subject has no phonemes.
    """
    if subject.phonemes is None:
        raise ValueError(f"subject: expected one with phonemes, received {subject!r}")
    spoken = [SILENCE] * subject.num_frames
    for phoneme in subject.phonemes:
        start, stop = (int(np.ceil(at * subject.fps - 0.5)) for at in (phoneme.start, phoneme.end))
        found = next((name for name, letters in CLASSES.items() if phoneme.ipa[:1] in letters), SILENCE)
        for t in range(max(start, 0), min(stop, subject.num_frames)):
            spoken[t] = found
    return spoken


def moments(opening: NDArray, frames: range, count: int = 4) -> list[int]:
    """`count` of `frames` from the least to the most open mouth, evenly by rank; `opening` (T,) of the whole clip."""
    order = np.argsort(opening[frames.start : frames.stop], kind="stable")
    return [frames.start + int(order[k]) for k in np.linspace(0, len(order) - 1, count).astype(int)]


def mean_by_sound(values: NDArray, spoken: list[str]) -> tuple[list[str], NDArray]:
    """Names of the classes that occur, and the mean of `values` (T, F) over the frames of each: (classes, F)."""
    labels = np.array(spoken)
    names = [name for name in (*CLASSES, SILENCE) if (labels == name).any()]
    return names, np.stack([values[labels == name].mean(0) for name in names])


def explained(values: NDArray, spoken: list[str]) -> float:
    """The share of the variance of `values` (T, F) that lies between classes of sound rather than within them."""
    names, means = mean_by_sound(values, spoken)
    between = means[[names.index(name) for name in spoken]]
    return float(between.var(0).sum() / max(values.var(0).sum(), 1e-12))


# Factors of one Gaussian


@torch.no_grad()
def factors(model: HeadModel, point: int, audio: Tensor) -> dict[str, Tensor]:
    """Every factor of Eq. 10 for one Gaussian, looked up the slow, plain way.

    Paper: Eq. 6, 8 and 10 (journal).

    Args:
        model: with an audio plane. point: which Gaussian. audio: a, (code,).

    Returns:
        "P", "f_k", "f_a" and their "product": (levels, 3, D) each, sets in the order XY·Z, XZ·Y, YZ·X.
    """
    field = model.field
    assert isinstance(field, AudioPlane)
    planes = field.planes
    at, shape = model.points()[point : point + 1], (planes.levels, 3, planes.features)
    P = sample_dense(at, planes.planes, None, planes.layout).view(shape)
    f_k = sample_dense(at, torch.ones_like(planes.planes), planes.lines, planes.layout).view(shape)
    f_a = field.audio_code(audio)[:, None].expand(shape)
    return {"P": P, "f_k": f_k, "f_a": f_a, "product": P * f_k * f_a}


@torch.no_grad()
def movement(model: HeadModel, codes: Tensor) -> tuple[Tensor, Tensor]:
    """d · ΔG of the positions, millimetres (T, N, 3), and d (T, N) under each code."""
    moved, weights = [], []
    for code in codes:
        offsets, d = model.offsets(code)
        dynamism = torch.ones(len(offsets), 1) if d is None else d
        moved.append(1e3 * (dynamism * offsets * model.scales)[:, :3])
        weights.append(dynamism[:, 0])
    return torch.stack(moved), torch.stack(weights)


def visibility(head: TalkingHead, view: NDArray) -> Tensor:
    """How much of the picture each Gaussian makes up, in pixels (N,): the sum of its blending weights."""
    values = torch.zeros(len(head.cloud), 1, requires_grad=True)
    _draw(head, values, view, head.cloud)[0].sum().backward()
    assert values.grad is not None
    return values.grad[:, 0]


def liveliest(head: TalkingHead, codes: Tensor, view: NDArray) -> int:
    """The Gaussian whose movement under these codes shows most in the picture."""
    moved = movement(head.model, codes)[0].std(dim=0).norm(dim=1)
    return int((moved * visibility(head, view)).argmax())


# Pictures of what is not colour


def mean_inside(maps: list[NDArray], masks: list[NDArray]) -> float:
    """The mean of maps (H, W) over the pixels of their masks, NaN left out."""
    return float(np.nanmean(np.concatenate([values[mask] for values, mask in zip(maps, masks, strict=True)])))


@torch.no_grad()
def splat_values(head: TalkingHead, values: Tensor, view: NDArray, cloud: Gaussians | None = None) -> NDArray:
    """Any values (N, C) of the Gaussians drawn as if they were colours: (H, W, C), NaN where there is no head."""
    drawn, alpha = _draw(head, values, view, head.cloud if cloud is None else cloud)
    return torch.where(alpha > 0.5, drawn / alpha.clamp_min(1e-3), torch.nan).numpy()


def _draw(head: TalkingHead, values: Tensor, view: NDArray, cloud: Gaussians) -> tuple[Tensor, Tensor]:
    from audioplane.splat import rasterization

    drawn, alpha, _ = rasterization(
        cloud.means,
        cloud.quats,
        cloud.scales.exp(),
        torch.sigmoid(cloud.opacities),
        values.contiguous(),
        torch.from_numpy(np.asarray(view))[None],
        head.K[None],
        head.width,
        head.height,
        packed=False,
    )
    return drawn[0], alpha[0]


def trembling(head: TalkingHead, codes: Tensor, view: NDArray) -> NDArray:
    """How far each place strays from its mean position under these codes, drawn: (H, W) mm, NaN where no head is."""
    moved = movement(head.model, codes)[0]
    return splat_values(head, (moved - moved.mean(0)).norm(dim=2).mean(0)[:, None], view)[..., 0]


def as_colors(features: Tensor) -> Tensor:
    """The three main directions of features (N, W) as red, green and blue in [0, 1]: (N, 3)."""
    centred = features - features.mean(0)
    _, vectors = torch.linalg.eigh(centred.T @ centred)
    main = centred @ vectors[:, -3:].flip(1)
    low, high = main.quantile(0.02, dim=0), main.quantile(0.98, dim=0)
    return ((main - low) / (high - low)).clamp(0, 1)


@torch.no_grad()
def learned_change(head: TalkingHead) -> tuple[dict[str, list[NDArray]], dict[str, list[NDArray]]]:
    """What training wrote into planes and lines: the difference to where they started; see `table_pictures`."""
    start, planes = before_training(head).field.planes, head.model.field.planes
    return _tables(head, planes.planes - start.planes, planes.lines - start.lines)  # type: ignore[operator]


@torch.no_grad()
def table_pictures(head: TalkingHead) -> tuple[dict[str, list[NDArray]], dict[str, list[NDArray]]]:
    """What stands in planes and lines.

    Returns:
        "xy", "xz", "yz": pictures (sH, sH, 3) a level, the three main directions of the D features as colours, white
        where no Gaussian reads; "z", "y", "x": curves (sH,) a level, root mean square over the features.
    """
    planes = head.model.field.planes
    return _tables(head, planes.planes, planes.lines)


def _tables(
    head: TalkingHead, cells: Tensor, lines: Tensor | None
) -> tuple[dict[str, list[NDArray]], dict[str, list[NDArray]]]:
    from audioplane.inference.talking_head import touched_rows

    layout, rows = head.model.field.planes.layout.tolist(), touched_rows(head.model)
    pictures: dict[str, list[NDArray]] = {name: [] for name in PLANE_NAMES}
    curves: dict[str, list[NDArray]] = {name: [] for name in LINE_NAMES}
    for at, (size, first, line, *_) in enumerate(layout):
        read = rows[(rows >= first) & (rows < first + size * size)]
        picture = torch.ones(size * size, 3)
        picture[read - first] = as_colors(cells[read])
        pictures[PLANE_NAMES[at % 3]].append(picture.view(size, size, 3).numpy())
        if lines is not None:
            curves[LINE_NAMES[at % 3]].append(lines[line : line + size].square().mean(1).sqrt().numpy())
    return pictures, curves


# Memory


def table_bytes(field: torch.nn.Module) -> dict[str, int]:
    """Bytes of a field's parameters by what they are: planes, lines, prototypes, moments, networks."""
    kinds = {
        "planes.planes": "planes",
        "planes.lines": "lines",
        "prototypes": "prototypes",
        "moments": "planes over time",
    }
    found: dict[str, int] = {}
    for name, tensor in field.named_parameters():
        kind = next((kind for start, kind in kinds.items() if name.startswith(start)), "networks")
        found[kind] = found.get(kind, 0) + tensor.numel() * tensor.element_size()
    return found


def memory(config: Config, seconds: float, fps: float = 25.0) -> pd.DataFrame:
    """Table I in bytes: the three fields as they are built, and what time resolution would cost.

    Args:
        config: sizes. seconds: length of the clip. fps: frames a second.

    Returns:
        One row a representation; MiB: `tables` without the networks, `networks`, and `per second`, what another
        second of video adds where every frame has a cell of its own along time. The dense grid is computed: it is
        one level of H^3 cells of D features a frame.
    """
    import pandas as pd

    field, outputs = config.field, len(offset_scales(config.field, 1.0, (config.gaussians.sh_degree + 1) ** 2))
    rows = {}
    for kind, name in (
        ("six_planes", "(a) six planes"),
        ("tri_plane", "(b) tri-plane + audio"),
        ("audio_plane", "Ours"),
    ):
        own = config.replace(field__kind=kind).field
        parts = table_bytes(build(own, config.audio.code, outputs, torch.Generator().manual_seed(0)))
        networks = parts.pop("networks")
        rows[name] = {"tables": sum(parts.values()), "networks": networks, "per second": 0.0}
    lengths = sum(s * field.resolution for s in range(1, field.levels + 1))
    rows["(a) six planes"]["per second"] = fps * len(TRIPLES) * lengths * field.features * 4
    frame = field.resolution**3 * field.features * 4
    rows["dense 4D grid"] = {"tables": seconds * fps * frame, "networks": np.nan, "per second": fps * frame}
    order = ["dense 4D grid", "(a) six planes", "(b) tri-plane + audio", "Ours"]
    return pd.DataFrame(rows).T.loc[order] / 2**20
