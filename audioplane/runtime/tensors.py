"""The one reader of tensors from outside, .safetensors and files of torch: nothing in them is executed."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from audioplane.errors import UserError
from audioplane.runtime import limits

PLAIN = (
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.float64,
    torch.int64,
    torch.int32,
    torch.int8,
    torch.uint8,
    torch.bool,
)
"""Types that tensors of files may have."""

Shape = tuple["int | None", ...]


def read(path: Path, advice: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a file and the texts of its header.

    Args:
        path: of the file. advice: what the user can do if it cannot be used, as the end of a sentence.

    Raises:
        UserError: missing, damaged, too large, or with tensors of a type that nothing here has.
    """
    from safetensors import SafetensorError, safe_open

    _check_file(path, advice)
    try:
        with safe_open(str(path), "pt") as file:
            names = list(file.keys())
            if len(names) > limits.limit("array_members"):
                raise limits.exceeded(f"{path} has {len(names)} tensors", "array_members")
            found = {name: file.get_tensor(name) for name in names}
            texts = dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError, TypeError, RuntimeError, OverflowError, AttributeError) as error:
        reason = str(error).split("\n")[0][:120]
        raise UserError(f"{path} is damaged or not ours ({reason}); {advice}") from error
    strange = next((name for name, tensor in found.items() if tensor.dtype not in PLAIN), None)
    if strange is not None:
        raise UserError(f"{path}: {strange[:80]} is of type {found[strange].dtype}, which nothing here has; {advice}")
    return found, texts


def read_of_torch(path: Path, advice: str) -> Any:
    """What a file that `torch.save` wrote holds (.pt, .pth, .bin): tensors, texts, numbers, and what contains them.

    Args:
        path: of the file. advice: see `read`.

    Raises:
        UserError: missing, damaged, too large, larger unpacked than it is, or with objects that only code could make.
    """
    _check_file(path, advice)
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as file:
                members = file.infolist()
            packed = any(one.compress_type != zipfile.ZIP_STORED for one in members)  # torch packs nothing
            if packed or sum(one.file_size for one in members) > path.stat().st_size:
                raise ValueError("its parts are larger than the file")
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        reason = (str(error).splitlines() or [""])[0][:120] or type(error).__name__
        raise UserError(f"{path} is damaged or no file of tensors ({reason}); {advice}") from error


def _check_file(path: Path, advice: str) -> None:
    """Refuses what is missing, what would be waited for, such as a pipe, and what is too large."""
    if not path.is_file():
        state = f"{path} is not an ordinary file" if path.exists() else f"there is no file {path}"
        raise UserError(f"{state}; {advice}")
    size = path.stat().st_size
    if size > limits.limit("tensor_bytes"):
        raise limits.exceeded(f"{path} has {size} bytes", "tensor_bytes")


def check(
    tensors: dict[str, Tensor],
    name: str,
    shape: Shape,
    what: str,
    advice: str,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """One tensor of a file, of a known type and shape, finite.

    Args:
        tensors: of the file. name: of the tensor. shape: None where any size will do. what: the file's name.
        advice: see `read`. dtype: of the tensor.

    Raises:
        UserError: it is missing or something else.
    """
    found: Any = tensors.get(name)
    wanted = "(" + ", ".join("*" if size is None else str(size) for size in shape) + ")"
    if found is None:
        raise UserError(f"{what} lacks {name}; {advice}")
    same = found.dim() == len(shape) and all(a in (None, b) for a, b in zip(shape, found.shape, strict=True))
    if not same or found.dtype != dtype:
        raise UserError(
            f"{what}: {name} must be {str(dtype).removeprefix('torch.')} of shape {wanted}, it is "
            f"{str(found.dtype).removeprefix('torch.')} of shape {tuple(found.shape)}; {advice}"
        )
    if found.dtype.is_floating_point and not bool(torch.isfinite(found).all()):
        raise UserError(f"{what}: {name} has NaN or infinite numbers; {advice}")
    return found


def check_default_dtype() -> None:
    """Networks and heads are made and run in float32, the default of torch.

    Raises:
        UserError: `torch.set_default_dtype` has set another.
    """
    dtype = torch.get_default_dtype()
    if dtype != torch.float32:
        raise UserError(
            f"torch's default type is {str(dtype).removeprefix('torch.')}, audioplane computes in float32: call "
            "torch.set_default_dtype(torch.float32) before training, loading a head or speaking"
        )
