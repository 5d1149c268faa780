"""Two marked numbers: their sum (adding) or their product (multiplication)."""

from __future__ import annotations

import numpy as np

from ..checks import integer
from .base import Array, Batch, Score, Split
from .kinds import Regression


class _TwoMarked(Regression):
    """Numbers uniform in [0, 1], a marker at one of each half; the target depends on the two marked ones."""

    input_size, output_size = 2, 1

    def __init__(self, length: int = 100) -> None:
        self.length = integer("length", length, least=2)

    def batch(self, rng: np.random.Generator, size: int, split: Split) -> Batch:
        """Return x (length, size, 2): numbers and markers; the target (size, 1)."""
        values = rng.random((self.length, size), np.float32)
        half, rows = self.length // 2, np.arange(size)
        places = rng.integers(0, half, size), rng.integers(half, self.length, size)
        x = np.zeros((self.length, size, 2), np.float32)
        x[..., 0] = values
        x[np.stack(places), rows, 1] = 1
        return Batch(x, self._of(values[places[0], rows], values[places[1], rows])[:, None])

    def _of(self, first: Array, second: Array) -> Array:
        raise NotImplementedError


class Adding(_TwoMarked):
    """The adding problem: the sum of the two numbers that are marked, asked for at the end.

    Each step has a number uniform in [0, 1] and a marker, which is 1 at one step of the first half and at one of the
    second, otherwise 0. Who does not know the two numbers answers their mean, 1, and errs by their variance:
    2 · 1/12 = 1/6.

    References: with other random lengths, markers and targets Hochreiter & Schmidhuber 1997 needed 74,000 sequences
    at T = 100. Bai et al. 2018 report at T = 600: LSTM 0.164 and RNN 0.177, which is failure, GRU 5.3e-5.

    Args:
        length: steps of a sequence.

    Source: Hochreiter & Schmidhuber 1997, *Long short-term memory*, experiment 4; in this form Le et al. 2015, *A
        simple way to initialize recurrent networks of rectified linear units*; Bai et al. 2018, *An empirical
        evaluation of generic convolutional and recurrent networks for sequence modeling*.

    Example:
        >>> from tinygrad_rnn.data import tasks
        >>> task = tasks.Adding(length=100)
        >>> batch = next(task.batches(size=64, seed=0))
        >>> batch.x.shape, batch.target.shape, round(task.baseline().loss, 4)
        ((100, 64, 2), (64, 1), 0.1667)
    """

    threshold = 0.01
    source = "Hochreiter & Schmidhuber 1997, experiment 4; Le et al. 2015"

    def baseline(self) -> Score:
        """Return the variance of the sum, 1/6."""
        return Score(1 / 6, 1 / 6)

    def _of(self, first: Array, second: Array) -> Array:
        return first + second


class Multiplication(_TwoMarked):
    """The multiplication problem: the product of the two numbers that are marked, asked for at the end.

    Sequences as in `Adding`. Who does not know the two numbers answers their product's mean, 1/4, and errs by its
    variance: E[U²]² - E[U]⁴ = 1/9 - 1/16 = 7/144. Solved is a tenth of that.

    References: Hochreiter & Schmidhuber 1997 stopped at a mean squared error of 0.0223 at T = 100.

    Args:
        length: steps of a sequence.

    Source: Hochreiter & Schmidhuber 1997, *Long short-term memory*, experiment 5.

    Example:
        >>> from tinygrad_rnn.data import tasks
        >>> round(tasks.Multiplication(length=100).baseline().loss, 4)
        0.0486
    """

    threshold = 7 / 1440
    source = "Hochreiter & Schmidhuber 1997, experiment 5"

    def baseline(self) -> Score:
        """Return the variance of the product, 7/144."""
        return Score(7 / 144, 7 / 144)

    def _of(self, first: Array, second: Array) -> Array:
        return first * second
