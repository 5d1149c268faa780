"""minGRU and minLSTM: all steps at once give what one step after the other gives.

Their gates see the input alone, so that the state is a linear recurrence, which takes all steps in parallel
(`nn.MinGRU`, `nn.MinLSTM`). The same cells run step by step in `nn.Recurrent`. Ours: outputs, last state and all
gradients of both forms are equal to 1e-10 in float64, for full and for ragged batches; and a layer of each, trained in
the parallel form, solves the adding problem, T = 100, in three of three seeds. The time of the parallel form over that
of the sequential one, by T, is printed, not claimed: it depends on the machine, and on how the steps are run.

Source: Feng et al. 2024, *Were RNNs all we needed?*
"""

from __future__ import annotations

import statistics
import time

import numpy as np
from checks import Checks, wants_quick
from trials import trials, worst

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.data import tasks
from tinygrad_rnn.scan.engines import available

FORMS = {"minGRU": (nn.MinGRU, nn.MinGRUCell), "minLSTM": (nn.MinLSTM, nn.MinLSTMCell)}


def answers(layer: nn.Module, x: np.ndarray, weights: np.ndarray, lengths=None) -> list[np.ndarray]:
    """Return outputs, last state, and the gradients of x and of all parameters of a sum that weighs all outputs."""
    layer.zero_grad()
    x = tg.Tensor(x, requires_grad=True)
    y, state = layer(x, lengths=lengths)
    (np.sum(y * weights) + np.sum(state**2)).backward()
    return [y.data, state.data, x.grad, *[parameter.grad for parameter in layer.parameters()]]


def furthest_apart(cell: nn.LinearCell, steps: int, batch: int, ragged: bool) -> float:
    """Return the greatest difference between the forms, relative to the greatest element where that is above 1."""
    rng = np.random.default_rng(steps)
    features, hidden = cell.input_size, cell.hidden_size
    x, weights = rng.standard_normal((steps, batch, features)), rng.standard_normal((steps, batch, hidden))
    lengths = rng.integers(0, steps + 1, batch) if ragged else None
    parallel, sequential = (
        answers(layer, x, weights, lengths) for layer in (nn.LinearRecurrence(cell), nn.Recurrent(cell, engine="eager"))
    )
    return max(
        float(np.max(np.abs(a - b), initial=0.0)) / max(1.0, float(np.max(np.abs(b), initial=0.0)))
        for a, b in zip(parallel, sequential, strict=True)
    )


def times(layers: list[nn.Module], steps: int, batch: int, rounds: int) -> tuple[list[float], list[float]]:
    """Return the milliseconds of processor time of layers that take turns, and those of the first over each other's."""
    cell = layers[0].cells[0]
    x = np.random.default_rng(0).standard_normal((steps, batch, cell.input_size), np.float32)
    weights = np.ones((steps, batch, cell.hidden_size), np.float32)
    seconds = []
    for _ in range(rounds + 1):  # The first round compiles.
        row = []
        for layer in layers:
            start = time.process_time()
            answers(layer, x, weights)
            row.append(time.process_time() - start)
        seconds.append(row)
    del seconds[0]
    medians = [1e3 * statistics.median(column) for column in zip(*seconds, strict=True)]
    return medians, [statistics.median(row[0] / row[i] for row in seconds) for i in range(1, len(layers))]


def main() -> int:
    quick = wants_quick(__doc__)
    checks = Checks()
    tg.random.seed(0)
    for name, (_, kind) in FORMS.items():
        cell = kind(5, 7).astype(np.float64)
        longest = 100 if quick else 2000
        apart = {
            (steps, ragged): furthest_apart(cell, steps, 6, ragged)
            for steps in (1, 2, 17, longest)
            for ragged in (False, True)
        }
        for (steps, ragged), difference in apart.items():
            shape = "ragged" if ragged else "full"
            checks.at_most(f"{name}, T = {steps}, {shape}: parallel - sequential", difference, 1e-10)

    engines = ["eager", *available()[-1:]]
    print("Forward and backward, float32, batch 8, 32 features, 32 units, processor time")
    for name, (_, kind) in FORMS.items():
        for steps in (16, 64) if quick else (16, 64, 256, 1024, 4096):
            cell = kind(32, 32)
            layers = [nn.LinearRecurrence(cell), *[nn.Recurrent(cell, engine=engine) for engine in engines]]
            (parallel, *sequential), ratios = times(layers, steps, batch=8, rounds=3 if quick else 7)
            columns = [
                f"{engine} {taken:8.2f} ms, parallel / {engine} {ratio:5.3f}"
                for engine, taken, ratio in zip(engines, sequential, ratios, strict=True)
            ]
            print(f"      {name:8} T = {steps:5}  parallel {parallel:7.2f} ms  {'  '.join(columns)}", flush=True)

    length, hidden, seeds = (10, 16, 1) if quick else (100, 32, 3)
    task = tasks.Adding(length)
    print(f"Adding problem, T = {length}; the mean predictor errs by {task.baseline().error:.4f}")
    for name, (layer, _) in FORMS.items():
        done = trials(
            name,
            task,
            lambda features, layer=layer: layer(features, hidden),
            seeds,
            steps=400 if quick else 3000,
            batch_size=64,
            lr=0.02 if quick else 0.01,
        )
        checks.at_most(f"{name}, worst of {seeds} seeds", worst(done), 0.05 if quick else 0.01)
    return checks.finish()


if __name__ == "__main__":
    raise SystemExit(main())
