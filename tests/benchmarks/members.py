"""Time per-sample gradients and ensembles in one call against a Python loop over the members, taking turns.

python -m tests.benchmarks.members
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import nn

LAYERS: dict[str, Callable[[], nn.Module]] = {
    "RNN": lambda: nn.RNN(16, 32),
    "GRU": lambda: nn.GRU(16, 32),
    "LSTM": lambda: nn.LSTM(16, 32),
    "LSTM, 2 layers, both directions": lambda: nn.LSTM(16, 32, 2, bidirectional=True),
}


def compare(together: Callable[[], Any], loop: Callable[[], Any], rounds: int = 5) -> str:
    """Return both times and the median of their ratios."""
    times: list[tuple[float, float]] = []
    for _ in range(rounds + 1):
        pair = []
        for run in (together, loop):
            start = time.perf_counter()
            run()
            pair.append(time.perf_counter() - start)
        times.append((pair[0], pair[1]))
    one, many = [statistics.median(column) for column in zip(*times[1:], strict=True)]
    ratio = statistics.median([b / a for a, b in times[1:]])
    return f"one call {1e3 * one:7.1f} ms, loop {1e3 * many:7.1f} ms, {ratio:4.1f} x faster"


def main(members: int = 32, steps: int = 20) -> None:
    """Print a row for each layer and task, after checking that both ways agree."""
    rng = np.random.default_rng(0)
    for name, make in LAYERS.items():
        layer = make().astype(np.float64)
        parameters = layer.state_dict()
        samples = rng.standard_normal((members, steps, 1, 16))

        def loss(p: Any, x: Any, layer: nn.Module = layer) -> Any:
            return np.sum(nn.functional_call(layer, p, x)[0] ** 2)

        def together(p: Any = parameters, loss: Any = loss, x: Any = samples) -> Any:
            return tg.per_sample_grad(loss)(p, x)

        def loop(p: Any = parameters, loss: Any = loss, x: Any = samples) -> Any:
            return [tg.grad(loss)(p, sample) for sample in x]

        worst = max(
            float(np.abs(together()[key].data - np.stack([slope[key].data for slope in loop()])).max())
            for key in parameters
        )
        print(f"{name}: per-sample gradients of {members}, {compare(together, loop)}, difference {worst:.1e}")

        stacks = {key: np.stack([value] * members) for key, value in parameters.items()}
        x = rng.standard_normal((steps, 4, 16))

        def run(p: Any, layer: nn.Module = layer, x: Any = x) -> Any:
            return nn.functional_call(layer, p, x)[0]

        def ensemble(run: Any = run, stacks: Any = stacks) -> Any:
            return tg.vmap(run)(stacks)

        def each(run: Any = run, stacks: Any = stacks) -> Any:
            return [run({key: value[k] for key, value in stacks.items()}) for k in range(members)]

        worst = float(np.abs(ensemble().data - np.stack([y.data for y in each()])).max())
        print(f"{name}: an ensemble of {members}, {compare(ensemble, each)}, difference {worst:.1e}")


if __name__ == "__main__":
    main()
