"""The grid LSTM: memories along depth as well as along time."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ops import sigmoid
from ..checks import positive
from ..containers import ModuleList
from ..layers import Linear
from .base import FeatureCell, start_as_pytorch


class GridLSTMCell(FeatureCell):
    """Blocks on top of each other, with one LSTM along time and one along depth in each (Kalchbrenner et al. 2016).

    Input goes in at the bottom: h, m along depth = x W + b. A block takes h and m along depth from the block below, h
    and m along time from the step before. Both LSTMs see both h: i, f, g, o of each = the parts of H V + a, where H is
    the h of depth and that of time side by side; each goes on with the m of its own direction. The output is the h
    along depth above all blocks. Weights and biases start uniform in ±1/√hidden_size. The state is a tuple with (h, m)
    along time for each block.

    Args:
        input_size: features of x.
        hidden_size: features of every h and m.
        num_blocks: blocks on top of each other.
        tied: all blocks have the same weights.
        bias: add a and b.

    Raises:
        ConfigError: if a size is no positive integer.

    Source: Kalchbrenner et al. 2016, *Grid long short-term memory*, in two dimensions.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> cell = nn.GridLSTMCell(2, 3, num_blocks=2)
        >>> y, ((h, m), _) = cell(np.ones((1, 2)), cell.initial_state(1))
        >>> y.shape, m.shape
        ((1, 3), (1, 3))
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_blocks: int = 2, tied: bool = False, bias: bool = True
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.num_blocks = positive("num_blocks", num_blocks)
        different = 1 if tied else num_blocks
        self.from_input = Linear(input_size, 2 * hidden_size, bias)
        self.from_depth = ModuleList([Linear(hidden_size, 8 * hidden_size, bias) for _ in range(different)])
        self.from_state = ModuleList([Linear(hidden_size, 8 * hidden_size, bias=False) for _ in range(different)])
        start_as_pytorch(self)

    def initial_state(self, batch_size: int) -> Any:
        """Return zeros for h and m along time of every block, each (batch_size, hidden_size)."""
        h = super().initial_state(batch_size)
        return ((h, h),) * self.num_blocks

    def forward(self, x: Any, state: Any) -> tuple[Any, Any]:
        """Take one step.

        Args:
            x: (batch, input_size).
            state: (h, m) of each block, (batch, hidden_size) each.

        Returns:
            h along depth, and the state after the step.
        """
        h_depth, m_depth = np.split(self.from_input(x), 2, axis=-1)
        after = []
        for block, (h_time, m_time) in enumerate(state):
            k = block % len(self.from_depth)
            depth, time = np.split(self.from_depth[k](h_depth) + self.from_state[k](h_time), 2, axis=-1)
            h_depth, m_depth = self._lstm(depth, m_depth)
            after.append(self._lstm(time, m_time))
        return h_depth, tuple(after)

    def _lstm(self, sums: Any, memory: Any) -> tuple[Any, Any]:
        i, f, g, o = np.split(sums, 4, axis=-1)
        memory = sigmoid(f) * memory + sigmoid(i) * self.cell_update(np.tanh(g))
        return sigmoid(o) * np.tanh(memory), memory
