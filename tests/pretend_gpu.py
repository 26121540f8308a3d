"""A pretended GPU: tensors that compute on the CPU but are held to the rules of a CUDA device.

    with pretend_gpu() as gpu:
        trainer = Trainer(config, subject, device="cuda")

Real values flow, so a run can branch on them and end in numbers; but a tensor that was left on the CPU, `.numpy()` of
a tensor on the device, or a CPU generator for numbers on the device fails as it does with CUDA. `gpu.waits` lists what
makes a host wait for a real GPU: numbers that are read, copies to the CPU, results whose size depends on values.
gsplat's kernels are replaced by those of this package for the CPU, so what is tested is all around them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

CUDA = torch.device("cuda", 0)
META = torch.device("meta")  # what torch's C++ takes the device for: it owns no memory, and autograd accepts it
aten = torch.ops.aten
SIZED_BY_VALUES = {"nonzero", "masked_select", "_unique2", "unique_dim", "unique_consecutive", "repeat_interleave"}
ACROSS = {"_to_copy", "copy_"}  # what may take a tensor from one device to the other
READ = {"_local_scalar_dense", "equal", "is_nonzero"}
SOLVED = {"linalg_inv_ex", "inverse", "linalg_solve_ex", "_linalg_svd", "_linalg_eigh", "linalg_cholesky_ex"}
STAGED = 2**16  # bytes up to which CUDA copies from pageable memory without waiting
RESHAPING = {"squeeze_", "unsqueeze_", "t_", "transpose_"}  # the tensor that is given changes its own shape
INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_"}  # CUDA takes indices on the CPU as well


class OnGpu(Tensor):
    """A tensor on the pretended GPU; `held` are its numbers."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> OnGpu:
        return Tensor._make_wrapper_subclass(  # type: ignore[attr-defined,no-any-return]
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=META,
            requires_grad=False,
        )

    def __init__(self, held: Tensor) -> None:
        self.held = held

    __torch_function__ = torch._C._disabled_torch_function_impl

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return CUDA

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        return True

    @property
    def is_meta(self) -> bool:  # type: ignore[override]
        return False

    def __repr__(self, **_: Any) -> str:
        return f"OnGpu({self.held})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _compute(func, args, kwargs or {}, None)


class WrongDeviceError(RuntimeError):
    """What CUDA would refuse."""


def _compute(func: Any, args: Any, kwargs: dict[str, Any], gpu: PretendedGpu | None) -> Any:
    name = func._schema.name.removeprefix("aten::")
    given, shape = tree_flatten((args, kwargs))
    tensors = [x for x in given if isinstance(x, Tensor)]
    on_gpu = any(isinstance(x, OnGpu) for x in tensors)
    asked = kwargs.get("device")
    asked = None if asked is None else torch.device(asked).type
    if not on_gpu and asked not in ("meta", "cuda"):
        return func(*args, **kwargs)
    if on_gpu and name not in ACROSS:
        _hold_together(name, given)
    generator = next((x for x in given if isinstance(x, torch.Generator)), None)
    if generator is not None and asked != "cpu":
        raise WrongDeviceError(f"{name}: a generator of the CPU draws numbers for CUDA")
    if gpu is not None:
        gpu._note(name, args, asked, on_gpu)
    held = [x.held if isinstance(x, OnGpu) else x for x in given]
    args_held, kwargs_held = tree_unflatten(held, shape)
    if asked is not None:
        kwargs_held["device"] = torch.device("cpu")
    if kwargs_held.get("pin_memory"):
        kwargs_held["pin_memory"] = False
    out = func(*args_held, **kwargs_held)
    if name in RESHAPING:
        with no_dispatch():
            func(*args, **kwargs)
    if name == "_to_copy" and asked in ("meta", "cuda") and not on_gpu and out is args_held[0]:
        out = out.clone()
    return _put_back(func, name, args, kwargs, out, asked)


def _hold_together(name: str, given: list[Any]) -> None:
    """Refuses tensors of both devices, but for single numbers, which CUDA's kernels take as arguments."""
    strict = name.startswith("_fused_")  # Adam's count of steps lies on the device too
    for x in given:
        if isinstance(x, Tensor) and not isinstance(x, OnGpu) and (x.dim() > 0 or strict) and name not in INDEXING:
            raise WrongDeviceError(f"{name}: a tensor {tuple(x.shape)} on the CPU meets tensors on CUDA")
        if name in INDEXING and isinstance(x, Tensor) and not isinstance(x, OnGpu) and x.is_floating_point():
            raise WrongDeviceError(f"{name}: values on the CPU meet tensors on CUDA")


