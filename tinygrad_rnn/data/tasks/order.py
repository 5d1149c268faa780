"""Temporal order: which symbols stood at two or three distant places."""

from __future__ import annotations

import math

import numpy as np

from ...core.errors import ConfigError
from ..checks import integer
from .base import Batch, Score, Split
from .kinds import Classification
from .symbols import one_hot

# Where the relevant symbols may stand, in hundredths of the length.
_RANGES = {2: ((10, 20), (50, 60)), 3: ((10, 20), (33, 43), (66, 76))}
_RELEVANT, _START, _TRIGGER = 4, 6, 7  # 0 to 3 are a, b, c, d; 4 and 5 are X and Y.


class TemporalOrder(Classification):
    """Experiments 6a and 6b: X or Y at two (or three) places among a, b, c, d; their order is the class.

    A sequence starts with E, ends with the trigger B and has `length` to 1.1 · `length` steps. Everything else is drawn
    from a, b, c, d, but for the relevant symbols: at 10 to 20 % and 50 to 60 % of the length (6a, four classes), or at
    10 to 20, 33 to 43 and 66 to 76 % (6b, eight classes). Without memory: ln(classes) nats, and all but one of the
    classes wrong.

    References: 31,390 sequences (6a) and 571,100 (6b), learnt online, in Hochreiter & Schmidhuber 1997.

    Args:
        relevant: 2 for 6a, 3 for 6b.
        length: least number of steps; at least 20.

    Raises:
        ConfigError: if an argument is none of these.

    Source: Hochreiter & Schmidhuber 1997, *Long short-term memory*, experiments 6a and 6b.

    Example:
        >>> from tinygrad_rnn.data import tasks
        >>> task = tasks.TemporalOrder(relevant=3)
        >>> task.output_size, round(task.baseline().loss, 4), task.baseline().error
        (8, 2.0794, 0.875)
    """

    input_size = 8
    threshold = 0.01
    source = "Hochreiter & Schmidhuber 1997, experiments 6a and 6b"

    def __init__(self, relevant: int = 2, length: int = 100) -> None:
        if relevant not in _RANGES:
            raise ConfigError(f"relevant is {relevant!r}; give 2 (experiment 6a) or 3 (experiment 6b)")
        self.relevant = int(relevant)
        self.length = integer("length", length, least=20)
        self.output_size = 2**self.relevant

    def batch(self, rng: np.random.Generator, size: int, split: Split) -> Batch:
        """Return x (time, size, 8), one-hot a, b, c, d, X, Y, E, B; the classes (size,); lengths (size,)."""
        lengths = rng.integers(self.length, self.length + self.length // 10 + 1, size)
        rows = np.arange(size)
        symbols = rng.integers(0, _RELEVANT, (lengths.max(), size))
        chosen = rng.integers(0, 2, (self.relevant, size))
        for (low, high), choice in zip(_RANGES[self.relevant], chosen, strict=True):
            place = rng.integers(low * self.length // 100, high * self.length // 100 + 1, size)
            symbols[place, rows] = _RELEVANT + choice
        symbols[0], symbols[lengths - 1, rows] = _START, _TRIGGER
        return Batch(one_hot(symbols, 8), 2 ** np.arange(self.relevant)[::-1] @ chosen, lengths)

    def baseline(self) -> Score:
        """Return ln(classes) and 1 - 1/classes."""
        return Score(math.log(self.output_size), 1 - 1 / self.output_size)
