"""Gated cells without a memory apart from their output: GRU and MGU."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ops import sigmoid
from ..layers import Linear
from .base import FeatureCell, start_as_pytorch


class GRUCell(FeatureCell):
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
        super().__init__(input_size, hidden_size)
        self.reset_after = reset_after
        self.from_input = Linear(input_size, 3 * hidden_size, bias)
        self.from_state = Linear(hidden_size, (3 if reset_after else 2) * hidden_size, bias)
        if not reset_after:
            self.from_reset = Linear(hidden_size, hidden_size, bias)
        start_as_pytorch(self)

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
        n = self.cell_update(np.tanh(x_n + (r * h_n[0] if self.reset_after else self.from_reset(r * h))))
        h = n + z * (h - n)
        return h, h


class MGUCell(FeatureCell):
    """Minimal gated unit: one gate that both resets and updates (Zhou et al. 2016).

    f, n = the two parts of x W + b: f = σ(f + h U + c), n = tanh(n + (f h) V + d); h' = (1 - f) h + f n, the output.
    Weights and biases start uniform in ±1/√hidden_size.

    Args:
        input_size: features of x.
        hidden_size: features of the state.
        bias: add b, c and d.

    Raises:
        ConfigError: if a size is no positive integer.

    Source: Zhou et al. 2016, *Minimal gated unit for recurrent neural networks*.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> cell = nn.MGUCell(2, 3)
        >>> y, h = cell(np.ones((1, 2)), cell.initial_state(1))
        >>> y.shape
        (1, 3)
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size)
        self.from_input = Linear(input_size, 2 * hidden_size, bias)
        self.from_state = Linear(hidden_size, hidden_size, bias)
        self.from_reset = Linear(hidden_size, hidden_size, bias)
        start_as_pytorch(self)

    def forward(self, x: Any, state: Any) -> tuple[Any, Any]:
        """Take one step.

        Args:
            x: (batch, input_size).
            state: h, (batch, hidden_size).

        Returns:
            h' and h'.
        """
        h = state
        f, n = np.split(self.from_input(x), 2, axis=-1)
        f = sigmoid(f + self.from_state(h))
        n = self.cell_update(np.tanh(n + self.from_reset(f * h)))
        h = h + f * (n - h)
        return h, h
