"""What a trained head's file holds, how a run writes it, and how the method comes back from it."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
from msgspec import Meta
from torch import Tensor

from audioplane import registry
from audioplane.audio.codes import code_statistics
from audioplane.audio.features import statistics_size, voice_digest
from audioplane.audio.pretrain import lip_shapes
from audioplane.config import Config
from audioplane.errors import UserError
from audioplane.inference import poses
from audioplane.inference.torso import still_torso
from audioplane.methods.base import Method
from audioplane.runtime import documents, pictures, tensors
from audioplane.runtime.names import check_name
from audioplane.splat.gaussians import Box, from_parameters
from audioplane.subject.parts import crooked
from audioplane.training import checkpoint
from audioplane.training.conditions import driving_track

if TYPE_CHECKING:
    from audioplane.training.trainer import Trainer

KIND = "head"
TORSO_BYTES = 5_000_000  # of JPEG for the torso's motion in the test clip
CLOSED = 0.1  # share of the training frames that count as closed lips
EVERY = 8  # frames from one training code that is kept to the next


Metres = Annotated[float, Meta(ge=-1000, le=1000)]
Side = Annotated[int, Meta(ge=1, le=2**14)]


@dataclass(frozen=True)
class About:
    """The JSON of a head's file, as far as speaking needs it."""

    config: dict[str, Any]
    fps: Annotated[float, Meta(ge=1, le=1000)]
    name: str
    width: Side
    height: Side
    box: tuple[Metres, Metres, Metres, Annotated[float, Meta(gt=0, le=1000)]]
    channels: Annotated[int, Meta(ge=1, le=100_000)]
    iteration: Annotated[int, Meta(ge=0, le=10**12)] = 0
    facts: dict[str, Any] | None = None
    voice: str = ""


def export(trainer: Trainer, path: str | Path) -> None:
    """Writes what a run has learned, with what speaking needs, to one file."""
    subject, method = trainer.subject, trainer.method
    train, windows = subject.train, trainer.conditions.windows
    state = method_state(method)
    state |= {"K": trainer.cache.K, "viewmats": torch.from_numpy(subject.viewmats[train.start : train.stop].copy())}
    state |= _torsos(trainer)
    with torch.no_grad():
        codes = method.encoder.all_codes(windows)
    state["codes"] = codes[train.start : train.stop : EVERY].cpu().contiguous()
    state["code_statistics"] = code_statistics(codes[train.start : train.stop].cpu())
    if method.expression:
        track = driving_track(subject, method)[train.start : train.stop]
        state["expression"] = torch.from_numpy(np.ascontiguousarray(track))
    rest = rest_code(codes.cpu()[train.start : train.stop], subject.landmarks[train.start : train.stop])
    if rest is not None:
        state["rest"] = rest
    statistics = trainer.conditions.features.statistics
    if statistics is not None:
        state["statistics"] = torch.from_numpy(np.stack(statistics).astype(np.float32))
    about = {
        "kind": KIND,
        "config": json.loads(trainer.config.to_json()),
        "fps": subject.fps,
        "voice": voice_digest(subject.audio),
        "name": subject.name,
        "width": trainer.cache.width,
        "height": trainer.cache.height,
        "box": [*trainer.box.center, trainer.box.half],
        "gaussians": sum(len(branch.params["means"]) for branch in method.each()),
        "channels": windows.shape[-1],
        "iteration": trainer.iteration,
        "facts": trainer.facts,
    }
    checkpoint.save(path, state, about)


def rest_code(codes: Tensor, landmarks: np.ndarray) -> Tensor | None:
    """The code of closed lips: the mean of codes (T, code) over the frames whose lips are the nearest to closed.

    Args:
        codes: of the training frames.
        landmarks: (T, 68, 2) of the same frames.

    Returns:
        (code,); None where no frame has landmarks.
    """
    opening = lip_shapes(landmarks, 1).opening
    if not np.isfinite(opening).any():
        return None
    closed = opening <= np.nanquantile(opening, CLOSED)
    return codes[torch.from_numpy(closed)].mean(dim=0)


def method_state(method: Method) -> dict[str, Tensor]:
    """A method's tensors for a file; of large tables only the rows that its clouds read."""
    state = {f"model/{name}": tensor.detach().cpu() for name, tensor in method.state_dict().items()}
    for name, rows in method.rows_read().items():
        state[f"model/{name}"], state[f"rows/{name}"] = state[f"model/{name}"][rows], rows
    return state


