"""The phonetic ear: what is said and what the mouth does for it, heard in a log-mel spectrogram by a small network.

It was taught with synthesized speech alone (`audioplane.pretrained.phonetic`, its `MODEL_CARD.md`): of every 20 ms it
says which of `CLASSES` sounds, what `TRACKS` of the mouth do, and an embedding from which it says both. There are two:
the centred one hears `REACH` steps to both sides, the causal one no more than `LOOK_AHEAD` seconds ahead, and can
listen to a voice as it comes (`Stream`).
"""

# ruff: noqa: RUF001 - phonetic letters that look like Latin ones are meant

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from audioplane.audio.mel import ACTIVE_DB, RANGE_DB, SAMPLE_RATE, STEP, log_mel, standardise, standardise_by
from audioplane.errors import UserError

BANDS, WIDTH, EMBEDDING = 64, 144, 48
DILATIONS = (1, 2, 4, 8, 1, 2, 4, 8)
CAUSAL_AHEAD = (1, 0, 0, 0, 1, 1, 0, 0)  # steps that each layer of the causal network looks ahead; the first one: 2
REACH = 2 + sum(DILATIONS)  # steps that the centred network hears to either side
PAST = 2 + 2 * sum(DILATIONS)  # steps that either network hears back at most
AHEAD = {"centred": REACH, "causal": 2 + sum(CAUSAL_AHEAD)}
LOOK_AHEAD = (AHEAD["causal"] * STEP + 200) / SAMPLE_RATE  # seconds, with half of the spectrogram's window: 0.1125

PAUSE = ""
CLASSES = (  # letters that count as one sound; ~ is any nasal vowel
    PAUSE, "iɨᵻ", "ɪ", "eɘ", "ɛ", "æ", "a", "ɐʌ", "ɑɒ", "ə", "ɚɝɜ", "ɤɯ", "u", "ʊ", "o", "ɔ", "yʏ", "øœɵ", "~",
    "p", "b", "m", "f", "vʋɱ", "θ", "ð", "tʈ", "dɖ", "ɾ", "nɳ", "l", "s", "z", "ʃ", "ʒ", "ʂ", "ʐ", "ɕʑç", "j", "wɥ",
    "ɹ", "r", "ʁʀxχɣħ", "kcq", "ɡɟ", "ŋɲ", "hɦʔ",
)  # fmt: skip
VISEMES = {  # classes that look alike
    "pause": (PAUSE,), "p b m": ("p", "b", "m"), "f v": ("f", "vʋɱ"), "θ ð": ("θ", "ð"),
    "t d n l": ("tʈ", "dɖ", "ɾ", "nɳ", "l"), "s z": ("s", "z"), "ʃ ʒ ɹ": ("ʃ", "ʒ", "ʂ", "ʐ", "ɹ"),
    "k g h r": ("kcq", "ɡɟ", "ŋɲ", "hɦʔ", "r", "ʁʀxχɣħ"), "i j e": ("iɨᵻ", "ɪ", "eɘ", "j", "ɕʑç"),
    "ɛ æ a": ("ɛ", "æ", "a", "ɐʌ", "ɑɒ"), "ə ɚ": ("ə", "ɚɝɜ", "ɤɯ"), "u o y w": ("u", "ʊ", "o", "yʏ", "wɥ"),
    "ɔ ø ã": ("ɔ", "øœɵ", "~"),
}  # fmt: skip
TRACKS = {  # of `speakers.articulation.Articulation` -> its size, by which the network's numbers are to be multiplied
    "jaw": 3.0,
    "aperture": 4.0,
    "spread": 1.5,
    "pucker": 0.25,
    "funnel": 0.15,
    "closure": 0.4,
    "labiodental": 0.25,
    "tongue_up": 0.4,
    "tongue_between": 0.2,
}
VARIANTS = ("centred", "causal")
USUAL_STEPS = 100.0  # what a usual voice counts for beside the own one, where nothing may be heard in advance
FILE = "phonetic.safetensors"


@dataclass(frozen=True)
class Heard:
    """What is heard in each step of 20 ms; step i is centred at sample 320 i.

    Attributes:
        mel: (n, BANDS) standardised log-mel, which is what the network got. embedding: (n, EMBEDDING).
        posteriors: (n, classes), of `CLASSES`, sum 1.
        tracks: (n, tracks), of `TRACKS`; millimetres of a mean adult face, or 0..1.
    """

    mel: NDArray[np.float32]
    embedding: NDArray[np.float32]
    posteriors: NDArray[np.float32]
    tracks: NDArray[np.float32]

    @property
    def features(self) -> NDArray[np.float32]:
        """What heads learn from: log-mel, embedding and tracks in units of their usual size, (n, C)."""
        sizes = np.array(list(TRACKS.values()), np.float32)
        return np.concatenate([self.mel, self.embedding, self.tracks / sizes], axis=1)


