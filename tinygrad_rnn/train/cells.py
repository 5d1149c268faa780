"""From the name of a cell to its class; code is executed here, and only when the user names it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .. import nn
from ..core.errors import CellError, TinygradRNNError
from ..nn import Cell
from ..nn.cells.base import state_hint
from .user_files import CELL, import_class, where

CellClass = Callable[[int, int], Cell]


def _name_of(cell: type[Cell]) -> str:
    """Return the name of a class in lower case, its words parted, without what all of them end in."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", cell.__name__.removesuffix("Cell")).lower()


def _is_whole(cell: type[Cell]) -> bool:
    """Whether a cell has a step of its own and is made of sizes, as bases and wrappers are not."""
    return cell.forward is not Cell.forward and list(inspect.signature(cell).parameters)[:1] == ["input_size"]


_WHOLE = [
    found for found in vars(nn).values() if isinstance(found, type) and issubclass(found, Cell) and _is_whole(found)
]
_FIRST = (nn.RNNCell, nn.LSTMCell, nn.GRUCell)

# Every cell of nn that is made of an input size and a hidden size, those that everybody knows first.
BUILT_IN: dict[str, type[Cell]] = {
    _name_of(cell): cell for cell in (*_FIRST, *[found for found in _WHOLE if found not in _FIRST])
}


def built_in(name: str) -> str | None:
    """Return the name under which BUILT_IN has a cell; None if it has none.

    Args:
        name: with or without hyphens, in any case, with or without "Cell" at its end: the name of a class will do.

    Example:
        >>> from tinygrad_rnn.train.cells import built_in
        >>> built_in("PeepholeLSTMCell"), built_in("minGRU"), built_in("transformer")
        ('peephole-lstm', 'min-gru', None)
    """
    letters = _letters(name).removesuffix("cell")
    return next((known for known in BUILT_IN if _letters(known) == letters), None)


def _letters(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def is_own(name: str) -> bool:
    """Whether a name is that of a file or of a class in a file or module, so that `import_cell` looks for it there.

    Example:
        >>> from tinygrad_rnn.train.cells import is_own
        >>> is_own("my_cell.py:Minimal"), is_own("my_cell.py"), is_own("lstm")
        (True, True, False)
    """
    return ":" in name or name.endswith(".py")


def import_cell(name: str) -> CellClass:
    """Return the class of a cell; for "FILE.py:CLASS" this executes the file, for "MODULE:CLASS" it imports the module.

    Args:
        name: of a cell of `nn` as `built_in` takes it, "FILE.py:CLASS" or "MODULE:CLASS". A module is looked for in the
            current folder too.

    Raises:
        ConfigError: if there is no such file or module, or no such class in it.
        CellError: if the file or module fails, or the class is no `nn.Cell`.

    Example:
        >>> from tinygrad_rnn.train import import_cell
        >>> import_cell("gru").__name__
        'GRUCell'
    """
    known = built_in(name)
    if known is not None:
        return BUILT_IN[known]
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
        raise CellError(f"{cell.__name__} failed in {file.name}, {where_in_cell(error, file)}") from error


def where_in_cell(error: BaseException, file: Path) -> str:
    """Return an error of a step in one line: where in its file it arose, and what to write where that is known."""
    hint = state_hint(error)
    return f"{where(error, file)}; {hint}" if hint else where(error, file)