def rebuild(found: dict[str, Tensor], about: dict[str, Any], what: str) -> Method:
    """The method that a head's file describes.

    Args:
        found: tensors of the file. about: its JSON. what: the file's name.

    Raises:
        UserError: it describes none that can be.
        KeyError, RuntimeError, IndexError: the file is of another version of the method.
    """
    documents.convert(about, About, what, checkpoint.ADVICE)
    check_name(about["name"], f"{what}: the speaker's name")
    pictures.check_size((about["height"], about["width"]), what)
    config = Config.from_json(json.dumps(about["config"]))
    check_extras(found, about, config, what)
    state = {name.removeprefix("model/"): t for name, t in found.items() if name.startswith("model/")}
    kind = registry.load(registry.spec(config.method.NAME).model)
    clouds = {}
    for name in kind.branch_names(config):
        prefix = f"branches.{name}.params."
        arrays = {k.removeprefix(prefix): t for k, t in state.items() if k.startswith(prefix)}
        checkpoint.check_cloud(arrays, f"{what}: {name}", kind.own_arrays(config, name))
        clouds[name] = from_parameters(arrays)
    *center, half = about["box"]
    box = Box((center[0], center[1], center[2]), half)
    method = kind(config, clouds, box, about["channels"], torch.Generator().manual_seed(0))
    for name, table in method.tables().items():
        if f"rows/{name}" in found:
            rows = found[f"rows/{name}"]
            state[name] = checkpoint.fill_rows(torch.zeros_like(table), rows, state[name], f"{what}: {name}")
    for name, plain in method.encoder.opening.state_dict().items():  # heads from before there was one
        state.setdefault(f"encoder.opening.{name}", plain)
    method.load_state_dict(state)
    if method.expression:
        track = tensors.check(found, "expression", (None, len(method.expression)), what, checkpoint.ADVICE)
        if not len(track):
            raise UserError(f"{what} has no expression of its training; {checkpoint.ADVICE}")
    if not bool((method.encoder.opening.knots[0].diff() > 0).all()):
        raise UserError(f"{what}: the openings of its encoder do not ascend; {checkpoint.ADVICE}")
    lost = next((name for name, t in state.items() if not bool(torch.isfinite(t.double()).all())), None)
    if lost is not None:
        raise UserError(f"{what}: {lost} has NaN or infinite numbers; {checkpoint.ADVICE}")
    return method


def check_extras(found: dict[str, Tensor], about: dict[str, Any], config: Config, what: str) -> None:
    """Holds cameras, codes, statistics and torsos of a head's file to what speaking reads of them.

    Raises:
        UserError: one is missing or something else.
    """

    def want(name: str, *shape: int | None, dtype: torch.dtype = torch.float32) -> Tensor:
        return tensors.check(found, name, shape, what, checkpoint.ADVICE, dtype)

    want("K", 3, 3)
    size = statistics_size(config.audio, about["channels"])
    if size:
        want("statistics", 2, size)
    want("test_viewmats", None, 4, 4)
    if not len(want("viewmats", None, 4, 4)) or not len(want("codes", None, config.audio.code)):
        raise UserError(f"{what} has no cameras or no codes of its training; {checkpoint.ADVICE}")
    if any(crooked(found[name].numpy()).any() for name in ("viewmats", "test_viewmats")):
        raise UserError(f"{what} has a camera that is no rotation; {checkpoint.ADVICE}")
    if "code_statistics" in found:
        want("code_statistics", 2, config.audio.code)
    if "rest" in found:
        want("rest", config.audio.code)
    torso, ends = want("torso", None, dtype=torch.uint8), want("torso_ends", None, dtype=torch.int64)
    edges = [0, *ends.tolist()]
    if (
        len(edges) < 2
        or len(found["test_viewmats"]) != len(ends) - 1
        or edges != sorted(edges)
        or edges[-1] != len(torso)
    ):
        raise UserError(f"{what}: torso_ends does not divide torso into one picture a camera; {checkpoint.ADVICE}")
    for start, stop in itertools.pairwise(edges):
        if pictures.picture_size(torso[start:stop].numpy().tobytes()) != (about["height"], about["width"]):
            raise UserError(f"{what} has a torso that is no picture of the head's size; {checkpoint.ADVICE}")


def _torsos(trainer: Trainer) -> dict[str, Tensor]:
    """JPEGs behind each other: the still torso, then those of the test clip while there is room; and their poses."""
    import cv2

    subject = trainer.subject
    test = subject.test if len(subject.test) else subject.train
    typical = subject.train.start + poses.typical(subject.viewmats[subject.train.start : subject.train.stop])
    packs, budget = [], TORSO_BYTES
    for t in [typical, *test]:
        image = still_torso(trainer, typical) if not packs else trainer.cache[t].behind
        data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
        budget -= len(data)
        if budget < 0:
            break
        packs.append(data)
    return {
        "torso": torch.from_numpy(np.concatenate(packs)),
        "torso_ends": torch.from_numpy(np.cumsum([len(pack) for pack in packs])),
        "test_viewmats": torch.from_numpy(subject.viewmats[test.start : test.start + len(packs) - 1].copy()),
    }
