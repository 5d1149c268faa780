"""The Clockwork RNN: groups of units that tick at rates of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...core import Tensor, errors
from ...core.node import Array
from ..checks import positive
from ..layers import Linear
from .base import FeatureCell, start_as_pytorch


class _Masked(Linear):
    """A linear map of a state to itself of which some weights are 0 for good."""

    mask: Array

    def __init__(self, mask: Array, bias: bool) -> None:
        super().__init__(len(mask), len(mask), bias)
        self.register_buffer("mask", mask)

    def forward(self, x: Any) -> Tensor:
        y: Tensor = x @ (self.weight * self.mask)
        return y if self.bias is None else y + self.bias


class ClockworkCell(FeatureCell):
    """A plain cell in groups of units, each of which moves only every so many steps (Koutník et al. 2014).

    At step t = 0, 1, …, a unit of period T becomes tanh(x W + b + h U + c) where t is a multiple of T, and stays as it
    is otherwise; all units are the output. A unit sees those of its own period and of longer ones: U is 0 elsewhere.
    The state is (h, t), t an integer for each row.

    Args:
        input_size: features of x.
        hidden_size: units, spread evenly over the periods.
        periods: one for each group, in steps.
        bias: add b and c.

    Raises:
        ConfigError: if a size or a period is no positive integer, or there are fewer units than periods.

    Source: Koutník et al. 2014, *A clockwork RNN*, section 3.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> layer = nn.Recurrent(nn.ClockworkCell(2, 8))
        >>> y, (h, t) = layer(np.ones((5, 1, 2)))
        >>> y.shape, t.tolist()
        ((5, 1, 8), [[5]])
    """

    periods: Array

    def __init__(
        self, input_size: int, hidden_size: int, periods: Sequence[int] = (1, 2, 4, 8), bias: bool = True
    ) -> None:
        super().__init__(input_size, hidden_size)
        groups = sorted([positive("a period", period) for period in periods])
        if not 1 <= len(groups) <= self.hidden_size:
            raise errors.ConfigError(
                f"{len(groups)} periods for hidden_size {self.hidden_size}; give one period or more, and a hidden_size "
                "of at least as many"
            )
        sizes = [len(units) for units in np.array_split(np.arange(self.hidden_size), len(groups))]
        self.register_buffer("periods", np.repeat(groups, sizes))
        self.from_input = Linear(input_size, hidden_size, bias)
        self.from_state = _Masked((self.periods[:, None] >= self.periods).astype(np.float32), bias)
        start_as_pytorch(self)

    def initial_state(self, batch_size: int) -> Any:
        """Return zeros for h, (batch_size, hidden_size), and for the time, (batch_size,) integers."""
        return super().initial_state(batch_size), Tensor(np.zeros(batch_size, np.int64))

    def forward(self, x: Any, state: Any) -> tuple[Any, Any]:
        """Take one step.

        Args:
            x: (batch, input_size).
            state: h, (batch, hidden_size), and t, (batch,) integers.

        Returns:
            h' and (h', t + 1).
        """
        h, t = state
        new = np.tanh(self.from_input(x) + self.from_state(h))
        h = np.where(t[:, None] % self.periods == 0, new, h)
        return h, (h, t + 1)
