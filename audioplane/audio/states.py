"""States of a network that hears a voice, every 20 ms, relative to what that voice's states usually are."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from audioplane.audio.activity import speech_steps
from audioplane.audio.mel import Statistics
from audioplane.runtime.memory import give_back

PIECE = 6_000  # states of a long voice that are computed at once, two minutes: a multiple of Whisper's PIECE - OVERLAP
KEPT = 20 * 128  # channels of such pieces that are kept, over all pieces: 61 MB, 40 minutes of 128 channels
PRIOR_STEPS = 100  # weight of a subject's own statistics where another voice is standardised


def standardise_states(
    states: NDArray[np.float32], speech: NDArray[np.bool_], prior: Statistics | None = None, prior_only: bool = False
) -> tuple[NDArray[np.float32], Statistics]:
    """States relative to what the same voice's usually are.

    Args:
        states: (n, C).
        speech: (n,), the steps whose mean and spread count; see `activity.speech_steps`.
        prior: mean and spread of another recording, which count as two further seconds.
        prior_only: standardise by it alone.

    Returns:
        the states (n, C), and the mean and spread that were used, (C,) each.
    """
    mean, spread = np.zeros(states.shape[1]), np.ones(states.shape[1])
    if speech.sum() > 1:
        mean, spread = states[speech].mean(axis=0), states[speech].std(axis=0)
    mean, spread = _with_prior(mean, spread, int(speech.sum()), prior, prior_only)
    return ((states - mean) / spread).astype(np.float32), (mean, spread)


def _with_prior(
    mean: NDArray, spread: NDArray, count: int, prior: Statistics | None, prior_only: bool
) -> tuple[NDArray, NDArray]:
    """Mean and spread of so many steps, with those of another recording that count as `PRIOR_STEPS` more."""
    if prior is not None:
        own = 0.0 if prior_only else count / (count + PRIOR_STEPS)
        mean, spread = own * mean + (1 - own) * prior[0], own * spread + (1 - own) * prior[1]
    return mean, np.maximum(spread, 1e-3)


class LongStates(ABC):
    """Standardised states of a long voice, computed in pieces where they are asked for.

    A first pass finds their mean and spread. The first pieces are kept from it, all others are computed again.

    Args:
        samples: (n,) 16 kHz. count: of states. channels: C.
        prior, prior_only: see `standardise_states`.
        before: samples of silence to put in front.
    """

    def __init__(
        self,
        samples: NDArray[np.float32],
        count: int,
        channels: int,
        prior: Statistics | None,
        prior_only: bool,
        before: int,
    ) -> None:
        self.samples, self.before, self.count, self.channels = samples, before, count, channels
        self.kept = max(1, KEPT // channels)
        self._states: dict[int, NDArray[np.float32]] = {}
        self.mean, self.spread = self._statistics(prior, prior_only)

    @abstractmethod
    def compute(self, start: int, stop: int) -> NDArray[np.float32]:
        """The states of some steps, not standardised: (stop - start, C)."""

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, steps: slice) -> NDArray[np.float32]:
        """The features of some steps, (k, C); faster in rising order."""
        first, last = steps.start // PIECE, (steps.stop - 1) // PIECE
        self._states = {k: v for k, v in self._states.items() if k < self.kept or first <= k <= last}
        states = np.concatenate([self._piece(number) for number in range(first, last + 1)])
        states = states[steps.start - first * PIECE : steps.stop - first * PIECE]
        return ((states - self.mean) / self.spread).astype(np.float32)

    def _statistics(
        self, prior: Statistics | None, prior_only: bool
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean and spread by which states are standardised, (C,) each; as in `standardise_states`."""
        speech = speech_steps(self.samples, self.count, self.before)
        if prior_only and prior is not None:
            speech[:] = False
        total, square = np.zeros(self.channels), np.zeros(self.channels)
        for start in range(0, self.count if speech.any() else 0, PIECE):
            chosen = self._piece(start // PIECE)[speech[start : start + PIECE]].astype(np.float64)
            total, square = total + chosen.sum(axis=0), square + np.square(chosen).sum(axis=0)
            self._states = {k: v for k, v in self._states.items() if k < self.kept}
        mean, spread = np.zeros(self.channels), np.ones(self.channels)
        if speech.sum() > 1:
            mean = total / speech.sum()
            spread = np.sqrt(np.maximum(square / speech.sum() - mean**2, 0))
        return _with_prior(mean, spread, int(speech.sum()), prior, prior_only)

    def _piece(self, number: int) -> NDArray[np.float32]:
        if number not in self._states:
            self._states[number] = self.compute(number * PIECE, min((number + 1) * PIECE, self.count))
            give_back()
        return self._states[number]
