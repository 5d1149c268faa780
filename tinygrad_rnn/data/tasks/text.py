"""Character text: predict the next character of a long text."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import numpy as np
from numpy.typing import NDArray

from ...core.errors import DataError
from ..checks import integer
from ..datasets import python_manual
from ..text import CharVocabulary, Streams
from .base import Batch, Score, Split, check_held_out
from .kinds import NextSymbol
from .symbols import one_hot

_STREAMS = 20  # In which validation and test are read.


class CharacterText(NextSymbol):
    """The next character of a text, read in parallel streams whose state is handed on from window to window.

    The first 90 % are to train on, the next 5 % for validation, the last 5 % for test. The baseline knows how often
    each character occurs in training. Solved is to do better than the table of pairs of characters, which knows the
    last character and nothing else: a network that beats it remembers more than one.

    References: on the manual of Python 3.11.7 an LSTM of 128 units reaches 1.27 nats on the last tenth.

    Args:
        text: what to learn; None for the manual that comes with Python, which another version has another edition of.
        window: steps of a batch.

    Raises:
        DataError: if the text is too short for streams to train on, to validate and to test.

    Source: Karpathy 2015, *The unreasonable effectiveness of recurrent neural networks*.

    Example:
        >>> from tinygrad_rnn.data import tasks
        >>> task = tasks.CharacterText("how much wood would a woodchuck chuck " * 50)
        >>> batch = next(task.batches(size=2))
        >>> batch.x.shape, len(task.vocabulary)
        ((64, 2, 11), 11)
    """

    carries = True
    source = "Karpathy 2015"
    held_out_size = _STREAMS

    def __init__(self, text: str | None = None, window: int = 64) -> None:
        text = python_manual() if text is None else text
        self.window = integer("window", window, least=1)
        self.vocabulary = CharVocabulary.from_text(text)
        self.input_size = self.output_size = len(self.vocabulary)
        ids = self.vocabulary.encode(text)
        ends = len(ids) * 90 // 100, len(ids) * 95 // 100
        self._parts: dict[Split, NDArray[np.int64]] = {
            "train": ids[: ends[0]],
            "validation": ids[ends[0] : ends[1]],
            "test": ids[ends[1] :],
        }
        if len(self._parts["validation"]) <= _STREAMS:
            raise DataError(f"a text of {len(ids)} characters; give one of {20 * (_STREAMS + 1)} or more")
        pairs = pair_counts(self._parts["train"], len(self.vocabulary))
        self.threshold = pairs_score(pairs, pair_counts(self._parts["test"], len(self.vocabulary)))

    def batch(self, rng: np.random.Generator, size: int, split: Split) -> Batch:
        """Return windows that begin anywhere in the split's part."""
        ids = self._parts[split]
        if len(ids) <= self.window:
            raise DataError(f"{len(ids)} characters of {split} for a window of {self.window}; give a longer text")
        starts = rng.integers(0, len(ids) - self.window, size)
        block = ids[starts + np.arange(self.window + 1)[:, None]]
        return self._batch(block[:-1], block[1:])

    def batches(self, size: int, seed: int = 0) -> Iterator[Batch]:
        """Return the windows of `size` streams in order, again and again, from a place that the seed decides."""
        ids = self._parts["train"]
        seed = integer("seed", seed)
        start = int(np.random.Generator(np.random.Philox(key=seed)).integers(0, len(ids)))
        streams = Streams(np.roll(ids, -start), integer("size", size, least=1), self.window)
        return (self._batch(*streams[index % len(streams)]) for index in count())

    def held_out(self, split: Split) -> list[Batch]:
        """Return windows of 20 streams in order: the whole part but for what does not fill the streams."""
        check_held_out(split)
        ids = self._parts[split]
        return [self._batch(*Streams(ids, _STREAMS, (len(ids) - 1) // _STREAMS)[0])]

    def baseline(self) -> Score:
        """Return the cross entropy of the frequencies of characters in training with the test."""
        known, asked = (
            np.bincount(self._parts[split][1:], minlength=len(self.vocabulary)) for split in ("train", "test")
        )
        loss = float(-(asked * np.log((known + 1) / (known + 1).sum())).sum() / asked.sum())
        return Score(loss, loss)

    def _batch(self, x: NDArray[np.integer], y: NDArray[np.integer]) -> Batch:
        return Batch(one_hot(x, len(self.vocabulary)), y)


def pair_counts(ids: NDArray[np.int64], symbols: int) -> NDArray[np.int64]:
    """Return how often each symbol follows each: (symbols, symbols).

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.data.tasks.text import pair_counts
        >>> pair_counts(np.array([0, 1, 0, 1]), 2).tolist()
        [[0, 2], [1, 0]]
    """
    return np.bincount(ids[:-1] * symbols + ids[1:], minlength=symbols**2).reshape(symbols, symbols)


def pairs_score(known: NDArray[np.int64], asked: NDArray[np.int64]) -> float:
    """Return the cross entropy of a table of pairs with other pairs, in nats; one occurrence more is added to each.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.data.tasks.text import pairs_score
        >>> round(pairs_score(np.array([[0, 8], [8, 0]]), np.array([[0, 1], [1, 0]])), 4)
        0.1054
    """
    p = (known + 1) / (known + 1).sum(1, keepdims=True)
    return float(-(asked * np.log(p)).sum() / asked.sum())
