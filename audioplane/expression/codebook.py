"""The codebook of a VQ-VAE: its nearest entry, the gradient straight through it, and its loss."""

from __future__ import annotations

import torch
from torch import Tensor


def nearest(latents: Tensor, entries: Tensor) -> Tensor:
    """Which entry of the codebook lies nearest to each latent vector (SyncTalk++, Eq. 25).

    Args:
        latents: (..., C). entries: (N, C).

    Returns:
        (...) int64, 0 to N - 1.
    """
    flat = latents.reshape(-1, latents.shape[-1])
    distances = entries.square().sum(dim=1) - 2 * flat @ entries.T  # less |latent|^2, the same for all entries
    return distances.argmin(dim=1).reshape(latents.shape[:-1])


def straight_through(latents: Tensor, quantised: Tensor) -> Tensor:
    """The entries, whose gradient goes to the latent vectors as it is.

    Choosing an entry has no gradient; the decoder's is handed to the encoder (van den Oord et al. 2017).

    Args:
        latents: (..., C), of the encoder. quantised: (..., C), their entries.
    """
    return latents + (quantised - latents).detach()


def vq_loss(given: Tensor, restored: Tensor, latents: Tensor, quantised: Tensor, beta: float) -> Tensor:
    """L = |B - B~|^2 + |Z_e - sg(Z_q)|^2 + beta |sg(Z_e) - Z_q|^2 (SyncTalk++, Eq. 27); each a mean.

    As printed beta weighs the term that moves the codebook, though the text says the commitment's, which has 1. Under
    Adam that hardly matters: entries have no other gradient, and Adam divides by its size.

    Args:
        given, restored: (..., K) coefficients B and B~. latents: (..., C), Z_e. quantised: (..., C), Z_q, their
            entries with gradient. beta: see above.
    """
    reconstruction = (given - restored).square().mean()
    commitment = (latents - quantised.detach()).square().mean()
    codebook = (latents.detach() - quantised).square().mean()
    return reconstruction + commitment + beta * codebook


def replace_dead(entries: Tensor, uses: Tensor, latents: Tensor, generator: torch.Generator) -> int:
    """Puts entries that nothing used where latent vectors lie; how many were.

    Args:
        entries: (N, C), changed in place. uses: (N,), how often each was used of late. latents: (M, C), of a batch.
        generator: which of them.
    """
    dead = torch.nonzero(uses == 0)[:, 0]
    chosen = torch.randint(len(latents), (len(dead),), generator=generator)
    with torch.no_grad():
        entries[dead] = latents[chosen]
    return len(dead)


def perplexity(uses: Tensor) -> float:
    """How many entries are in use, as the exponential of the entropy of `uses` (N,): 1 to N."""
    shares = uses[uses > 0].double() / uses.sum()
    return float((-(shares * shares.log()).sum()).exp())
