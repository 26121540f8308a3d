"""The phonetic network: from a log-mel spectrogram to speech sounds and mouth movements, every 20 ms.

It was trained on synthesized speech alone (`audioplane.pretrained.phonetic`, its `MODEL_CARD.md`). For every step of
20 ms it gives the probabilities of the speech sounds `CLASSES`, the mouth tracks `TRACKS`, and the embedding from which
both are read. There are two variants: the centred one sees `REACH` steps to both sides; the causal one sees at most
`LOOK_AHEAD` seconds ahead and can process a voice as it arrives (`Stream`).
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

from audioplane.audio.mel import (
    ACTIVE_DB,
    LONG,
    PIECE,
    RANGE_DB,
    SAMPLE_RATE,
    STEP,
    StandardisedSteps,
    log_mel,
    standardise,
    standardise_by,
)
from audioplane.errors import UserError
from audioplane.runtime import tensors
from audioplane.runtime.eight_bits import unpack
from audioplane.runtime.memory import give_back

BANDS, WIDTH, EMBEDDING = 64, 144, 48
DILATIONS = (1, 2, 4, 8, 1, 2, 4, 8)
CAUSAL_AHEAD = (1, 0, 0, 0, 1, 1, 0, 0)  # steps that each layer of the causal network looks ahead; the first one: 2
REACH = 2 + sum(DILATIONS)  # steps that the centred network sees to either side
PAST = 2 + 2 * sum(DILATIONS)  # steps that either network sees back at most
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
TRACKS = {  # of `synthetic.articulation.Articulation` -> its size, by which the network's numbers are to be multiplied
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
USUAL_STEPS = 100.0  # weight of the average voice's statistics, in steps, where the future may not be used
CHANNELS = BANDS + EMBEDDING + len(TRACKS)  # of `PhoneticOutput.features`
FILE = "phonetic.safetensors"


@dataclass(frozen=True)
class PhoneticOutput:
    """The network's output for each step of 20 ms; step i is centred at sample 320 i.

    Attributes:
        mel: (n, BANDS) standardised log-mel, the network's input.
        embedding: (n, EMBEDDING).
        posteriors: (n, classes), probabilities of `CLASSES`, sum 1.
        tracks: (n, tracks), of `TRACKS`; millimetres of an average adult face, or 0..1.
    """

    mel: NDArray[np.float32]
    embedding: NDArray[np.float32]
    posteriors: NDArray[np.float32]
    tracks: NDArray[np.float32]

    @property
    def features(self) -> NDArray[np.float32]:
        """Audio features for talking heads: log-mel, embedding and tracks in units of their typical size, (n, C)."""
        sizes = np.array(list(TRACKS.values()), np.float32)
        return np.concatenate([self.mel, self.embedding, self.tracks / sizes], axis=1)


class TemporalConvolution(nn.Module):
    """A dilated convolution over time, (B, T, C): as one matrix product, much faster than the library's here.

    Args:
        inputs: channels.
        outputs: channels.
        taps: size of the kernel, steps.
        dilation: steps between taps.
        ahead: how many steps after its own the last tap lies.
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
        self.mix = TemporalConvolution(WIDTH, WIDTH, 3, dilation, ahead)
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
        self.first = TemporalConvolution(BANDS, WIDTH, 5, 1, 2)
        self.blocks = nn.ModuleList(Block(*pair) for pair in zip(DILATIONS, ahead, strict=True))
        self.norm = nn.LayerNorm(WIDTH)
        self.embed = nn.Linear(WIDTH, EMBEDDING)
        self.sounds = nn.Linear(EMBEDDING, len(CLASSES))
        self.move = nn.Linear(EMBEDDING, len(TRACKS))
        self.register_buffer("usual", torch.zeros(2, BANDS))  # average voice: mean below its loudest step, and spread

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Standardised log-mel (B, T, BANDS) to embedding (B, T, EMBEDDING), logits and tracks in units of `TRACKS`."""
        steps = self.first(mel)
        for block in self.blocks:
            steps = block(steps)
        code = functional.layer_norm(self.embed(self.norm(steps)), (EMBEDDING,))
        return code, self.sounds(code), self.move(code)

    @torch.no_grad()
    def predict(self, mel: NDArray[np.float32]) -> PhoneticOutput:
        """The output for standardised log-mel (n, BANDS)."""
        code, logits, tracks = self(torch.from_numpy(mel)[None])
        sizes = torch.tensor(list(TRACKS.values()))
        return PhoneticOutput(mel, code[0].numpy(), logits[0].softmax(dim=-1).numpy(), (tracks[0] * sizes).numpy())


def load(path: Path | None = None) -> Mapping[str, PhoneticNetwork]:
    """Both networks: of the file that ships, or of one that `audioplane train-phonetic` wrote.

    Raises:
        UserError: the file is missing or of another kind.
    """
    if path is None:
        with as_file(files("audioplane.audio") / FILE) as found:
            return load(found)
    try:
        stored, _ = tensors.read(path, "train them again with `audioplane train-phonetic`")
        found = unpack(stored)
        networks = {}
        for variant in VARIANTS:
            own = {name.partition("/")[2]: t.float() for name, t in found.items() if name.startswith(f"{variant}/")}
            networks[variant] = PhoneticNetwork(variant)
            networks[variant].load_state_dict(own)
            networks[variant].eval().requires_grad_(False)
    except (RuntimeError, ValueError) as error:
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


def extract(
    samples: NDArray[np.float32],
    variant: str = "centred",
    prior: tuple[NDArray, NDArray] | None = None,
    prior_only: bool = False,
    network: PhoneticNetwork | None = None,
) -> tuple[PhoneticOutput, tuple[NDArray, NDArray] | None]:
    """Runs the phonetic network over a whole recording.

    Args:
        samples: (n,) 16 kHz.
        variant: "centred" or "causal".
        prior: centred only: log-mel statistics of a subject's voice, see `mel.standardise`.
        prior_only: centred only: standardise by `prior` alone, if it is given, and not by the recording too.
        network: default the one that ships.

    Returns:
        the network's output, ceil(n / 320) steps or one more; the statistics that were used (None if causal).
    """
    tensors.check_default_dtype()
    network = shipped()[variant] if network is None else network
    mel, statistics = _standardised(samples, network, prior, prior_only)
    return network.predict(mel), statistics


def _standardised(
    samples: NDArray[np.float32],
    network: PhoneticNetwork,
    prior: tuple[NDArray, NDArray] | None,
    prior_only: bool,
    before: int = 0,
) -> tuple[NDArray[np.float32], tuple[NDArray, NDArray] | None]:
    """A network's input (n, BANDS) for a voice, with so many samples of silence in front, and its statistics."""
    if network.variant == "causal":
        steps, running = log_mel(samples, BANDS, before), RunningStandardiser(network.usual.numpy())
        if len(steps) <= LONG:
            return running(steps), None
        for start in range(0, len(steps), PIECE):
            steps[start : start + PIECE] = running(steps[start : start + PIECE])
        return steps, None
    if prior_only and prior is not None:
        return standardise_by(log_mel(samples, BANDS, before), prior), prior
    return standardise(log_mel(samples, BANDS, before), prior)


