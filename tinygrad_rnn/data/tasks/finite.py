"""Tasks over a fixed set of sequences: epochs to train on, each held-out sequence once to score."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import numpy as np
from numpy.typing import NDArray

from ...core.errors import ConfigError
from ..checks import integer
from ..splits import shuffled
from .base import Batch, Split, Task, check_held_out

_STEPS = 20_000  # Of a batch that is scored only: what keeps a long folk tune from filling the memory.


class FiniteTask(Task):
    """The base of a task whose sequences are given: a subclass writes `lengths_of` and `select`.

    Training goes through the sequences in an order that seed and epoch decide; a batch may end one epoch and begin the
    next, so that all have the same size.

    Attributes:
        by_length: whether a training batch is made of sequences of like length, so that little of it is padding. What
            an epoch has left over is then dealt out among the batches of the next one.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.data import tasks
        >>> class Echo(tasks.FiniteTask, tasks.Classification):
        ...     input_size, output_size, threshold = 1, 2, 0.0
        ...
        ...     def lengths_of(self, split):
        ...         return np.full({"train": 6, "validation": 2, "test": 2}[split], 3)
        ...
        ...     def select(self, split, rows):
        ...         return tasks.Batch(np.tile(rows % 2, (3, 1))[..., None].astype(np.float32), rows % 2)
        >>> batches = Echo().batches(size=4, seed=0)
        >>> sorted(np.concatenate([next(batches).target for _ in range(3)]).tolist())
        [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]
    """

    by_length: bool = False

    def lengths_of(self, split: Split) -> NDArray[np.intp]:
        """Return the length of each sequence of a split."""
        raise NotImplementedError(f"{self.name} has no lengths_of(split); write it, it returns integers (sequences,)")

    def select(self, split: Split, rows: NDArray[np.intp]) -> Batch:
        """Return some sequences of a split, by their numbers."""
        raise NotImplementedError(f"{self.name} has no select(split, rows); write it, it returns a tasks.Batch")

    def batch(self, rng: np.random.Generator, size: int, split: Split) -> Batch:
        """Return sequences drawn at random, with repetition."""
        return self.select(split, rng.integers(0, len(self.lengths_of(split)), size))

    def batches(self, size: int, seed: int = 0) -> Iterator[Batch]:
        """Return the endless stream of batches, epoch after epoch, as `Task.batches`.

        Raises:
            ConfigError: if an argument is out of its range, or there are fewer sequences than `size`.
        """
        size, seed, number = integer("size", size, least=1), integer("seed", seed), len(self.lengths_of("train"))
        if size > number:
            raise ConfigError(f"size is {size}, and {self.name} has {number} sequences to train on; give at most those")
        return self._epochs(size, seed, number)

    def held_out(self, split: Split) -> list[Batch]:
        """Return every sequence of validation or test once, those of like length together."""
        check_held_out(split)
        lengths = self.lengths_of(split)
        order = np.argsort(lengths, kind="stable")
        batches, first = [], 0
        while first < len(order):
            # In the order of lengths the last one decides how long the batch is.
            sizes = np.arange(1, len(order) - first + 1) * lengths[order[first:]]
            size = max(1, int(np.searchsorted(sizes, _STEPS, side="right")))
            batches.append(self.select(split, order[first : first + size]))
            first += size
        return batches

    def _epochs(self, size: int, seed: int, number: int) -> Iterator[Batch]:
        waiting, lengths = np.zeros(0, np.intp), self.lengths_of("train")
        for epoch in count():
            waiting = np.concatenate([waiting, shuffled(number, seed, epoch)])
            whole = len(waiting) - len(waiting) % size
            rows, waiting = waiting[:whole], waiting[whole:]
            order: NDArray[np.intp] = np.arange(whole // size)
            if self.by_length:
                rows = rows[np.argsort(lengths[rows], kind="stable")]
                order = shuffled(len(order), seed, epoch)
            for batch in rows.reshape(-1, size)[order]:
                yield self.select("train", batch)
