"""What every wrapper is made of: a cell around another cell, and what it finds out about that."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ...core import Tensor, errors, no_grad, random
from ..cells import Cell
from ..functional import altered
from ..layers import Linear

_RECURRENT = {"from_state", "from_reset"}


class WrappedCell(Cell):
    """The base of wrappers: a cell that does what the cell inside it does, with something added.

    Args:
        cell: any cell, itself wrapped or not.

    Raises:
        CellError: if it is no cell.

    Example:
        >>> from tinygrad_rnn import nn
        >>> class Halved(nn.WrappedCell):
        ...     def forward(self, x, state):
        ...         y, state = self.cell(x, state)
        ...         return y / 2, state
        >>> layer = nn.Recurrent(Halved(nn.LSTMCell(8, 16)))
    """

    input_size: int
    hidden_size: int

    def __init__(self, cell: Cell) -> None:
        if not isinstance(cell, Cell):
            raise errors.CellError(
                f"{type(self).__name__} of a {type(cell).__name__}; give an instance of a class derived from nn.Cell, "
                f"as in {type(self).__name__}(nn.GRUCell(8, 16))"
            )
        super().__init__()
        self.cell = cell
        self.takes_features = cell.takes_features
        for size in ("input_size", "hidden_size"):
            if hasattr(cell, size):
                setattr(self, size, getattr(cell, size))

    def initial_state(self, batch_size: int) -> Any:
        """Return the initial state of the cell inside, for a number of rows."""
        return self.cell.initial_state(batch_size)


def recurrent_parts(cell: Cell, names: Iterable[str] | None, what: str) -> list[str]:
    """Return the dotted names of the linear maps of the state inside a cell.

    Args:
        cell: the cell.
        names: dotted names as the user gave them; None for all that are called `from_state` or `from_reset`.
        what: to say in the error how to do without.

    Raises:
        ConfigError: if there are none, or a name is no `nn.Linear` of the cell.

    Example:
        >>> from tinygrad_rnn import nn
        >>> from tinygrad_rnn.nn.wrappers.base import recurrent_parts
        >>> recurrent_parts(nn.MGUCell(2, 3), None, "")
        ['from_state', 'from_reset']
    """
    linear = [name for name, part in cell.named_modules() if isinstance(part, Linear)]
    found = [name for name in linear if _RECURRENT & set(name.split("."))] if names is None else list(names)
    if found and not set(found) - set(linear):
        return found
    asked = "called from_state or from_reset" if names is None else f"for each of {', '.join(found) or 'no names'}"
    raise errors.ConfigError(
        f"{type(cell).__name__} has no nn.Linear {asked}; it has {', '.join(linear) or 'none at all'}: {what}"
    )


def call_with(cell: Cell, replaced: dict[str, Callable[..., Any]], advice: str, *args: Any) -> Any:
    """Call a cell with other functions in place of some of its methods.

    Args:
        cell: the cell.
        replaced: functions by dotted name.
        advice: what to write where none of them is called.
        args: what the cell is called with.

    Raises:
        CellError: if the cell calls none of them, so that they would have no effect.
    """
    called = []

    def noted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            called.append(function)
            return function(*args)

        return call

    out = altered(cell, {name: noted(function) for name, function in replaced.items()})(*args)
    if not called:
        raise errors.CellError(f"{type(cell).__name__} never calls {' or '.join(replaced)}; {advice}")
    return out


def output_size(cell: Cell) -> int:
    """Return the number of features that a cell puts out, found by a step on zeros.

    Args:
        cell: a cell with `input_size`.

    Raises:
        CellError: if it has none, or its output is not (batch, features).

    Example:
        >>> from tinygrad_rnn import nn
        >>> from tinygrad_rnn.nn.wrappers.base import output_size
        >>> output_size(nn.ProjectedLSTMCell(2, 8, proj_size=3))
        3
    """
    if not hasattr(cell, "input_size"):
        raise errors.CellError(f"{type(cell).__name__} has no input_size; set self.input_size in its __init__")
    before = random.get_state()
    with no_grad():
        y, _ = cell(Tensor(np.zeros((1, cell.input_size), cell._parameter_dtype())), cell.initial_state(1))
    random.set_state(before)
    if y.ndim != 2:
        raise errors.CellError(f"the output of {type(cell).__name__} has shape {y.shape}; return (batch, features)")
    return int(y.shape[-1])
