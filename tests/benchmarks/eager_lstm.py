"""Time one training step of an LSTM composed of operations against hand-written NumPy BPTT and other autograds.

Forward and full backward (all weights and x) over T steps, float64, the contenders taking turns. Prints milliseconds
and the ratio of each contender to the hand-written gradients: the median over rounds of the ratios within a round.

    python -m tests.benchmarks.eager_lstm [--rounds N] [--steps T]
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import statistics
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_rnn as tg

Weights = tuple[Any, Any, Any]
Case = tuple[Any, Weights]
SIZES = ((1, 8), (16, 64), (64, 256))
ASKED = {(1, 8): 4.0, (16, 64): 2.0, (64, 256): 1.3}


def make_case(steps: int, batch: int, hidden: int) -> Case:
    """Return x (steps, batch, hidden) and the weights (hidden, 4 hidden) twice and (4 hidden)."""
    rng = np.random.default_rng(0)
    scale = 1 / np.sqrt(hidden)
    weights = tuple(
        rng.uniform(-scale, scale, shape) for shape in ((hidden, 4 * hidden), (hidden, 4 * hidden), 4 * hidden)
    )
    return rng.standard_normal((steps, batch, hidden)), weights  # type: ignore[return-value]


def by_hand(x: Any, w_x: Any, w_h: Any, b: Any) -> list[Any]:
    """Backpropagation through time as one writes it in NumPy; the loss is the sum of all outputs."""
    steps, batch, hidden = x.shape
    h = np.zeros((batch, hidden))
    c = np.zeros((batch, hidden))
    saved = []
    loss = 0.0
    for t in range(steps):
        z = x[t] @ w_x + h @ w_h + b
        gates = 1 / (1 + np.exp(-z[:, : 3 * hidden]))
        i, f, o = gates[:, :hidden], gates[:, hidden : 2 * hidden], gates[:, 2 * hidden :]
        g = np.tanh(z[:, 3 * hidden :])
        h_before, c_before = h, c
        c = f * c + i * g
        squashed = np.tanh(c)
        h = o * squashed
        loss += h.sum()
        saved.append((h_before, c_before, gates, i, f, o, g, squashed))
    dx = np.empty_like(x)
    dw_x, dw_h, db = np.zeros_like(w_x), np.zeros_like(w_h), np.zeros_like(b)
    dh, dc = np.zeros((batch, hidden)), np.zeros((batch, hidden))
    dz = np.empty((batch, 4 * hidden))
    for t in reversed(range(steps)):
        h_before, c_before, gates, i, f, o, g, squashed = saved[t]
        dh = dh + 1
        dc = dc + dh * o * (1 - squashed * squashed)
        dz[:, :hidden] = dc * g
        dz[:, hidden : 2 * hidden] = dc * c_before
        dz[:, 2 * hidden : 3 * hidden] = dh * squashed
        dz[:, : 3 * hidden] *= gates * (1 - gates)
        dz[:, 3 * hidden :] = dc * i * (1 - g * g)
        dx[t] = dz @ w_x.T
        dw_x += x[t].T @ dz
        dw_h += h_before.T @ dz
        db += dz.sum(0)
        dh = dz @ w_h.T
        dc = dc * f
    return [loss, dx, dw_x, dw_h, db]


def composed(np: Any, sigmoid: Any, gates_of: Any, x: Any, w_x: Any, w_h: Any, b: Any, total: Any) -> Any:
    """The same LSTM as operations of any library that has NumPy's functions."""
    hidden = w_h.shape[0]
    h = c = zeros((x.shape[1], hidden))
    outputs = []
    for x_t in time_steps(x):
        i, f, o, g = gates_of(sigmoid, np.matmul(x_t, w_x) + np.matmul(h, w_h) + b, hidden)
        c = f * c + i * np.tanh(g)
        h = o * np.tanh(c)
        outputs.append(h)
    return total(outputs)


zeros = np.zeros


def time_steps(x: Any) -> Any:
    """Iterate over the first axis: a tensor of ours gives all steps at once, the others are indexed."""
    return x if isinstance(x, tg.Tensor) else (x[t] for t in range(x.shape[0]))


def by_split(sigmoid: Any, z: Any, hidden: int) -> Any:
    """Take the four gates of a sum with np.split."""
    gates, g = np.split(z, [3 * hidden], axis=-1)
    return (*np.split(sigmoid(gates), 3, axis=-1), g)


def by_slices(sigmoid: Any, z: Any, hidden: int) -> Any:
    """Take the four gates of a sum with slices, which costs the other libraries less than their split."""
    gates = sigmoid(z[:, : 3 * hidden])
    return gates[:, :hidden], gates[:, hidden : 2 * hidden], gates[:, 2 * hidden :], z[:, 3 * hidden :]


