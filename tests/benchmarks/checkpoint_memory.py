"""Measure the peak memory and time of a recurrent net with and without checkpoints every √T steps.

python -m tests.benchmarks.checkpoint_memory
"""

from __future__ import annotations

import gc
import math
import time
import tracemalloc
from typing import Any

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import nn


def run(cell: nn.Cell, x: Any, segment: int | None) -> tuple[float, float]:
    """Return peak MiB and seconds of forward and backward over x (time, batch, features)."""

    def part(state: Any, inputs: Any) -> Any:
        for x_t in inputs:
            _, state = cell(x_t, state)
        return state

    def whole() -> None:
        state = cell.initial_state(x.shape[1])
        if segment is None:
            state = part(state, x)
        else:
            for start in range(0, len(x), segment):
                state = tg.checkpoint(part)(state, x[start : start + segment])
        np.sum(state[0]).backward()

    start = time.perf_counter()
    whole()
    seconds = time.perf_counter() - start
    gc.collect()
    tracemalloc.start()
    whole()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20, seconds


def main() -> None:
    """Print a row for each length."""
    cell = nn.LSTMCell(32, 64)
    print("LSTM 32 → 64, batch 16, float32     all steps saved        a checkpoint every √T steps")
    for steps in (64, 256, 1024, 4096):
        x = np.random.default_rng(0).standard_normal((steps, 16, 32)).astype(np.float32)
        memory, seconds = run(cell, x, None)
        less, longer = run(cell, x, math.isqrt(steps))
        print(
            f"T = {steps:<6} {memory:20.1f} MiB {seconds:8.2f} s {less:12.1f} MiB {longer:8.2f} s   "
            f"memory {less / memory:.2f} x, time {longer / seconds:.2f} x"
        )


if __name__ == "__main__":
    main()
