"""Hidden states of the first blocks of OpenAI's Whisper, as features of a voice, every 20 ms.

The encoder of Whisper (Radford et al. 2022) turns 100 steps of log-mel a second into 50 states a second: two
convolutions, then transformer blocks over pieces of up to 30 s. What its first blocks say about a voice predicts real
people's lips better than log-mel or the phonetic network do (`pretrained/whisper/MODEL_CARD.md`). The two convolutions
and the first two blocks of tiny.en ship with audioplane in 8 bits; other models are read by `whisper_files`.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import librosa
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from audioplane.audio.activity import speech_steps
from audioplane.audio.augmentation import augment_spectrogram
from audioplane.audio.mel import SAMPLE_RATE, Statistics
from audioplane.audio.states import LongStates, standardise_states
from audioplane.audio.whisper_files import ADVICE, count_blocks, read_encoder
from audioplane.errors import UserError
from audioplane.runtime import large_arrays, weights
from audioplane.runtime.memory import give_back
from audioplane.runtime.tensors import check
from audioplane.runtime.threads import in_parallel

HOP, WINDOW = 160, 400  # of Whisper's spectrogram, samples
MEL_PIECE = 12_000  # steps of it that are computed at once: two minutes
HEAD = 64  # channels of one attention head, in every Whisper
WIDEST = 1280  # of large-v3
BANDS = (80, 128)  # the latter of large-v3
FILE = "whisper.safetensors"
LONGEST = 1500  # states of one piece, 30 s: as many positions as Whisper was trained with
PIECE, OVERLAP = 750, 250  # states of the pieces that a recording is cut into, and how many two neighbours share
MEL_DB = 40.0  # of one unit of Whisper's spectrogram
LOUDEST, MOST_GAIN = 1.5, 1.0  # of a levelled spectrogram, in its units: largest value, most amplification


def whisper_mel(samples: NDArray[np.float32], bands: int = 80) -> NDArray[np.float32]:
    """Whisper's log-mel spectrogram, as `whisper.log_mel_spectrogram` computes it.

    Args:
        samples: (n,) 16 kHz.
        bands: 80; 128 for large-v3.

    Returns:
        (n // 160, bands); step i is centred at sample 160 i. Logarithms to base 10, at most 8 below the largest of the
        recording, plus 4, over 4.
    """
    samples = np.pad(np.asarray(samples, np.float32), (0, max(0, WINDOW - len(samples))))
    log = torch.empty(len(samples) // HOP, bands)
    for start in range(0, len(log), MEL_PIECE):
        log[start : start + MEL_PIECE] = log_mel_steps(samples, bands, start, min(start + MEL_PIECE, len(log)))
    return log.clamp_min_(log.max() - 8.0).add_(4.0).div_(4.0).numpy()


def log_mel_steps(samples: NDArray[np.float32], bands: int, start: int, stop: int, before: int = 0) -> Tensor:
    """Log-mel to base 10 of the steps `start` to `stop` of a voice, mirrored at its ends: (stop - start, bands).

    `before` samples of silence are put in front.
    """
    first = start * HOP - WINDOW // 2
    beyond = (stop - 1) * HOP + WINDOW - WINDOW // 2
    if before <= first and beyond <= before + len(samples):
        piece = torch.from_numpy(samples[first - before : beyond - before].copy())
    else:
        places, last = np.abs(np.arange(first, beyond)), before + len(samples) - 1
        places = np.where(places > last, 2 * last - places, places) - before
        piece = torch.from_numpy(np.where(places < 0, np.float32(0), samples[places]))
    large_arrays.release()
    power = torch.stft(piece, WINDOW, HOP, window=torch.hann_window(WINDOW), center=False, return_complex=True).abs()
    return (torch.from_numpy(_filters(bands)) @ power.square_()).clamp_min_(1e-10).log10_().T


@functools.cache
def _filters(bands: int) -> NDArray[np.float32]:
    return librosa.filters.mel(sr=SAMPLE_RATE, n_fft=WINDOW, n_mels=bands)


class Attention(nn.Module):
    """Multi-head self-attention over (B, T, C)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // HEAD
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.value, self.out = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, states: Tensor, asking: Tensor | None = None) -> Tensor:
        """What each of the states, or of those `asking` (B, t, C), gets from all of them."""

        def split(values: Tensor) -> Tensor:
            return values.unflatten(2, (self.heads, HEAD)).transpose(1, 2)

        mixed = functional.scaled_dot_product_attention(
            split(self.query(states if asking is None else asking)), split(self.key(states)), split(self.value(states))
        )
        return self.out(mixed.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """A transformer block: attention, then two layers a step."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attn, self.attn_ln, self.mlp_ln = Attention(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, states: Tensor, wanted: slice = slice(None)) -> Tensor:
        """(B, T, C) to those of the steps that are wanted."""
        normed = self.attn_ln(states)
        states = states[:, wanted] + self.attn(normed, normed[:, wanted])
        return states + self.mlp(self.mlp_ln(states))


class WhisperEncoder(nn.Module):
    """The beginning of Whisper's encoder, named as in openai/whisper's `AudioEncoder`.

    Args:
        bands: of the spectrogram. width: channels. blocks: how many.
    """

    positions: Tensor

    def __init__(self, bands: int, width: int, blocks: int) -> None:
        super().__init__()
        self.bands, self.width = bands, width
        self.conv1 = nn.Conv1d(bands, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.blocks = nn.ModuleList(Block(width) for _ in range(blocks))
        self.register_buffer("positions", sinusoids(LONGEST, width), persistent=False)

    def forward(self, mel: Tensor, wanted: slice = slice(None)) -> Tensor:
        """`whisper_mel` of pieces (B, 2 T, bands), at most 30 s, to the last block's states (B, T, width).

        Where not all of them are wanted, the last block computes no others.
        """
        states = functional.gelu(self.conv2(functional.gelu(self.conv1(mel.transpose(1, 2)))))
        states = states.transpose(1, 2)
        states = states + self.positions[: states.shape[1]]
        *blocks, last = self.blocks
        for block in blocks:
            states = block(states)
        return last(states, wanted)


def sinusoids(length: int, channels: int) -> Tensor:
    """Whisper's fixed positions: (length, channels)."""
    rates = torch.exp(-math.log(10_000) / (channels // 2 - 1) * torch.arange(channels // 2))
    angles = torch.arange(length)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)


@dataclass(frozen=True)
class WhisperFeatures:
    """A Whisper encoder, and what is kept of its states.

    Attributes:
        encoder: up to the block whose states are read.
        projection: (C, width) and (C,), what states are multiplied by and what is then added; None keeps them all. That
            of the file that ships keeps what hardly depends on where in a piece a state lies
            (`pretrained.whisper.projection`).
    """

    encoder: WhisperEncoder
    projection: tuple[Tensor, Tensor] | None = None

    @property
    def channels(self) -> int:
        """C of the features."""
        return self.encoder.width if self.projection is None else len(self.projection[1])

    def __call__(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Features of a whole recording (n,) at 16 kHz: (ceil(n / 320), C); step i is centred at sample 320 i."""
        return self.of_mel(level(whisper_mel(samples, self.encoder.bands)))

    @torch.no_grad()
    def of_mel(self, mel: NDArray[np.float32], first: int = 0) -> NDArray[np.float32]:
        """Features of a spectrogram (2 n, bands): (n, C).

        It is cut into overlapping pieces, and where two overlap, one is faded into the other. Each piece is computed on
        one thread, so that the numbers do not depend on how many there are.

        Args:
            mel: see `whisper_mel`, with its `level`.
            first: so many states before the spectrogram's start the first piece would start.
        """
        if len(mel) % 2:
            mel = np.pad(mel, ((0, 1), (0, 0)), mode="edge")
        count, step, fades = len(mel) // 2, PIECE - OVERLAP, _fade()[:, None]
        found = np.empty((count, self.channels), np.float32)
        total, weight = torch.zeros(PIECE, self.encoder.width), torch.zeros(PIECE, 1)  # of the states from `start` on

        def ends(start: int) -> tuple[int, int]:
            return max(start, 0), min(start + PIECE, count)

        @torch.no_grad()
        def encoded(start: int) -> Tensor:
            low, high = ends(start)
            return self.encoder(torch.from_numpy(mel[None, 2 * low : 2 * high]))[0]

        starts = [start for start in range(-first, count, step) if start == -first or start + OVERLAP < count]
        for start, piece in zip(starts, in_parallel(encoded, starts), strict=True):
            low, high = ends(start)
            here = slice(low - start, high - start)
            total[here] += fades[here] * piece
            weight[here] += fades[here]
            done = count if high == count else max(start + step, 0)
            known = slice(low - start, done - start)
            states = total[known] / weight[known]
            found[low:done] = states if self.projection is None else functional.linear(states, *self.projection)
            total, weight = (torch.cat([some[step:], torch.zeros_like(some[:step])]) for some in (total, weight))
        return found


def _fade() -> Tensor:
    """The weight of each state of a piece where it overlaps with others: (PIECE,)."""
    place = torch.arange(PIECE) + 0.5
    return (torch.minimum(place, PIECE - place) / OVERLAP).clamp_max(1.0)


def level(mel: NDArray[np.float32], loudest: float | None = None) -> NDArray[np.float32]:
    """Whisper's spectrogram as if its loudest value were `LOUDEST`; what is nearly silent becomes no louder than that.

    So a quiet recording gives the features of a loud one, and silence those of a pause.

    Args:
        mel: (n, bands). loudest: value of the recording that it is a part of; default its own.
    """
    gain = min(LOUDEST - (float(mel.max()) if loudest is None else loudest), MOST_GAIN)
    return np.maximum(mel + gain, LOUDEST - 2.0)


class WhisperSteps(LongStates):
    """What `extract` returns of a long voice, computed in pieces where they are asked for.

    Neither the spectrogram nor all states lie in memory at once: a first pass finds the loudest value, a second the
    mean and spread of the states.

    Args:
        samples: (n,) 16 kHz. features: of an encoder. prior, prior_only: see `standardise_states`.
        before: samples of silence to put in front.
    """

    def __init__(
        self,
        samples: NDArray[np.float32],
        features: WhisperFeatures,
        prior: Statistics | None = None,
        prior_only: bool = False,
        before: int = 0,
    ) -> None:
        self.features = features
        self.mel_count = (before + len(samples)) // HOP
        self._mel: dict[int, Tensor] = {}
        self.samples, self.before = samples, before
        starts = range(0, self.mel_count, MEL_PIECE)
        self.loudest = max(float(self._log_mel(start // MEL_PIECE).max()) for start in starts)
        give_back()
        super().__init__(samples, -(-self.mel_count // 2), features.channels, prior, prior_only, before)

    def compute(self, start: int, stop: int) -> NDArray[np.float32]:
        """The states of some steps, not standardised; pieces of Whisper lie as in those of a whole recording."""
        first = max(start - (PIECE - OVERLAP), 0)
        last = min(stop + OVERLAP, len(self))
        found = self.features.of_mel(self._levelled(2 * first, min(2 * last, self.mel_count)))
        return found[start - first : stop - first].copy()  # without the overlaps

    def _levelled(self, start: int, stop: int) -> NDArray[np.float32]:
        """The spectrogram of some steps, as `level(whisper_mel())` has it."""
        first, last = start // MEL_PIECE, (stop - 1) // MEL_PIECE
        self._mel = {number: self._log_mel(number) for number in range(first, last + 1)}
        log = torch.cat(list(self._mel.values()))[start - first * MEL_PIECE : stop - first * MEL_PIECE]
        mel = log.clamp_min(self.loudest - 8.0).add_(4.0).div_(4.0).numpy()
        return level(mel, float(np.float32(self.loudest + 4.0)) / 4.0)

    def _log_mel(self, number: int) -> Tensor:
        if number in self._mel:
            return self._mel[number]
        start, stop = number * MEL_PIECE, min((number + 1) * MEL_PIECE, self.mel_count)
        return log_mel_steps(self.samples, self.features.encoder.bands, start, stop, self.before)


@functools.cache
def load(model: str = "", block: int = 2) -> WhisperFeatures:
    """An encoder up to one of its blocks, read once.

    Args:
        model: a file or folder that `whisper_files.read_encoder` reads; "whisper-base" for what `audioplane fetch` got;
            "" for what ships.
        block: whose states are wanted; 1 is the first.

    Raises:
        UserError: there is no such file, or it has fewer blocks.
    """
    if model:
        path = weights.require(model) if model in weights.REGISTRY else Path(model).expanduser()
        tensors = read_encoder(path)
    else:
        with as_file(files("audioplane.audio") / FILE) as path:
            tensors = read_encoder(path)
    if count_blocks(tensors) < block:
        which = f"{path}" if model else "the Whisper that ships"
        raise UserError(f"audio.block is {block}, but {which} has {count_blocks(tensors)} blocks; name another model")
    width, bands = tensors["conv1.weight"].shape[:2]
    if not 0 < width <= WIDEST or width % HEAD or bands not in BANDS:
        raise UserError(f"{path} does not hold weights of Whisper ({bands} bands, width {width}); {ADVICE}")
    with torch.device("meta"):  # no memory is taken before every shape is right
        wanted = {name: tuple(own.shape) for name, own in WhisperEncoder(bands, width, block).state_dict().items()}
    own = f"projection.{block}"
    if f"{own}.weight" in tensors:
        rows = len(tensors[f"{own}.weight"]) if tensors[f"{own}.weight"].ndim else 0
        wanted |= {f"{own}.weight": (rows, width), f"{own}.bias": (rows,)}
    kept = {name: check(tensors, name, shape, str(path), ADVICE) for name, shape in wanted.items()}
    projection = (kept.pop(f"{own}.weight"), kept.pop(f"{own}.bias")) if f"{own}.weight" in kept else None
    with torch.random.fork_rng(devices=[]):  # torch's layers draw their first weights globally
        encoder = WhisperEncoder(bands, width, block)
    encoder.load_state_dict(kept)
    return WhisperFeatures(encoder.eval().requires_grad_(False), projection)


def extract(
    samples: NDArray[np.float32],
    features: WhisperFeatures | None = None,
    prior: Statistics | None = None,
    prior_only: bool = False,
) -> tuple[NDArray[np.float32], Statistics]:
    """Features of a whole recording, standardised by the voice.

    Args:
        samples: (n,) 16 kHz.
        features: default those that ship.
        prior, prior_only: see `standardise_states`.

    Returns:
        (ceil(n / 320), C); step i is centred at sample 320 i. The mean and spread that were used.
    """
    states = (load() if features is None else features)(samples)
    return standardise_states(states, speech_steps(samples, len(states)), prior, prior_only)


def augmented(
    samples: NDArray[np.float32], features: WhisperFeatures, copies: int, strength: float, seed: int
) -> NDArray[np.float32]:
    """Standardised features of augmented copies of a recording, with pieces that begin elsewhere.

    Args:
        samples: (n,) 16 kHz.
        features: of an encoder.
        copies: how many.
        strength: of the augmentation (`augmentation.augment_spectrogram`).
        seed: of the augmentation.

    Returns:
        (copies, ceil(n / 320), C).
    """
    generator = torch.Generator().manual_seed(seed)
    mel = torch.from_numpy(whisper_mel(samples, features.encoder.bands))[None]
    found = []
    for _ in range(copies):
        copy = (augment_spectrogram(MEL_DB * mel, strength, generator)[0] / MEL_DB).numpy()
        first = int(torch.randint(PIECE - OVERLAP, (1,), generator=generator))
        states = features.of_mel(level(copy), first)
        found.append(standardise_states(states, speech_steps(samples, len(states)))[0])
    return np.stack(found)
