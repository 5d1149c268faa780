"""Wrappers that bring a cell back to its initial state: at given steps, or where the input says so."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ...core import Tensor, errors
from ...core.node import Array
from ...core.tree import tree_map
from ..cells import Cell
from .base import WrappedCell


def _back_to_start(reset: Any, start: Any, state: Any) -> Any:
    """Return a state that is the initial one in the rows of a mask (batch,)."""

    def chosen(first: Any, leaf: Any) -> Any:
        return np.where(reset.reshape(reset.shape + (1,) * (leaf.ndim - 1)), first, leaf)

    return tree_map(chosen, start, state)


class ResetAt(WrappedCell):
    """A cell that starts again from its initial state at given steps, counted from 0 for every row.

    No gradient goes from there to earlier steps. The state is that of the cell inside, the one that it goes back to,
    and the step, (batch,) integers; so windows with the state carried over count on.

    Args:
        cell: any cell.
        steps: the numbers of the steps before which it starts again.

    Raises:
        CellError: if `cell` is no cell.
        ConfigError: if a step is no integer of at least 0, or there is none.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> y, _ = nn.Recurrent(nn.ResetAt(nn.GRUCell(2, 3), [2, 4]))(np.ones((6, 1, 2)))
        >>> bool(np.allclose(y.data[:2], y.data[2:4])), bool(np.allclose(y.data[:2], y.data[4:]))
        (True, True)
    """

    steps: Array

    def __init__(self, cell: Cell, steps: Iterable[int]) -> None:
        super().__init__(cell)
        given = list(steps)
        if not given or any(isinstance(s, bool) or not isinstance(s, (int, np.integer)) or s < 0 for s in given):
            raise errors.ConfigError(f"steps are {given!r}; give one integer or more, each at least 0")
        self.register_buffer("steps", np.array(given, np.int64))

    def initial_state(self, batch_size: int) -> Any:
        """Return the initial state of the cell inside, the same again, and zeros, (batch_size,) integers."""
        start = self.cell.initial_state(batch_size)
        return start, start, Tensor(np.zeros(batch_size, np.int64))

    def forward(self, x: Any, state: Any) -> tuple[Any, Any]:
        """Take one step, with the input and output of the cell inside."""
        inner, start, t = state
        reset = np.any(t[:, None] == self.steps, axis=1)
        y, after = self.cell(x, _back_to_start(reset, start, inner))
        return y, (after, start, t + 1)


class ResetWhere(WrappedCell):
    """A cell that starts again from its initial state where the last feature of its input is positive.

    So a row may hold several sequences behind each other, with 1 at the first step of each and 0 elsewhere. No gradient
    goes from there to earlier steps. The cell inside does not see that feature. The state is that of the cell inside
    and the one that it goes back to.

    Args:
        cell: a cell of features.

    Raises:
        CellError: if `cell` is no cell.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> cell, x, first = nn.GRUCell(2, 3), np.ones((4, 1, 2)), np.reshape([0, 0, 1, 0], (4, 1, 1))
        >>> y, _ = nn.Recurrent(nn.ResetWhere(cell))(np.concatenate([x, first], axis=-1))
        >>> bool(np.allclose(y.data[:2], y.data[2:]))
        True
    """

    def __init__(self, cell: Cell) -> None:
        super().__init__(cell)
        if hasattr(cell, "input_size"):
            self.input_size = cell.input_size + 1

    def initial_state(self, batch_size: int) -> Any:
        """Return the initial state of the cell inside, and the same again."""
        start = self.cell.initial_state(batch_size)
        return start, start

    def forward(self, x: Any, state: Any) -> tuple[Any, Any]:
        """Take one step, with the input (batch, features + 1), and the output of the cell inside."""
        inner, start = state
        y, after = self.cell(x[:, :-1], _back_to_start(x[:, -1] > 0, start, inner))
        return y, (after, start)
