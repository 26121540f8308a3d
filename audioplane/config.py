"""Every choice of a training run, in one frozen tree; a variant of a table is a change of this, never of code.

Each field says what it is, whether the paper states its default (`paper`) or we chose it (`ours`), and which values
are possible. `Config.replace("saliency.margin=0.1", ...)` changes fields by their dotted path, `PRESETS` holds the
three starting points: `smoke` (seconds, proves the wiring), `demo` (about a minute and a half on two cores,
photographic on an embedded speaker) and `paper` (the settings of Sec. IV-A).
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from audioplane.errors import UserError

T = TypeVar("T")


@dataclass(frozen=True)
class About:
    """What a field is, where its default comes from, and which values it takes."""

    doc: str
    source: str  # "ours", or the place in the paper
    choices: tuple[Any, ...] = ()
    low: float = -math.inf
    high: float = math.inf


def ours(default: T, doc: str, *choices: Any, low: float = 0.0, high: float = math.inf) -> T:
    return field(default=default, metadata={"about": About(doc, "ours", choices, low, high)})


def paper(where: str, default: T, doc: str, *choices: Any, low: float = 0.0, high: float = math.inf) -> T:
    return field(default=default, metadata={"about": About(doc, where, choices, low, high)})


@dataclass(frozen=True)
class AudioConfig:
    """From sound to the code `a` (Sec. III-C)."""

    features: str = ours(
        "phonetic",
        "per-frame features; the paper uses deepspeech",
        "phonetic",
        "phonetic-causal",
        "mel",
        "wav2vec2",
        "hubert",
        "deepspeech",
    )
    model: str = ours("", "folder or hub name of the wav2vec2/HuBERT network, or the .npy of DeepSpeech features")
    mel_bands: int = ours(64, "bands of the log-mel spectrogram", low=8, high=256)
    window: int = paper("Sec. III-C", 16, "feature steps seen by one frame's encoder", low=2, high=64)
    filter: int = paper(
        "Sec. III-C and its reference 48", 8, "neighbouring frames fused by the temporal filter", low=1, high=64
    )
    code: int = ours(32, "D of a, size of the audio code; the paper uses the planes' 16", low=1, high=512)
    channels: int = ours(96, "width of the window encoder", low=4, high=512)
    normalise: str = ours("voice", "whose statistics features and codes are standardised by", "subject", "voice")
    emphasis: float = ours(
        1.15, "times the codes when speaking, normalise=voice: sounds not learned by heart spread less", high=4.0
    )
    pretrain_steps: int = ours(1600, "encoder steps on the training frames' lip shapes; 0 leaves it to the field")
    pretrain_batch: int = ours(64, "frames in one such step", low=1)
    pretrain_rate: float = ours(5e-3, "its Adam learning rate")
    lip_components: int = ours(6, "principal components of the lip landmarks that are its targets", low=1, high=40)
    dropout: float = ours(0.4, "share of the encoder's numbers dropped while pre-training; 0.2 suits mel", high=0.9)
    augment: float = ours(0.3, "strength of other mouths, rooms, noises in pre-training; 0.6 suits mel", high=4.0)
    fine_rate: float = ours(0.0, "learning rate of the encoder in the fine stage; 0 keeps it as pre-trained")


@dataclass(frozen=True)
class FieldConfig:
    """What moves the Gaussians (Sec. III-D)."""

    kind: str = paper(
        "Fig. 2",
        "audio_plane",
        "audio planes, tri-plane + audio, or planes over time",
        "audio_plane",
        "tri_plane",
        "six_planes",
    )
    resolution: int = paper("Sec. IV-A", 64, "H, cells a side of the coarsest level", low=2, high=512)
    features: int = paper("Sec. IV-A", 16, "D, features of a plane cell", low=1, high=128)
    levels: int = paper("Eq. 10", 4, "scales s = 1..levels, of s H cells a side", low=1, high=8)
    fusion: str = paper("Table III", "concat", "how the three plane sets join", "concat", "add", "multiply")
    scores: str = paper("Table III", "attention", "where the prototypes' weights come from", "attention", "mlp")
    hidden: int = ours(64, "width of D1", low=1, high=1024)
    dynamism_hidden: int = ours(16, "width of D2", low=1, high=1024)
    position_scale: float = ours(0.1, "offset of position at output 1, in half box sides")
    rotation_scale: float = ours(0.1, "offset of the quaternion at output 1")
    scaling_scale: float = ours(0.2, "offset of log-scale at output 1")
    opacity_scale: float = ours(1.0, "offset of the opacity logit at output 1")
    color_scale: float = ours(0.3, "offset of the spherical harmonics at output 1")
    move_points: bool = ours(True, "whether the field's gradient also reaches the canonical positions it is sampled at")
    bf16: bool = ours(False, "bfloat16 for the large matrix products, where the processor has them")


@dataclass(frozen=True)
class SaliencyConfig:
    """Saliency splatting (Sec. III-E)."""

    enabled: bool = paper("Table II", True, "false: d = 1 and no mask loss (w/o SS)")
    margin: float = paper("Sec. IV-A", 0.2, "tolerance between dynamism map and mask (Eq. 15)", high=1.0)
    weight: float = paper("Sec. IV-A", 0.1, "lambda_mask (Eq. 17)")


@dataclass(frozen=True)
class GaussianConfig:
    """The canonical cloud and its density control."""

    initial: int = paper("Sec. IV-A", 1000, "random points at the start", low=4)
    cap: int = ours(6000, "most Gaussians", low=4)
    sh_degree: int = ours(0, "degree of the colours' harmonics", high=3)
    densify: str = ours(
        "quota", "quota: the hottest share, ours; gsplat's 3DGS (paper) or MCMC strategies", "quota", "default", "mcmc"
    )
    densify_every: int = ours(50, "iterations between densifications", low=1)
    densify_from: int = ours(100, "first iteration that densifies")
    densify_until: float = ours(0.85, "share of the coarse stage after which the cloud's size is fixed", high=1.0)
    densify_share: float = ours(0.3, "quota: share of Gaussians that is doubled each time", low=0.0, high=1.0)
    prune_opacity: float = ours(0.01, "quota: fainter Gaussians are replaced", high=1.0)
    half_box: float = ours(0.0, "half side of the head's box in metres; 0 finds it from masks and cameras", high=10.0)


@dataclass(frozen=True)
class OptimConfig:
    """Adam's learning rates; positions are in half box sides. All ours: the paper states none."""

    means: float = ours(1e-2, "positions, first coarse step")
    means_last: float = ours(5e-4, "positions, last coarse step")
    quats: float = ours(5e-3, "rotations")
    scales: float = ours(1e-2, "log-scales")
    opacities: float = ours(5e-2, "opacity logits")
    colors: float = ours(1e-2, "constant harmonics; the higher ones take a twentieth")
    fine_share: float = ours(0.3, "all five, at the start of the fine stage, times this")
    planes: float = ours(5e-3, "planes and lines")
    network: float = ours(2e-3, "attention, D1, D2, prototypes")
    last_share: float = ours(0.05, "every fine rate decays to this share of itself", high=1.0)


