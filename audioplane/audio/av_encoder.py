"""The audio-visual encoder: a fifth of a second of sound to 512 numbers from which a mouth can be restored.

SyncTalk++, Sec. III-B: convolutions over log-mel are trained, together with an encoder and a decoder of faces, to
restore the face that belongs to the sound (Eq. 3) and to convince a discriminator of lip sync (Eq. 1 and 2). Of these
the convolutions are kept. `pretrained.av_encoder` trains them; here is what a voice needs: the spectrogram, whose
numbers are those of the authors' earlier code (SyncTalk, Wav2Lip), and the convolutions with weights that ship.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from audioplane.audio.activity import speech_steps
from audioplane.audio.mel import SAMPLE_RATE, STEP, Statistics
from audioplane.audio.states import LongStates, standardise_states
from audioplane.errors import UserError
from audioplane.runtime import tensors
from audioplane.runtime.eight_bits import unpack
from audioplane.runtime.threads import in_parallel

HOP, WINDOW, BANDS, LOW, HIGH = 200, 800, 80, 55.0, 7600.0  # of the spectrogram; samples, and hertz
EMPHASIS = 0.97
REFERENCE_DB, FLOOR_DB, LIMIT = 20.0, -100.0, 4.0  # FLOOR_DB and 0 dB, from REFERENCE_DB, become -LIMIT and LIMIT
COLUMNS = 16  # of the spectrogram in one window: a fifth of a second
CODE = 512
FINE = 40  # samples: so often the spectrogram is computed; a window takes every fifth column, exactly about its step
SPAN = (COLUMNS - 1) * HOP // FINE  # fine columns from a window's first to its last
PIECE = 500  # windows that are computed at once
FILE = "av_encoder.safetensors"
ADVICE = "train one with `audioplane train-av`"


@dataclass(frozen=True)
class Layer:
    """A convolution with batch norm and ReLU.

    Attributes:
        outputs: channels. kernel, stride, padding: of the convolution; strides of bands and of columns.
        residual: whether its input is added before the ReLU.
    """

    outputs: int
    kernel: int = 3
    stride: tuple[int, int] = (1, 1)
    padding: int = 1
    residual: bool = False


LAYERS = (  # those of the public code, of half their width, a quarter at the end
    Layer(16), Layer(16, residual=True), Layer(16, residual=True),
    Layer(32, stride=(3, 1)), Layer(32, residual=True), Layer(32, residual=True),
    Layer(64, stride=(3, 3)), Layer(64, residual=True), Layer(64, residual=True),
    Layer(128, stride=(3, 2)), Layer(128, residual=True),
    Layer(128, padding=0),
    Layer(CODE, kernel=1, padding=0),
)  # fmt: skip


class SoundConvolutions(nn.Module):
    """Conv(A) of SyncTalk++, Eq. 3: windows of the spectrogram to codes.

    Args:
        normed: with batch norm, as it is trained; without, as it ships: norms are folded into the convolutions.
    """

    def __init__(self, normed: bool = False) -> None:
        super().__init__()
        inputs, convolutions, norms = 1, [], []
        for layer in LAYERS:
            last = layer is LAYERS[-1]
            convolutions.append(nn.Conv2d(inputs, layer.outputs, layer.kernel, layer.stride, layer.padding))
            norms.append(nn.BatchNorm2d(layer.outputs, affine=not last) if normed else nn.Identity())
            inputs = layer.outputs
        self.convolutions, self.norms = nn.ModuleList(convolutions), nn.ModuleList(norms)

    def forward(self, windows: Tensor) -> Tensor:
        """Windows (B, BANDS, COLUMNS) of `spectrogram_windows` to codes (B, CODE), mean 0 and spread 1 in training."""
        values = windows[:, None].contiguous(memory_format=torch.channels_last)
        for layer, convolution, norm in zip(LAYERS, self.convolutions, self.norms, strict=True):
            found = norm(convolution(values))
            found = found + values if layer.residual else found
            values = found if layer is LAYERS[-1] else functional.relu(found)
        return values.flatten(1)


def spectrogram_windows(samples: NDArray[np.float32], first: int, last: int, before: int = 0) -> Tensor:
    """What the encoder hears around some steps of a voice; silence beyond its ends.

    Args:
        samples: (n,) 16 kHz, in [-1, 1].
        first, last: steps; step i is centred at sample 320 i.
        before: samples of silence to put in front.

    Returns:
        (last - first, BANDS, COLUMNS) in [-4, 4]; columns lie 12.5 ms apart, eight before the step's centre.
    """
    columns = STEP // FINE * (last - 1 - first) + SPAN + 1
    start = first * STEP - SPAN * FINE // 2 - WINDOW // 2 - before  # where the first column's window begins
    stop = start + (columns - 1) * FINE + WINDOW
    low, high = max(start - 1, 0), min(stop, len(samples))
    piece = np.zeros(stop - start + 1, np.float32)  # with one sample in front, for the emphasis
    if high > low:
        piece[low - (start - 1) : high - (start - 1)] = samples[low:high]
    emphasised = torch.from_numpy(piece[1:] - np.float32(EMPHASIS) * piece[:-1])
    # Neighbours in `unfold` share their memory: a minute of sound would else be 20 times as large.
    magnitude = torch.fft.rfft(emphasised.unfold(0, WINDOW, FINE) * torch.hann_window(WINDOW)).abs()
    decibels = 20 * (magnitude @ _filters()).clamp_min_(10 ** (FLOOR_DB / 20)).log10_() - REFERENCE_DB
    mel = (2 * LIMIT * (decibels - FLOOR_DB) / -FLOOR_DB - LIMIT).clamp_(-LIMIT, LIMIT)  # (columns, BANDS)
    return mel.unfold(0, SPAN + 1, STEP // FINE)[:, :, :: HOP // FINE]


@functools.cache
def _filters() -> Tensor:
    import librosa

    filters = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=WINDOW, n_mels=BANDS, fmin=LOW, fmax=HIGH)
    return torch.from_numpy(np.ascontiguousarray(filters.T))


def count_steps(samples: int) -> int:
    """How many steps of 20 ms a voice of so many samples has."""
    return samples // STEP + 1


def states(
    samples: NDArray[np.float32], network: SoundConvolutions, first: int, last: int, before: int = 0
) -> NDArray[np.float32]:
    """Codes of some steps of a voice, (last - first, CODE); arguments as of `spectrogram_windows`."""

    @torch.no_grad()
    def piece(start: int) -> NDArray[np.float32]:
        windows = spectrogram_windows(samples, start, min(start + PIECE, last), before)
        return network(windows).numpy()

    return np.concatenate(list(in_parallel(piece, range(first, last, PIECE))))


def extract(
    samples: NDArray[np.float32],
    network: SoundConvolutions | None = None,
    prior: Statistics | None = None,
    prior_only: bool = False,
) -> tuple[NDArray[np.float32], Statistics]:
    """Codes of a whole recording, standardised by the voice.

    Args:
        samples: (n,) 16 kHz.
        network: default the one that ships.
        prior, prior_only: see `standardise_states`.

    Returns:
        (n // 320 + 1, CODE); step i is centred at sample 320 i. The mean and spread that were used.
    """
    found = states(samples, network or load(), 0, count_steps(len(samples)))
    return standardise_states(found, speech_steps(samples, len(found)), prior, prior_only)


class LongVoice(LongStates):
    """What `extract` returns of a long voice, computed in pieces where they are asked for.

    Args:
        samples: (n,) 16 kHz. network: default the one that ships. prior, prior_only: see `standardise_states`.
        before: samples of silence to put in front.
    """

    def __init__(
        self,
        samples: NDArray[np.float32],
        network: SoundConvolutions | None = None,
        prior: Statistics | None = None,
        prior_only: bool = False,
        before: int = 0,
    ) -> None:
        self.network = network or load()
        super().__init__(samples, count_steps(before + len(samples)), CODE, prior, prior_only, before)

    def compute(self, start: int, stop: int) -> NDArray[np.float32]:
        """The codes of some steps, not standardised."""
        return states(self.samples, self.network, start, stop, self.before)


@functools.cache
def load(path: Path | None = None) -> SoundConvolutions:
    """The convolutions of the file that ships, or of one that `audioplane train-av` wrote; read once.

    Raises:
        UserError: the file is missing or of another kind.
    """
    if path is None:
        with as_file(files("audioplane.audio") / FILE) as found:
            return load(found)
    stored, _ = tensors.read(path, ADVICE)
    try:
        plain = {name: tensor.float() for name, tensor in unpack(stored).items()}
    except ValueError as error:
        raise UserError(f"{path} does not hold an audio-visual encoder ({error}); {ADVICE}") from error
    with torch.random.fork_rng(devices=[]):  # torch's layers draw their first weights globally
        network = SoundConvolutions()
    wanted = {name: tuple(own.shape) for name, own in network.state_dict().items()}
    network.load_state_dict(
        {name: tensors.check(plain, name, shape, str(path), ADVICE) for name, shape in wanted.items()}
    )
    return network.to(memory_format=torch.channels_last).eval().requires_grad_(False)  # type: ignore[call-overload]
