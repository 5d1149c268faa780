"""Noise-free long lag: the first symbol comes back at the very end."""

from __future__ import annotations

import math

import numpy as np

from ..checks import integer
from .base import Array, Batch, Score, Split
from .kinds import Classification
from .symbols import one_hot


class LongLag(Classification):
    """Experiment 2a: (x, a_1, ..., a_{p-1}, x) or (y, a_1, ..., a_{p-1}, y); predict the next symbol at every step.

    Each of the two sequences has p + 1 steps and the same chance. All but the last symbol follow from the one before;
    the last one has to be remembered over p steps. Without memory: ln 2 at one of p predictions, ln 2 / p nats a step,
    and every sequence wrong. A sequence is wrong if any right symbol gets a probability below 3/4 (in the original: if
    any output errs by 0.25 or more). There are two sequences, so validation and test are these two as well.

    References: 5,040 sequences at p = 100, learnt online, in Hochreiter & Schmidhuber 1997.

    Args:
        p: the lag, 2 or more.

    Source: Hochreiter & Schmidhuber 1997, *Long short-term memory*, experiment 2a.

    Example:
        >>> from tinygrad_rnn.data import tasks
        >>> task = tasks.LongLag(p=100)
        >>> next(task.batches(size=3)).x.shape, round(task.baseline().loss, 4)
        ((100, 3, 101), 0.0069)
    """

    threshold = 0.0
    every_step = True
    held_out_size = 2
    source = "Hochreiter & Schmidhuber 1997, experiment 2a"

    def __init__(self, p: int = 100) -> None:
        self.p = integer("p", p, least=2)
        self.input_size = self.output_size = self.p + 1

    def batch(self, rng: np.random.Generator, size: int, split: Split) -> Batch:
        """Return x (p, size, p + 1), one-hot a_1 to a_{p-1}, x, y; the next symbols (p, size)."""
        ends = rng.integers(0, 2, size) if split == "train" else np.arange(size) % 2
        symbols = np.empty((self.p + 1, size), np.int64)
        symbols[1:-1] = np.arange(self.p - 1)[:, None]
        symbols[0] = symbols[-1] = self.p - 1 + ends
        return Batch(one_hot(symbols[:-1], self.p + 1), symbols[1:])

    def errors(self, outputs: Array, batch: Batch) -> Array:
        """Return 1 for each sequence in which a right symbol has a probability below 3/4, 0 for the others."""
        scores = outputs - outputs.max(-1, keepdims=True)
        right = np.take_along_axis(scores, batch.target[..., None], -1)[..., 0]
        log_probability = right - np.log(np.exp(scores).sum(-1))
        return np.asarray((log_probability < math.log(0.75)).any(0), np.float64)

    def baseline(self) -> Score:
        """Return ln 2 / p and 1."""
        return Score(math.log(2) / self.p, 1.0)
