"""What a trained field holds, as arrays: attention over time, the factors of Eq. 10, what training changed, bytes.

Nothing is trained here and nothing drawn; `figures` draws what these functions return.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audioplane.config import Config
from audioplane.deform.planes import LINE_NAMES, PLANE_NAMES, TRIPLES, Planes, sample_dense
from audioplane.evaluation.inspection import as_colors, before_training
from audioplane.methods.audio_plane.config import AudioPlaneConfig
from audioplane.methods.audio_plane.field import AudioPlane
from audioplane.methods.audio_plane.fields import build
from audioplane.methods.audio_plane.model import AudioPlaneBranch, settings
from audioplane.methods.base import Method

if TYPE_CHECKING:
    import pandas as pd

    from audioplane.inference.talking_head import TalkingHead

# Attention


@torch.no_grad()
def attention_over_time(field: AudioPlane, codes: Tensor) -> list[NDArray]:
    """Eq. 7's weights for every frame: for each level (T, sH), rows sum to one."""
    rows = [field.attention(code) for code in codes]
    return [torch.stack(level).numpy() for level in zip(*rows, strict=True)]


# Factors of one Gaussian


@torch.no_grad()
def factors(branch: AudioPlaneBranch, point: int, audio: Tensor) -> dict[str, Tensor]:
    """Every factor of Eq. 10 for one Gaussian, looked up the slow, plain way.

    Paper: Eq. 6, 8 and 10 (journal).

    Args:
        branch: with an audio plane. point: which Gaussian. audio: a, (code,).

    Returns:
        "P", "f_k", "f_a" and their "product": (levels, 3, D) each, sets in the order XY·Z, XZ·Y, YZ·X.
    """
    field = branch.field
    assert isinstance(field, AudioPlane)
    planes = field.planes
    at, shape = branch.points()[point : point + 1], (planes.levels, 3, planes.features)
    P = sample_dense(at, planes.planes, None, planes.layout).view(shape)
    f_k = sample_dense(at, torch.ones_like(planes.planes), planes.lines, planes.layout).view(shape)
    f_a = field.audio_code(audio)[:, None].expand(shape)
    return {"P": P, "f_k": f_k, "f_a": f_a, "product": P * f_k * f_a}


@torch.no_grad()
def learned_change(head: TalkingHead) -> tuple[dict[str, list[NDArray]], dict[str, list[NDArray]]]:
    """What training wrote into planes and lines: the difference to where they started; see `table_pictures`."""
    start, planes = _planes(before_training(head)), _planes(head.method)
    return _tables(head, planes.planes - start.planes, planes.lines - start.lines)  # type: ignore[operator]


@torch.no_grad()
def table_pictures(head: TalkingHead) -> tuple[dict[str, list[NDArray]], dict[str, list[NDArray]]]:
    """What stands in planes and lines.

    Returns:
        "xy", "xz", "yz": pictures (sH, sH, 3) a level, the three main directions of the D features as colours, white
        where no Gaussian reads; "z", "y", "x": curves (sH,) a level, root mean square over the features.
    """
    planes = _planes(head.method)
    return _tables(head, planes.planes, planes.lines)


def branch_of(method: Method) -> AudioPlaneBranch:
    """The one branch of the method.

    Raises:
        ValueError: it is another method.
    """
    branch = next(method.each())
    if not isinstance(branch, AudioPlaneBranch):
        raise ValueError(f"head: expected one of Audio-Plane, received one of {method.config.method.NAME}")
    return branch


def _planes(method: Method) -> Planes:
    return branch_of(method).field.planes


def _tables(
    head: TalkingHead, cells: Tensor, lines: Tensor | None
) -> tuple[dict[str, list[NDArray]], dict[str, list[NDArray]]]:
    layout, rows = _planes(head.method).layout.tolist(), branch_of(head.method).rows_read()["field.planes.planes"]
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
        one level of H^3 cells of D features a frame. `attrs["of any length"]` says what of it a clip of no length has.
    """
    import pandas as pd

    field, outputs = settings(config), 11 + 3 * (config.gaussians.sh_degree + 1) ** 2
    rows = {}
    for kind, name in (
        ("six_planes", "(a) six planes"),
        ("tri_plane", "(b) tri-plane + audio"),
        ("audio_plane", "Ours"),
    ):
        own = settings(config.replace(method__field=kind))
        parts = table_bytes(build(own, config.audio.code, outputs, torch.Generator().manual_seed(0)))
        networks = parts.pop("networks")
        rows[name] = {"tables": sum(parts.values()), "networks": networks, "per second": 0.0}
    lengths = sum(s * field.resolution for s in range(1, field.levels + 1))
    rows["(a) six planes"]["per second"] = fps * len(TRIPLES) * lengths * field.features * 4
    frame = field.resolution**3 * field.features * 4
    rows["dense 4D grid"] = {"tables": seconds * fps * frame, "networks": np.nan, "per second": fps * frame}
    order = ["dense 4D grid", "(a) six planes", "(b) tri-plane + audio", "Ours"]
    table = pd.DataFrame(rows).T.loc[order] / 2**20
    over_space = float(table.loc["(b) tri-plane + audio", "tables"])
    table.attrs["of any length"] = {"dense 4D grid": 0.0, "(a) six planes": over_space}
    return table


def memory_table() -> pd.DataFrame:
    """Table I, measured: MiB of each paradigm's tables and networks, and what another second of video adds."""
    from audioplane.experiments import session
    from audioplane.experiments.paper import numbers

    table = memory(session.settings(), seconds=80).rename(columns=lambda name: f"{name}, MiB").round(3)
    stated = numbers(AudioPlaneConfig.NAME)["table1_paradigms"]["rows"].values()  # (a), (b), (c), after our dense grid
    table["paper: low memory"] = ["", *("yes" if row[0] else "no" for row in stated)]
    return table
