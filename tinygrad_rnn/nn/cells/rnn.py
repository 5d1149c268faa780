"""Plain recurrent cells, whose whole state is rewritten at every step: RNN, IRNN, and IndRNN."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...core import errors, random
from ...ops import relu
from .. import init
from ..layers import Linear
from ..parameter import Parameter
from .base import FeatureCell, start_as_pytorch

_NONLINEARITIES: dict[str, Callable[[Any], Any]] = {"tanh": np.tanh, "relu": relu}


def _checked(nonlinearity: Any) -> str:
    if isinstance(nonlinearity, str) and nonlinearity in _NONLINEARITIES:
        return nonlinearity
    raise errors.ConfigError(f"nonlinearity {nonlinearity!r}; give one of {', '.join(map(repr, _NONLINEARITIES))}")


class RNNCell(FeatureCell):
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
        super().__init__(input_size, hidden_size)
        self.nonlinearity = _checked(nonlinearity)
        self.from_input = Linear(input_size, hidden_size, bias)
        self.from_state = Linear(hidden_size, hidden_size, bias)
        start_as_pytorch(self)

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


class IRNNCell(RNNCell):
    """A plain cell of relu units that starts by keeping its state: U is the identity (Le et al. 2015).

    h' = relu(x W + b + h U + c), the output. W starts normal with deviation `std`, the biases start at 0.

    Args:
        input_size: features of x.
        hidden_size: features of the state.
        scale: U starts as this times the identity; below 1 the state fades.
        std: deviation of W at the start.
        bias: add b and c.

    Raises:
        ConfigError: if a size is no positive integer.

    Source: Le et al. 2015, *A simple way to initialize recurrent networks of rectified linear units*.

    Example:
        >>> from tinygrad_rnn import nn
        >>> nn.IRNNCell(2, 3, scale=0.5).from_state.weight.tolist()
        [[0.5, 0.0, 0.0], [0.0, 0.5, 0.0], [0.0, 0.0, 0.5]]
    """

    def __init__(
        self, input_size: int, hidden_size: int, scale: float = 1.0, std: float = 0.001, bias: bool = True
    ) -> None:
        super().__init__(input_size, hidden_size, "relu", bias)
        self.from_input.weight.assign(init.normal((self.input_size, self.hidden_size), std))
        self.from_state.weight.assign(scale * np.eye(self.hidden_size))
        if self.from_input.bias is not None and self.from_state.bias is not None:
            self.from_input.bias.assign(init.zeros((self.hidden_size,)))
            self.from_state.bias.assign(init.zeros((self.hidden_size,)))


class IndRNNCell(FeatureCell):
    """A plain cell in which every unit sees no state but its own (Li et al. 2018, eq. 2).

    h' = φ(x W + b + u h), u a vector: the output. u starts uniform in 0 … 1, so that states neither grow nor flip sign.

    Args:
        input_size: features of x.
        hidden_size: features of the state.
        nonlinearity: φ, "relu" or "tanh".
        bias: add b.

    Raises:
        ConfigError: if a size is no positive integer, or the nonlinearity has another name.

    Source: Li et al. 2018, *Independently recurrent neural network (IndRNN): building a longer and deeper RNN*.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> cell = nn.IndRNNCell(2, 3)
        >>> y, h = cell(np.ones((1, 2)), cell.initial_state(1))
        >>> y.shape
        (1, 3)
    """

    def __init__(self, input_size: int, hidden_size: int, nonlinearity: str = "relu", bias: bool = True) -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = _checked(nonlinearity)
        self.from_input = Linear(self.input_size, self.hidden_size, bias)
        self.u = Parameter(random.uniform((self.hidden_size,)))

    def forward(self, x: Any, state: Any) -> tuple[Any, Any]:
        """Take one step.

        Args:
            x: (batch, input_size).
            state: h, (batch, hidden_size).

        Returns:
            h' and h'.
        """
        h = _NONLINEARITIES[self.nonlinearity](self.from_input(x) + self.u * state)
        return h, h
