"""Where the values of one step lie in memory, row by row, as machine code addresses them."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...core.errors import TraceError
from ...core.node import Array

_HEAD = object.__basicsize__
_word_at = ctypes.c_size_t.from_address


class UnsupportedError(TraceError):
    """An operation that has no native form."""


@dataclass(frozen=True)
class Layout:
    """A value of one step: rows of elements that lie side by side.

    Element j of row b at time t is `array[(t + shift) * time_stride + b * row_stride + offset + j]`; where `turns` is
    set, t + shift counts modulo 2.

    Args:
        array: number of the array among those that the code is given.
        dtype: of its elements.
        width: elements of a row; 1 for a value that is the same along the row.
        row_stride: elements from one row to the next, 0 where all rows share one.
        time_stride: elements from one step to the next, 0 for what does not change.
        offset: elements before the first.
        shift: steps between the time and the place in the array.
        turns: the array holds the values of two steps, which take turns.
    """

    array: int
    dtype: np.dtype[Any]
    width: int
    row_stride: int
    time_stride: int = 0
    offset: int = 0
    shift: int = 0
    turns: bool = False

    def cut(self, start: int, width: int) -> Layout:
        """Return the layout of some columns."""
        return replace(self, offset=self.offset + start, width=width)


def address(array: Array) -> int:
    """Return where an array begins.

    NumPy's C interface has it right behind the head of the object; `array.ctypes.data` takes five times as long.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.scan.native.layout import address
        >>> array = np.zeros((3, 4))
        >>> address(array) == array.ctypes.data, address(array[1:]) - address(array)
        (True, 32)
    """
    return _word_at(id(array) + _HEAD).value
