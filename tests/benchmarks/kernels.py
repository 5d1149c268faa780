"""Measure the emitted matrix products: GFLOP/s on one core and on two, in alternation with np.matmul.

Run with OPENBLAS_NUM_THREADS=1. A product is repeated until it has run for a few milliseconds; the best of the rounds
counts, in the time of the thread itself, so that other programs on the machine disturb little. On two threads each
multiplies half of the rows, and the clock on the wall counts.

    OPENBLAS_NUM_THREADS=1 python -m tests.benchmarks.kernels [--dtype float64] [--limit 128|256|512] [--rounds N]
"""

from __future__ import annotations

import argparse
import ctypes
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import llvmlite.ir as ir
import numpy as np

from tinygrad_rnn.scan.native import products, tiles
from tinygrad_rnn.scan.native.emission import counting, integer
from tinygrad_rnn.scan.native.target import Target, compile_module, host

SMALL = [(rows, depth, columns) for depth, columns in ((128, 512), (512, 2048)) for rows in (1, 8, 16, 32, 64)]
# On two threads: a tile each, 16 rows each by all columns, 32 rows each by half of the columns.
SHARES = [(16, 256, 32), (32, 256, 1024), (64, 256, 512)]
LARGE = [(6400, 512, 2048)]
WEIGHT_GRADIENT = [(512, 6400, 2048)]


class Kernels:
    """The compiled functions, each called as `(repeats, *arguments)`: the repetition is machine code too."""

    def __init__(self, dtype: str, target: Target) -> None:
        start = time.process_time()
        module = ir.Module()
        functions = [
            emit(module, dtype, target)
            for emit in (tiles.emit_pack, products.emit_product, products.emit_product_unpacked)
        ]
        for function in functions:
            kind = function.function_type
            repeated = ir.Function(
                module, ir.FunctionType(kind.return_type, [ir.IntType(64), *kind.args]), f"repeat_{function.name}"
            )
            builder = ir.IRBuilder(repeated.append_basic_block())
            with counting(builder, integer(0), repeated.args[0], integer(1)):
                builder.call(function, repeated.args[1:])
            builder.ret_void()
        emitted = time.process_time()
        self.engine = compile_module(module, target, optimize=False)
        print(
            f"emitted in {1e3 * (emitted - start):.0f} ms, compiled in {1e3 * (time.process_time() - emitted):.0f} ms"
        )
        self.pack, self.product, self.unpacked = (
            ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * (1 + len(function.args)))(
                self.engine.function_address(f"repeat_{function.name}")
            )
            for function in functions
        )


def rates(
    flops: int, runs: dict[str, Callable[[int], Any]], rounds: int, clock: Callable[[], float]
) -> dict[str, float]:
    """Run the contenders in turn and return the best GFLOP/s of each."""
    repeats = max(1, int(2e8 / flops))
    best = dict.fromkeys(runs, np.inf)
    for _ in range(rounds):
        for name, run in runs.items():
            start = clock()
            run(repeats)
            best[name] = min(best[name], (clock() - start) / repeats)
    return {name: flops / seconds / 1e9 for name, seconds in best.items()}


def measure(
    kernels: Kernels, dtype: str, target: Target, shape: tuple[int, int, int], rounds: int, turned: bool
) -> None:
    """Print one row: the product (rows, depth) @ (depth, columns); turned, the left operand is a transpose."""
    rows, depth, columns = shape
    rng = np.random.default_rng(0)
    left = rng.standard_normal((depth, rows) if turned else (rows, depth)).astype(dtype)
    left = left.T if turned else left
    right = rng.standard_normal((depth, columns)).astype(dtype)
    out, theirs = np.empty((rows, columns), dtype), np.empty((rows, columns), dtype)
    workspace = np.empty(products.workspace_size(dtype, target), dtype)
    panels = np.empty(tiles.packed_size(depth, columns, dtype, target), dtype)
    strides = [stride // left.itemsize for stride in left.strides]
    packing = (right.ctypes.data, columns, 1, depth, columns, panels.ctypes.data)
    kernels.pack(1, *packing)

    def part(repeats: int, first: int, end: int) -> None:
        start = left[first:end].ctypes.data
        result = (out[first:end].ctypes.data, columns, 0)
        kernels.product(repeats, end - first, columns, depth, start, *strides, panels.ctypes.data, *result)

    def unpacked(repeats: int) -> None:
        result = (out.ctypes.data, columns, 0)
        operands = (left.ctypes.data, *strides, right.ctypes.data, columns, 1)
        kernels.unpacked(repeats, rows, columns, depth, *operands, *result, workspace.ctypes.data)

    def matmul(repeats: int) -> None:
        for _ in range(repeats):
            np.matmul(left, right, out=theirs)

    runs: dict[str, Callable[[int], Any]] = {
        "np.matmul": matmul,
        "packed": lambda repeats: part(repeats, 0, rows),
        "unpacked": unpacked,
    }
    flops = 2 * rows * depth * columns
    found = rates(flops, runs, rounds, time.thread_time)
    if rows > 1:
        with ThreadPoolExecutor(2) as pool:

            def halves(repeats: int) -> None:
                middle = rows // 2
                list(pool.map(part, [repeats] * 2, [0, middle], [middle, rows]))

            found |= rates(flops, {"two threads": halves}, rounds, time.perf_counter)
    found["packing (ms)"] = 1e3 * min(timed(lambda: kernels.pack(1, *packing)) for _ in range(rounds))
    np.testing.assert_allclose(out, theirs, rtol=1e-3, atol=1e-3 * np.sqrt(depth))
    name = f"{rows} x {depth} x {columns}{' (left transposed)' if turned else ''}"
    print(f"  {name:<38}" + "  ".join(f"{key} {value:.3g}" for key, value in found.items()), flush=True)


def timed(run: Callable[[], Any]) -> float:
    """Return the seconds of this thread that a run takes."""
    start = time.thread_time()
    run()
    return time.thread_time() - start


def main() -> None:
    """Print the kernel's own best rate, then a row for every shape."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--limit", type=int, default=None)
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    target = host(options.limit)
    print(f"{options.dtype}, {target.bits} bits, tile {target.rows} rows x {target.columns} vectors")
    kernels = Kernels(options.dtype, target)
    print("rows x depth x columns, GFLOP/s; the first row is one tile in the first-level cache: the kernel's best")
    width = tiles.panel_width(options.dtype, target)
    for shape in [(target.rows, 128, width), *SMALL, *SHARES]:
        measure(kernels, options.dtype, target, shape, options.rounds, turned=False)
    for shape, turned in [(shape, False) for shape in LARGE] + [(shape, True) for shape in WEIGHT_GRADIENT]:
        measure(kernels, options.dtype, target, shape, max(3, options.rounds // 5), turned)


if __name__ == "__main__":
    main()
