"""Task: sequences to learn from, what counts as an error, what a trivial predictor gets, and when it is solved."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...core import Tensor
from ...core.errors import ConfigError, DataError
from ..checks import integer

Array = NDArray[Any]
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
_CHUNK = 250  # Rows of a batch that is scored only: enough to keep NumPy busy, few enough for the memory.


class Batch(NamedTuple):
    """A padded batch of sequences.

    Args:
        x: (time, batch, input_size), float32.
        target: (time, batch, ...) for a task with `every_step`, otherwise (batch, ...), what the last step is to give.
        lengths: (batch,) integers from 1 to time; None where every row has all steps.
        counted: (time, batch) bools, the steps with a target that counts; None for all steps up to the length.
        legal: (time, batch, output_size) bools, all that may come next, where the target is one draw from them.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.data import tasks
        >>> batch = tasks.Batch(np.zeros((5, 2, 3), np.float32), np.array([0, 1]), lengths=np.array([5, 3]))
        >>> batch.rows
        2
    """

    x: Array
    target: Array
    lengths: Array | None = None
    counted: Array | None = None
    legal: Array | None = None

    @property
    def rows(self) -> int:
        """How many sequences the batch has."""
        return int(self.x.shape[1])

    def steps_that_count(self) -> Array | None:
        """Return the mask (time, batch) of the steps that count; None where all do."""
        if self.counted is not None or self.lengths is None:
            return self.counted
        return np.arange(self.x.shape[0])[:, None] < self.lengths


class Score(NamedTuple):
    """How well a predictor does on held-out sequences; less is better.

    Args:
        loss: what is trained on, its mean.
        error: what the task is judged by, its mean; the task's `measures` says what that is.
    """

    loss: float
    error: float


class Task:
    """The base of every task: a subclass gives sizes and `batch`, and derives from a kind that has loss and errors.

    The kinds are `Classification`, `NextSymbol`, `Regression` and `MultiLabel`. The train stream depends on a seed,
    validation and test are the same for all seeds, and no two streams share random numbers.

    Attributes:
        input_size: features of x.
        output_size: numbers that the read-out gives at a step.
        threshold: the greatest error at which the task counts as solved.
        measures: what `errors` measures, in words.
        source: where set-up and criterion come from.
        every_step: whether each step has a target, or the last one only.
        carries: whether batch k + 1 of a stream goes on where batch k ended, so that the state is handed on.
        held_out_size: sequences in validation and in test.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.data import tasks
        >>> class Majority(tasks.Classification):
        ...     input_size, output_size, threshold = 1, 2, 0.05
        ...
        ...     def batch(self, rng, size, split):
        ...         x = rng.integers(0, 2, (9, size, 1)).astype(np.float32)
        ...         return tasks.Batch(x, (x.sum((0, 2)) > 4.5).astype(int))
        >>> batch = next(Majority().batches(size=32, seed=0))
        >>> batch.x.shape, batch.target.shape, Majority().solved(tasks.Score(loss=0.1, error=0.02))
        ((9, 32, 1), (32,), True)
    """

    input_size: int
    output_size: int
    threshold: float
    measures: str = ""
    source: str = ""
    every_step: bool = False
    carries: bool = False
    held_out_size: int = 1000

    @property
    def name(self) -> str:
        """The name of the class."""
        return type(self).__name__

    def batch(self, rng: np.random.Generator, size: int, split: Split) -> Batch:
        """Return sequences, drawn with nothing but `rng`.

        Args:
            rng: where chance comes from.
            size: how many sequences.
            split: "train", "validation" or "test".
        """
        raise NotImplementedError(f"{self.name} has no batch(rng, size, split); write it, it returns a tasks.Batch")

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return the number that is trained on: a mean over all that counts.

        Args:
            outputs: (time, batch, output_size) with `every_step`, otherwise (batch, output_size).
            batch: the sequences.
        """
        raise NotImplementedError(
            f"{self.name} has no loss; derive it from tasks.Classification, NextSymbol, Regression or MultiLabel, "
            "or write loss(outputs, batch) and errors(outputs, batch)"
        )

    def errors(self, outputs: Array, batch: Batch) -> Array:
        """Return one number, 0 or more, for each thing that counts; their mean is the score's error.

        Args:
            outputs: (time, batch, output_size) with `every_step`, otherwise (batch, output_size).
            batch: the sequences.

        Returns:
            (n,), n being the number of sequences, of steps or of whatever is counted.
        """
        raise NotImplementedError(
            f"{self.name} has no errors(outputs, batch); write it, or derive from a kind of task that has it"
        )

    def baseline(self) -> Score:
        """Return by arithmetic what a predictor gets that knows everything but what has to be remembered."""
        raise NotImplementedError(f"{self.name} has no baseline(); write it, it returns a tasks.Score(loss, error)")

    def solved(self, score: Score) -> bool:
        """Return whether a score counts as a solution: an error that is not above `threshold`."""
        if not hasattr(self, "threshold"):
            raise ConfigError(f"{self.name} has no threshold; write threshold = 0.01 in the class, or another number")
        return bool(score.error <= self.threshold)

    def batches(self, size: int, seed: int = 0) -> Iterator[Batch]:
        """Return the endless stream of batches to train on; the seed decides all of it.

        Args:
            size: sequences in a batch.
            seed: 0 to 2**64 - 1.

        Raises:
            ConfigError: if an argument is no such integer.

        Example:
            >>> from tinygrad_rnn.data import tasks
            >>> one, two = (next(tasks.Adding(10).batches(4, seed)) for seed in (0, 0))
            >>> bool((one.x == two.x).all())
            True
        """
        size, seed = integer("size", size, least=1), integer("seed", seed)
        return (self.batch(generator(seed, "train", index), size, "train") for index in count())

    def held_out(self, split: Split) -> list[Batch]:
        """Return the sequences of validation or test, always the same ones.

        Args:
            split: "validation" or "test".

        Raises:
            ConfigError: if it is neither.

        Example:
            >>> from tinygrad_rnn.data import tasks
            >>> sum(batch.rows for batch in tasks.Adding(10).held_out("test"))
            1000
        """
        check_held_out(split)
        return [
            self.batch(generator(0, split, index), min(_CHUNK, self.held_out_size - start), split)
            for index, start in enumerate(range(0, self.held_out_size, _CHUNK))
        ]

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{name}={value!r}"
            for name, value in vars(self).items()
            if not name.startswith("_") and isinstance(value, (int, float, str)) and not hasattr(Task, name)
            if name not in ("input_size", "output_size", "threshold")
        )
        return f"{self.name}({shown})"


