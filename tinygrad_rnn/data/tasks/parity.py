"""Parity: whether the number of ones is odd."""

from __future__ import annotations

import math

import numpy as np

from ..checks import integer
from .base import Batch, Score, Split
from .kinds import Classification


class Parity(Classification):
    """Bits, one a step; at the end, whether the number of ones is odd.

    Each sequence has 1 to `length` random bits, so that short ones can be learnt first; validation and test have
    `length` of them. Who misses a single bit knows nothing: ln 2 nats, half of the sequences wrong.

    Args:
        length: greatest number of bits.

    Source: Hochreiter & Schmidhuber 1997, *LSTM can solve hard long time lag problems*; Graves 2016, *Adaptive
        computation time for recurrent neural networks*.

    Example:
        >>> from tinygrad_rnn.data import tasks
        >>> batch = next(tasks.Parity(length=20).batches(size=4))
        >>> bool((batch.target == batch.x.sum((0, 2)) % 2).all())
        True
    """

    input_size, output_size = 1, 2
    threshold = 0.01
    source = "Hochreiter & Schmidhuber 1997 (NIPS 9); Graves 2016"

    def __init__(self, length: int = 20) -> None:
        self.length = integer("length", length, least=1)

    def batch(self, rng: np.random.Generator, size: int, split: Split) -> Batch:
        """Return x (length, size, 1), 0 or 1; the parities (size,); lengths (size,)."""
        low = 1 if split == "train" else self.length
        lengths = rng.integers(low, self.length + 1, size)
        bits = rng.integers(0, 2, (self.length, size)) * (np.arange(self.length)[:, None] < lengths)
        return Batch(bits[..., None].astype(np.float32), bits.sum(0) % 2, lengths)

    def baseline(self) -> Score:
        """Return ln 2 and 1/2."""
        return Score(math.log(2), 0.5)
