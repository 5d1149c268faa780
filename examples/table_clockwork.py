"""Waveform generation without input: a Clockwork RNN beside a plain RNN and an LSTM with as many parameters.

The network starts from zeros, sees zeros, and is to generate 320 samples. Nothing is held out: what counts is how much
of the waveform so few numbers hold. Koutník et al. cut theirs from music, which is not here; these are made, and
anybody can make them again:

- *sines*, of the periods 8, 32, 80 and 160, the phases drawn. A NumPy reproduction† reports 0.117 for its Clockwork RNN
  and 0.250 for its RNN, by gradient descent. That is half the mean squared error, and half the variance of the waveform
  is 0.25: its RNN is at the level of a constant, which is failure.
- *tones*: five sines under an envelope that rises and falls away, no ratio of their periods that of whole numbers.

The paper claims that the Clockwork RNN is better than both at as many parameters. Ours: it is on both waveforms, by the
exact rank test, and its median error at most half of theirs; and on the sines it leaves at most half of the error that
the reproduction's does. Every seed is another waveform and other weights; all cells make the same number of steps, and
of the same two learning rates each gets the better one for each.

Errors are relative to the variance of the waveform: 1 is what a constant gets.

Source: Koutník et al. 2014, *A clockwork RNN*, section 4.1; † schmidhuber-problems on GitHub, `clockwork-rnn`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from checks import Checks, wants_quick

from tinygrad_rnn import nn, train
from tinygrad_rnn.data import tasks
from tinygrad_rnn.lab.statistics import rank_test


class Generation(tasks.Regression):
    """Say one waveform, from an input that is always 0; the error is relative to the waveform's variance."""

    input_size = output_size = 1
    every_step = True
    threshold = 0.1
    held_out_size = 1
    measures = "squared error over the variance of the waveform"

    def __init__(self, waveform: np.ndarray) -> None:
        self._waveform = waveform.astype(np.float32)

    def batch(self, rng: np.random.Generator, size: int, split: str) -> tasks.Batch:
        """Return zeros (time, size, 1) and the waveform for each row."""
        target = np.repeat(self._waveform[:, None, None], size, axis=1)
        return tasks.Batch(np.zeros_like(target), target)

    def errors(self, outputs: np.ndarray, batch: tasks.Batch) -> np.ndarray:
        """Return the squared error of each sample, in units of the variance."""
        return super().errors(outputs, batch) / self._waveform.var()


def sines(seed: int, length: int) -> np.ndarray:
    """Return four sines of equal amplitude, of variance about one half."""
    phases = np.random.default_rng(seed).uniform(0, 2 * np.pi, 4)
    return np.sin(2 * np.pi * np.arange(length)[:, None] / [8, 32, 80, 160] + phases).sum(1) / 2


def tones(seed: int, length: int) -> np.ndarray:
    """Return five sines under an envelope, the greatest sample being 1 or -1."""
    rng = np.random.default_rng(seed)
    periods = length / (np.sqrt([2, 11, 47, 211, 911]) * rng.uniform(0.8, 1.2))
    t = np.arange(length)
    waves = np.sin(2 * np.pi * t[:, None] / periods + rng.uniform(0, 2 * np.pi, 5)) @ rng.uniform(0.5, 1, 5)
    waves = waves * (1 - np.exp(-t / (length / 20))) * np.exp(-t / length)
    return waves / np.abs(waves).max()


def acting(cell: nn.FeatureCell) -> int:
    """Return how many numbers of a cell and its read-out act: the input is 0, and the two biases are as good as one."""
    weights = cell.from_state.weight.data
    if isinstance(cell, nn.ClockworkCell):
        weights = weights[cell.from_state.mask != 0]
    return weights.size + cell.from_state.bias.size + cell.hidden_size + 1


def as_large(make: Callable[[int], nn.FeatureCell], wanted: int) -> int:
    """Return the hidden size with which a cell has about as many numbers that act."""
    return min(range(9, 100), key=lambda hidden: abs(acting(make(hidden)) - wanted))


def of_size(make: Callable[[int], nn.Cell], size: int) -> Callable[[int], nn.Module]:
    """Return a maker of layers; integers, such as the Clockwork RNN's time, have no native form."""
    engine = "numpy" if isinstance(make(size), nn.ClockworkCell) else None
    return lambda _: nn.Recurrent(make(size), engine=engine)


def best(task: Generation, make: Callable[[int], nn.Module], seed: int, rates, steps: int) -> float:
    """Return the least error that any of the learning rates leads to."""
    done = [train.solve(task, make, steps=steps, lr=rate, seed=seed, batch_size=1, scorings=20) for rate in rates]
    return min(trial.test.error for trial in done)


def main() -> int:
    quick = wants_quick(__doc__)
    checks = Checks()
    length, seeds, steps = (64, 4, 60) if quick else (320, 5, 400)
    rates = (0.01,) if quick else (0.001, 0.01)
    for waveform, hidden, groups in ((sines, 64, 8), (tones, 36, 9)):
        cells = {
            "Clockwork RNN": lambda size, groups=groups: nn.ClockworkCell(1, size, [2**g for g in range(groups)]),
            "RNN": lambda size: nn.RNNCell(1, size),
            "LSTM": lambda size: nn.LSTMCell(1, size),
        }
        name = waveform.__name__
        print(f"{name}, {length} samples, {seeds} seeds, {steps} steps of Adam, learning rates {rates}")
        wanted = acting(cells["Clockwork RNN"](hidden))
        targets = [waveform(seed, length) for seed in range(seeds)]
        errors = {}
        for cell, make in cells.items():
            size, started = as_large(make, wanted), time.perf_counter()
            layer = of_size(make, size)
            errors[cell] = [best(Generation(target), layer, seed, rates, steps) for seed, target in enumerate(targets)]
            print(
                f"      {cell:14} {size:3} units, {acting(make(size)):,} parameters  errors "
                f"{' '.join(f'{error:.4f}' for error in errors[cell])}  {time.perf_counter() - started:.0f} s",
                flush=True,
            )
        ours = errors["Clockwork RNN"]
        for cell in ("RNN", "LSTM"):
            ratio = float(np.median(ours) / np.median(errors[cell]))
            checks.at_most(f"{name}: median error of the Clockwork RNN over that of the {cell}", ratio, 0.5)
            p = rank_test(ours, errors[cell])
            checks.at_most(f"{name}: p of the exact rank test between Clockwork RNN and {cell}", p, 0.05)
        if waveform is sines:
            halves = [error * target.var() / 2 for error, target in zip(ours, targets, strict=True)]
            what = f"{name}: half the mean squared error of the Clockwork RNN, worst of {seeds} seeds"
            checks.at_most(f"{what} (reference† 0.117; RNN 0.250, failed)", max(halves), 0.0585)
    return checks.finish()


if __name__ == "__main__":
    raise SystemExit(main())