class Taps(nn.Module):
    """Some steps, `dilation` apart, to one, over (B, T, C): a matrix product, which beats the library here by far.

    Args:
        inputs, outputs: channels. taps: steps. dilation: between them. ahead: of the last of them.
    """

    def __init__(self, inputs: int, outputs: int, taps: int, dilation: int, ahead: int) -> None:
        super().__init__()
        self.taps, self.dilation, self.ahead = taps, dilation, ahead
        self.linear = nn.Linear(taps * inputs, outputs)

    def forward(self, steps: Tensor) -> Tensor:
        span = (self.taps - 1) * self.dilation
        padded = functional.pad(steps, (0, 0, span - self.ahead, self.ahead))
        count = steps.shape[1]
        groups = [padded[:, tap * self.dilation : tap * self.dilation + count] for tap in range(self.taps)]
        return self.linear(torch.cat(groups, dim=2))


class Block(nn.Module):
    """A residual layer over time."""

    def __init__(self, dilation: int, ahead: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.mix = Taps(WIDTH, WIDTH, 3, dilation, ahead)
        self.out = nn.Linear(WIDTH, WIDTH)

    def forward(self, steps: Tensor) -> Tensor:
        return steps + self.out(functional.gelu(self.mix(self.norm(steps))))


class PhoneticNetwork(nn.Module):
    """Log-mel to embedding, sounds and tracks.

    Args:
        variant: "centred" or "causal".
    """

    usual: Tensor

    def __init__(self, variant: str) -> None:
        super().__init__()
        self.variant = variant
        ahead = DILATIONS if variant == "centred" else CAUSAL_AHEAD
        self.first = Taps(BANDS, WIDTH, 5, 1, 2)
        self.blocks = nn.ModuleList(Block(*pair) for pair in zip(DILATIONS, ahead, strict=True))
        self.norm = nn.LayerNorm(WIDTH)
        self.embed = nn.Linear(WIDTH, EMBEDDING)
        self.sounds = nn.Linear(EMBEDDING, len(CLASSES))
        self.move = nn.Linear(EMBEDDING, len(TRACKS))
        self.register_buffer("usual", torch.zeros(2, BANDS))  # of a voice: mean below its loudest step, and spread

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Standardised log-mel (B, T, BANDS) to embedding (B, T, EMBEDDING), logits and tracks in units of `TRACKS`."""
        steps = self.first(mel)
        for block in self.blocks:
            steps = block(steps)
        code = functional.layer_norm(self.embed(self.norm(steps)), (EMBEDDING,))
        return code, self.sounds(code), self.move(code)

    @torch.no_grad()
    def hear(self, mel: NDArray[np.float32]) -> Heard:
        """Everything about standardised log-mel (n, BANDS)."""
        code, logits, tracks = self(torch.from_numpy(mel)[None])
        sizes = torch.tensor(list(TRACKS.values()))
        return Heard(mel, code[0].numpy(), logits[0].softmax(dim=-1).numpy(), (tracks[0] * sizes).numpy())


def load(path: Path | None = None) -> Mapping[str, PhoneticNetwork]:
    """Both networks: of the file that ships, or of one that `audioplane train-phonetic` wrote.

    Raises:
        UserError: the file is missing or of another kind.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if path is None:
        with as_file(files("audioplane.audio") / FILE) as found:
            return load(found)
    try:
        tensors = load_file(path)
        networks = {}
        for variant in VARIANTS:
            own = {name.partition("/")[2]: t.float() for name, t in tensors.items() if name.startswith(f"{variant}/")}
            networks[variant] = PhoneticNetwork(variant)
            networks[variant].load_state_dict(own)
            networks[variant].eval().requires_grad_(False)
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{path} does not hold the phonetic networks of this version ({reason}); train them again "
            "with `audioplane train-phonetic`"
        ) from error
    return networks


@functools.cache
def shipped() -> Mapping[str, PhoneticNetwork]:
    """The networks that ship, read once."""
    return load()


def listen(
    samples: NDArray[np.float32],
    variant: str = "centred",
    prior: tuple[NDArray, NDArray] | None = None,
    alone: bool = False,
    network: PhoneticNetwork | None = None,
) -> tuple[Heard, tuple[NDArray, NDArray] | None]:
    """Hears a whole recording.

    Args:
        samples: (n,) 16 kHz. variant: "centred" or "causal".
        prior: centred only: log-mel statistics of a subject's voice, see `mel.standardise`.
        alone: centred only: go by these statistics, if there are any, and not by the recording's own.
        network: default the one that ships.

    Returns:
        what is heard, ceil(n / 320) steps or one more; the statistics that were used (None if causal).
    """
    network = shipped()[variant] if network is None else network
    steps = log_mel(samples, BANDS)
    if network.variant == "causal":
        return network.hear(Running(network.usual.numpy())(steps)), None
    if alone and prior is not None:
        return network.hear(standardise_by(steps, prior)), prior
    mel, statistics = standardise(steps, prior)
    return network.hear(mel), statistics


