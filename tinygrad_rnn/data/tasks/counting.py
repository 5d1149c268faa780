"""Counting: aⁿbⁿ, which is context-free, and aⁿbⁿcⁿ, which is context-sensitive."""

from __future__ import annotations

import numpy as np

from ..checks import integer
from .base import Batch, Score, Split, check_held_out
from .kinds import LegalSymbols
from .symbols import binary_entropy, one_hot


class _Counting(LegalSymbols):
    """Strings S aⁿ bⁿ ... T of some letters: predict all symbols that may come next."""

    letters: int
    threshold = 0.0

    def __init__(self, longest: int = 10, held_out_to: int | None = None) -> None:
        self.longest = integer("longest", longest, least=2)
        beyond = 2 * self.longest if held_out_to is None else held_out_to
        self.held_out_to = integer("held_out_to", beyond, least=self.longest + 1)
        self.input_size = self.output_size = self.letters + 1

    def batch(self, rng: np.random.Generator, size: int, split: Split) -> Batch:
        """Return strings with n drawn from the range of the split."""
        low, high = self._range(split)
        return self.strings(rng.integers(low, high + 1, size))

    def held_out(self, split: Split) -> list[Batch]:
        """Return every string of validation (n up to `longest`) or test (n beyond it) once."""
        check_held_out(split)
        low, high = self._range(split)
        return [self.strings(np.arange(low, high + 1))]

    def strings(self, n: np.ndarray) -> Batch:
        """Return the strings of given n.

        Args:
            n: (batch,), integers, 1 or more.

        Returns:
            x (time, batch, letters + 1), one-hot S, a, b, ...; the target (time, batch, letters + 1), 1 for each of a,
            b, ..., T that may come next; the lengths.

        Example:
            >>> import numpy as np
            >>> from tinygrad_rnn.data import tasks
            >>> tasks.AnBn().strings(np.array([2])).target[:, 0].astype(int).tolist()
            [[1, 0, 0], [1, 1, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1]]
        """
        lengths = self.letters * n + 1
        steps = np.arange(lengths.max())[:, None]
        letter = np.minimum((steps - 1) // n, self.letters - 1)  # -1 is S.
        target = one_hot(np.minimum(steps // n, self.letters), self.letters + 1)
        target[..., 1] = np.maximum(target[..., 1], letter == 0)  # Among the a, b may always come.
        target[..., 0] = letter <= 0
        return Batch(one_hot(letter + 1, self.letters + 1), target, lengths)

    def baseline(self) -> Score:
        """Return the score of a predictor that knows the last symbol, but does not count.

        After each letter but a two outputs are uncertain, with the probability p = 2 / (longest + 1) of the next
        letter: 2 H(p) nats in n of letters · n + 1 steps for each such letter. It never predicts the change: error 1.
        """
        mean = (self.longest + 1) / 2
        uncertain = (self.letters - 1) * mean * 2 * float(binary_entropy(1 / mean))
        return Score(uncertain / (self.letters * mean + 1), 1.0)

    def _range(self, split: Split) -> tuple[int, int]:
        return (self.longest + 1, self.held_out_to) if split == "test" else (1, self.longest)


class AnBn(_Counting):
    """The language aⁿbⁿ: after S and each symbol, predict all symbols that may come next.

    The strings are S aⁿ bⁿ T. After S only a may come, after a both a and b, after a b another b until there are as
    many as of a, then T. Training and validation have n from 1 to `longest`, test has every n beyond that up to
    `held_out_to`: solved is a network that accepts strings longer than it was ever shown, all of them.

    Args:
        longest: greatest n in training.
        held_out_to: greatest n in test; twice `longest` by default.

    Source: Gers & Schmidhuber 2001, *LSTM recurrent networks learn simple context-free and context-sensitive
        languages*.

    Example:
        >>> from tinygrad_rnn.data import tasks
        >>> task = tasks.AnBn(longest=10)
        >>> [batch.rows for split in ("validation", "test") for batch in task.held_out(split)]
        [10, 10]
    """

    letters = 2
    source = "Gers & Schmidhuber 2001"


class AnBnCn(_Counting):
    """The language aⁿbⁿcⁿ: as `AnBn`, with as many c after the b, which takes two counters.

    Args:
        longest: greatest n in training.
        held_out_to: greatest n in test; twice `longest` by default.

    Source: Gers & Schmidhuber 2001, *LSTM recurrent networks learn simple context-free and context-sensitive
        languages*.

    Example:
        >>> from tinygrad_rnn.data import tasks
        >>> next(tasks.AnBnCn(longest=10).batches(size=4)).x.shape[1:]
        (4, 4)
    """

    letters = 3
    source = "Gers & Schmidhuber 2001"
