"""What a recurrent layer costs beside its time for a batch: compilation, memory, long sequences, sampling.

`python -m tests.benchmarks.recurrent` prints these figures with the others. What needs a fresh process runs this file:

    python -m tests.benchmarks.recurrent_costs compile|memory ENGINE [--clock wall|process] [--threads N]
"""

from __future__ import annotations

import argparse
import ctypes
import importlib
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from threading import Barrier

import numpy as np
from threadpoolctl import threadpool_limits

from tinygrad_rnn import data, nn, train
from tinygrad_rnn.scan.engines import available
from tinygrad_rnn.train.sampling import stream

from .contenders import by_hand, make_case, ours

Clock = Callable[[], float]
CLOCKS: dict[str, Clock] = {"wall": time.perf_counter, "process": time.process_time}
COMPILED_SHAPE = (35, 32, 28, 256)
MEMORY_SHAPE = (100, 64, 512, 512)
LENGTHS = (100, 1_000, 10_000)
TURN = 0.05


def set_threads(threads: int) -> None:
    """Let NumPy's BLAS, our engines and what is imported later use that many threads."""
    if hasattr(os, "sched_setaffinity"):  # the only word that XLA's pool of threads listens to
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    os.cpu_count = lambda: threads  # the engine `native` takes a thread for each core that there is
    threadpool_limits(threads)


def turn(run: Callable[[], object], clock: Clock) -> float:
    """Return the seconds of a run: the mean of as many as take fifty milliseconds, and of one at least."""
    count = 0
    start = clock()
    while True:
        run()
        count += 1
        passed = clock() - start
        if passed >= TURN:
            return passed / count


def best_rate(threads: int, clock: str) -> float | None:
    """Return the best FLOP/s of the engine's product kernel on all threads at once; None without llvmlite.

    The operands and the product stay in the first-level cache: all rows are one row.
    """
    if "native" not in available():
        return None
    import llvmlite.ir as ir

    from tinygrad_rnn.scan.native.products import emit_product
    from tinygrad_rnn.scan.native.target import compile_module, host
    from tinygrad_rnn.scan.native.tiles import packed_size, panel_width

    target = host()
    dtype = np.dtype(np.float32)
    module = ir.Module()
    name = emit_product(module, dtype, target).name
    code = compile_module(module, target, optimize=False)
    depth, columns, rows, repeats = 128, panel_width(dtype, target), 2048 * target.rows, 4
    kinds = [ctypes.c_int64] * 3 + [ctypes.c_void_p, *[ctypes.c_int64] * 2] + [ctypes.c_void_p] * 2
    product = ctypes.CFUNCTYPE(None, *kinds, ctypes.c_int64, ctypes.c_int64)(code.function_address(name))
    ready = Barrier(threads)
    now = time.thread_time if clock == "process" else time.perf_counter

    def work() -> tuple[float, float]:
        left, result = np.ones((target.rows, depth), dtype), np.empty((target.rows, columns), dtype)
        packed = np.ones(packed_size(depth, columns, dtype, target), dtype)
        operands = (left.ctypes.data, 0, 1, packed.ctypes.data, result.ctypes.data, 0, 0)
        ready.wait()
        start = now()
        for _ in range(repeats):
            product(rows, columns, depth, *operands)
        return start, now()

    seconds = []
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(50):
            spans = [future.result() for future in [pool.submit(work) for _ in range(threads)]]
            seconds.append(max(end for _, end in spans) - min(start for start, _ in spans))
    return 2 * rows * columns * depth * repeats * threads / min(seconds)


def lengths(engine: str, rounds: int, clock: Clock) -> list[float]:
    """Return the time of one step of an LSTM in sequences of each length, relative to the first."""
    runs = [ours(engine, make_case("lstm", (steps, 1, 64, 64))) for steps in LENGTHS]
    for run in runs:
        run()
    rows = [[turn(run, clock) / steps for run, steps in zip(runs, LENGTHS, strict=True)] for _ in range(rounds)]
    return [statistics.median(row[i] / row[0] for row in rows) for i in range(len(LENGTHS))]


def sampling(rounds: int, clock: Clock) -> float:
    """Return the seconds that a model with an LSTM of two layers of 128 takes to draw a character."""
    count = 200
    model = train.CharModel(65, nn.LSTMCell, train.Config(hidden=128, layers=2)).eval()
    vocabulary = data.CharVocabulary("".join(map(chr, range(32, 97))))
    characters = stream(model, vocabulary, rng=np.random.default_rng(0))
    next(characters)
    return statistics.median(turn(lambda: list(islice(characters, count)), clock) / count for _ in range(rounds))


def compile_time(engine: str, clock: Clock) -> list[float]:
    """Return the seconds of importing the engine, and those that the first call takes longer than a later one."""
    start = clock()
    if engine == "native":
        importlib.import_module("tinygrad_rnn.scan.native.engine")
    imported = clock()
    run = ours(engine, make_case("lstm", COMPILED_SHAPE))
    before = clock()
    run()
    first = clock() - before
    return [imported - start, first - statistics.median(turn(run, clock) for _ in range(5))]


def peak_memory(engine: str) -> list[float]:
    """Return the bytes by which the resident set grew, at its highest, over two training steps of an LSTM.

    The second number says how much of it is pages of program files, the compiler's: any process may share them.
    """
    if engine == "native":
        importlib.import_module("tinygrad_rnn.scan.native.engine")
    before, files = high_water(), status("RssFile")
    case = make_case("lstm", MEMORY_SHAPE)
    run = by_hand(case) if engine == "hand" else ours(engine, case)
    for _ in range(2):
        run()
    return [high_water() - before, status("RssFile") - files]


def high_water() -> float:
    """Return the most bytes of memory that this process has had."""
    # getrusage counts what the parent had when it began this process
    whole = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1.0 if sys.platform == "darwin" else 1024.0)
    return status("VmHWM") or whole


def status(name: str) -> float:
    """Return bytes of memory that Linux tells of this process; 0 elsewhere."""
    path = Path("/proc/self/status")
    return 1024.0 * int(path.read_text().split(f"{name}:")[1].split()[0]) if path.exists() else 0.0


def in_fresh_process(what: str, engine: str, clock: str, threads: int) -> list[float]:
    """Return what this file prints when it is run."""
    command = [sys.executable, "-m", f"{__package__}.recurrent_costs", what, engine]
    command += ["--clock", clock, "--threads", str(threads)]
    return [float(word) for word in subprocess.run(command, check=True, capture_output=True).stdout.split()]


def main() -> None:
    """Print the seconds of import and compilation, or the bytes of memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["compile", "memory"])
    parser.add_argument("engine", choices=["native", "numpy", "hand"])
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    set_threads(options.threads)
    found = (
        compile_time(options.engine, CLOCKS[options.clock])
        if options.what == "compile"
        else peak_memory(options.engine)
    )
    print(*found)


if __name__ == "__main__":
    main()
