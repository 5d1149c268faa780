"""Measure the emitted elementary functions: the largest error in units in the last place, and nanoseconds an element.

The errors are against NumPy in a wider type, over all exponents and densely where the functions bend. The times are of
4,096 normally distributed numbers in the first-level cache, in alternation with NumPy's function of the same type.

    python -m tests.benchmarks.ulps [--limit 128|256|512]
"""

from __future__ import annotations

import argparse
import ctypes
import time
from collections.abc import Callable
from typing import Any

import llvmlite.ir as ir
import numpy as np

from tinygrad_rnn.scan.native import mathematics
from tinygrad_rnn.scan.native.emission import I64, counting, element_type, integer, load, store
from tinygrad_rnn.scan.native.target import Engine, Target, compile_module, host

SIZE = 4096
REPEATS = 8


def sigmoid(x: Any) -> Any:
    """The sigmoid in NumPy, without overflow."""
    falling = np.exp(-abs(x))
    return np.where(x < 0, falling, 1) / (1 + falling)


def softplus(x: Any) -> Any:
    """The softplus in NumPy, without overflow."""
    return np.maximum(x, 0) + np.log1p(np.exp(-abs(x)))


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "exp": np.exp,
    "expm1": np.expm1,
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "log": np.log,
    "log1p": np.log1p,
    "softplus": softplus,
}


def compiled(dtype: str, target: Target) -> Engine:
    """Compile `name(x, y, size, repeats)` for every function; size is a multiple of the vector's length."""
    module = ir.Module()
    pointer = element_type(dtype).as_pointer()
    vector = ir.VectorType(element_type(dtype), target.lanes(dtype))
    for name in FUNCTIONS:
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), [pointer, pointer, I64, I64]), name)
        x, y, size, repeats = function.args
        builder = ir.IRBuilder(function.append_basic_block())
        step = integer(target.lanes(dtype))
        with counting(builder, integer(0), repeats, integer(1)), counting(builder, integer(0), size, step) as index:
            value = getattr(mathematics, f"emit_{name}")(builder, load(builder, vector, builder.gep(x, [index])))
            store(builder, value, builder.gep(y, [index]))
        builder.ret_void()
    return compile_module(module, target)


def samples(dtype: str) -> Any:
    """Numbers over all bit patterns, and densely around 0, 1 and -1."""
    bits = 8 * np.dtype(dtype).itemsize
    patterns = np.arange(2**21, dtype=np.uint64) * np.uint64(2**bits // 2**21)
    steps = np.linspace(-1, 1, 2**18)
    grids = [steps * scale for scale in (1e-3, 0.1, 0.4, 1.1, 4, 25, 110, 760)]
    around_one = 1 + np.concatenate([steps * scale for scale in (1e-6, 1e-3, 0.6)])
    all_of_them = np.concatenate([*grids, around_one, -around_one]).astype(dtype)
    found = np.concatenate([patterns.astype(f"uint{bits}").view(dtype), all_of_them])
    return found[: found.size // SIZE * SIZE]


def largest_error(found: Any, exact: Any) -> float:
    """Return the largest error in units in the last place of the exact value, where both are finite."""
    rounded = exact.astype(found.dtype)
    unit = np.spacing(np.minimum(abs(rounded), np.finfo(found.dtype).max)).astype(exact.dtype)
    finite = np.isfinite(rounded) & np.isfinite(found)
    return float(np.max(np.where(finite, abs(found - exact) / unit, 0)))


def main() -> None:
    """Print a table for float32 and float64."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=None)
    target = host(parser.parse_args().limit)
    np.seterr(all="ignore")
    for dtype, wider in (("float32", np.float64), ("float64", np.longdouble)):
        engine = compiled(dtype, target)
        x = samples(dtype)
        y = np.empty_like(x)
        few = np.random.default_rng(0).standard_normal(SIZE).astype(dtype)
        out = np.empty_like(few)
        print(f"{dtype}, {target.bits} bits     ulps   ns an element   NumPy's ns")
        for name, reference in FUNCTIONS.items():
            kind = ctypes.CFUNCTYPE(None, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int64, ctypes.c_int64)
            function = kind(engine.function_address(name))
            function(x.ctypes.data, y.ctypes.data, x.size, 1)
            error = largest_error(y, reference(x.astype(wider)))
            argument = abs(few) if name.startswith("log") else few
            addresses = argument.ctypes.data, out.ctypes.data
            ours = numpys = np.inf
            for _ in range(300):
                start = time.perf_counter()
                function(*addresses, SIZE, REPEATS)
                middle = time.perf_counter()
                reference(argument)
                end = time.perf_counter()
                ours, numpys = min(ours, (middle - start) / REPEATS), min(numpys, end - middle)
            print(f"  {name:<20} {error:6.2f} {1e9 * ours / SIZE:12.3f} {1e9 * numpys / SIZE:12.3f}")


if __name__ == "__main__":
    main()
