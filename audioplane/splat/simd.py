"""Eight floats at a time: a vector type for compiled kernels.

LLVM's loop vectorizer gives up on compositing loops (they read, test and write several arrays), so kernels say what
they mean: `Floats` is a value of eight float32 lanes and `Mask` one of eight booleans, both living in registers.
They support `+ - * /`, `>= > <=`, `&` and the functions below, inside `@njit` code only. LLVM lowers them to whatever
the machine has (AVX, AVX-512, NEON, SSE). Contraction to fused multiply-adds is allowed, reassociation is not, so the
same machine always computes the same bits. In memory a lane is a float32, or a bfloat16 in an int16 array.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import extending, types
from numba.core import cgutils
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import lower_builtin, models, register_model

from audioplane.runtime.contracts import CHECK

LANES = 8
_FLOAT, _INT = ir.FloatType(), ir.IntType(32)
_FLOATS, _INTS = ir.VectorType(_FLOAT, LANES), ir.VectorType(_INT, LANES)
_SHORTS = ir.VectorType(ir.IntType(16), LANES)
_MASK = ir.VectorType(ir.IntType(1), LANES)
_FLAGS = ("contract", "nsz")  # no "reassoc", no "nnan": order and NaN stay as written


def intrinsic(define: Callable[..., Any]) -> Callable[..., Any]:
    """numba's decorator, which hides the first argument (the typing context) from callers."""
    return extending.intrinsic(define)


class FloatsType(types.Type):
    """Eight float32 lanes."""


class MaskType(types.Type):
    """Eight boolean lanes."""


Floats, Mask = FloatsType("floats8"), MaskType("mask8")


@register_model(FloatsType)
class _FloatsModel(models.PrimitiveModel):
    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, _FLOATS)


@register_model(MaskType)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, _MASK)


def _operator(op: Any, operand: types.Type, result: types.Type, emit: Callable[..., Any]) -> None:
    """Teaches the compiler `operand op operand -> result`."""
    template = type(f"_{op.__name__}", (ConcreteTemplate,), {"cases": [signature(result, operand, operand)]})
    register: Any = infer_global(op)
    register(template)
    lower_builtin(op, operand, operand)(lambda context, builder, sig, args: emit(builder, *args))


_operator(operator.add, Floats, Floats, lambda b, x, y: b.fadd(x, y, flags=_FLAGS))
_operator(operator.sub, Floats, Floats, lambda b, x, y: b.fsub(x, y, flags=_FLAGS))
_operator(operator.mul, Floats, Floats, lambda b, x, y: b.fmul(x, y, flags=_FLAGS))
_operator(operator.truediv, Floats, Floats, lambda b, x, y: b.fdiv(x, y, flags=_FLAGS))
_operator(operator.ge, Floats, Mask, lambda b, x, y: b.fcmp_ordered(">=", x, y))
_operator(operator.gt, Floats, Mask, lambda b, x, y: b.fcmp_ordered(">", x, y))
_operator(operator.le, Floats, Mask, lambda b, x, y: b.fcmp_ordered("<=", x, y))
_operator(operator.and_, Mask, Mask, lambda b, x, y: b.and_(x, y))


def _constant(value: float) -> ir.Constant:
    return ir.Constant(_FLOATS, [float(np.float32(value))] * LANES)


