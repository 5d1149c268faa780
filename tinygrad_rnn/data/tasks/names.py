"""Names: predict the letters of a first name, and where it ends."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...core.errors import DataError
from ..datasets import fetch
from ..sequences import pad
from ..splits import shuffled
from ..text import CharVocabulary, read_text
from .base import Batch, Score, Split
from .finite import FiniteTask
from .kinds import NextSymbol
from .symbols import one_hot
from .text import pair_counts, pairs_score

_END = "\n"


class Names(FiniteTask, NextSymbol):
    """The next letter of a first name, or its end, from the start on.

    Each different name belongs to one split: 80 % to train, 10 % each for validation and test. The baseline knows how
    often each letter, and the end, occurs in training. Solved is to do better than the table of pairs of letters.

    References: makemore's table of pairs has 2.454 nats on the names that it was made of.

    Args:
        names: what to learn; None for those of makemore, 29,494 different ones, fetched.

    Raises:
        DataError: if there are fewer than ten different names, one is empty or has two lines, or they cannot be
            fetched.

    Source: A. Karpathy, makemore; names from the lists of the US Social Security Administration.

    Example:
        >>> from tinygrad_rnn.data import tasks
        >>> task = tasks.Names(["anna", "bob", "ann", "barb", "nan", "hanna", "abba", "barbara", "nora", "bo"])
        >>> task.vocabulary.symbols[1:], next(task.batches(size=8)).x.shape[1:]
        ('abhnor', (8, 7))
    """

    source = "makemore"

    def __init__(self, names: Sequence[str] | None = None) -> None:
        given = read_text(fetch("names.txt")).split() if names is None else names
        different = sorted(set(given))
        if len(different) < 10 or any(not name or _END in name for name in different):
            raise DataError(f"{len(different)} different names; give ten or more, none of them empty, one line each")
        self.vocabulary = CharVocabulary.from_text(_END + "".join(different))
        self.input_size = self.output_size = len(self.vocabulary)
        order, held_out = shuffled(len(different), seed=0), len(different) // 10
        rows: dict[Split, NDArray[np.int64]] = {
            "train": order[2 * held_out :],
            "validation": order[:held_out],
            "test": order[held_out : 2 * held_out],
        }
        self._ids = {
            split: [self.vocabulary.encode(f"{_END}{different[row]}{_END}") for row in part]
            for split, part in rows.items()
        }
        self.threshold = pairs_score(self._pairs("train"), self._pairs("test"))

    def lengths_of(self, split: Split) -> NDArray[np.intp]:
        """Return how many symbols of each name are to be predicted, the end among them."""
        return np.array([len(ids) - 1 for ids in self._ids[split]])

    def select(self, split: Split, rows: NDArray[np.intp]) -> Batch:
        """Return x (time, rows, symbols), one-hot, the next symbols (time, rows), and the lengths."""
        ids, lengths = pad([self._ids[split][row] for row in rows])
        return Batch(one_hot(ids[:-1], self.input_size), ids[1:], lengths - 1)

    def baseline(self) -> Score:
        """Return the cross entropy of the frequencies of symbols in training with the test."""
        known, asked = (self._pairs(split).sum(0) for split in ("train", "test"))
        loss = float(-(asked * np.log((known + 1) / (known + 1).sum())).sum() / asked.sum())
        return Score(loss, loss)

    def _pairs(self, split: Split) -> NDArray[np.int64]:
        """Return how often each symbol follows each, from the start of a name to its end."""
        ends = np.concatenate(self._ids[split])
        pairs = pair_counts(ends, len(self.vocabulary))
        pairs[0, 0] -= len(self._ids[split]) - 1  # From the end of a name to the start of the next.
        return pairs
