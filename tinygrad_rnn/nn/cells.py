"""Recurrent cells: one step of a network, written in NumPy algebra."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core import Tensor, errors, random
from ..ops import relu, sigmoid
from . import init
from .checks import positive
from .layers import Linear
from .module import Module


class Cell(Module):
    """The base of all cells: a subclass writes one step, `Recurrent` makes a layer of it.

    A subclass writes `forward(x, state) -> (y, state)` for one step of a batch, row by row: x is (batch, features), the
    state any nest (tuples, lists, dicts) of tensors (batch, ...), and the state that is returned has the nest, shapes
    and dtypes of the one that was given. With one state of shape (batch, hidden_size) it sets `hidden_size`; otherwise
    it writes `initial_state(batch_size)` too.

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


class RNNCell(Cell):
    """The plain recurrent cell: h' = tanh(x W + b + h U + c), and that is its output (Elman 1990).

    Weights and biases start uniform in ±1/√hidden_size, as in PyTorch.

    Args:
        input_size: features of x.
        hidden_size: features of the state.
        nonlinearity: "tanh" or "relu".
        bias: add b and c.

    Raises:
        ConfigError: if a size is no positive integer, or the nonlinearity has another name.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> cell = nn.RNNCell(2, 3)
        >>> y, h = cell(np.ones((1, 2)), cell.initial_state(1))
        >>> y.shape
        (1, 3)
    """

    def __init__(self, input_size: int, hidden_size: int, nonlinearity: str = "tanh", bias: bool = True) -> None:
        super().__init__()
        if nonlinearity not in _NONLINEARITIES:
            raise errors.ConfigError(
                f"nonlinearity {nonlinearity!r}; give one of {', '.join(map(repr, _NONLINEARITIES))}"
            )
        self.input_size, self.hidden_size = positive("input_size", input_size), positive("hidden_size", hidden_size)
        self.nonlinearity = nonlinearity
        self.from_input = Linear(input_size, hidden_size, bias)
        self.from_state = Linear(hidden_size, hidden_size, bias)
        _start_as_pytorch(self)

    def forward(self, x: Any, state: Any) -> tuple[Any, Any]:
        """Take one step.

        Args:
            x: (batch, input_size).
            state: h, (batch, hidden_size).

        Returns:
            h' and h'.
        """
        h = _NONLINEARITIES[self.nonlinearity](self.from_input(x) + self.from_state(state))
        return h, h


class LSTMCell(Cell):
    """Long short-term memory with a forget gate (Hochreiter & Schmidhuber 1997; Gers et al. 2000).

    i, f, g, o = the four parts of x W + b + h U + d; c' = σ(f) c + σ(i) tanh(g); h' = σ(o) tanh(c'), the output.
    Weights and biases start uniform in ±1/√hidden_size, as in PyTorch.

    Args:
        input_size: features of x.
        hidden_size: features of h and of c.
        bias: add b and d.

    Raises:
        ConfigError: if a size is no positive integer.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> cell = nn.LSTMCell(2, 3)
        >>> y, (h, c) = cell(np.ones((1, 2)), cell.initial_state(1))
        >>> y.shape, c.shape
        ((1, 3), (1, 3))
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True) -> None:
        super().__init__()
        self.input_size, self.hidden_size = positive("input_size", input_size), positive("hidden_size", hidden_size)
        self.from_input = Linear(input_size, 4 * hidden_size, bias)
        self.from_state = Linear(hidden_size, 4 * hidden_size, bias)
        _start_as_pytorch(self)

    def initial_state(self, batch_size: int) -> Any:
        """Return zeros for h and c, each (batch_size, hidden_size)."""
        h = super().initial_state(batch_size)
        return h, h

    def forward(self, x: Any, state: Any) -> tuple[Any, Any]:
        """Take one step.

        Args:
            x: (batch, input_size).
            state: h and c, (batch, hidden_size) each.

        Returns:
            h' and (h', c').
        """
        h, c = state
        i, f, g, o = np.split(self.from_input(x) + self.from_state(h), 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        return h, (h, c)


class GRUCell(Cell):
    """Gated recurrent unit (Cho et al. 2014), with the reset gate before or after the product.

    r and z are σ(x W + b + h U + d), one part each; h' = (1 - z) n + z h, the output, where
    n = tanh(x W + b + r (h U + d)) with `reset_after`, the form of PyTorch and cuDNN, and
    n = tanh(x W + b + (r h) U + d) without, the form of the paper.
    Weights and biases start uniform in ±1/√hidden_size, as in PyTorch.

    Args:
        input_size: features of x.
        hidden_size: features of the state.
        bias: add b and d.
        reset_after: apply the reset gate after the product.

    Raises:
        ConfigError: if a size is no positive integer.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> cell = nn.GRUCell(2, 3, reset_after=False)
        >>> y, h = cell(np.ones((1, 2)), cell.initial_state(1))
        >>> y.shape
        (1, 3)
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, reset_after: bool = True) -> None:
        super().__init__()
        self.input_size, self.hidden_size = positive("input_size", input_size), positive("hidden_size", hidden_size)
        self.reset_after = reset_after
        self.from_input = Linear(input_size, 3 * hidden_size, bias)
        self.from_state = Linear(hidden_size, (3 if reset_after else 2) * hidden_size, bias)
        if not reset_after:
            self.from_reset = Linear(hidden_size, hidden_size, bias)
        _start_as_pytorch(self)

    def forward(self, x: Any, state: Any) -> tuple[Any, Any]:
        """Take one step.

        Args:
            x: (batch, input_size).
            state: h, (batch, hidden_size).

        Returns:
            h' and h'.
        """
        h = state
        x_r, x_z, x_n = np.split(self.from_input(x), 3, axis=-1)
        h_r, h_z, *h_n = np.split(self.from_state(h), 3 if self.reset_after else 2, axis=-1)
        r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
        n = np.tanh(x_n + (r * h_n[0] if self.reset_after else self.from_reset(r * h)))
        h = n + z * (h - n)
        return h, h


_NONLINEARITIES: dict[str, Callable[[Any], Any]] = {"tanh": np.tanh, "relu": relu}


def _start_as_pytorch(cell: RNNCell | LSTMCell | GRUCell) -> None:
    bound = 1 / np.sqrt(cell.hidden_size)
    for parameter in cell.parameters():
        parameter.assign(init.uniform(parameter.shape, bound, random.generator()))
