"""Sequences of several lengths: padded batches with their lengths."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.errors import ConfigError, DataError
from .checks import integer

Array = NDArray[Any]
Lengths = NDArray[np.int64]


def pad(sequences: Iterable[ArrayLike], value: float = 0) -> tuple[Array, Lengths]:
    """Put sequences side by side, the shorter ones filled up at their end.

    Args:
        sequences: arrays (length, ...), equal in all but the length; a length may be 0.
        value: what stands after the end of a sequence; -100 for targets that a loss is to ignore.

    Returns:
        x (longest, batch, ...) and the lengths, int64 (batch,).

    Raises:
        DataError: if there is no sequence, or one does not fit the others, or the value does not fit their dtype.

    Example:
        >>> from tinygrad_rnn import data
        >>> x, lengths = data.pad([[1, 2, 3], [4]])
        >>> x
        array([[1, 4],
               [2, 0],
               [3, 0]])
        >>> lengths
        array([3, 1])
    """
    return _pad(_arrays(sequences), value)


class PaddedBatches:
    """The batches that `padded_batches` makes, in order or by index, so that a run resumes in the middle of an epoch.

    Args:
        arrays: the sequences, each (time, ...).
        batch_size: sequences in a batch.
        order: places in `arrays`, in the order in which batches take them.
        value: what stands behind the end of a sequence.

    Example:
        >>> from tinygrad_rnn import data
        >>> batches = data.padded_batches([[1, 2], [3], [4, 5, 6]], batch_size=2)
        >>> isinstance(batches, data.PaddedBatches), len(batches)
        (True, 2)
        >>> batches.rows(1)
        array([2])
    """

    def __init__(self, arrays: list[Array], batch_size: int, order: Lengths, value: float) -> None:
        self._arrays = arrays
        self._batch_size = batch_size
        self._order = order
        self._value = value

    def rows(self, index: int) -> Lengths:
        """Return which sequences batch `index` holds, to take targets or labels in the same order.

        Returns:
            int64 (batch,), places in the sequences that were given.

        Raises:
            IndexError: if there is no such batch.

        Example:
            >>> import numpy as np
            >>> from tinygrad_rnn import data
            >>> batches = data.padded_batches([[1], [2], [3], [4]], batch_size=2)
            >>> labels = np.array(["a", "b", "c", "d"])
            >>> labels[batches.rows(1)].tolist()
            ['c', 'd']
        """
        index = operator.index(index)
        batch = index + len(self) if index < 0 else index
        if not 0 <= batch < len(self):
            raise IndexError(f"batch {index} of {len(self)} batches; the last one is {len(self) - 1}")
        rows: Lengths = self._order[batch * self._batch_size : (batch + 1) * self._batch_size].copy()
        return rows

    def __len__(self) -> int:
        return -(-len(self._arrays) // self._batch_size)

    def __getitem__(self, index: int) -> tuple[Array, Lengths]:
        return _pad([self._arrays[row] for row in self.rows(index)], self._value)

    def __iter__(self) -> Iterator[tuple[Array, Lengths]]:
        return (self[batch] for batch in range(len(self)))


def padded_batches(
    sequences: Iterable[ArrayLike], batch_size: int, rng: np.random.Generator | None = None, *, value: float = 0
) -> PaddedBatches:
    """Cut sequences of several lengths into padded batches; the last one may have fewer rows.

    Args:
        sequences: arrays (length, ...), equal in all but the length; a length may be 0.
        batch_size: rows in a batch.
        rng: shuffles the sequences once; None keeps their order.
        value: what stands after the end of a sequence.

    Returns:
        A sequence of (x, lengths): x (longest of the batch, batch, ...), all batches in one dtype, and int64 (batch,).
        Its `rows(k)` tells which sequences batch k holds.

    Raises:
        ConfigError: if batch_size is not a positive integer or rng is no generator.
        DataError: if there is no sequence, or one does not fit the others, or the value does not fit their dtype.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import data
        >>> for x, lengths in data.padded_batches([[1, 2], [3], [4, 5, 6]], batch_size=2):
        ...     print(x.T.tolist(), lengths)
        [[1, 2], [3, 0]] [2 1]
        [[4, 5, 6]] [3]
        >>> shuffled = data.padded_batches([[1, 2], [3], [4, 5, 6]], 2, np.random.default_rng(0))
    """
    if rng is not None and not isinstance(rng, np.random.Generator):
        raise ConfigError(f"rng is {rng!r}; give a np.random.Generator such as np.random.default_rng(0), or None")
    size = integer("batch_size", batch_size, least=1)
    arrays = _arrays(sequences)
    order = np.arange(len(arrays)) if rng is None else rng.permutation(len(arrays))
    _filler(arrays[0].dtype, value)
    return PaddedBatches(arrays, size, order, value)


def _arrays(sequences: Iterable[ArrayLike]) -> list[Array]:
    """Return the sequences as arrays of one dtype and one shape but for the length."""
    arrays = []
    for row, sequence in enumerate(sequences):
        if isinstance(sequence, str):
            raise DataError(f"sequence {row} is the text {sequence[:20]!r}; give numbers, vocabulary.encode(text)")
        try:
            array = np.asarray(sequence)
        except ValueError:
            raise DataError(f"sequence {row} has steps of several shapes; give an array (length, ...)") from None
        if array.dtype.kind not in "biufc":
            raise DataError(f"sequence {row} has dtype {array.dtype}; give numbers")
        if array.ndim == 0:
            raise DataError(f"sequence {row} is the number {array}; give an array (length, ...), such as [{array}]")
        arrays.append(array)
    if not arrays:
        raise DataError("no sequences; give at least one array (length, ...)")
    # An empty list has neither features nor a dtype to speak of: it takes those of the others.
    typed = [array for array in arrays if array.size] or arrays
    step, dtype = typed[0].shape[1:], np.result_type(*{array.dtype for array in typed})
    for row, array in enumerate(arrays):
        if array.shape == (0,):
            arrays[row] = np.zeros((0, *step), dtype)
        elif array.shape[1:] != step:
            raise DataError(
                f"sequence {row} has shape {array.shape}, others have (length, {', '.join(map(str, step))}); "
                "give sequences that differ in length only"
            )
        else:
            arrays[row] = array.astype(dtype, copy=False)
    return arrays


def _pad(arrays: list[Array], value: float) -> tuple[Array, Lengths]:
    dtype = arrays[0].dtype
    lengths = np.array([len(array) for array in arrays], dtype=np.int64)
    x = np.full((lengths.max(), len(arrays), *arrays[0].shape[1:]), _filler(dtype, value), dtype)
    for row, array in enumerate(arrays):
        x[: len(array), row] = array
    return x, lengths


def _filler(dtype: np.dtype[Any], value: float) -> Any:
    """Return the padding value in a dtype; -100 in an unsigned dtype would turn into a valid class in silence."""
    try:
        with np.errstate(invalid="ignore", over="ignore"):
            wanted = np.array(value)
            filler = wanted.astype(dtype)
        same = bool(filler == wanted) or (dtype.kind in "fc" and bool(np.isfinite(filler) == np.isfinite(wanted)))
    except (OverflowError, TypeError, ValueError):
        same = False
    if not same:
        raise DataError(f"the padding value {value!r} has no place in sequences of dtype {dtype}; give one that has")
    return filler