def ours(x: Any, weights: Weights) -> list[Any]:
    """The LSTM on tensors of this package."""
    tensors = [tg.Tensor(array, requires_grad=True) for array in (x, *weights)]
    loss = composed(np, tg.sigmoid, by_split, *tensors, lambda outputs: np.sum(np.stack(outputs)))
    loss.backward()
    return [loss.item(), *[tensor.grad for tensor in tensors]]


def contenders() -> dict[str, Callable[[Any, Weights], list[Any]]]:
    """Return what is installed, by name."""
    found: dict[str, Callable[[Any, Weights], list[Any]]] = {
        "by hand": lambda x, weights: by_hand(x, *weights),
        "tinygrad_rnn": ours,
    }
    if importlib.util.find_spec("autograd"):
        import autograd
        import autograd.numpy as anp

        def hips(x: Any, weights: Weights) -> list[Any]:
            def loss(arrays: Any) -> Any:
                return composed(
                    anp,
                    lambda z: 1 / (1 + anp.exp(-z)),
                    by_slices,
                    *arrays,
                    lambda outputs: anp.sum(anp.array(outputs)),
                )

            value, slopes = autograd.value_and_grad(loss)((x, *weights))
            return [value, *slopes]

        found["HIPS autograd"] = hips
    if importlib.util.find_spec("mygrad"):
        import mygrad as mg

        def mygrad(x: Any, weights: Weights) -> list[Any]:
            with mg.mem_guard_off:
                tensors = [mg.tensor(array) for array in (x, *weights)]
                sigmoid = mg.nnet.activations.sigmoid
                loss = composed(mg, sigmoid, by_slices, *tensors, lambda outputs: mg.sum(mg.stack(outputs)))
                loss.backward()
                return [loss.item(), *[tensor.grad for tensor in tensors]]

        found["MyGrad (guard off)"] = mygrad
    return found


def measure(steps: int, batch: int, hidden: int, rounds: int) -> None:
    """Print a table for one size, after checking that all contenders give the same gradients."""
    x, weights = make_case(steps, batch, hidden)
    runs = contenders()
    reference = runs["by hand"](x, weights)
    for name, run in runs.items():
        for found, expected in zip(run(x, weights), reference, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9, err_msg=name)
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run(x, weights)
            seconds[name].append(time.perf_counter() - start)
    for name, times in seconds.items():
        ratio = statistics.median([a / b for a, b in zip(times, seconds["by hand"], strict=True)])
        asked = (
            f"   asked: at most {ASKED[batch, hidden]}" if name == "tinygrad_rnn" and (batch, hidden) in ASKED else ""
        )
        print(f"  {name:<20} {1e3 * statistics.median(times):8.2f} ms   {ratio:5.2f} x{asked}")


def growth(steps: tuple[int, ...] = (100, 1_000, 10_000)) -> None:
    """Print the time for each step as the number of steps grows: constant when the whole is linear."""
    cases = {t: make_case(t, 1, 8) for t in steps}
    for collector in (False, True):
        times: dict[int, list[float]] = {t: [] for t in steps}
        for _ in range(5):
            for t, case in cases.items():
                gc.collect()
                if not collector:
                    gc.disable()
                start = time.perf_counter()
                ours(*case)
                times[t].append((time.perf_counter() - start) / t)
                gc.enable()
        first = statistics.median(times[steps[0]])
        for t in steps:
            each = statistics.median(times[t])
            share = f"{each / first:5.2f} x that of T = {steps[0]}"
            print(
                f"  T = {t:<7} {1e6 * each:8.1f} us a step   {share}, garbage collector {'on' if collector else 'off'}"
            )


def chain(length: int = 100_000) -> None:
    """Print the time of a long chain of operations, and how much memory its graph leaves behind."""
    gc.collect()
    gc.disable()
    tracemalloc.start()
    x = tg.Tensor(1.0, requires_grad=True)
    before = tracemalloc.get_traced_memory()[0]
    y = x
    for _ in range(length):
        y = y + 1.0
    held = tracemalloc.get_traced_memory()[0] - before
    y.backward()
    del y
    left = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    gc.enable()
    sizes = f"tape {held / 2**20:.1f} MiB, {left / 2**10:.1f} KiB left after del (garbage collector off)"
    print(f"  {length} operations: gradient {x.grad}, {sizes}")


def main() -> None:
    """Measure every size, the growth with T and a long chain."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=100)
    options = parser.parse_args()
    for batch, hidden in SIZES:
        print(f"LSTM, T = {options.steps}, batch {batch}, hidden {hidden}, forward + backward")
        measure(options.steps, batch, hidden, options.rounds if batch < 64 else max(5, options.rounds // 4))
    print("LSTM, batch 1, hidden 8: time by T")
    growth()
    print("A chain of additions")
    chain()


if __name__ == "__main__":
    main()
