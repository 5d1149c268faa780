"""An LSTM that looks back over its own past by attention."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core import Tensor
from ...ops import sigmoid, softmax
from ..checks import positive
from ..layers import Linear
from .base import FeatureCell, start_as_pytorch


class LSTMNCell(FeatureCell):
    """An LSTM that keeps its last states as a memory, and goes on from a mean of them that it attends to (LSTMN).

    H and C are the h and c of the last `slots` steps, zeros before the first one. The weights of their rows are
    s = softmax(tanh(H A + x B + h̃ D) v); h̃' = s H and c̃ = s C are their means; i, f, g, o = the four parts of
    x W + b + h̃' U; c' = σ(f) c̃ + σ(i) tanh(g); h' = σ(o) tanh(c'), the output, which takes the place of the oldest row.
    Weights and biases start uniform in ±1/√hidden_size. The state is (H, C, h̃).

    Args:
        input_size: features of x.
        hidden_size: features of h and of c.
        slots: how many states are kept.
        bias: add b.

    Raises:
        ConfigError: if a size is no positive integer.

    Source: Cheng et al. 2016, *Long short-term memory-networks for machine reading*; there all states
        are kept.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> cell = nn.LSTMNCell(2, 3, slots=5)
        >>> y, (rows, _, _) = cell(np.ones((1, 2)), cell.initial_state(1))
        >>> y.shape, rows.shape
        ((1, 3), (1, 5, 3))
    """

    def __init__(self, input_size: int, hidden_size: int, slots: int = 4, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size)
        self.slots = positive("slots", slots)
        self.from_input = Linear(input_size, 4 * hidden_size, bias)
        self.from_state = Linear(hidden_size, 4 * hidden_size, bias=False)
        self.key = Linear(hidden_size, hidden_size, bias=False)
        self.query_input = Linear(input_size, hidden_size, bias=False)
        self.query_state = Linear(hidden_size, hidden_size, bias=False)
        self.score = Linear(hidden_size, 1, bias=False)
        start_as_pytorch(self)

    def initial_state(self, batch_size: int) -> Any:
        """Return zeros for H and C, (batch_size, slots, hidden_size), and for h̃, (batch_size, hidden_size)."""
        h = super().initial_state(batch_size)
        rows = Tensor(np.zeros((batch_size, self.slots, self.hidden_size), h.dtype))
        return rows, rows, h

    def forward(self, x: Any, state: Any) -> tuple[Any, Any]:
        """Take one step.

        Args:
            x: (batch, input_size).
            state: H and C, (batch, slots, hidden_size), oldest row first, and h̃, (batch, hidden_size).

        Returns:
            h' and the state after the step.
        """
        hs, cs, h = state
        query = self.query_input(x) + self.query_state(h)
        weights = softmax(self.score(np.tanh(self.key(hs) + query[:, None])), axis=1)
        h, c = np.sum(weights * hs, axis=1), np.sum(weights * cs, axis=1)
        i, f, g, o = np.split(self.from_input(x) + self.from_state(h), 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * self.cell_update(np.tanh(g))
        y = sigmoid(o) * np.tanh(c)
        hs = np.concatenate([hs[:, 1:], y[:, None]], axis=1)
        cs = np.concatenate([cs[:, 1:], c[:, None]], axis=1)
        return y, (hs, cs, h)