def generator(seed: int, split: Split, index: int) -> np.random.Generator:
    """Return the random numbers of one batch: Philox keyed by (seed, index), a block of its counter for each split.

    Source: Salmon et al. 2011, *Parallel random numbers: as easy as 1, 2, 3*.

    Example:
        >>> from tinygrad_rnn.data.tasks.base import generator
        >>> generator(0, "train", 0).random() == generator(0, "test", 0).random()
        False
    """
    key = np.array([seed, index], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, SPLITS.index(split)]))


def checked_batch(task: Task, batch: Any) -> Batch:
    """Return a batch, if it is what its task says that it is.

    Raises:
        DataError: naming what does not fit.

    Example:
        >>> from tinygrad_rnn.data import tasks
        >>> from tinygrad_rnn.data.tasks.base import checked_batch
        >>> task = tasks.Adding(10)
        >>> batch = checked_batch(task, next(task.batches(4)))
    """
    label = f"{task.name}.batch"
    if not isinstance(batch, Batch):
        raise DataError(f"{label} returned a {type(batch).__name__}; return tasks.Batch(x, target)")
    shape = np.shape(batch.x)
    if len(shape) != 3 or shape[2] != task.input_size or batch.x.dtype.kind != "f":
        raise DataError(
            f"{label} returned x of shape {shape} and {batch.x.dtype}; return floats (time, batch, {task.input_size}), "
            "such as one-hot float32"
        )
    lead, words = (shape[:2], "(time, batch, ...)") if task.every_step else (shape[1:2], "(batch, ...)")
    if np.shape(batch.target)[: len(lead)] != lead:
        raise DataError(
            f"{label} returned a target of shape {np.shape(batch.target)} for x of shape {shape}; return {words}, or "
            f"write every_step = {not task.every_step} in the class"
        )
    if batch.lengths is not None and not (
        np.shape(batch.lengths) == shape[1:2] and 1 <= np.min(batch.lengths) <= np.max(batch.lengths) <= shape[0]
    ):
        raise DataError(f"{label} returned the lengths {batch.lengths}; return {shape[1]} of them, 1 to {shape[0]}")
    for name, mask, wanted in (
        ("counted", batch.counted, shape[:2]),
        ("legal", batch.legal, (*shape[:2], task.output_size)),
    ):
        if mask is not None and (np.shape(mask) != wanted or mask.dtype != bool):
            raise DataError(
                f"{label} returned {name} of shape {np.shape(mask)} and {mask.dtype}; return bools {wanted}"
            )
    return batch


def check_held_out(split: Any) -> None:
    """Refuse a split that is not held out.

    Raises:
        ConfigError: if it is neither "validation" nor "test".
    """
    if split not in SPLITS[1:]:
        raise ConfigError(f'split is {split!r}; give "validation" or "test"')
