"""Text as integers: reading it, a vocabulary of characters, and contiguous streams for truncated backpropagation."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.errors import DataError
from .checks import integer

Ids = NDArray[np.integer[Any]]


def read_text(path: str | Path) -> str:
    """Read a UTF-8 file to train on; line ends become newlines and a byte order mark is dropped.

    Args:
        path: a file of two characters or more.

    Returns:
        The text.

    Raises:
        DataError: if the file is missing, is a folder, cannot be read, is not UTF-8 or has fewer than two characters.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from tinygrad_rnn import data
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "a.txt")
        ...     _ = path.write_bytes(b"to be\\r\\nor not")
        ...     data.read_text(path)
        'to be\\nor not'
    """
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; give the path of a UTF-8 text file") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder; give the path of a UTF-8 text file in it") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); give a UTF-8 text file that can be") from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8, "
            f"for instance with `iconv -f latin1 -t utf-8 {path.name}`"
        ) from None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if len(text) < 2:
        found = "is empty" if not text else f"holds the one character {text!r}"
        raise DataError(f"{path} {found}; there is nothing to predict, give a text of two characters or more")
    return text


class CharVocabulary:
    """The characters of a text, each with an integer: its place in `symbols`.

    Args:
        symbols: every character once, in the order of their integers.

    Raises:
        DataError: if there is no symbol, or one of them twice, or no str.

    Example:
        >>> from tinygrad_rnn import data
        >>> vocabulary = data.CharVocabulary.from_text("hello")
        >>> vocabulary.symbols, len(vocabulary)
        ('ehlo', 4)
        >>> vocabulary.encode("hole")
        array([1, 3, 2, 0])
        >>> vocabulary.decode([1, 0, 2, 2, 3])
        'hello'
    """

    def __init__(self, symbols: str) -> None:
        if not isinstance(symbols, str):
            raise DataError(f"symbols is {symbols!r}; give a str that has every character once")
        if not symbols:
            raise DataError("a vocabulary without symbols; give at least one character")
        self.symbols = symbols
        self._points = _code_points(symbols)
        self._order = np.argsort(self._points, kind="stable")
        self._sorted = self._points[self._order]
        twice = self._sorted[1:][self._sorted[1:] == self._sorted[:-1]]
        if twice.size:
            raise DataError(
                f"the symbols {_names(twice)} occur more than once; "
                "write CharVocabulary.from_text(text) to get each character once"
            )

    @classmethod
    def from_text(cls, text: str) -> CharVocabulary:
        """Return the vocabulary of every character of a text, in the order of Unicode.

        Raises:
            DataError: if the text is empty or no str.

        Example:
            >>> from tinygrad_rnn import data
            >>> data.CharVocabulary.from_text("abracadabra").symbols
            'abcdr'
        """
        if not isinstance(text, str):
            raise DataError(f"text is {text!r}; give a str, such as data.read_text(path) returns")
        if not text:
            raise DataError("an empty text has no characters; give the text that the model is to learn")
        return cls("".join(sorted(set(text))))

    def encode(self, text: str) -> NDArray[np.int64]:
        """Return the integers of a text's characters.

        Args:
            text: characters of this vocabulary only; may be empty.

        Returns:
            int64 array (len(text),).

        Raises:
            DataError: if some characters are not in the vocabulary; the message names them.

        Example:
            >>> from tinygrad_rnn import data
            >>> data.CharVocabulary("abc").encode("cab")
            array([2, 0, 1])
        """
        points = _code_points(text)
        places = np.minimum(np.searchsorted(self._sorted, points), len(self) - 1)
        unknown = points[self._sorted[places] != points]
        if unknown.size:
            raise DataError(
                f"characters that the vocabulary does not have: {_names(np.unique(unknown))}; "
                f"it has {_names(self._sorted)}, write the text with these"
            )
        return self._order[places].astype(np.int64, copy=False)

    def decode(self, ids: ArrayLike) -> str:
        """Return the text of integers: the inverse of `encode`.

        Args:
            ids: integers (length,), each from 0 to len(self) - 1.

        Raises:
            DataError: if they are not integers in that range, or not in one row.

        Example:
            >>> from tinygrad_rnn import data
            >>> data.CharVocabulary("abc").decode([2, 0, 1])
            'cab'
        """
        array = _integers(ids, "the ids to decode")
        outside = array[(array < 0) | (array >= len(self))]
        if outside.size:
            raise DataError(f"id {outside[0]} is outside the vocabulary; its {len(self)} ids are 0 to {len(self) - 1}")
        return self._points[array].tobytes().decode("utf-32-le", "surrogatepass")

    def __len__(self) -> int:
        return len(self._points)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CharVocabulary) and self.symbols == other.symbols

    def __hash__(self) -> int:
        return hash(self.symbols)

    def __repr__(self) -> str:
        return f"CharVocabulary({self.symbols!r})"


class Streams:
    """A text cut into parallel streams, read window by window, so that state can be carried from window to window.

    Stream b of window k+1 goes on where stream b of window k ended. Every predicted character occurs exactly once in an
    epoch; only what is left at the end of the text, fewer than batch_size * seq_len characters, is not read.

    Args:
        ids: integers (length,), the encoded text; kept, not copied.
        batch_size: how many streams.
        seq_len: how many steps a window has.

    Yields:
        (x, y), two integer arrays (seq_len, batch_size) in the dtype of `ids`; y is what follows x, one step later.
        `streams[k]` is window k, so that a run resumes in the middle of an epoch.

    Raises:
        ConfigError: if batch_size or seq_len is not a positive integer.
        DataError: if `ids` is not a row of integers or does not fill one window.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import data
        >>> streams = data.Streams(np.arange(13), batch_size=2, seq_len=3)
        >>> len(streams)
        2
        >>> x, y = streams[1]
        >>> x.T
        array([[ 3,  4,  5],
               [ 9, 10, 11]])
        >>> y.T
        array([[ 4,  5,  6],
               [10, 11, 12]])
    """

    def __init__(self, ids: ArrayLike, batch_size: int, seq_len: int) -> None:
        self.ids = _integers(ids, "the ids of a stream")
        self.batch_size = integer("batch_size", batch_size, least=1)
        self.seq_len = integer("seq_len", seq_len, least=1)
        window = self.batch_size * self.seq_len
        self._windows = (self.ids.size - 1) // window
        if self._windows < 1:
            raise DataError(
                f"{self.ids.size} characters do not fill one window: batch_size {batch_size} * seq_len {seq_len} "
                f"+ 1 = {window + 1}; give a longer text, a smaller batch_size or a smaller seq_len"
            )
        starts = self._windows * self.seq_len * np.arange(self.batch_size)
        self._first = starts + np.arange(self.seq_len + 1)[:, None]

    def __len__(self) -> int:
        return self._windows

    def __getitem__(self, index: int) -> tuple[Ids, Ids]:
        index = operator.index(index)
        window = index + self._windows if index < 0 else index
        if not 0 <= window < self._windows:
            raise IndexError(f"window {index} of {self._windows} windows; the last one is {self._windows - 1}")
        block = self.ids[self._first + window * self.seq_len]
        # A copy: somebody who marks targets to ignore in y must not change x.
        return block[:-1], block[1:].copy()

    def __iter__(self) -> Iterator[tuple[Ids, Ids]]:
        return (self[window] for window in range(self._windows))


def _integers(ids: ArrayLike, what: str) -> Ids:
    array = np.asarray(ids)
    if array.ndim != 1:
        raise DataError(f"{what} have shape {array.shape}; give one row, shape (length,)")
    if array.size == 0:
        return array.astype(np.int64)
    if array.dtype.kind not in "iu":
        raise DataError(f"{what} have dtype {array.dtype}; give integers, such as vocabulary.encode(text) returns")
    return array


def _code_points(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def _names(points: NDArray[np.uint32]) -> str:
    shown = ", ".join(repr(chr(point)) for point in points[:10])
    return shown if points.size <= 10 else f"{shown}, ... ({points.size} in all)"