class FeatureSteps:
    """`PhoneticOutput.features` of a voice, computed in pieces where they are asked for.

    Args:
        samples: (n,) 16 kHz. variant, prior, prior_only: see `extract`. before: samples of silence to put in front.
    """

    def __init__(
        self,
        samples: NDArray[np.float32],
        variant: str,
        prior: tuple[NDArray, NDArray] | None = None,
        prior_only: bool = False,
        before: int = 0,
    ) -> None:
        self.network = shipped()[variant]
        self.mel: NDArray[np.float32] | StandardisedSteps
        if variant == "centred" and before + len(samples) > LONG * STEP:
            self.mel = StandardisedSteps(samples, BANDS, before, prior, prior_only)
            give_back()
        else:
            self.mel, _ = _standardised(samples, self.network, prior, prior_only, before)
        self.margins = PAST, REACH if variant == "centred" else AHEAD["causal"]
        self._known: dict[int, NDArray[np.float32]] = {}

    def __len__(self) -> int:
        return len(self.mel)

    def __getitem__(self, steps: slice) -> NDArray[np.float32]:
        """The features of some steps, (k, C); faster in rising order."""
        first, last = steps.start // PIECE, (steps.stop - 1) // PIECE
        self._known = {number: self._known.get(number, None) for number in range(first, last + 1)}  # type: ignore[misc]
        for number, known in self._known.items():
            if known is None:
                self._known[number] = self._piece(number * PIECE, min((number + 1) * PIECE, len(self)))
                give_back()
        joined = np.concatenate(list(self._known.values())) if last > first else self._known[first]
        return joined[steps.start - first * PIECE : steps.stop - first * PIECE]

    def _piece(self, start: int, stop: int) -> NDArray[np.float32]:
        low = max(0, start - self.margins[0])
        found = self.network.predict(self.mel[low : stop + self.margins[1]]).features
        return found[start - low : stop - low]


