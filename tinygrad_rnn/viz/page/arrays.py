"""Arrays of a page: small ones whole, large ones as block means with their minimum, mean, maximum and norm."""

from __future__ import annotations

import base64
import math
from hashlib import blake2b
from typing import Any

import numpy as np

from ...core import Array

_WHOLE_BYTES = 700_000
_CELL_BYTES = 560_000
_WHOLE = (4096, 1024, 512, 256, 128, 64, 32, 16, 8, 4)
_CELLS = (256, 144, 64, 36, 16, 4)


class Arrays:
    """Collects arrays, equal ones once, and writes them down in as many bytes as a page may have.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.viz.page.arrays import Arrays
        >>> arrays = Arrays()
        >>> arrays.add(np.ones(3)), arrays.add(np.zeros((2, 2))), arrays.add(np.ones(3))
        (0, 1, 0)
        >>> arrays.encoded()["whole"]
        4096
    """

    def __init__(self) -> None:
        self._arrays: list[Array] = []
        self._numbers: dict[Any, int] = {}

    def add(self, array: Any) -> int:
        """Note an array of numbers down and return its number."""
        array = np.asarray(array)
        array = array.astype(np.float32 if array.dtype in (np.float16, np.float32) else np.float64, copy=False)
        key = (array.shape, array.dtype.char, blake2b(np.ascontiguousarray(array).tobytes(), digest_size=16).digest())
        if key not in self._numbers:
            self._numbers[key] = len(self._arrays)
            self._arrays.append(array)
        return self._numbers[key]

    def encoded(self) -> dict[str, Any]:
        """Return what the page reads: a record for each array, and all numbers in base64.

        A record: shape; 1 for float64 or 0 for float32; where its numbers begin among those; rows and columns of the
        block means, 0 where it is whole; how many numbers are no finite ones. In front of block means stand the
        minimum, mean, maximum and norm of the finite numbers.
        """
        whole = next((n for n in _WHOLE if self._bytes_up_to(n) <= _WHOLE_BYTES), 1)
        large = sum(array.size > whole for array in self._arrays)
        cells = next((n for n in _CELLS if 4 * n * large <= _CELL_BYTES), _CELLS[-1])
        wide, narrow = _Blob(np.float64), _Blob(np.float32)
        records = []
        for array in self._arrays:
            bad = array.size - int(np.isfinite(array).sum())
            if array.size <= whole:
                blob = wide if array.dtype == np.float64 else narrow
                records.append([list(array.shape), int(blob is wide), blob.put(array.ravel()), 0, 0, bad])
            else:
                means = block_means(array, cells)
                start = narrow.put(np.concatenate([statistics(array), means.ravel()]))
                records.append([list(array.shape), 0, start, *means.shape, bad])
        return {
            "whole": whole,
            "cells": cells,
            "records": records,
            "float64": wide.text(),
            "float32": narrow.text(),
        }

    def _bytes_up_to(self, size: int) -> int:
        return sum(array.nbytes for array in self._arrays if array.size <= size)


class _Blob:
    """Numbers of one dtype, one after another."""

    def __init__(self, dtype: Any) -> None:
        self._dtype = np.dtype(dtype).newbyteorder("<")
        self._parts: list[bytes] = []
        self._length = 0

    def put(self, numbers: Array) -> int:
        """Add numbers and return where they begin."""
        start = self._length
        with np.errstate(over="ignore"):
            self._parts.append(numbers.astype(self._dtype).tobytes())
        self._length += numbers.size
        return start

    def text(self) -> str:
        """Return all of them in base64."""
        return base64.b64encode(b"".join(self._parts)).decode()


def statistics(array: Array) -> Array:
    """Return minimum, mean, maximum and norm of the finite numbers, in float64; NaN where there are none."""
    finite = np.asarray(array, np.float64)
    finite = finite[np.isfinite(finite)]
    if not finite.size:
        return np.full(4, np.nan)
    return np.array([finite.min(), finite.mean(), finite.max(), math.sqrt(np.square(finite).sum())])


def block_means(array: Array, cells: int) -> Array:
    """Return the means of blocks of an array, in at most so many cells; its last axis runs across.

    Args:
        array: of at least one axis; the axes before the last are one under another.
        cells: the greatest number of blocks.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.viz.page.arrays import block_means
        >>> block_means(np.arange(8.0).reshape(2, 4), 4)
        array([[0.5, 2.5],
               [4.5, 6.5]])
    """
    table = np.asarray(array, np.float64).reshape(-1, array.shape[-1])
    side = math.isqrt(cells)
    rows = min(len(table), max(side, cells // table.shape[1]))
    columns = min(table.shape[1], cells // rows)
    down = np.arange(rows) * len(table) // rows
    across = np.arange(columns) * table.shape[1] // columns
    sums = np.add.reduceat(np.add.reduceat(table, down, axis=0), across, axis=1)
    heights = np.diff([*down, len(table)])
    widths = np.diff([*across, table.shape[1]])
    means: Array = sums / np.outer(heights, widths)
    return means