def disguised(samples: NDArray[np.float32], variant: str, copies: int, strength: float, seed: int) -> NDArray:
    """`Heard.features` of a recording as other people, rooms and recorders would have it: (copies, n, C)."""
    from audioplane.audio.disturb import disturb

    network, generator = shipped()[variant], torch.Generator().manual_seed(seed)
    mel = torch.from_numpy(log_mel(samples, BANDS))[None]
    heard = []
    for _ in range(copies):
        steps = disturb(mel, strength, generator)[0].numpy()
        steps = Running(network.usual.numpy())(steps) if variant == "causal" else standardise(steps)[0]
        heard.append(network.hear(steps).features)
    return np.stack(heard)


class Running:
    """`mel.standardise` without a look ahead: by what was heard so far and, as two seconds, a usual voice.

    Args:
        usual: (2, bands) mean of active steps below the loudest step so far, and their spread, dB.
    """

    def __init__(self, usual: NDArray) -> None:
        self.below, self.spread = usual.astype(np.float64)
        self.loudest = self.top = -np.inf
        self.count, self.sum, self.squares = 0.0, np.zeros(len(self.below)), np.zeros(len(self.below))

    def __call__(self, steps: NDArray[np.float32]) -> NDArray[np.float32]:
        """The next steps (n, bands) of log-mel, in dB."""
        if len(steps) == 0:
            return steps
        loud = steps.mean(axis=1, dtype=np.float64)
        loudest = np.maximum.accumulate(np.concatenate([[self.loudest], loud]))[1:]
        top = np.maximum.accumulate(np.concatenate([[self.top], steps.max(axis=1)]))[1:]
        floored = np.maximum(steps.astype(np.float64), top[:, None] - RANGE_DB)
        active = (loud > loudest - ACTIVE_DB).astype(np.float64)[:, None]
        count = self.count + np.cumsum(active, axis=0)
        total = self.sum + np.cumsum(active * floored, axis=0)
        squares = self.squares + np.cumsum(active * floored**2, axis=0)
        self.loudest, self.top = loudest[-1], top[-1]
        self.count, self.sum, self.squares = count[-1], total[-1], squares[-1]
        own = self.below + loudest[:, None]
        mean = (USUAL_STEPS * own + total) / (USUAL_STEPS + count)
        square = (USUAL_STEPS * (own**2 + self.spread**2) + squares) / (USUAL_STEPS + count)
        spread = np.sqrt(np.maximum(square - mean**2, 4.0))
        return ((floored - mean) / spread).astype(np.float32)


class Stream:
    """The causal network on a voice as it comes: `push` samples in pieces of any length, `end` gives the rest.

    What comes out, piece by piece, is what `listen(..., "causal")` gives for the whole. A step comes out as soon as
    `LOOK_AHEAD` seconds after its centre have been pushed.

    Args:
        network: causal; default the one that ships.
    """

    def __init__(self, network: PhoneticNetwork | None = None) -> None:
        self.network = shipped()["causal"] if network is None else network
        self.running = Running(self.network.usual.numpy())
        self.samples, self.first = np.zeros(0, np.float32), 0  # `first`: step at whose centre the samples start
        self.mel, self.done, self.given = np.zeros((0, BANDS), np.float32), 0, 0  # kept steps end at step `done`

    def push(self, samples: NDArray[np.float32]) -> Heard:
        """The next samples (n,) at 16 kHz; returns the steps that are complete, perhaps none."""
        self.samples = np.concatenate([self.samples, samples.astype(np.float32, copy=False)])
        ready = (self.first * STEP + len(self.samples) - 200) // STEP + 1  # 200: half of the window
        return self._hear(max(ready, self.done), last=False)

    def end(self) -> Heard:
        """The last steps; nothing can be pushed after it."""
        return self._hear(max(self.first * STEP + len(self.samples), 512) // STEP + 1, last=True)

    def _hear(self, ready: int, last: bool) -> Heard:
        if ready > self.done:
            from_here = log_mel(self.samples, BANDS)[self.done - self.first : ready - self.first]
            self.mel = np.concatenate([self.mel, self.running(from_here)])
            self.done = ready
            start = max(0, ready - 2)  # two steps back: the next step's window must not touch the buffer's edge
            self.samples, self.first = self.samples[(start - self.first) * STEP :], start
        until = self.done if last else max(self.given, self.done - AHEAD["causal"])
        held = self.done - len(self.mel)  # the step at which the kept log-mel starts
        heard = self.network.hear(self.mel) if until > self.given else self.network.hear(self.mel[:0])
        piece = slice(self.given - held, until - held)
        if until > self.given:
            heard = Heard(heard.mel[piece], heard.embedding[piece], heard.posteriors[piece], heard.tracks[piece])
        self.given = until
        keep = max(0, self.given - PAST) - held
        self.mel = self.mel[keep:]
        return heard