def augmented(samples: NDArray[np.float32], variant: str, copies: int, strength: float, seed: int) -> NDArray:
    """`PhoneticOutput.features` of augmented copies of a recording (`augmentation.augment_spectrogram`).

    Args:
        samples: (n,) 16 kHz.
        variant: "centred" or "causal".
        copies: how many.
        strength: of the augmentation; 1 is what the network was trained with.
        seed: of the augmentation.

    Returns:
        (copies, n, C) float32.
    """
    from audioplane.audio.augmentation import augment_spectrogram

    network, generator = shipped()[variant], torch.Generator().manual_seed(seed)
    mel = torch.from_numpy(log_mel(samples, BANDS))[None]
    found = []
    for _ in range(copies):
        steps = augment_spectrogram(mel, strength, generator)[0].numpy()
        steps = RunningStandardiser(network.usual.numpy())(steps) if variant == "causal" else standardise(steps)[0]
        found.append(network.predict(steps).features)
    return np.stack(found)


class RunningStandardiser:
    """`mel.standardise` without looking ahead: by the voice so far and, counting as two seconds, an average voice.

    Args:
        usual: (2, bands), of the average voice: mean of active steps below its loudest step, and their spread, dB.
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
    """The causal network on a voice as it arrives: `push` samples in pieces of any length, `end` gives the rest.

    The pieces that come out are, joined, what `extract(..., "causal")` gives for the whole. A step comes out as soon
    as `LOOK_AHEAD` seconds after its centre have been pushed.

    Args:
        network: causal; default the one that ships.
    """

    def __init__(self, network: PhoneticNetwork | None = None) -> None:
        self.network = shipped()["causal"] if network is None else network
        self.running = RunningStandardiser(self.network.usual.numpy())
        self.samples, self.first = np.zeros(0, np.float32), 0  # `first`: step at whose centre the samples start
        self.mel, self.done, self.given = np.zeros((0, BANDS), np.float32), 0, 0  # kept steps end at step `done`

    def push(self, samples: NDArray[np.float32]) -> PhoneticOutput:
        """The next samples (n,) at 16 kHz; returns the steps that are complete, perhaps none."""
        self.samples = np.concatenate([self.samples, samples.astype(np.float32, copy=False)])
        ready = (self.first * STEP + len(self.samples) - 200) // STEP + 1  # 200: half of the window
        return self._advance(max(ready, self.done), last=False)

    def end(self) -> PhoneticOutput:
        """The last steps; nothing can be pushed after it."""
        return self._advance(max(self.first * STEP + len(self.samples), 512) // STEP + 1, last=True)

    def _advance(self, ready: int, last: bool) -> PhoneticOutput:
        if ready > self.done:
            from_here = log_mel(self.samples, BANDS)[self.done - self.first : ready - self.first]
            self.mel = np.concatenate([self.mel, self.running(from_here)])
            self.done = ready
            start = max(0, ready - 2)  # two steps back: the next step's window must not touch the buffer's edge
            self.samples, self.first = self.samples[(start - self.first) * STEP :], start
        until = self.done if last else max(self.given, self.done - AHEAD["causal"])
        held = self.done - len(self.mel)  # the step at which the kept log-mel starts
        found = self.network.predict(self.mel) if until > self.given else self.network.predict(self.mel[:0])
        piece = slice(self.given - held, until - held)
        if until > self.given:
            found = PhoneticOutput(
                found.mel[piece], found.embedding[piece], found.posteriors[piece], found.tracks[piece]
            )
        self.given = until
        keep = max(0, self.given - PAST) - held
        self.mel = self.mel[keep:]
        return found
