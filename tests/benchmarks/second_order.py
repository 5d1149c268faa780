"""Time gradients of gradients of a recurrence that reads x[t] at every step: each step costs the same at any length.

python -m tests.benchmarks.second_order
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_rnn as tg


def recurrence(x: Any) -> Any:
    """Return the sum of the last state of a recurrence without weights."""
    h = np.zeros(x.shape[1])
    for t in range(x.shape[0]):
        h = np.tanh(0.5 * h + x[t] * x[t])
    return np.sum(h)


def first_order(x: Any) -> Any:
    """Differentiate once."""
    return tg.grad(recurrence)(x)


def reverse_over_reverse(x: Any) -> Any:
    """Differentiate the squared length of the gradient."""
    return tg.grad(lambda y: np.sum(tg.grad(recurrence)(y) ** 2))(x)


def forward_over_reverse(x: Any) -> Any:
    """Multiply the Hessian by a vector of ones."""
    return tg.hvp(recurrence, (x,), (np.ones(x.shape),))[0]


def main(lengths: tuple[int, ...] = (100, 400, 1600), features: int = 64, rounds: int = 5) -> None:
    """Print the time of each way by length; the garbage collector is off, as its own passes grow with the tape."""
    ways: tuple[Callable[[Any], Any], ...] = (first_order, reverse_over_reverse, forward_over_reverse)
    for way in ways:
        seconds: dict[int, list[float]] = {length: [] for length in lengths}
        for _ in range(rounds):
            for length in lengths:
                x = np.random.default_rng(0).standard_normal((length, features))
                gc.collect()
                gc.disable()
                start = time.perf_counter()
                way(x)
                seconds[length].append(time.perf_counter() - start)
                gc.enable()
        medians = [statistics.median(seconds[length]) for length in lengths]
        for length, median in zip(lengths, medians, strict=True):
            each = median / length / (medians[0] / lengths[0])
            print(
                f"{way.__name__:<21} T = {length:<5} {1e3 * median:8.1f} ms, {median / medians[0]:6.1f} x the time of "
                f"T = {lengths[0]}, {each:5.2f} x a step"
            )


if __name__ == "__main__":
    main()
