"""What every cell is made of: the base class, the base of cells of two sizes, and the start of their weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core import Tensor, errors, random
from ...scan.checks import settled
from .. import init
from ..checks import positive
from ..module import Module


class Cell(Module):
    """The base of all cells: a subclass writes one step, `Recurrent` makes a layer of it.

    A subclass writes `forward(x, state) -> (y, state)` for one step of a batch, row by row: x is (batch, features), the
    state any nest (tuples, lists, dicts) of tensors (batch, ...), and the state that is returned has the nest, shapes
    and dtypes of the one that was given, its dicts in any order of keys. With one state of shape (batch, hidden_size)
    it sets `hidden_size`; otherwise it writes `initial_state(batch_size)` too.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tg
        >>> from tinygrad_rnn import nn
        >>> class Minimal(nn.Cell):
        ...     def __init__(self, input_size, hidden_size):
        ...         super().__init__()
        ...         self.hidden_size = hidden_size
        ...         self.from_input = nn.Linear(input_size, 2 * hidden_size)
        ...         self.from_state = nn.Linear(hidden_size, 2 * hidden_size, bias=False)
        ...
        ...     def forward(self, x, h):
        ...         z, n = np.split(self.from_input(x) + self.from_state(h), 2, axis=-1)
        ...         z = tg.sigmoid(z)
        ...         h = (1 - z) * h + z * np.tanh(n)
        ...         return h, h
        >>> y, h = nn.Recurrent(Minimal(28, 64))(np.ones((10, 3, 28)), lengths=[10, 4, 0])
        >>> y.shape, h.shape
        ((10, 3, 64), (1, 3, 64))
    """

    # Whether integers that a layer is given are numbers for this cell, and not tokens.
    takes_features: bool = False
    _wanted: str = "def forward(self, x, state): ... return y, state"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run `forward` as every module does. Dicts in the next state get the order of keys of the state before."""
        out = super().__call__(*args, **kwargs)
        if isinstance(out, tuple) and len(out) == 2:
            y, after = out
            state = settled(after, args[1] if len(args) > 1 else kwargs.get("state"))
            if state is not after:
                return y, state
        return out

    def initial_state(self, batch_size: int) -> Any:
        """Return the state before the first step: zeros, in the dtype of the cell's parameters.

        Args:
            batch_size: number of rows.

        Returns:
            (batch_size, hidden_size).

        Raises:
            CellError: if the cell has no `hidden_size`; one with another state writes this method.

        Example:
            >>> from tinygrad_rnn import nn
            >>> nn.GRUCell(2, 3).initial_state(1)
            Tensor([[0., 0., 0.]], dtype=float32)
        """
        if not hasattr(self, "hidden_size"):
            raise errors.CellError(
                f"{type(self).__name__} has no hidden_size and no initial_state(batch_size); set self.hidden_size in "
                "__init__ if its state is one array (batch, hidden_size), otherwise write initial_state"
            )
        return Tensor(np.zeros((batch_size, self.hidden_size), self._parameter_dtype()))

    def cell_update(self, g: Any) -> Any:
        """Return what a step is about to write into its memory: g, as it is.

        A gated cell passes its candidate through here, as in `c = f * c + i * self.cell_update(np.tanh(g))`;
        `RecurrentDropout` drops elements of it.

        Args:
            g: (batch, hidden_size).
        """
        return g


class FeatureCell(Cell):
    """The base of cells of two sizes that take features: integers that they are given count as numbers, not as tokens.

    Args:
        input_size: features of x.
        hidden_size: features of the state.

    Raises:
        ConfigError: if a size is no positive integer.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> class Leaky(nn.FeatureCell):
        ...     def __init__(self, input_size, hidden_size):
        ...         super().__init__(input_size, hidden_size)
        ...         self.from_input = nn.Linear(input_size, hidden_size)
        ...
        ...     def forward(self, x, h):
        ...         h = 0.9 * h + 0.1 * np.tanh(self.from_input(x))
        ...         return h, h
        >>> nn.Recurrent(Leaky(2, 3))(np.ones((5, 1, 2), int))[0].shape
        (5, 1, 3)
    """

    takes_features = True

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size, self.hidden_size = positive("input_size", input_size), positive("hidden_size", hidden_size)


def state_hint(error: BaseException) -> str:
    """Return what to write in a class whose step unpacks more states than it was given; "" for any other error.

    Args:
        error: that a step raised.

    Example:
        >>> from tinygrad_rnn.nn.cells.base import state_hint
        >>> state_hint(ValueError("not enough values to unpack (expected 2, got 1)")).partition(":")[0]
        'if it is the state that is unpacked'
        >>> state_hint(ValueError("negative dimensions"))
        ''
    """
    if not (isinstance(error, ValueError) and "values to unpack" in str(error)):
        return ""
    return (
        "if it is the state that is unpacked: one of two arrays needs def initial_state(self, batch_size): "
        "h = super().initial_state(batch_size); return h, h"
    )


def start_as_pytorch(cell: FeatureCell) -> None:
    """Draw all parameters of a cell uniform in ±1/√hidden_size, as PyTorch's cells start.

    Args:
        cell: the cell.

    Example:
        >>> from tinygrad_rnn import nn
        >>> from tinygrad_rnn.nn.cells.base import start_as_pytorch
        >>> cell = nn.GRUCell(2, 100)
        >>> start_as_pytorch(cell)
        >>> bool(abs(cell.from_input.weight.data).max() <= 0.1)
        True
    """
    bound = 1 / np.sqrt(cell.hidden_size)
    for parameter in cell.parameters():
        parameter.assign(init.uniform(parameter.shape, bound, random.generator()))
