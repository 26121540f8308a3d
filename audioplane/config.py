"""Every choice of a training run, in one frozen tree; a variant of a table is a change of this, never of code.

Each field says what it is, whether the paper states its default (`paper`) or we chose it (`ours`), and which values
are possible. What every method shares stands here; `Config.method` holds the method's own settings, a dataclass of its
folder. `Config.replace("method.margin=0.1", ...)` changes fields by their dotted path. `preset` gives the three
starting points of a method: `smoke` (seconds, proves the wiring), `demo` (about a minute and a half on two cores,
photographic on an embedded speaker) and `paper` (the paper's settings).
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import json
import math
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from audioplane import registry
from audioplane.errors import UserError
from audioplane.runtime import documents

T = TypeVar("T")
MOST = 1e9  # of a number without a bound of its own
ITERATIONS = 10_000_000  # of a stage


@dataclass(frozen=True)
class About:
    """What a field is, where its default comes from, and which values it takes."""

    doc: str
    source: str  # "ours", or the place in the paper
    choices: tuple[Any, ...] = ()
    low: float = -math.inf
    high: float = math.inf


def ours(default: T, doc: str, *choices: Any, low: float = 0.0, high: float = MOST) -> T:
    return field(default=default, metadata={"about": About(doc, "ours", choices, low, high)})


def paper(where: str, default: T, doc: str, *choices: Any, low: float = 0.0, high: float = MOST) -> T:
    return field(default=default, metadata={"about": About(doc, where, choices, low, high)})


@dataclass(frozen=True)
class AudioConfig:
    """From sound to the code `a` (Audio-Plane, Sec. III-C)."""

    features: str = ours(
        "whisper-phonetic",
        "per-frame features; the paper uses deepspeech",
        "whisper-phonetic",
        "whisper",
        "live",
        "phonetic",
        "phonetic-causal",
        "av",
        "mel",
        "wav2vec2",
        "hubert",
        "deepspeech",
    )
    model: str = ours(
        "",
        "Whisper: a folder or file of another one, or whisper-base (empty: the one that ships); folder or hub name of "
        "the wav2vec2/HuBERT network; the .npy of DeepSpeech features",
    )
    block: int = ours(
        2,
        "Whisper's encoder block whose states are the features; two ship, with a projection for the second",
        low=1,
        high=32,
    )
    mel_bands: int = ours(64, "bands of the log-mel spectrogram", low=8, high=256)
    window: int = paper("Sec. III-C", 16, "feature steps seen by one frame's encoder", low=2, high=64)
    filter: int = paper(
        "Sec. III-C and its reference 48", 8, "neighbouring frames fused by the temporal filter", low=1, high=64
    )
    code: int = ours(32, "D of a, size of the audio code; the paper uses the planes' 16", low=1, high=512)
    channels: int = ours(96, "width of the window encoder", low=4, high=512)
    normalise: str = ours("voice", "whose statistics features and codes are standardised by", "subject", "voice")
    emphasis: float = ours(
        1.15,
        "factor on the codes when speaking, if normalise=voice: makes up for their smaller spread on unseen speech; "
        "not in use with calibration_steps",
        high=4.0,
    )
    pretrain_steps: int = ours(
        1600, "encoder steps on the training frames' lip shapes; 0 leaves it to the field", high=1000000
    )
    calibration_steps: int = ours(
        0,
        "steps of three further encoders, each without a part of the training frames, that tell how much too little "
        "lips would open for unseen speech; 0 leaves codes as they are; not in use with fine_rate",
        high=1000000,
    )
    pretrain_batch: int = ours(64, "frames in one such step", low=1, high=65536)
    pretrain_rate: float = ours(5e-3, "its Adam learning rate")
    lip_components: int = ours(6, "principal components of the lip landmarks that are its targets", low=1, high=40)
    dropout: float = ours(0.4, "share of the encoder's numbers dropped while pre-training; 0.2 suits mel", high=0.9)
    augment: float = ours(
        0.3, "strength of the data augmentation (voices, rooms, noise) in pre-training; 0.6 suits mel", high=4.0
    )
    longest_pause: float = ours(
        0.8, "seconds of silence between words in which lips still move; they rest in longer ones", low=0.8, high=10.0
    )
    fine_rate: float = ours(0.0, "learning rate of the encoder in the fine stage; 0 keeps it as pre-trained")


@dataclass(frozen=True)
class MethodConfig:
    """A method's own settings; each method's folder has a subclass.

    Attributes:
        NAME: by which users call the method.
        RENAMED: older paths of its settings -> today's; "" for settings that are gone.
    """

    NAME: ClassVar[str] = ""
    RENAMED: ClassVar[dict[str, str]] = {}


@dataclass(frozen=True)
class MethodSpec:
    """What is known of a method without loading it; its package has one under the name `SPEC`.

    Attributes:
        config: the method's settings, a subclass of `MethodConfig`.
        title: for people. paper: whom to cite, short.
        model: "module:class" of its `methods.base.Method`, or the class.
        presets: smoke, demo, paper -> settings "path=value" on top of what all methods share.
        in_tables: settings of all rows that re-run a table of the paper, on top of the preset: what is not the paper's
            is off there, unless a row says otherwise.
        tables: "module:name" of its tables, a dict name -> `experiments.tables.Table`; "" for none.
        computed: name -> "module:function" of tables that are computed, not run: () -> data frame.
        figures: "module:name" of its paper's figures, a dict name -> function of a `paper_figures.Context`.
        numbers: package that holds `numbers.json`, what the paper prints.
        widgets: name -> "module:function" of widgets of its own, which `audioplane.widgets` then has.
    """

    config: type[MethodConfig]
    title: str
    paper: str
    model: Any
    presets: Mapping[str, Sequence[str]]
    tables: str = ""
    in_tables: Sequence[str] = ()
    computed: Mapping[str, str] = field(default_factory=dict)
    figures: str = ""
    numbers: str = ""
    widgets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class GaussianConfig:
    """The canonical cloud and its density control."""

    initial: int = paper("Sec. IV-A", 1000, "random points at the start", low=4, high=5000000)
    start: str = ours(
        "masks",
        "where these lie: in the part of the head's box that the masks call head, or anywhere in it",
        "masks",
        "box",
    )
    cap: int = ours(6000, "most Gaussians; none of the strategies goes beyond", low=4, high=5000000)
    sh_degree: int = ours(0, "degree of the colours' harmonics", high=3)
    densify: str = ours(
        "quota", "quota: the hottest share, ours; gsplat's 3DGS (paper) or MCMC strategies", "quota", "default", "mcmc"
    )
    densify_every: int = ours(50, "iterations between densifications", low=1, high=ITERATIONS)
    densify_from: int = ours(100, "first iteration that densifies", high=ITERATIONS)
    densify_until: float = ours(0.85, "share of the coarse stage after which it grows no more in it", high=1.0)
    densify_fine_until: float = ours(
        0.0, "the same of the fine stage; 0: the cloud's size is fixed there. Steps are counted through both", high=1.0
    )
    densify_share: float = ours(0.3, "quota: share of Gaussians that is doubled each time", low=0.0, high=1.0)
    prune_opacity: float = ours(0.01, "quota and default: fainter Gaussians are removed", high=1.0)
    reset_every: int = ours(0, "default: iterations between resets of all opacities; 0 for none", high=ITERATIONS)
    regularise: float = ours(
        0.01, "mcmc: weight of the mean opacity and of the mean scale (in half box sides), as in 3DGS-MCMC", high=100.0
    )
    surface: bool = ours(
        False, "start on a surface fitted to landmarks and outlines, and stay near it: for heads that turn"
    )
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
    fine_share: float = ours(
        0.3, "factor on rotations, scales, opacities and colours in the fine stage; positions go on from means_last"
    )
    planes: float = ours(5e-3, "feature planes")
    network: float = ours(2e-3, "networks, and what else a method learns: lines and prototypes of an audio plane too")
    last_share: float = ours(0.05, "every fine rate decays to this share of itself", high=1.0)


@dataclass(frozen=True)
class LossConfig:
    """The terms that every method has (Audio-Plane, Eq. 16)."""

    perceptual: str = ours(
        "dssim",
        "lpips-alex, lpips-vgg (the paper's kind), dssim, or none; lpips-or-dssim takes lpips-alex if its weights are "
        "there, else dssim, and the record says which",
        "dssim",
        "lpips-alex",
        "lpips-vgg",
        "lpips-or-dssim",
        "none",
    )
    perceptual_weight: float = paper("Sec. IV-A, as lambda_LPIPS", 0.05, "weight of the perceptual term")
    motion_mask: str = ours(
        "wide",
        "what speech moves: the mouth with the hull of lips and chin, widely dilated, or the mouth slightly dilated",
        "wide",
        "narrow",
    )
    mouth_weight: float = ours(5.0, "extra weight of the moving region in L1, fine stage; 0 is the paper")
    eyes_weight: float = ours(5.0, "extra weight of eyes and brows in L1, fine stage, where an expression drives them")


@dataclass(frozen=True)
class ScheduleConfig:
    """How long, at which size, on what background."""

    coarse: int = paper("Sec. IV-A", 3000, "iterations of the static stage", low=1, high=ITERATIONS)
    fine: int = paper("Sec. IV-A", 100_000, "iterations of the stages that deform", high=ITERATIONS)
    size: int = ours(0, "side of the training images in pixels; 0 is the subject's own", high=8192)
    early_size: int = ours(0, "side for the first half of the coarse stage; 0 is `size`", high=8192)
    background: str = ours(
        "mixed", "behind the head: random colours, the subject's own, or in turn", "random", "subject", "mixed"
    )
    checkpoint_every: int = ours(500, "iterations between checkpoints", low=1, high=ITERATIONS)
    preview_every: int = ours(500, "iterations between preview pictures; 0 for none", high=ITERATIONS)
    foreign_expression: float = ours(
        0.25,
        "share of the iterations in which the mouth is learned under an expression that is not its frame's: eyes and "
        "brows then leave it alone",
        high=1.0,
    )
    closed_eyes: float = ours(
        0.0,
        "share of the iterations that deform which see a frame with closed eyes, if the method is told of eyes: of few "
        "blinks lids learn to close half way",
        high=1.0,
    )
    wide_lips: float = ours(
        0.0,
        "share of the iterations that deform which see a frame with widely open lips: of few, lips learn to open half",
        high=1.0,
    )
    cache_mib: int = ours(600, "memory for decoded frames, MiB", high=10000000)


def _default_method() -> MethodConfig:
    return registry.spec(registry.DEFAULT).config()


@dataclass(frozen=True)
class Config:
    """All of it. `seed` starts every random generator of the run."""

    method: MethodConfig = field(default_factory=_default_method)
    audio: AudioConfig = AudioConfig()
    gaussians: GaussianConfig = GaussianConfig()
    optim: OptimConfig = OptimConfig()
    loss: LossConfig = LossConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    seed: int = ours(0, "of every random generator", high=2**63 - 1)

    def replace(self, *settings: str, **values: Any) -> Config:
        """A changed copy.

        Args:
            settings: texts "path=value", e.g. "schedule.fine=2000"; "method.name=..." takes another method.
            values: the same with double underscores: schedule__fine=2000.

        Raises:
            UserError: for a path that does not exist (the nearest is named) or a value that is not possible.
        """
        changed = self
        for setting in settings:
            path, equals, text = setting.partition("=")
            if not equals:
                raise UserError(f"setting '{setting}' must read path=value, for example schedule.fine=2000")
            changed = _put(changed, path.strip(), _parse(changed, path.strip(), text.strip()))
        for name, value in values.items():
            changed = _put(changed, name.replace("__", "."), value)
        return changed

    @property
    def paths(self) -> dict[str, tuple[type, About]]:
        """Every dotted path -> its type and what it is; the method's own settings begin with "method."."""
        names = About("which method; its own settings begin with method.", "ours", tuple(registry.names()))
        return {METHOD: (str, names), **_paths(type(self.method))}

    def get(self, path: str) -> Any:
        """The value at a dotted path."""
        _about(self, path)
        if path == METHOD:
            return self.method.NAME
        value: Any = self
        for name in path.split("."):
            value = getattr(value, name)
        return value

    def to_json(self) -> str:
        tree = dataclasses.asdict(self)
        tree["method"] = {"name": self.method.NAME, **tree["method"]}
        return json.dumps(tree, indent=1)

    @staticmethod
    def from_json(text: str) -> Config:
        """The inverse of `to_json`; fields that are missing keep their defaults, unknown ones are refused."""
        advice = "it does not come from this version of audioplane"
        config, tree = Config(), documents.parse(text, dict[str, Any], "the settings", advice)
        if "method" in tree:
            own = tree["method"]
            config = _put(config, METHOD, own.get("name") if isinstance(own, dict) else own)
        for path, value in _leaves(tree):
            config = _put(config, path, value)
        return config

    @staticmethod
    def read(path: Path) -> Config:
        """The config of a file that holds what `to_json` gives.

        Raises:
            UserError: missing, damaged, or with settings that are not possible; says which.
        """
        try:
            return Config.from_json(documents.read_bytes(path).decode())
        except (UserError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: {error}") from error

    def __reduce__(self) -> tuple[Any, ...]:
        """Travels to other processes as JSON: a method from a folder is found there by its name."""
        return Config.from_json, (self.to_json(),)

    def differences(self, other: Config) -> dict[str, tuple[Any, Any]]:
        """Dotted path -> (own, other's) value where the two differ; of two methods, only that."""
        if type(self.method) is not type(other.method):
            return {METHOD: (self.method.NAME, other.method.NAME)}
        pairs = {path: (self.get(path), other.get(path)) for path in self.paths}
        return {path: pair for path, pair in pairs.items() if pair[0] != pair[1]}


METHOD = "method.name"


def _leaves(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _fields(cls: Any, prefix: str = "") -> Iterator[tuple[str, type, About]]:
    types = typing.get_type_hints(cls)
    for item in dataclasses.fields(cls):
        if item.name == "method":
            continue
        if dataclasses.is_dataclass(types[item.name]):
            yield from _fields(types[item.name], f"{item.name}.")
        else:
            yield prefix + item.name, types[item.name], item.metadata["about"]


@functools.cache
def _paths(method: type[MethodConfig]) -> dict[str, tuple[type, About]]:
    own = {path: (kind, about) for path, kind, about in _fields(method, "method.")}
    return {**own, **{path: (kind, about) for path, kind, about in _fields(Config)}}


def _about(config: Config, path: str) -> tuple[type, About]:
    paths = config.paths
    if path not in paths:
        if path in config.method.RENAMED:
            now = config.method.RENAMED[path]
            raise UserError(f"'{path}' is called '{now}' now" if now else f"there is no setting '{path}' any more")
        leaf = path.rpartition(".")[2]
        same = [known for known in paths if known.rpartition(".")[2] == leaf]
        near = same or difflib.get_close_matches(path, paths, n=1, cutoff=0.0)
        raise UserError(f"there is no setting '{path}'; the nearest is '{near[0]}'")
    return paths[path]


def _parse(config: Config, path: str, text: str) -> Any:
    """A text as the type of its field."""
    kind, _ = _about(config, path)
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
    kind, about = _about(config, path)
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
    if path == METHOD:
        same = value == config.method.NAME
        return config if same else dataclasses.replace(config, method=registry.spec(value).config())
    group, _, name = path.rpartition(".")
    if not group:
        return dataclasses.replace(config, **{name: value})
    return dataclasses.replace(config, **{group: dataclasses.replace(getattr(config, group), **{name: value})})


SHARED: dict[str, tuple[str, ...]] = {
    "paper": (
        "audio.code=16",
        "audio.fine_rate=1e-4",
        "gaussians.cap=20000",
        "gaussians.sh_degree=3",
        "gaussians.densify=default",
        "gaussians.densify_every=100",
        "gaussians.densify_from=500",
        "loss.perceptual=lpips-or-dssim",
        "loss.mouth_weight=0",
        "schedule.size=512",
        "schedule.checkpoint_every=5000",
        "schedule.preview_every=5000",
        "schedule.cache_mib=4000",
    ),
    "demo": (
        "audio.calibration_steps=300",
        "audio.longest_pause=2",
        "schedule.coarse=700",
        "schedule.fine=2600",
        "schedule.size=256",
        "schedule.early_size=128",
        "gaussians.sh_degree=1",
        "loss.perceptual_weight=0.2",
    ),
}
SHARED["smoke"] = (
    *SHARED["demo"],
    "gaussians.surface=true",  # so that all that uses it is run
    "audio.pretrain_steps=40",
    "audio.calibration_steps=20",
    "audio.channels=16",
    "gaussians.initial=300",
    "gaussians.cap=600",
    "gaussians.densify_from=20",
    "gaussians.densify_every=20",
    "schedule.coarse=60",
    "schedule.fine=60",
    "schedule.size=64",
    "schedule.early_size=0",
    "schedule.checkpoint_every=40",
    "schedule.preview_every=60",
)
"""What a preset of every method begins with; a method's `MethodSpec.presets` adds its own."""

PRESETS = ("smoke", "demo", "paper")


def preset(name: str, method: str = registry.DEFAULT) -> Config:
    """A preset of a method by name.

    Raises:
        UserError: for an unknown name of either.
    """
    if name not in PRESETS:
        raise UserError(f"there is no preset '{name}'; choose one of {', '.join(PRESETS)}")
    spec = registry.spec(method)
    return Config(method=spec.config()).replace(*SHARED[name], *spec.presets.get(name, ()))
