"""The depth-gated LSTM: layers whose memories are joined by a gate."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core import errors
from ...ops import sigmoid
from .. import init
from ..checks import positive
from ..containers import ModuleList
from ..layers import Linear
from ..parameter import Parameter
from .base import FeatureCell, start_as_pytorch
from .lstm import LSTMCell


class _DepthGated(FeatureCell):
    """One layer above another: an LSTM that also takes over memory from the layer below. Its x is h' and c' of that."""

    def __init__(self, hidden_size: int, bias: bool) -> None:
        super().__init__(hidden_size, hidden_size)
        self.from_input = Linear(hidden_size, 5 * hidden_size, bias)
        self.from_state = Linear(hidden_size, 4 * hidden_size, bias)
        self.p_own, self.p_below = Parameter(init.zeros((hidden_size,))), Parameter(init.zeros((hidden_size,)))

    def forward(self, x: Any, state: Any) -> tuple[Any, Any]:
        (x, below), (h, c) = x, state
        d, from_input = np.split(self.from_input(x), [self.hidden_size], axis=-1)
        i, f, g, o = np.split(from_input + self.from_state(h), 4, axis=-1)
        d = sigmoid(d + self.p_own * c + self.p_below * below)
        c = d * below + sigmoid(f) * c + sigmoid(i) * self.cell_update(np.tanh(g))
        h = sigmoid(o) * np.tanh(c)
        return h, (h, c)


class DepthGatedLSTMCell(FeatureCell):
    """Layers of LSTM in one step, each of which adds the memory of the layer below to its own (Yao et al. 2015).

    The lowest layer is an LSTM. In a layer above, whose x is the h' of the layer below and c̃' the memory of that,
    d, i, f, g, o = the five parts of x W + b, to the last four of which h U + a is added;
    c' = σ(d + p c + q c̃') c̃' + σ(f) c + σ(i) tanh(g); h' = σ(o) tanh(c'). The output is the h' of the uppermost layer.
    Weights and biases start uniform in ±1/√hidden_size. The state is a tuple with (h, c) for each layer.

    Args:
        input_size: features of x.
        hidden_size: features of h and of c in every layer.
        num_layers: layers, at least 2.
        bias: add b and a.

    Raises:
        ConfigError: if a size is no positive integer, or num_layers is 1.

    Source: Yao et al. 2015, *Depth-gated LSTM*.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> cell = nn.DepthGatedLSTMCell(2, 3)
        >>> y, (lower, upper) = cell(np.ones((1, 2)), cell.initial_state(1))
        >>> y is upper[0]
        True
    """

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 2, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size)
        if positive("num_layers", num_layers) == 1:
            raise errors.ConfigError(
                "num_layers is 1, which has no layer below to gate; give 2 or more, or an LSTMCell"
            )
        self.lowest = LSTMCell(input_size, hidden_size, bias)
        self.above = ModuleList([_DepthGated(hidden_size, bias) for _ in range(num_layers - 1)])
        start_as_pytorch(self)

    def initial_state(self, batch_size: int) -> Any:
        """Return zeros for h and c of every layer, each (batch_size, hidden_size)."""
        h = super().initial_state(batch_size)
        return ((h, h),) * (1 + len(self.above))

    def forward(self, x: Any, state: Any) -> tuple[Any, Any]:
        """Take one step.

        Args:
            x: (batch, input_size).
            state: (h, c) of each layer, (batch, hidden_size) each.

        Returns:
            h' of the uppermost layer, and the state after the step.
        """
        y, below = self.lowest(x, state[0])
        after = [below]
        for layer, before in zip(self.above, state[1:], strict=True):
            y, below = layer(below, before)
            after.append(below)
        return y, tuple(after)
