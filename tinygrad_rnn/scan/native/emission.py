"""Shorthand that all emitters share: types, constants, intrinsics and counted loops."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import llvmlite.ir as ir
import numpy as np
from numpy.typing import DTypeLike

from ...core.errors import DtypeError

I64 = ir.IntType(64)
_ELEMENTS = {"float32": ir.FloatType(), "float64": ir.DoubleType()}


def element_type(dtype: DTypeLike) -> ir.Type:
    """Return the IR type of an element of dtype.

    Raises:
        DtypeError: If dtype is neither float32 nor float64.
    """
    name = np.dtype(dtype).name
    if name not in _ELEMENTS:
        raise DtypeError(f"machine code computes in float32 and float64, not in {name}: cast to one of them first")
    return _ELEMENTS[name]


def suffix(kind: ir.Type) -> str:
    """Return the name of a type as intrinsics spell it: f32, v8f64, v16i32."""
    if isinstance(kind, ir.VectorType):
        return f"v{kind.count}{suffix(kind.element)}"
    if isinstance(kind, ir.IntType):
        return f"i{kind.width}"
    return "f32" if isinstance(kind, ir.FloatType) else "f64"


def integer(value: int) -> ir.Constant:
    """Return an int64 constant."""
    return ir.Constant(I64, value)


def splat(kind: ir.Type, value: float) -> ir.Constant:
    """Return the constant of a scalar or vector type whose every element is value."""
    if isinstance(kind, ir.VectorType):
        return ir.Constant(kind, [ir.Constant(kind.element, value)] * kind.count)
    return ir.Constant(kind, value)


def intrinsic(builder: ir.IRBuilder, name: str, arguments: list[ir.Value]) -> ir.Value:
    """Call an LLVM intrinsic that is overloaded on the one type of its arguments and result: `llvm.fmuladd`."""
    kind = arguments[0].type
    full_name = f"{name}.{suffix(kind)}"
    function = builder.module.globals.get(full_name)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(kind, [kind] * len(arguments)), full_name)
    return builder.call(function, arguments)


def load(builder: ir.IRBuilder, kind: ir.Type, pointer: ir.Value) -> ir.Value:
    """Load a vector or scalar from a pointer to elements, aligned as an element is."""
    element = pointer.type.pointee
    size = 4 if isinstance(element, ir.FloatType) else 8
    return builder.load(builder.bitcast(pointer, kind.as_pointer()), align=size)


def store(builder: ir.IRBuilder, value: ir.Value, pointer: ir.Value) -> None:
    """Store a vector or scalar to a pointer to elements, aligned as an element is."""
    element = pointer.type.pointee
    size = 4 if isinstance(element, ir.FloatType) else 8
    builder.store(value, builder.bitcast(pointer, value.type.as_pointer()), align=size)


def prefetch(builder: ir.IRBuilder, pointer: ir.Value, writes: bool = False, level: int = 1) -> None:
    """Ask for the cache line at a pointer, which need not be readable, to come into the cache of a level."""
    byte, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
    function = builder.module.globals.get("llvm.prefetch")
    if function is None:
        kind = ir.FunctionType(ir.VoidType(), [byte, flag, flag, flag])
        function = ir.Function(builder.module, kind, "llvm.prefetch")
    builder.call(
        function,
        [
            builder.bitcast(pointer, byte),
            ir.Constant(flag, int(writes)),
            ir.Constant(flag, 4 - level),
            ir.Constant(flag, 1),
        ],
    )


@contextmanager
def counting(builder: ir.IRBuilder, start: ir.Value, stop: ir.Value, step: ir.Value) -> Iterator[ir.Value]:
    """Run the body for start, start + step, ... below stop (int64); yields the index."""
    before = builder.block
    head = builder.append_basic_block("head")
    body = builder.append_basic_block("body")
    after = builder.append_basic_block("after")
    builder.branch(head)
    builder.position_at_end(head)
    index = builder.phi(I64)
    index.add_incoming(start, before)
    builder.cbranch(builder.icmp_signed("<", index, stop), body, after)
    builder.position_at_end(body)
    yield index
    index.add_incoming(builder.add(index, step), builder.block)
    builder.branch(head)
    builder.position_at_end(after)
