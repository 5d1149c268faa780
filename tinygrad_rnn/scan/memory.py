"""Memory of loops over time, used again: an array gives it back when nothing refers to it any more.

The first write to each page of fresh memory interrupts the program, which takes up to a third of the time of a loop
that saves its values for the backward pass. A training step needs what the step before it has just given up.
"""

from __future__ import annotations

import ctypes
import math
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from ..core.node import Array

# Smaller arrays come from memory that the process keeps anyway.
_SMALLEST = 64 * 1024
_ALIGNMENT = 64


class Memory:
    """Pieces of memory that wait to be used again.

    No more is held, in use and waiting, than was in use at once before: what waits makes room for what is fresh, the
    sizes that were asked for least recently first.

    Args:
        limit: bytes that may wait at most.

    Example:
        >>> from tinygrad_rnn.scan.memory import Memory
        >>> memory = Memory(limit=2**20)
        >>> array = memory.empty((100, 1000), "float32")
        >>> address = array.ctypes.data
        >>> del array
        >>> memory.waiting
        409600
        >>> memory.empty((1000, 100), "float32").ctypes.data == address
        True
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        # Threads and destructors come in between at any point: every operation on it is a single one of dict or list.
        self._pieces: dict[int, list[_Piece]] = {}
        self._lent: dict[int, int] = {}
        self._most = 0

    @property
    def waiting(self) -> int:
        """Bytes that wait to be used again."""
        # Of keys alone: a list of pairs might start a garbage collection, and that a destructor, in its midst.
        return sum([size * len(self._pieces.get(size, ())) for size in list(self._pieces)])

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
        """Return an array whose elements are not set, as `numpy.empty` does; a large one starts at a cache line."""
        kind = np.dtype(dtype)
        wanted = math.prod(shape) * kind.itemsize
        if wanted < _SMALLEST:
            return np.empty(shape, kind)
        size = _rounded(wanted)
        pieces = self._pieces.pop(size, [])
        self._pieces[size] = pieces
        try:
            piece = pieces.pop()
        except IndexError:
            used = sum(list(self._lent.values())) + size
            self._most = max(self._most, used)
            self._keep(self._most - used)
            piece = _fresh(size)
        self._lent[piece.address] = size
        loan = _loans(size).from_address(piece.address)
        loan.memory, loan.piece = self, piece
        array: Array = np.ndarray(shape, kind, loan)  # type: ignore[arg-type]
        return array

    def release(self) -> None:
        """Give all that waits back to the system, and forget how much was in use."""
        self._most = 0
        self._keep(0)

    def _keep(self, limit: int) -> None:
        """Let at most that many bytes wait."""
        for size in list(self._pieces):
            if self.waiting <= limit:
                break
            self._pieces.pop(size, None)

    def _take_back(self, piece: _Piece) -> None:
        self._lent.pop(piece.address, None)
        self._pieces.setdefault(piece.size, []).append(piece)
        self._keep(self.limit)


class _Piece(NamedTuple):
    """Memory that starts at a cache line: what holds it, where it starts, how many bytes it has."""

    owner: Array
    address: int
    size: int


class _Loan(ctypes.Array[ctypes.c_char]):
    """A piece of memory in use: the base of an array, and so of every view of it; it goes back when they are gone.

    It is no array of NumPy's, because a view refers to the base of its base where that is one too.
    """

    _type_, _length_ = ctypes.c_char, 0
    is_lent = True  # who has the only array on it owns it
    memory: Memory
    piece: _Piece

    def __del__(self) -> None:
        self.memory._take_back(self.piece)


@cache
def _loans(size: int) -> type[_Loan]:
    return type("_Loan", (_Loan,), {"_length_": size})


def _fresh(size: int) -> _Piece:
    owner = np.empty(size + _ALIGNMENT, np.uint8)
    address = owner.__array_interface__["data"][0]
    return _Piece(owner, address + -address % _ALIGNMENT, size)


def _rounded(size: int) -> int:
    """Return a size at most a sixteenth greater, so that sequences of about the same length share their memory."""
    step = 1 << max(0, size.bit_length() - 5)
    return -(-size // step) * step


memory = Memory(limit=256 * 2**20)
