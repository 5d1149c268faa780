"""Element-wise operations as vector instructions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.ir as ir
import numpy as np

from ...core import Node
from . import mathematics
from .emission import element_type, intrinsic, splat
from .layout import UnsupportedError
from .target import CONTRACT

_BOOL = ir.IntType(1)


def vector_type(dtype: Any, lanes: int) -> ir.Type:
    """Return the type of a vector of elements; bools are single bits."""
    return ir.VectorType(_BOOL if np.dtype(dtype).kind == "b" else element_type(dtype), lanes)


def constant(value: Any, dtype: Any, lanes: int) -> ir.Value:
    """Return a vector that holds a Python number in every element."""
    kind = vector_type(dtype, lanes)
    if kind.element == _BOOL:
        return ir.Constant(kind, [ir.Constant(_BOOL, int(bool(value)))] * lanes)
    return splat(kind, float(np.dtype(dtype).type(value)))


def converted(builder: ir.IRBuilder, value: ir.Value, dtype: Any) -> ir.Value:
    """Return a vector in another dtype, as NumPy casts it."""
    kind = vector_type(dtype, value.type.count)
    if kind == value.type:
        return value
    if value.type.element == _BOOL:
        return builder.uitofp(value, kind)
    if kind.element == _BOOL:
        return builder.fcmp_unordered("!=", value, splat(value.type, 0.0))
    wider = isinstance(kind.element, ir.DoubleType)
    return builder.fpext(value, kind) if wider else builder.fptrunc(value, kind)


def emit(builder: ir.IRBuilder, node: Node, args: list[ir.Value], lanes: int) -> ir.Value:
    """Emit an element-wise operation.

    Args:
        builder: where.
        node: the operation.
        args: its arguments, vectors of one length in the dtypes of the node's arguments.
        lanes: that length.

    Raises:
        UnsupportedError: if the operation has no native form.
    """
    name, dtype = node.operation, node.specs[0].dtype
    if name == "astype":
        return converted(builder, args[0], dtype)
    if name == "where":
        choices = [converted(builder, arg, dtype) for arg in args[1:]]
        return builder.select(_truth(builder, args[0]), *choices)
    if name in _LOGICAL:
        return _LOGICAL[name](builder, *[_truth(builder, arg) for arg in args])
    if name in _COMPARISONS:
        operator, ordered = _COMPARISONS[name]
        common = _common(node)
        pair = [converted(builder, arg, common) for arg in args]
        return (builder.fcmp_ordered if ordered else builder.fcmp_unordered)(operator, *pair)
    if name == "isnan":
        return builder.fcmp_unordered("uno", args[0], args[0])
    if dtype.kind != "f":
        raise UnsupportedError(f"{name} of dtype {dtype}")
    args = [converted(builder, arg, dtype) for arg in args]
    if name == "power":
        return _power(builder, node, args)
    if name not in _ARITHMETIC:
        raise UnsupportedError(name)
    return _ARITHMETIC[name](builder, *args)


def supports(node: Node) -> bool:
    """Whether `emit` knows an operation."""
    if node.operation == "power":
        return node.parents[1] is None and node.args is not None and node.args[1] in _POWERS
    return node.operation in {"astype", "where", "isnan", *_LOGICAL, *_COMPARISONS, *_ARITHMETIC}


def _common(node: Node) -> Any:
    specs = [parent.specs[slot].dtype for parent, slot in zip(node.parents, node.slots, strict=True) if parent]
    return np.result_type(*specs, np.float32)


def _truth(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    return converted(builder, value, np.bool_)


def maximum(builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
    """Return the greater of two, NaN if one is."""
    takes_a = builder.or_(builder.fcmp_ordered(">=", a, b), builder.fcmp_unordered("uno", a, a))
    return builder.select(takes_a, a, b)


def minimum(builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
    """Return the smaller of two, NaN if one is."""
    takes_a = builder.or_(builder.fcmp_ordered("<=", a, b), builder.fcmp_unordered("uno", a, a))
    return builder.select(takes_a, a, b)


def _sign(builder: ir.IRBuilder, a: ir.Value) -> ir.Value:
    zero, one, minus = splat(a.type, 0.0), splat(a.type, 1.0), splat(a.type, -1.0)
    up = builder.select(builder.fcmp_ordered(">", a, zero), one, a)
    return builder.select(builder.fcmp_ordered("<", a, zero), minus, up)


_POWERS = (0.5, 1, 2, 3, 4, -1, -2)


def _power(builder: ir.IRBuilder, node: Node, args: list[ir.Value]) -> ir.Value:
    if not supports(node):
        raise UnsupportedError("power with an exponent other than a small number")
    a, exponent = args[0], node.args[1]  # type: ignore[index]
    if exponent == 0.5:
        return intrinsic(builder, "llvm.sqrt", [a])
    result = a
    for _ in range(abs(int(exponent)) - 1):
        result = builder.fmul(result, a)
    return result if exponent > 0 else builder.fdiv(splat(a.type, 1.0), result)


Emitter = Callable[..., ir.Value]

_ARITHMETIC: dict[str, Emitter] = {
    "add": lambda b, x, y: b.fadd(x, y, flags=CONTRACT),
    "subtract": lambda b, x, y: b.fsub(x, y, flags=CONTRACT),
    "multiply": lambda b, x, y: b.fmul(x, y, flags=CONTRACT),
    "divide": lambda b, x, y: b.fdiv(x, y),
    "negative": lambda b, x: b.fneg(x),
    "positive": lambda b, x: x,
    "square": lambda b, x: b.fmul(x, x, flags=CONTRACT),
    "reciprocal": lambda b, x: b.fdiv(splat(x.type, 1.0), x),
    "sqrt": lambda b, x: intrinsic(b, "llvm.sqrt", [x]),
    "absolute": lambda b, x: intrinsic(b, "llvm.fabs", [x]),
    "fabs": lambda b, x: intrinsic(b, "llvm.fabs", [x]),
    "floor": lambda b, x: intrinsic(b, "llvm.floor", [x]),
    "ceil": lambda b, x: intrinsic(b, "llvm.ceil", [x]),
    "rint": lambda b, x: intrinsic(b, "llvm.rint", [x]),
    "trunc": lambda b, x: intrinsic(b, "llvm.trunc", [x]),
    "sign": _sign,
    "maximum": maximum,
    "minimum": minimum,
    "relu": lambda b, x: maximum(b, x, splat(x.type, 0.0)),
    "clip": lambda b, x, low, high: minimum(b, maximum(b, x, low), high),
    "exp": mathematics.emit_exp,
    "expm1": mathematics.emit_expm1,
    "log": mathematics.emit_log,
    "log1p": mathematics.emit_log1p,
    "tanh": mathematics.emit_tanh,
    "sigmoid": mathematics.emit_sigmoid,
    "softplus": mathematics.emit_softplus,
}

_COMPARISONS = {
    "equal": ("==", True),
    "not_equal": ("!=", False),
    "less": ("<", True),
    "less_equal": ("<=", True),
    "greater": (">", True),
    "greater_equal": (">=", True),
}

_LOGICAL: dict[str, Emitter] = {
    "logical_and": lambda b, x, y: b.and_(x, y),
    "logical_or": lambda b, x, y: b.or_(x, y),
    "logical_xor": lambda b, x, y: b.xor(x, y),
    "logical_not": lambda b, x: b.not_(x),
}
