"""Adam as one compiled pass over a parameter, and for large tables over the rows that a step touches alone.

A row that no Gaussian ever touches never moves under plain Adam either; one that is touched at every step moves
exactly as under Adam. In between, moments of untouched rows wait instead of decaying (as in torch's SparseAdam).

The same rule holds where the gradient of a table comes whole, as on CUDA: rows of zeros wait. One difference is left:
a row that a sparse gradient names with zeros (what touches it cannot be seen in this frame) decays, and waits in a
whole one; a test holds how far tables drift apart by it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic
from torch import Tensor

from audioplane.runtime import threads
from audioplane.runtime.compiled import compiled
from audioplane.runtime.contracts import expect, indices
from audioplane.splat.simd import LANES, Floats, load, prefetch, splat, store

AHEAD = 8  # rows between asking for one and needing it
LINE = 16  # numbers in a cache line
PIECE = 1 << 14  # numbers that are worth a thread of their own


@intrinsic
def _root(typing: Any, x: Any) -> Any:
    """The square root of each lane."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = ir.FunctionType(args[0].type, [args[0].type])
        name = f"llvm.sqrt.v{LANES}f32"
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)

    return Floats(Floats), emit


@compiled(error_model="numpy")
def _update(start, stop, rows, features, grads, values, first, second, beta1, beta2, rate, epsilon):
    """Adam on the rows that `rows`[start:stop] name, of flattened tables with a multiple of eight features a row.

    `rate` and `epsilon` come corrected for the bias.
    """
    one = np.float32(1.0)
    b1, c1, b2, c2 = splat(beta1), splat(one - beta1), splat(beta2), splat(one - beta2)
    speed, tiny = splat(rate), splat(epsilon)
    for at in range(start, stop):
        soon = rows[min(at + AHEAD, stop - 1)] * features
        for c in range(0, features, LINE):
            prefetch(first, soon + c)
            prefetch(second, soon + c)
            prefetch(values, soon + c)
        source, target = at * features, rows[at] * features
        for c in range(0, features, LANES):
            g = load(grads, source + c)
            m = b1 * load(first, target + c) + c1 * g
            v = b2 * load(second, target + c) + c2 * g * g
            store(first, target + c, m)
            store(second, target + c, v)
            root = _root(v)  # type: ignore[call-arg]
            store(values, target + c, load(values, target + c) - speed * m / (root + tiny))


@compiled(error_model="numpy")
def _update_all(start, stop, grads, values, first, second, beta1, beta2, rate, epsilon):
    """Adam on the numbers [start, stop) of flattened arrays; `rate` and `epsilon` come corrected for the bias."""
    one = np.float32(1.0)
    b1, c1, b2, c2 = splat(beta1), splat(one - beta1), splat(beta2), splat(one - beta2)
    speed, tiny = splat(rate), splat(epsilon)
    whole = start + (stop - start) // LANES * LANES
    for k in range(start, whole, LANES):
        g = load(grads, k)
        m = b1 * load(first, k) + c1 * g
        v = b2 * load(second, k) + c2 * g * g
        store(first, k, m)
        store(second, k, v)
        root = _root(v)  # type: ignore[call-arg]
        store(values, k, load(values, k) - speed * m / (root + tiny))
    for k in range(whole, stop):
        g = grads[k]
        first[k] = beta1 * first[k] + (one - beta1) * g
        second[k] = beta2 * second[k] + (one - beta2) * g * g
        values[k] -= rate * first[k] / (np.sqrt(second[k]) + epsilon)


class SparseAdam(torch.optim.Optimizer):
    """Adam over parameters with dense gradients of any shape, or sparse ones (rows, D), on any device.

    Args:
        params: parameters. lr: learning rate. betas, eps: of Adam.
        distinct: whether the parameters are tables of which a step touches a few rows. A sparse gradient then names
            each row at most once, as that of `Planes` does, and nothing is left to add up before the step; of a whole
            one the rows of zeros wait.
    """

    def __init__(
        self,
        params: Any,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-15,
        distinct: bool = False,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})
        self.distinct = distinct

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
                state["step"] = state["step"].cpu() + 1  # on the host: asking a GPU for it would wait
                t = int(state["step"])
                correction = math.sqrt(1.0 - beta2**t)
                rate, epsilon = group["lr"] * correction / (1.0 - beta1**t), group["eps"] * correction
                if param.grad.is_sparse and not self.distinct:
                    param.grad = param.grad.coalesce()
                if self.distinct and not param.grad.is_sparse:
                    _touched_rows(param, state["exp_avg"], state["exp_avg_sq"], beta1, beta2, rate, epsilon)
                else:
                    _apply(param, state["exp_avg"], state["exp_avg_sq"], beta1, beta2, rate, epsilon)


def _apply(
    param: Tensor, first: Tensor, second: Tensor, beta1: float, beta2: float, rate: float, epsilon: float
) -> None:
    grad = param.grad
    assert grad is not None
    _check(param, first, second)
    if param.device.type == "cpu" and param.dtype == torch.float32 and param.is_contiguous():
        constants = [np.float32(x) for x in (beta1, beta2, rate, epsilon)]
        values = (grad._values() if grad.is_sparse else grad).contiguous()
        if not (first.is_contiguous() and second.is_contiguous()):
            raise ValueError("exp_avg, exp_avg_sq: expected contiguous tensors")
        tables = [t.detach().view(-1).numpy() for t in (values, param, first, second)]
        if not grad.is_sparse:
            chunks = threads.split(param.numel(), min(-(-param.numel() // PIECE), torch.get_num_threads()))
            threads.run(_update_all, chunks, *tables, *constants)
            return
        if param.shape[1] % LANES == 0:
            rows = grad._indices()[0].numpy()
            expect("the gradient's rows", values, (len(rows), param.shape[1]))
            indices("the gradient's rows", rows, len(param))
            chunks = threads.split(len(rows), 4 * torch.get_num_threads())
            threads.run(_update, chunks, rows, param.shape[1], *tables, *constants)
            return
    rows = grad._indices()[0] if grad.is_sparse else slice(None)
    g = grad._values() if grad.is_sparse else grad
    first[rows] = beta1 * first[rows] + (1.0 - beta1) * g
    second[rows] = beta2 * second[rows] + (1.0 - beta2) * g * g
    param[rows] -= rate * first[rows] / (second[rows].sqrt() + epsilon)


def _touched_rows(
    param: Tensor, first: Tensor, second: Tensor, beta1: float, beta2: float, rate: float, epsilon: float
) -> None:
    """Adam on the rows of a table (rows, D) that its whole gradient touches; without waiting for the device."""
    grad = param.grad
    assert grad is not None
    _check(param, first, second)
    touched = (grad != 0).any(dim=1, keepdim=True)
    first.copy_(torch.where(touched, beta1 * first + (1.0 - beta1) * grad, first))
    second.copy_(torch.where(touched, beta2 * second + (1.0 - beta2) * grad * grad, second))
    param.sub_(torch.where(touched, rate * first / (second.sqrt() + epsilon), 0.0))


def _check(param: Tensor, first: Tensor, second: Tensor) -> None:
    """Raises ValueError for moments that are not of the parameter."""
    for name, moment in (("exp_avg", first), ("exp_avg_sq", second)):
        if moment.shape != param.shape or moment.dtype != param.dtype or moment.device != param.device:
            raise ValueError(
                f"{name}: expected {tuple(param.shape)} like the parameter, received {tuple(moment.shape)} "
                f"{moment.dtype} on {moment.device}; the optimizer's state belongs to another run"
            )
