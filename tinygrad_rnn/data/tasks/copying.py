"""Copy memory: repeat what was said at the start, after a long silence."""

from __future__ import annotations

import math

import numpy as np

from ..checks import integer
from .base import Batch, Score, Split
from .kinds import NextSymbol
from .symbols import one_hot


class CopyMemory(NextSymbol):
    """The copy memory task: symbols, a long silence, a signal; then the symbols are to be said again.

    A sequence of delay + 2 · recall steps: `recall` symbols, delay - 1 blanks, the signal, `recall` blanks. The target
    is blank up to the signal, then the symbols in their order. A predictor without memory is certain of every blank
    and guesses the symbols: recall · ln(symbols) / (delay + 2 · recall) nats a step. Solved is a tenth of that.

    References: at T = 1,000 Bai et al. 2018 report 0.0204 for RNN, LSTM and GRU, the level without memory: failure.

    Args:
        delay: T, steps from the last symbol to the signal.
        symbols: how many different ones.
        recall: how many are said.

    Source: Hochreiter & Schmidhuber 1997; in this form Arjovsky et al. 2016, *Unitary evolution recurrent neural
        networks*, 4.1; Bai et al. 2018.

    Example:
        >>> from tinygrad_rnn.data import tasks
        >>> task = tasks.CopyMemory(delay=100)
        >>> batch = next(task.batches(size=2))
        >>> batch.x.shape, round(task.baseline().loss, 3)
        ((120, 2, 10), 0.173)
    """

    source = "Arjovsky et al. 2016; Bai et al. 2018"

    def __init__(self, delay: int = 100, symbols: int = 8, recall: int = 10) -> None:
        self.delay = integer("delay", delay, least=1)
        self.symbols = integer("symbols", symbols, least=2)
        self.recall = integer("recall", recall, least=1)
        self.input_size, self.output_size = self.symbols + 2, self.symbols + 1
        self.threshold = self.baseline().error / 10

    def batch(self, rng: np.random.Generator, size: int, split: Split) -> Batch:
        """Return x (delay + 2 recall, size, symbols + 2), one-hot, the last two being blank and signal."""
        blank, signal = self.symbols, self.symbols + 1
        said = rng.integers(0, self.symbols, (self.recall, size))
        heard = np.full((self.delay + 2 * self.recall, size), blank)
        target = heard.copy()
        heard[: self.recall], heard[self.recall + self.delay - 1] = said, signal
        target[-self.recall :] = said
        return Batch(one_hot(heard, self.input_size), target)

    def baseline(self) -> Score:
        """Return recall · ln(symbols) / (delay + 2 · recall)."""
        loss = self.recall * math.log(self.symbols) / (self.delay + 2 * self.recall)
        return Score(loss, loss)