def _put_back(func: Any, name: str, args: Any, kwargs: Any, out: Any, asked: str | None) -> Any:
    """Results on the device; what an operation writes in place is the tensor that was given."""
    returns = func._schema.returns
    if not returns:
        return None
    arguments = [
        a for a in enumerate(func._schema.arguments) if a[1].alias_info is not None and a[1].alias_info.is_write
    ]
    written = iter([args[i] if i < len(args) else kwargs.get(a.name) for i, a in arguments])
    outs, found = (out if len(returns) > 1 else (out,)), []
    for one, info in zip(outs, returns, strict=True):
        if info.alias_info is not None and info.alias_info.is_write:
            found.append(next(written))
        elif asked == "cpu":
            found.append(one)
        else:
            found.append(tree_map(lambda x: OnGpu(x) if isinstance(x, Tensor) else x, one))
    return tuple(found) if len(returns) > 1 else found[0]


class _Devices(TorchFunctionMode):
    """Says "meta" where Python says "cuda": torch without CUDA would refuse the word."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in (torch.tensor, torch.as_tensor, torch.asarray) and _is_cuda(kwargs.get("device")):
            return func(*args, **{**kwargs, "device": "cpu"}).to(META)
        if func is Tensor.cuda:
            return args[0].to(META)
        if func is Tensor.new_tensor and isinstance(args[0], OnGpu) and "device" not in kwargs:
            return torch.tensor(args[1], **{"dtype": args[0].dtype, **kwargs}).to(META)
        if func is Tensor.tolist and isinstance(args[0], OnGpu):
            return args[0].cpu().tolist()
        moved = getattr(func, "__name__", "") == "to"
        args = tuple(META if (isinstance(a, torch.device) or moved) and _is_cuda(a) else a for a in args)
        if _is_cuda(kwargs.get("device")):
            kwargs["device"] = META
        return func(*args, **kwargs)


def _is_cuda(device: Any) -> bool:
    return isinstance(device, (str, torch.device)) and str(device).startswith("cuda")


class _Kernels(TorchDispatchMode):
    def __init__(self, gpu: PretendedGpu) -> None:
        super().__init__()
        self.gpu = gpu

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _compute(func, args, kwargs or {}, self.gpu)


def _pinned(tensor: Tensor) -> Tensor:
    copy = tensor.clone()
    copy.lies_pinned = True  # type: ignore[attr-defined]
    return copy


@dataclass
class PretendedGpu:
    """What happened on it.

    Attributes:
        waits: operations for which a host would have waited for the GPU, in order.
        random: the global generator of CUDA.
    """

    waits: list[str] = field(default_factory=list)
    random: torch.Generator = field(default_factory=torch.Generator)

    def _note(self, name: str, args: Any, asked: str | None, on_gpu: bool) -> None:
        first = args[0] if args else None
        if name == "_to_copy" and not on_gpu:
            if first.nbytes > STAGED and not getattr(first, "lies_pinned", False):
                self.waits.append("copy of pageable memory")
            return
        masks = name in INDEXING and any(isinstance(i, Tensor) and i.dtype == torch.bool for i in args[1] or ())
        to_cpu = (name == "_to_copy" and asked == "cpu") or (name == "copy_" and not isinstance(first, OnGpu))
        if name in READ or name in SIZED_BY_VALUES or masks or to_cpu or name in SOLVED:
            self.waits.append(name)


@contextmanager
def pretend_gpu(bf16: bool = False) -> Iterator[PretendedGpu]:
    """Gives torch a pretended GPU, "cuda", for a while.

    Args:
        bf16: whether it multiplies bfloat16 matrices.
    """
    import gsplat

    from audioplane.splat import strategies

    gpu = PretendedGpu()
    answers: dict[str, Any] = {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "get_device_name": lambda *_: "a pretended GPU",
        "set_device": lambda *_: None,
        "get_device_capability": lambda *_: (9, 0) if bf16 else (7, 5),
        "synchronize": lambda *_: None,
        "max_memory_allocated": lambda *_: 0,
        "reset_peak_memory_stats": lambda *_: None,
        "get_rng_state": lambda *_: gpu.random.get_state(),
        "set_rng_state": lambda state, *_: gpu.random.set_state(state),
        "manual_seed_all": gpu.random.manual_seed,
        "manual_seed": gpu.random.manual_seed,
    }
    patches = [mock.patch.object(torch.cuda, name, answer) for name, answer in answers.items()]
    patches += [
        mock.patch.object(Tensor, "pin_memory", _pinned, create=True),
        mock.patch.object(gsplat, "rasterization", rasterization),
        mock.patch.object(gsplat, "spherical_harmonics", spherical_harmonics),
        mock.patch.object(strategies, "_covariance_on_cuda", covariance),
        mock.patch.object(strategies, "_relocation_on_cuda", relocation),
    ]
    for patch in patches:
        patch.start()
    try:
        with _Devices(), _Kernels(gpu):
            yield gpu
    finally:
        for patch in reversed(patches):
            patch.stop()


# gsplat's kernels


class _Kernel(torch.autograd.Function):
    """A function of CPU tensors as a kernel of the GPU, with its gradient."""

    @staticmethod
    def forward(ctx: Any, function: Any, *tensors: Any) -> Any:
        held = [_held(t).detach() for t in tensors]
        held = [h.requires_grad_(h.is_floating_point()) for h in held]
        with torch.enable_grad():
            outs = function(*held)
        ctx.held, ctx.outs = held, outs
        plain = [OnGpu(out.detach()) for out in outs]
        ctx.mark_non_differentiable(*[p for p in plain if not p.is_floating_point()])
        return tuple(plain)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        pairs = [(o, _held(g)) for o, g in zip(ctx.outs, grads, strict=True) if o.requires_grad and g is not None]
        wanted = [h for h in ctx.held if h.requires_grad]
        outs, grads = zip(*pairs, strict=True)
        found = iter(torch.autograd.grad(outs, wanted, grads, retain_graph=True, allow_unused=True))
        return (None, *[_wrapped(next(found)) if h.requires_grad else None for h in ctx.held])


def _wrapped(grad: Tensor | None) -> Tensor | None:
    return None if grad is None else OnGpu(grad)


def _held(tensor: Any) -> Tensor:
    if not isinstance(tensor, OnGpu):
        raise WrongDeviceError(f"gsplat: a tensor {tuple(tensor.shape)} on the CPU, expected one on CUDA")
    return tensor.held


def rasterization(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    near_plane: float = 0.01,
    far_plane: float = 1e10,
    radius_clip: float = 0.0,
    eps2d: float = 0.3,
    packed: bool = True,
    tile_size: int = 16,
    **rest: Any,
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """`gsplat.rasterization` of colours without packing, in two kernels: the projected means have a gradient."""
    if means.dim() == 3:  # gsplat takes a batch of clouds, each with cameras of its own
        each = zip(means, quats, scales, opacities, colors, viewmats, Ks, strict=True)
        numbers = (width, height, near_plane, far_plane, radius_clip, eps2d, packed, tile_size)
        outs, alphas, _ = zip(*(rasterization(*own, *numbers, **rest) for own in each), strict=True)
        return torch.stack(outs), torch.stack(alphas), {}

    import numpy as np

    from audioplane.splat.compositing import composite
    from audioplane.splat.projection import Lens, project
    from audioplane.splat.tiles import intersect

    expected = {"sh_degree": None, "render_mode": "RGB", "absgrad": False, "backgrounds": None}
    if packed or any(rest[name] != value for name, value in expected.items()):
        raise NotImplementedError("the stand-in draws colours over black, without packing")
    count, cameras = len(means), len(viewmats)
    lens = Lens(width, height, near_plane, far_plane, radius_clip, eps2d)

    def projected(*held: Tensor) -> tuple[Tensor, ...]:
        radii, means2d, depths, conics, _ = project(*held, lens)
        return radii, means2d, depths, conics

    given = (means, quats, scales, opacities, viewmats, Ks)
    radii, means2d, depths, conics = _Kernel.apply(projected, *given)
    images = np.repeat(np.arange(cameras, dtype=np.int32), count)

    def drawn(
        at: Tensor, shape: Tensor, rgb: Tensor, alpha: Tensor, radius: Tensor, depth: Tensor
    ) -> tuple[Tensor, ...]:
        alpha = alpha.expand(cameras, count)
        rgb = rgb.expand(cameras, *rgb.shape) if rgb.dim() == 2 else rgb
        lists = intersect(at, shape, alpha, radius, depth, images, width, height, tile_size, cameras)
        behind = at.new_zeros(cameras, rgb.shape[-1])
        return composite(at, shape, rgb, alpha, behind, lists, width, height, tile_size)

    out, alphas = _Kernel.apply(drawn, means2d, conics, colors, opacities, radii, depths)
    meta = {
        "camera_ids": None,
        "gaussian_ids": None,
        "radii": radii,
        "means2d": means2d,
        "depths": depths,
        "conics": conics,
        "width": width,
        "height": height,
        "tile_size": tile_size,
        "n_cameras": cameras,
    }
    return out, alphas, meta


def spherical_harmonics(degrees_to_use: int, dirs: Tensor, coeffs: Tensor, masks: Tensor | None = None) -> Tensor:
    """`gsplat.spherical_harmonics`, by gsplat's own plain twin."""
    from gsplat.cuda._torch_impl import _spherical_harmonics

    return _spherical_harmonics(degrees_to_use, dirs, coeffs)  # type: ignore[no-any-return]


def covariance(quats: Tensor, scales: Tensor, *_: bool) -> tuple[Tensor, None]:
    """`gsplat.quat_scale_to_covar_preci`, of which the strategies want covariances alone."""
    from audioplane.splat.reference import covariance as plain

    return plain(quats, scales), None


def relocation(opacities: Tensor, scales: Tensor, ratios: Tensor, binoms: Tensor) -> tuple[Tensor, Tensor]:
    """`gsplat.compute_relocation`, by this package's version for the CPU."""
    from audioplane.splat.strategies import _compute_relocation

    held = [_held(t) for t in (opacities, scales, ratios, binoms)]
    return tuple(OnGpu(t) for t in _compute_relocation(*held))  # type: ignore[return-value]