@dataclass(frozen=True)
class LossConfig:
    """Eq. 16 and 17."""

    perceptual: str = ours(
        "dssim", "lpips-alex, lpips-vgg (the paper's kind), dssim, or none", "dssim", "lpips-alex", "lpips-vgg", "none"
    )
    perceptual_weight: float = paper("Sec. IV-A, as lambda_LPIPS", 0.05, "weight of the perceptual term")
    mouth_weight: float = ours(5.0, "extra weight of the moving region in L1, fine stage; 0 is the paper")
    fade_weight: float = ours(0.0, "mean |d| of Gaussians, favours stillness; 0 is the paper")


@dataclass(frozen=True)
class ScheduleConfig:
    """How long, at which size, on what background."""

    coarse: int = paper("Sec. IV-A", 3000, "iterations of the coarse stage", low=1)
    fine: int = paper("Sec. IV-A", 100_000, "iterations of the fine stage")
    size: int = ours(0, "side of the training images in pixels; 0 is the subject's own")
    early_size: int = ours(0, "side for the first half of the coarse stage; 0 is `size`")
    background: str = ours(
        "mixed", "behind the head: random colours, the subject's own, or in turn", "random", "subject", "mixed"
    )
    checkpoint_every: int = ours(500, "iterations between checkpoints", low=1)
    preview_every: int = ours(500, "iterations between preview pictures; 0 for none")
    cache_mib: int = ours(600, "memory for decoded frames, MiB")


@dataclass(frozen=True)
class Config:
    """All of it. `seed` starts every random generator of the run."""

    audio: AudioConfig = AudioConfig()
    field: FieldConfig = FieldConfig()
    saliency: SaliencyConfig = SaliencyConfig()
    gaussians: GaussianConfig = GaussianConfig()
    optim: OptimConfig = OptimConfig()
    loss: LossConfig = LossConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    seed: int = ours(0, "of every random generator")

    def replace(self, *settings: str, **values: Any) -> Config:
        """A changed copy.

        Args:
            settings: texts "path=value", e.g. "saliency.margin=0.1".
            values: the same with double underscores: saliency__margin=0.1.

        Raises:
            UserError: for a path that does not exist (the nearest is named) or a value that is not possible.
        """
        changed = self
        for setting in settings:
            path, equals, text = setting.partition("=")
            if not equals:
                raise UserError(f"setting '{setting}' must read path=value, for example saliency.margin=0.1")
            changed = _put(changed, path.strip(), _parse(path.strip(), text.strip()))
        for name, value in values.items():
            changed = _put(changed, name.replace("__", "."), value)
        return changed

    def get(self, path: str) -> Any:
        """The value at a dotted path."""
        _about(path)
        value: Any = self
        for name in path.split("."):
            value = getattr(value, name)
        return value

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=1)

    @staticmethod
    def from_json(text: str) -> Config:
        """The inverse of `to_json`; fields that are missing keep their defaults, unknown ones are refused."""
        config = Config()
        for path, value in _leaves(json.loads(text)):
            config = _put(config, path, value)
        return config

    def differences(self, other: Config) -> dict[str, tuple[Any, Any]]:
        """Dotted path -> (own, other's) value where the two differ."""
        pairs = {path: (self.get(path), other.get(path)) for path in PATHS}
        return {path: pair for path, pair in pairs.items() if pair[0] != pair[1]}


