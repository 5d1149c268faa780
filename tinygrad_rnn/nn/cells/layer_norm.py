"""LSTM and GRU whose products are brought to mean 0 and variance 1 before they meet."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core import errors
from ...ops import sigmoid
from ..containers import ModuleList
from ..layers import LayerNorm, Linear
from ..module import Module
from .base import FeatureCell, start_as_pytorch


def _at_least_two(hidden_size: int) -> None:
    if hidden_size == 1:
        raise errors.ConfigError("hidden_size is 1, and one number less its mean is 0; give 2 or more")


class _Norms(Module):
    """Normalises the parts of a row, all of them together or each by itself, and returns them one by one."""

    def __init__(self, parts: int, size: int, each: bool) -> None:
        super().__init__()
        self.parts = parts
        self.norms = ModuleList([LayerNorm(size) for _ in range(parts)] if each else [LayerNorm(parts * size)])

    def forward(self, a: Any) -> list[Any]:
        """Split a (batch, parts * size) into its parts, (batch, size) each."""
        if len(self.norms) != self.parts:
            return list(np.split(self.norms[0](a), self.parts, axis=-1))
        return [norm(part) for norm, part in zip(self.norms, np.split(a, self.parts, axis=-1), strict=True)]


class LayerNormLSTMCell(FeatureCell):
    """An LSTM with layer normalisation of both products, and of the memory where it is shown (Ba et al. 2016).

    i, f, g, o = the four parts of LN(x W) + LN(h U); c' = σ(f) c + σ(i) tanh(g); h' = σ(o) tanh(LN(c')), the output.
    The paper's LN(h U) can be read in two ways: mean and variance are those of all four parts together, as the equation
    stands, or of each part by itself, as TensorFlow's `LayerNormBasicLSTMCell` and others have it. Every LN has a gain
    and a bias of its own. Weights start uniform in ±1/√hidden_size, gains at 1, biases at 0.

    Args:
        input_size: features of x.
        hidden_size: features of h and of c; at least 2, since one number less its mean is 0.
        per_gate: normalise each part by itself.

    Raises:
        ConfigError: if a size is no positive integer, or hidden_size is 1.

    Source: Ba et al. 2016, *Layer normalization*, the LSTM of the supplementary material.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> cell = nn.LayerNormLSTMCell(2, 3)
        >>> y, (h, c) = cell(np.ones((1, 2)), cell.initial_state(1))
        >>> y.shape, c.shape
        ((1, 3), (1, 3))
    """

    def __init__(self, input_size: int, hidden_size: int, per_gate: bool = False) -> None:
        super().__init__(input_size, hidden_size)
        _at_least_two(self.hidden_size)
        self.from_input = Linear(input_size, 4 * hidden_size, bias=False)
        self.from_state = Linear(hidden_size, 4 * hidden_size, bias=False)
        start_as_pytorch(self)
        self.norm_input = _Norms(4, hidden_size, per_gate)
        self.norm_state = _Norms(4, hidden_size, per_gate)
        self.norm_memory = LayerNorm(hidden_size)

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
        from_input, from_state = self.norm_input(self.from_input(x)), self.norm_state(self.from_state(h))
        i, f, g, o = [a + b for a, b in zip(from_input, from_state, strict=True)]
        c = sigmoid(f) * c + sigmoid(i) * self.cell_update(np.tanh(g))
        h = sigmoid(o) * np.tanh(self.norm_memory(c))
        return h, (h, c)


class LayerNormGRUCell(FeatureCell):
    """A GRU with layer normalisation of all products (Ba et al. 2016).

    r and z are σ(LN(x W) + LN(h U)), one part each; n = tanh(LN(x V) + r LN(h T)); h' = (1 - z) n + z h, the output
    (the paper calls 1 - z what is z here). Mean and variance of the two gates are taken together, or of each by itself.
    Every LN has a gain and a bias of its own. Weights start uniform in ±1/√hidden_size, gains at 1, biases at 0.

    Args:
        input_size: features of x.
        hidden_size: features of the state; at least 2, since one number less its mean is 0.
        per_gate: normalise each gate by itself.

    Raises:
        ConfigError: if a size is no positive integer, or hidden_size is 1.

    Source: Ba et al. 2016, *Layer normalization*, the GRU of the supplementary material.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> cell = nn.LayerNormGRUCell(2, 3, per_gate=True)
        >>> y, h = cell(np.ones((1, 2)), cell.initial_state(1))
        >>> y.shape
        (1, 3)
    """

    def __init__(self, input_size: int, hidden_size: int, per_gate: bool = False) -> None:
        super().__init__(input_size, hidden_size)
        _at_least_two(self.hidden_size)
        self.from_input = Linear(input_size, 3 * hidden_size, bias=False)
        self.from_state = Linear(hidden_size, 3 * hidden_size, bias=False)
        start_as_pytorch(self)
        self.norm_input, self.norm_state = _Norms(2, hidden_size, per_gate), _Norms(2, hidden_size, per_gate)
        self.norm_new, self.norm_old = LayerNorm(hidden_size), LayerNorm(hidden_size)

    def forward(self, x: Any, state: Any) -> tuple[Any, Any]:
        """Take one step.

        Args:
            x: (batch, input_size).
            state: h, (batch, hidden_size).

        Returns:
            h' and h'.
        """
        h, gates = state, [2 * self.hidden_size]
        x_gates, x_n = np.split(self.from_input(x), gates, axis=-1)
        h_gates, h_n = np.split(self.from_state(h), gates, axis=-1)
        r, z = [sigmoid(a + b) for a, b in zip(self.norm_input(x_gates), self.norm_state(h_gates), strict=True)]
        n = self.cell_update(np.tanh(self.norm_new(x_n) + r * self.norm_old(h_n)))
        h = n + z * (h - n)
        return h, h
