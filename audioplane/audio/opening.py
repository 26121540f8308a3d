"""Lips that open for unseen speech as wide as the speaker's own.

What an encoder reads from speech that it has not learnt is a guess, and guesses are drawn towards the mean: lips would
open too little, wide openings least of all. How much is missing is measured with encoders that have not learnt a part
of the training frames (`audio.pretrain`), and added to the codes of a voice when a head speaks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

RIDGE = 0.01  # of the penalty, as a share of the frames
KNOTS = 17  # quantiles that are compared
QUANTILES = np.linspace(0.02, 0.98, KNOTS)


@dataclass(frozen=True)
class OpeningReader:
    """Reads the opening of the lips from codes, relative to its mean, by ridge regression.

    Attributes:
        mean: (code,), of the codes. weights: (code,). direction: (code,), the change of a code that goes with a change
            of the opening by 1 in the frames that it was fitted on, so that `weights @ direction` is 1.
    """

    mean: NDArray[np.float64]
    weights: NDArray[np.float64]
    direction: NDArray[np.float64]

    @classmethod
    def fit(cls, codes: NDArray, opening: NDArray) -> OpeningReader:
        """Of codes (T, code) and the opening (T,) of the same frames; needs some spread in both."""
        known = codes.astype(np.float64)
        mean = known.mean(axis=0)
        centred = known - mean
        products = centred.T @ centred
        penalty = RIDGE * len(known) * np.eye(known.shape[1])
        weights = np.linalg.solve(products + penalty, centred.T @ (opening - opening.mean()))
        along = products @ weights
        return cls(mean, weights, along / max(float(weights @ along), 1e-12))

    def __call__(self, codes: NDArray) -> NDArray[np.float64]:
        """The opening of codes (T, code), relative to its mean: (T,)."""
        return (codes - self.mean) @ self.weights


class OpeningMap(nn.Module):
    """Adds to codes what their opening lacks; changes nothing until it is fitted.

    Args:
        code: size of a code.

    Attributes:
        reader: (3, code): mean, weights and direction of an `OpeningReader`.
        knots: (2, 17): openings as they are read from unseen speech, ascending, and what each lacks.
    """

    reader: Tensor
    knots: Tensor

    def __init__(self, code: int) -> None:
        super().__init__()
        self.register_buffer("reader", torch.zeros(3, code))
        self.register_buffer("knots", torch.stack([torch.linspace(-1.0, 1.0, KNOTS), torch.zeros(KNOTS)]))

    def fit(self, reader: OpeningReader, guessed: NDArray, true: NDArray) -> None:
        """Takes the openings (n,) that were read from unseen speech, and the true ones of the same frames."""
        read, wanted = (np.quantile(values - values.mean(), QUANTILES) for values in (guessed, true))
        read = np.maximum.accumulate(read) + 1e-6 * max(float(np.ptp(read)), 1e-6) * np.arange(KNOTS)
        self.reader.copy_(torch.from_numpy(np.stack([reader.mean, reader.weights, reader.direction])))
        self.knots.copy_(torch.from_numpy(np.stack([read, wanted - read])))

    @property
    def is_fitted(self) -> bool:
        """Whether it changes anything; waits for a GPU if it lies there."""
        return bool(self.reader.any())

    def forward(self, codes: Tensor) -> Tensor:
        """Gives codes what they lack, in place: those of hours of sound are large.

        Args:
            codes: (T, code), brought to the statistics of the training voice.

        Returns:
            the same tensor.
        """
        mean, weights, direction = self.reader
        read, lack = self.knots
        opening = (codes @ weights - mean @ weights).clamp_(read[0], read[-1])
        right = torch.searchsorted(read, opening).clamp_(1, KNOTS - 1)
        share = (opening - read[right - 1]) / (read[right] - read[right - 1])
        return codes.addr_(torch.lerp(lack[right - 1], lack[right], share), direction)