def _leaves(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _fields(cls: Any, prefix: str = "") -> Iterator[tuple[str, type, About]]:
    types = typing.get_type_hints(cls)
    for item in dataclasses.fields(cls):
        if dataclasses.is_dataclass(types[item.name]):
            yield from _fields(types[item.name], f"{item.name}.")
        else:
            yield prefix + item.name, types[item.name], item.metadata["about"]


PATHS: dict[str, tuple[type, About]] = {path: (kind, about) for path, kind, about in _fields(Config)}


def _about(path: str) -> tuple[type, About]:
    if path not in PATHS:
        leaf = path.rpartition(".")[2]
        same = [known for known in PATHS if known.rpartition(".")[2] == leaf]
        near = same or difflib.get_close_matches(path, PATHS, n=1, cutoff=0.0)
        raise UserError(f"there is no setting '{path}'; the nearest is '{near[0]}'")
    return PATHS[path]


def _parse(path: str, text: str) -> Any:
    """A text as the type of its field."""
    kind, _ = _about(path)
    if kind is bool:
        if text.lower() not in ("true", "false", "1", "0", "yes", "no", "on", "off"):
            raise UserError(f"'{path}' is true or false, not '{text}'")
        return text.lower() in ("true", "1", "yes", "on")
    try:
        return kind(text)
    except ValueError:
        raise UserError(f"'{path}' is {_words(kind)}, not '{text}'") from None


def _words(kind: type) -> str:
    return {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}[kind]


def _put(config: Config, path: str, value: Any) -> Config:
    """A copy with one checked field changed."""
    kind, about = _about(path)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise UserError(f"'{path}' is {_words(kind)}, not {value!r}")
    if about.choices and value not in about.choices:
        near = difflib.get_close_matches(str(value), about.choices, n=1, cutoff=0.0)[0]
        raise UserError(f"'{path}' is one of {', '.join(about.choices)}, not '{value}'; the nearest is '{near}'")
    if isinstance(value, int | float) and not about.low <= value <= about.high:
        nearest = about.low if not value > about.low else about.high
        raise UserError(
            f"'{path}' lies between {about.low:g} and {about.high:g}, not {value}; the nearest is {nearest:g}"
        )
    group, _, name = path.rpartition(".")
    if not group:
        return dataclasses.replace(config, **{name: value})
    return dataclasses.replace(config, **{group: dataclasses.replace(getattr(config, group), **{name: value})})


PAPER = Config().replace(
    audio__code=16,
    audio__fine_rate=1e-4,
    gaussians__cap=20_000,
    gaussians__sh_degree=3,
    gaussians__densify="default",
    gaussians__densify_every=100,
    gaussians__densify_from=500,
    loss__perceptual="lpips-alex",
    loss__mouth_weight=0.0,
    schedule__size=512,
    schedule__checkpoint_every=5000,
    schedule__preview_every=5000,
    schedule__cache_mib=4000,
)
DEMO = Config().replace(
    schedule__coarse=700,
    schedule__fine=2600,
    schedule__size=256,
    schedule__early_size=128,
    gaussians__sh_degree=1,
    loss__perceptual_weight=0.2,
    field__bf16=True,
)
SMOKE = DEMO.replace(
    audio__pretrain_steps=40, audio__channels=16, field__resolution=16, field__levels=2, gaussians__initial=300,
    gaussians__cap=600, gaussians__densify_from=20, gaussians__densify_every=20, schedule__coarse=60,
    schedule__fine=60, schedule__size=64, schedule__early_size=0, schedule__checkpoint_every=40,
    schedule__preview_every=60,
)  # fmt: skip
PRESETS: dict[str, Config] = {"smoke": SMOKE, "demo": DEMO, "paper": PAPER}


def preset(name: str) -> Config:
    """A preset by name.

    Raises:
        UserError: for an unknown name.
    """
    if name not in PRESETS:
        raise UserError(f"there is no preset '{name}'; choose one of {', '.join(PRESETS)}")
    return PRESETS[name]
