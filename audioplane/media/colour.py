"""Colours of a film's frames as sRGB pixels: matrix, range, and, for HDR and wide gamuts, brightness and primaries.

Numbers of colour spaces are those of ITU-T H.273, which FFmpeg and PyAV use. An untagged film of HD size is read as
BT.709, a smaller one as BT.601, as players do. HDR (HLG and PQ) is shown as an SDR screen would show it: its reference
white of 203 cd/m2 (ITU-R BT.2408) becomes white, what is up to 4/5 as bright stays as it is, and what is brighter is
rolled off.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from audioplane.runtime.compiled import compiled

UNSPECIFIED = 2
BT709, BT601, BT2020 = 1, 6, 9  # matrices
PQ, HLG = 16, 18  # transfer characteristics
REFERENCE_WHITE = 203.0  # cd/m2, BT.2408
HLG_PEAK = 1000.0  # cd/m2 of the screen that HLG is made for, BT.2100
GAMMA = 2.4  # of an SDR screen, BT.1886
KNEE = 0.8  # share of white's brightness up to which nothing is rolled off

PRIMARIES = {  # CIE x, y of red, green, blue and white of gamuts that are wider than BT.709's
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), (0.3127, 0.3290)),  # BT.2020
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),  # DCI-P3
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.3127, 0.3290)),  # Display P3
}
OF_709 = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), (0.3127, 0.3290))


@dataclass(frozen=True)
class Colour:
    """What the numbers in a film's frames mean, as H.273 numbers it.

    Attributes:
        matrix: of YCbCr. full: whether black and white are 0 and 255 (of 8 bits), not 16 and 235.
        transfer, primaries: characteristics.
    """

    matrix: int
    full: bool
    transfer: int = UNSPECIFIED
    primaries: int = UNSPECIFIED

    @classmethod
    def of(cls, frame: Any, codec: Any) -> Colour:
        """What a decoded frame, or its stream's codec context, says, and what is usual where they are silent."""
        matrix = int(frame.colorspace) or UNSPECIFIED  # 0 stands for RGB, whose frames need none
        if matrix == UNSPECIFIED:
            matrix = BT709 if frame.width >= 1280 or frame.height > 576 else BT601
        full = int(frame.color_range) == 2 or frame.format.name.startswith("yuvj")
        transfer, primaries = (
            int(getattr(frame, name, 0) or getattr(codec, name, 0) or UNSPECIFIED)
            for name in ("color_trc", "color_primaries")
        )
        if matrix in (BT2020, 10) and primaries == UNSPECIFIED:
            primaries = 9
        return cls(matrix, full, transfer, primaries)

    @property
    def is_hdr(self) -> bool:
        return self.transfer in (PQ, HLG)

    @property
    def note(self) -> str:
        """What is done to the colours beyond what every film needs, or ""."""
        if self.is_hdr:
            return f"it is HDR ({'HLG' if self.transfer == HLG else 'PQ'}); its colours are mapped to BT.709"
        if self.primaries in PRIMARIES:
            return "its colours are of a wide gamut and are mapped to BT.709"
        return ""

    def rgb(self, frame: Any, reformatter: Any) -> np.ndarray:
        """A decoded frame as sRGB.

        Args:
            frame: of PyAV. reformatter: a VideoReformatter of the calling thread.

        Returns:
            (h, w, 3) uint8, as the frame lies in the file: not turned, pixels perhaps not square.
        """
        deep = bool(self.note)
        out = reformatter.reformat(
            frame,
            format="rgb48le" if deep else "rgb24",
            src_colorspace=SWSCALE.get(self.matrix, 5),
            dst_colorspace=SWSCALE.get(self.matrix, 5),
            src_color_range=2 if self.full else 1,
            dst_color_range=2,
        ).to_ndarray()
        if not deep:
            return out
        flat = np.ascontiguousarray(out).reshape(-1, 3)
        mapped = np.empty(flat.shape, np.uint8)
        matrix = _to_709(self.primaries if self.primaries in PRIMARIES else BT2020)
        _map(flat, _linear(self.transfer), matrix, self.transfer == HLG, _gamma(), mapped)
        return mapped.reshape(out.shape)


SWSCALE = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
"""H.273's matrices as swscale numbers them."""


def _xyz(primaries: tuple[tuple[float, float], ...]) -> np.ndarray:
    """(3, 3): linear RGB of these primaries to CIE XYZ."""
    columns = np.array([[x / y, 1.0, (1 - x - y) / y] for x, y in primaries]).T
    return columns[:, :3] * np.linalg.solve(columns[:, :3], columns[:, 3])


@cache
def _to_709(primaries: int) -> np.ndarray:
    """(3, 3) float32: linear RGB of these primaries to BT.709's."""
    return np.linalg.solve(_xyz(OF_709), _xyz(PRIMARIES[primaries])).astype(np.float32)


@cache
def _linear(transfer: int) -> np.ndarray:
    """(65536,) float32: light of a signal of 16 bits; of the scene for HLG, else of the screen, 1 = SDR's white."""
    signal = np.arange(65536) / 65535.0
    if transfer == HLG:  # BT.2100, Table 5
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    elif transfer == PQ:  # BT.2100, Table 4
        m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
        power = signal ** (1 / m2)
        light = 10_000 * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1) / REFERENCE_WHITE
    else:
        light = signal**GAMMA
    return light.astype(np.float32)


@cache
def _gamma() -> np.ndarray:
    """(65536,) uint8: signals of light in [0, 1], by the light's square root, which is finer where it is dark."""
    return np.rint(255 * (np.arange(65536) / 65535.0) ** (2 / GAMMA)).astype(np.uint8)


@compiled(error_model="numpy")
def _map(signals, linear, matrix, hlg, gamma, out):
    """Signals (n, 3) uint16 -> (n, 3) uint8 of BT.709: light, primaries, roll-off of what is too bright, gamma."""
    for i in range(signals.shape[0]):
        r, g, b = linear[signals[i, 0]], linear[signals[i, 1]], linear[signals[i, 2]]
        if hlg:  # BT.2100, Table 5: the screen's light from the scene's, gamma 1.2
            luminance = np.float32(0.2627) * r + np.float32(0.6780) * g + np.float32(0.0593) * b
            gain = np.float32(HLG_PEAK / REFERENCE_WHITE) * luminance ** np.float32(0.2)
            r, g, b = gain * r, gain * g, gain * b
        red = matrix[0, 0] * r + matrix[0, 1] * g + matrix[0, 2] * b
        green = matrix[1, 0] * r + matrix[1, 1] * g + matrix[1, 2] * b
        blue = matrix[2, 0] * r + matrix[2, 1] * g + matrix[2, 2] * b
        most = max(red, green, blue)
        scale = np.float32(1.0)
        if most > np.float32(KNEE):
            rest = np.float32(1.0 - KNEE)
            scale *= (np.float32(1.0) - rest * np.exp((np.float32(KNEE) - most) / rest)) / most
        out[i, 0] = gamma[int(np.float32(65535.0) * np.sqrt(min(max(red * scale, np.float32(0.0)), np.float32(1.0))))]
        out[i, 1] = gamma[int(np.float32(65535.0) * np.sqrt(min(max(green * scale, np.float32(0.0)), np.float32(1.0))))]
        out[i, 2] = gamma[int(np.float32(65535.0) * np.sqrt(min(max(blue * scale, np.float32(0.0)), np.float32(1.0))))]