def _address(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    struct = context.make_array(array_type)(context, builder, array)
    if CHECK:
        last = builder.sub(struct.nitems, ir.Constant(struct.nitems.type, LANES))
        inside = builder.and_(
            builder.icmp_signed(">=", index, ir.Constant(index.type, 0)), builder.icmp_signed("<=", index, last)
        )
        with cgutils.if_unlikely(builder, builder.not_(inside)):
            context.call_conv.return_user_exc(builder, IndexError, ("eight lanes beyond the array",))
    data = struct.data
    lanes = _SHORTS if array_type.dtype == types.int16 else _FLOATS
    return builder.bitcast(builder.gep(data, [index]), lanes.as_pointer())


def _whole(value: int) -> ir.Constant:
    return ir.Constant(_INTS, [value] * LANES)


def _call(builder: Any, name: str, *args: Any) -> Any:
    kind = ir.FunctionType(_FLOATS, [_FLOATS] * len(args))
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{LANES}f32"), args)


@intrinsic
def load(typing: Any, array: Any, index: Any) -> Any:
    """The eight consecutive elements `array[index:index + 8]` of a one-dimensional array (bounds: see `CHECK`)."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        value = builder.load(_address(context, builder, sig.args[0], *args))
        if sig.args[0].dtype == types.int16:
            value.align = 2
            return builder.bitcast(builder.shl(builder.zext(value, _INTS), _whole(16)), _FLOATS)
        value.align = 4
        return value

    return Floats(array, types.intp), emit


@intrinsic
def store(typing: Any, array: Any, index: Any, value: Any) -> Any:
    """Writes eight lanes to `array[index:index + 8]` (bounds: `CHECK`); bfloat16 rounded to nearest, ties to even."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        at = _address(context, builder, sig.args[0], *args[:2])
        if sig.args[0].dtype == types.int16:
            bits = builder.bitcast(args[2], _INTS)
            even = builder.and_(builder.lshr(bits, _whole(16)), _whole(1))
            bits = builder.lshr(builder.add(bits, builder.add(even, _whole(0x7FFF))), _whole(16))
            builder.store(builder.trunc(bits, _SHORTS), at).align = 2
        else:
            builder.store(args[2], at).align = 4
        return context.get_dummy_value()

    return types.void(array, types.intp, Floats), emit


@intrinsic
def prefetch(typing: Any, array: Any, index: Any) -> Any:
    """Asks for the cache line that holds the flat element `index` of a contiguous array; changes nothing else."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        byte = ir.IntType(8).as_pointer()
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        kind = ir.FunctionType(ir.VoidType(), [byte, _INT, _INT, _INT])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        hints = [ir.Constant(_INT, hint) for hint in (0, 3, 1)]  # for reading, to keep, of data
        builder.call(function, [builder.bitcast(builder.gep(data, [args[1]]), byte), *hints])
        return context.get_dummy_value()

    return types.void(array, types.intp), emit


@intrinsic
def splat(typing: Any, x: Any) -> Any:
    """Eight copies of one float32."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        nothing, first = ir.Constant(_FLOATS, ir.Undefined), ir.Constant(_INT, 0)
        return builder.shuffle_vector(
            builder.insert_element(nothing, args[0], first), nothing, ir.Constant(_INTS, [0] * LANES)
        )

    return Floats(types.float32), emit


@intrinsic
def ramp(typing: Any) -> Any:
    """The lanes 0, 1, ... 7."""
    return Floats(), lambda context, builder, sig, args: ir.Constant(_FLOATS, [float(k) for k in range(LANES)])


@intrinsic
def where(typing: Any, condition: Any, x: Any, y: Any) -> Any:
    """Lane by lane `x` if `condition` else `y`."""
    return Floats(Mask, Floats, Floats), lambda context, builder, sig, args: builder.select(*args)


@intrinsic
def any_lane(typing: Any, condition: Any) -> Any:
    """Whether any lane is true."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        bits = ir.IntType(LANES)
        return builder.icmp_unsigned("!=", builder.bitcast(args[0], bits), ir.Constant(bits, 0))

    return types.boolean(Mask), emit


@intrinsic
def total(typing: Any, x: Any) -> Any:
    """The sum of the lanes as one float32, added pairwise in a fixed order."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        nothing, value, half = ir.Constant(_FLOATS, ir.Undefined), args[0], LANES // 2
        while half:
            other = ir.Constant(_INTS, [(k + half) % LANES for k in range(LANES)])
            value = builder.fadd(value, builder.shuffle_vector(value, nothing, other))
            half //= 2
        return builder.extract_element(value, ir.Constant(_INT, 0))

    return types.float32(Floats), emit


@intrinsic
def absolute(typing: Any, x: Any) -> Any:
    """|x| in each lane."""
    return Floats(Floats), lambda context, builder, sig, args: _call(builder, "fabs", args[0])


@intrinsic
def minimum(typing: Any, x: Any, y: Any) -> Any:
    """The smaller value in each lane (the second where one is NaN)."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered("<", *args), *args)

    return Floats(Floats, Floats), emit


# Minimax polynomial of 2**f on [0, 1); largest relative error 1.6e-7, about one unit in the last place.
_EXP2 = (1.8775767e-3, 8.9893397e-3, 5.5826318e-2, 2.4015361e-1, 6.9315308e-1, 9.9999994e-1)


@intrinsic
def exp2(typing: Any, x: Any) -> Any:
    """2**x in each lane, for x <= 127; below -126 it returns 2**-126. The whole part becomes the exponent's bits."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        lowest = _constant(-126.0)
        x = builder.select(builder.fcmp_ordered(">", args[0], lowest), args[0], lowest)
        whole = _call(builder, "floor", x)
        fraction = builder.fsub(x, whole)
        power = _constant(_EXP2[0])
        for coefficient in _EXP2[1:]:
            power = builder.fadd(builder.fmul(power, fraction, flags=_FLAGS), _constant(coefficient), flags=_FLAGS)
        exponent = builder.shl(builder.fptosi(whole, _INTS), ir.Constant(_INTS, [23] * LANES))
        return builder.bitcast(builder.add(builder.bitcast(power, _INTS), exponent), _FLOATS)

    return Floats(Floats), emit
