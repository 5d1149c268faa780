"""From the name of a cell to its class; code is executed here, and only when the user names it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..core.errors import CellError, TinygradRNNError
from ..nn import Cell, GRUCell, LSTMCell, RNNCell
from .user_files import CELL, import_class, where

CellClass = Callable[[int, int], Cell]

BUILT_IN: dict[str, CellClass] = {"rnn": RNNCell, "lstm": LSTMCell, "gru": GRUCell}


def import_cell(name: str) -> CellClass:
    """Return the class of a cell; for "FILE.py:CLASS" this executes the file, for "MODULE:CLASS" it imports the module.

    Args:
        name: "rnn", "lstm", "gru", "FILE.py:CLASS" or "MODULE:CLASS". A module is looked for in the current folder too.

    Raises:
        ConfigError: if there is no such file or module, or no such class in it.
        CellError: if the file or module fails, or the class is no `nn.Cell`.

    Example:
        >>> from tinygrad_rnn.train import import_cell
        >>> import_cell("gru").__name__
        'GRUCell'
    """
    if name in BUILT_IN:
        return BUILT_IN[name]
    made_of_sizes: CellClass = import_class(CELL, name, f"one of {', '.join(BUILT_IN)}")
    return made_of_sizes


@contextmanager
def blame(cell: CellClass) -> Iterator[None]:
    """Make of an error that arises in a cell's own code one that says where it arose.

    Raises:
        CellError: in place of any error that is none of this package.
    """
    try:
        yield
    except TinygradRNNError:
        raise
    except Exception as error:
        file = Path(inspect.getfile(cell))
        raise CellError(f"{cell.__name__} failed in {file.name}, {where(error, file)}") from error
