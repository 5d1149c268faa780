"""Time linear cells in parallel time against the same cells by the engines eager and numpy, taking turns.

Forward and full backward (x and all weights), float32, through `nn.LinearRecurrence` and `nn.Recurrent`. Prints medians
over rounds in milliseconds of processor time, and the median of the ratios within a round: on a loaded machine the
clock would favour the short run, which is over before anybody interrupts it. One thread, so that nothing counts twice.

    OPENBLAS_NUM_THREADS=1 python -m tests.benchmarks.linear_recurrence [--rounds N]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import nn

CELLS: dict[str, Callable[[int, int], nn.LinearCell]] = {"minGRU": nn.MinGRUCell, "minLSTM": nn.MinLSTMCell}
SIZES = ((1, 16), (16, 64), (64, 256))
STEPS = (64, 256, 1024, 4096)


def train_step(layer: nn.Module, x: Any) -> tuple[float, list[Any]]:
    """Return the loss, and the gradients of x and of all weights."""
    layer.zero_grad()
    x = tg.Tensor(x, requires_grad=True)
    loss = np.mean(layer(x)[0] ** 2)
    loss.backward()
    return loss.item(), [x.grad, *[parameter.grad for parameter in layer.parameters()]]


def compare(kind: str, steps: int, batch: int, hidden: int, rounds: int) -> str:
    """Return a row of the table, after checking that both layers give the same gradients."""
    x = np.random.default_rng(0).standard_normal((steps, batch, hidden), np.float32)
    cell = CELLS[kind](hidden, hidden)
    layers = [nn.LinearRecurrence(cell), nn.Recurrent(cell, engine="eager"), nn.Recurrent(cell, engine="numpy")]
    found, *others = [train_step(layer, x)[1] for layer in layers]
    for expected in others:
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-4 * np.abs(b).max())
    seconds: list[list[float]] = []
    for _ in range(rounds):
        row = []
        for layer in layers:
            start = time.process_time()
            train_step(layer, x)
            row.append(time.process_time() - start)
        seconds.append(row)
    parallel, eager, compiled = [1e3 * statistics.median(column) for column in zip(*seconds, strict=True)]
    than_eager, than_compiled = [statistics.median([row[i] / row[0] for row in seconds]) for i in (1, 2)]
    return (
        f"{kind:<8} T = {steps:<5} parallel {parallel:8.2f} ms   eager {eager:8.2f} ms   {than_eager:5.1f} x   numpy "
        f"{compiled:8.2f} ms   {than_compiled:5.1f} x"
    )


def main() -> None:
    """Print a row for each size, cell and number of steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    for batch, hidden in SIZES:
        print(f"batch {batch}, hidden {hidden}, forward + backward")
        for kind in CELLS:
            for steps in STEPS:
                if steps * batch * hidden <= 2**22:
                    print(compare(kind, steps, batch, hidden, rounds if steps * batch < 2**14 else 5), flush=True)


if __name__ == "__main__":
    main()
