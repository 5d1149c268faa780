"""The kernels of products, compiled once for each dtype and shared by all loops."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import llvmlite.ir as ir
import numpy as np

from .emission import integer
from .products import emit_product, emit_product_unpacked
from .target import Target, compile_module
from .tiles import emit_pack


class Library:
    """The compiled kernels of one dtype.

    Args:
        name: of the dtype.
        target: the machine.
    """

    def __init__(self, name: str, target: Target) -> None:
        module = ir.Module(f"products_{name}")
        dtype = np.dtype(name)
        functions = [emit(module, dtype, target) for emit in (emit_pack, emit_product, emit_product_unpacked)]
        # The emitters write what the passes over the IR would make of it; without them it compiles in half the time.
        self._code = compile_module(module, target, optimize=False)
        self._types = [function.function_type for function in functions]
        self._addresses = [self._code.function_address(function.name) for function in functions]
        word, pointer = ctypes.c_int64, ctypes.c_void_p
        self.pack: Any = ctypes.CFUNCTYPE(None, pointer, word, word, word, word, pointer)(self._addresses[0])

    def product(self, builder: ir.IRBuilder) -> ir.Value:
        """Return the product with a packed right operand, to be called where the builder stands."""
        return self._pointer(builder, 1)

    def product_unpacked(self, builder: ir.IRBuilder) -> ir.Value:
        """Return the product with a right operand as it lies in memory."""
        return self._pointer(builder, 2)

    def _pointer(self, builder: ir.IRBuilder, number: int) -> ir.Value:
        return builder.inttoptr(integer(self._addresses[number]), self._types[number].as_pointer())


@cache
def library(name: str, target: Target) -> Library:
    """Return the kernels of a dtype, compiled at the first request.

    Args:
        name: "float32" or "float64".
        target: the machine.
    """
    return Library(name, target)
