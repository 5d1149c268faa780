"""What the scripts of the tables share: seeds, a line for each trial, and the LSTM that starts with a long memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import nn, train
from tinygrad_rnn.data import tasks


def trials(name: str, task: tasks.Task, make: train.tasks.Make, seeds: int, **options: Any) -> list[train.Trial]:
    """Try a cell on a task with several seeds, print a line for each, and return what came of them."""
    done = []
    for seed in range(seeds):
        trial = train.solve(task, make, seed=seed, **options)
        first = "never" if trial.sequences_to_solve is None else f"{trial.sequences_to_solve:,}"
        print(
            f"      {name:24} seed {seed}  test error {trial.test.error:9.6f}  {trial.sequences:,} sequences, solved "
            f"after {first}, {trial.seconds:.0f} s" + (f"  ({trial.failure})" if trial.failure else ""),
            flush=True,
        )
        done.append(trial)
    return done


def worst(done: list[train.Trial]) -> float:
    """Return the greatest test error of several trials."""
    return max(trial.test.error for trial in done)


def slowest(done: list[train.Trial]) -> float:
    """Return the most sequences that any of several trials needed; infinite if one never solved its task."""
    return max(math.inf if trial.sequences_to_solve is None else trial.sequences_to_solve for trial in done)


def lstm(hidden: int, forget: float = 0.0) -> Callable[[int], nn.Cell]:
    """Return a maker of LSTM cells whose forget gate starts with a bias."""

    def make(features: int) -> nn.Cell:
        cell = nn.LSTMCell(features, hidden)
        bias = cell.from_input.bias
        bias.assign(bias.data + nn.init.forget_gate_bias(hidden, forget))
        return cell

    return make


def long_lstm(hidden: int, longest: int) -> Callable[[int], nn.Cell]:
    """Return a maker of LSTM cells that start with memories from 1 to `longest` steps long.

    The forget gate's bias is log u, u uniform from 1 to `longest` - 1, the input gate's its negative.

    Source: Tallec & Ollivier 2018, *Can recurrent neural networks warp time?*, eq. 16.
    """

    def make(features: int) -> nn.Cell:
        cell = nn.LSTMCell(features, hidden)
        spread = np.log(tg.random.generator().uniform(1, longest - 1, hidden))
        zero = np.zeros(hidden)
        cell.from_input.bias.assign(np.concatenate([-spread, spread, zero, zero]).astype(np.float32))
        cell.from_state.bias.assign(np.zeros(4 * hidden, np.float32))
        return cell

    return make
