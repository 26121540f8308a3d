"""What the audio-visual encoder is trained with and what is left out afterwards: Conv(F) and Dec of Eq. 3."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from audioplane.audio.av_encoder import CODE, SoundConvolutions

PIXELS = 48  # of a mouth, grey
WIDTHS = (16, 32, 64, 128)  # of the face encoder, from 24 pixels to 3


def _layer(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


class FaceGenerator(nn.Module):
    """Conv(A), Conv(F) and Dec (SyncTalk++, Eq. 3): a mouth restored from a sound and a reference of its person.

    The paper does not say what Conv(F) sees. With the frame itself the sound would not be needed; so it sees another
    frame of the same person, as Wav2Lip's reference. Its features of every size go to the decoder (a U-Net).
    """

    def __init__(self) -> None:
        super().__init__()
        self.sound = SoundConvolutions(normed=True)
        self.face = nn.ModuleList(_layer(a, b, 2) for a, b in pairwise((1, *WIDTHS)))
        self.spread = nn.Linear(CODE, WIDTHS[-1] * 9)
        self.join = _layer(2 * WIDTHS[-1], WIDTHS[-1])
        up = []
        for inputs, outputs in zip(WIDTHS[:0:-1], WIDTHS[-2::-1], strict=True):  # with the face encoder's of that size
            up.append(_layer(inputs + outputs, outputs))
        self.up = nn.ModuleList(up)
        self.last = nn.Sequential(_layer(WIDTHS[0], WIDTHS[0]), nn.Conv2d(WIDTHS[0], 1, 3, padding=1))

    def forward(self, windows: Tensor, references: Tensor) -> Tensor:
        """Dec(Conv(A) + Conv(F)), side by side.

        Args:
            windows: of the spectrogram (B, BANDS, COLUMNS), see `spectrogram_windows`.
            references: other frames of the same people (B, 1, PIXELS, PIXELS), 0 to 1.

        Returns:
            (B, 1, PIXELS, PIXELS), 0 to 1.
        """
        sound = self.spread(self.sound(windows)).view(-1, WIDTHS[-1], 3, 3)
        faces, values = [], references
        for layer in self.face:
            values = layer(values)
            faces.append(values)
        values = self.join(torch.cat([sound, faces.pop()], dim=1))
        for layer in self.up:
            values = nn.functional.interpolate(values, scale_factor=2.0, mode="nearest")
            values = layer(torch.cat([values, faces.pop()], dim=1))
        values = nn.functional.interpolate(values, scale_factor=2.0, mode="bilinear", align_corners=False)
        return self.last(values).sigmoid()
