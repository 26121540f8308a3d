"""Adam for large tables of which a step touches few rows: only those are read and written.

A row that no Gaussian ever touches never moves under plain Adam either; one that is touched at every step moves
exactly as under Adam. In between, moments of untouched rows wait instead of decaying (as in torch's SparseAdam).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from . import threads


@njit(cache=True, nogil=True, fastmath={"contract", "nsz"}, error_model="numpy")
def _update(start, stop, rows, grads, values, first, second, beta1, beta2, rate, epsilon):
    """Adam on the rows that `rows`[start:stop] name; `rate` and `epsilon` come corrected for the bias."""
    for at in range(start, stop):
        row = rows[at]
        for c in range(values.shape[1]):
            g = grads[at, c]
            m = beta1 * first[row, c] + (np.float32(1.0) - beta1) * g
            v = beta2 * second[row, c] + (np.float32(1.0) - beta2) * g * g
            first[row, c] = m
            second[row, c] = v
            values[row, c] -= rate * m / (math.sqrt(v) + epsilon)


class RowAdam(torch.optim.Optimizer):
    """Adam over parameters (rows, D) with sparse or dense gradients, on any device.

    Args:
        params: parameters. lr: learning rate. betas, eps: of Adam.
    """

    def __init__(self, params: Any, lr: float, betas: tuple[float, float] = (0.9, 0.99), eps: float = 1e-15) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for param in group["params"]:
                if param.grad is None:
                    continue
                state = self.state[param]
                if not state:
                    state["step"] = torch.zeros(())
                    state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(param), torch.zeros_like(param)
                state["step"] += 1
                t = int(state["step"])
                correction = math.sqrt(1.0 - beta2**t)
                rate, epsilon = group["lr"] * correction / (1.0 - beta1**t), group["eps"] * correction
                _apply(param, state["exp_avg"], state["exp_avg_sq"], beta1, beta2, rate, epsilon)


def _apply(param: Tensor, first: Tensor, second: Tensor, beta1: float, beta2: float, rate: float, epsilon: float) -> None:
    grad = param.grad
    assert grad is not None
    if grad.is_sparse and not grad.is_coalesced():
        grad = grad.coalesce()
    if grad.is_sparse and param.device.type == "cpu":
        rows, values = grad._indices()[0].numpy(), grad._values().contiguous()
        threads.run(
            _update, threads.split(len(rows), 4 * torch.get_num_threads()), rows, values.numpy(), param.detach().numpy(),
            first.numpy(), second.numpy(), np.float32(beta1), np.float32(beta2), np.float32(rate), np.float32(epsilon),
        )  # fmt: skip
        return
    rows = grad._indices()[0] if grad.is_sparse else slice(None)
    g = grad._values() if grad.is_sparse else grad
    first[rows] = beta1 * first[rows] + (1.0 - beta1) * g
    second[rows] = beta2 * second[rows] + (1.0 - beta2) * g * g
    param[rows] -= rate * first[rows] / (second[rows].sqrt() + epsilon)
