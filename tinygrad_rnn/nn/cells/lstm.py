"""Long short-term memory as it is used most, and with a projection of its output."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core import Tensor
from ...ops import sigmoid
from ..checks import positive
from ..layers import Linear
from .base import FeatureCell, start_as_pytorch


class LSTMCell(FeatureCell):
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
        super().__init__(input_size, hidden_size)
        self.from_input = Linear(input_size, 4 * hidden_size, bias)
        self.from_state = Linear(hidden_size, 4 * hidden_size, bias)
        start_as_pytorch(self)

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
        c = sigmoid(f) * c + sigmoid(i) * self.cell_update(np.tanh(g))
        h = sigmoid(o) * np.tanh(c)
        return h, (h, c)


class ProjectedLSTMCell(FeatureCell):
    """An LSTM whose output, and what the next step sees of it, is a projection of its memory (Sak et al. 2014).

    i, f, g, o = the four parts of x W + b + h U + d; c' = σ(f) c + σ(i) tanh(g); h' = (σ(o) tanh(c')) P, the output.
    It computes what `torch.nn.LSTM` does with `proj_size`. Weights and biases start uniform in ±1/√hidden_size.

    Args:
        input_size: features of x.
        hidden_size: features of c.
        proj_size: features of h, as a rule fewer than those of c; half of them by default.
        bias: add b and d.

    Raises:
        ConfigError: if a size is no positive integer.

    Source: Sak et al. 2014, *Long short-term memory based recurrent neural network architectures for large
        vocabulary speech recognition*, without peepholes.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> cell = nn.ProjectedLSTMCell(2, 8, proj_size=3)
        >>> y, (h, c) = cell(np.ones((1, 2)), cell.initial_state(1))
        >>> y.shape, c.shape
        ((1, 3), (1, 8))
    """

    def __init__(self, input_size: int, hidden_size: int, proj_size: int | None = None, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size)
        self.proj_size = positive("proj_size", (hidden_size + 1) // 2 if proj_size is None else proj_size)
        self.from_input = Linear(input_size, 4 * hidden_size, bias)
        self.from_state = Linear(self.proj_size, 4 * hidden_size, bias)
        self.projection = Linear(hidden_size, self.proj_size, bias=False)
        start_as_pytorch(self)

    def initial_state(self, batch_size: int) -> Any:
        """Return zeros for h, (batch_size, proj_size), and c, (batch_size, hidden_size)."""
        c = super().initial_state(batch_size)
        return Tensor(np.zeros((batch_size, self.proj_size), c.dtype)), c

    def forward(self, x: Any, state: Any) -> tuple[Any, Any]:
        """Take one step.

        Args:
            x: (batch, input_size).
            state: h, (batch, proj_size), and c, (batch, hidden_size).

        Returns:
            h' and (h', c').
        """
        h, c = state
        i, f, g, o = np.split(self.from_input(x) + self.from_state(h), 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * self.cell_update(np.tanh(g))
        h = self.projection(sigmoid(o) * np.tanh(c))
        return h, (h, c)
