"""The LSTM with peepholes and the eight variants of it that Greff et al. compared."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ...core import errors
from ...ops import sigmoid
from .. import init
from ..layers import Linear
from ..parameter import Parameter
from .base import FeatureCell, start_as_pytorch
from .lstm import LSTMCell


class _Gates(FeatureCell):
    """The sums that go into the gates of a variant, with the peepholes of some of them.

    Weights, biases and peepholes start uniform in ±1/√hidden_size.
    """

    # The parts of a step that see input and state, in the order of their weights: gates, and the candidate g.
    parts: ClassVar[str] = "ifgo"

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, peepholes: str | None = None) -> None:
        super().__init__(input_size, hidden_size)
        gates = self.parts.replace("g", "")
        self.peepholes = gates if peepholes is None else peepholes
        if not isinstance(self.peepholes, str) or sorted(self.peepholes) != sorted(set(self.peepholes) & set(gates)):
            raise errors.ConfigError(f"peepholes {self.peepholes!r}; give some of the letters of {gates!r}, or ''")
        self.from_input = Linear(input_size, len(self.parts) * hidden_size, bias)
        self.from_state = Linear(hidden_size, len(self.parts) * hidden_size, bias)
        for gate in self.peepholes:
            setattr(self, f"p_{gate}", Parameter(init.zeros((hidden_size,))))
        start_as_pytorch(self)

    def initial_state(self, batch_size: int) -> Any:
        """Return zeros for h and c, each (batch_size, hidden_size)."""
        h = super().initial_state(batch_size)
        return h, h

    def sums(self, x: Any, h: Any) -> Any:
        """Return what every part gets from x (batch, input_size) and h, (batch, hidden_size) each."""
        return np.split(self.from_input(x) + self.from_state(h), len(self.parts), axis=-1)

    def gate(self, name: str, a: Any, c: Any) -> Any:
        """Return σ(a + p c), or σ(a) for a gate without a peephole.

        Args:
            name: one of `parts`.
            a: its sum, (batch, hidden_size).
            c: the memory that it sees, (batch, hidden_size).
        """
        return sigmoid(a + getattr(self, f"p_{name}") * c if name in self.peepholes else a)

    def extra_repr(self) -> str:
        """Return which gates have peepholes."""
        return f"peepholes={self.peepholes!r}"


class PeepholeLSTMCell(_Gates):
    """An LSTM whose gates see the memory: i and f the one before the step, o the one after it.

    i, f, g, o = the four parts of x W + b + h U + d;
    c' = σ(f + p_f c) c + σ(i + p_i c) tanh(g); h' = σ(o + p_o c') tanh(c'), the output.
    With all peepholes it is the "vanilla" LSTM (V) of Greff et al. 2015.

    Args:
        input_size: features of x.
        hidden_size: features of h and of c.
        bias: add b and d.
        peepholes: the gates that have one, letters of "ifo".

    Raises:
        ConfigError: if a size is no positive integer, or a peephole is none of these.

    Source: Gers & Schmidhuber 2000, *Recurrent nets that time and count*; Graves 2013, *Generating sequences with
        recurrent neural networks*, eq. 7 to 11; Greff et al. 2015, *LSTM: a search space odyssey*.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> cell = nn.PeepholeLSTMCell(2, 3, peepholes="io")
        >>> y, (h, c) = cell(np.ones((1, 2)), cell.initial_state(1))
        >>> y.shape, c.shape
        ((1, 3), (1, 3))
    """

    def forward(self, x: Any, state: Any) -> tuple[Any, Any]:
        """Take one step.

        Args:
            x: (batch, input_size).
            state: h and c, (batch, hidden_size) each.

        Returns:
            h' and (h', c').
        """
        h, c = state
        i, f, g, o = self.sums(x, h)
        i, f = self.gate("i", i, c), self.gate("f", f, c)
        c = f * c + i * self.cell_update(np.tanh(g))
        h = self.gate("o", o, c) * np.tanh(c)
        return h, (h, c)


class NoInputGateLSTMCell(_Gates):
    """A peephole LSTM without input gate (NIG): c' = σ(f + p_f c) c + tanh(g).

    Args:
        input_size, hidden_size, bias, peepholes: as in `PeepholeLSTMCell`, with gates "fo".

    Source: Greff et al. 2015, *LSTM: a search space odyssey*.

    Example:
        >>> from tinygrad_rnn import nn
        >>> nn.NoInputGateLSTMCell(2, 3).from_state.weight.shape
        (3, 9)
    """

    parts = "fgo"

    def forward(self, x: Any, state: Any) -> tuple[Any, Any]:
        """Take one step, from x (batch, input_size) and (h, c) to h' and (h', c')."""
        h, c = state
        f, g, o = self.sums(x, h)
        c = self.gate("f", f, c) * c + self.cell_update(np.tanh(g))
        h = self.gate("o", o, c) * np.tanh(c)
        return h, (h, c)


class NoForgetGateLSTMCell(_Gates):
    """A peephole LSTM without forget gate (NFG): c' = c + σ(i + p_i c) tanh(g), the memory of the LSTM of 1997.

    Args:
        input_size, hidden_size, bias, peepholes: as in `PeepholeLSTMCell`, with gates "io".

    Source: Greff et al. 2015, *LSTM: a search space odyssey*; Hochreiter & Schmidhuber 1997, *Long
        short-term memory*.

    Example:
        >>> from tinygrad_rnn import nn
        >>> nn.NoForgetGateLSTMCell(2, 3).from_state.weight.shape
        (3, 9)
    """

    parts = "igo"

    def forward(self, x: Any, state: Any) -> tuple[Any, Any]:
        """Take one step, from x (batch, input_size) and (h, c) to h' and (h', c')."""
        h, c = state
        i, g, o = self.sums(x, h)
        c = c + self.gate("i", i, c) * self.cell_update(np.tanh(g))
        h = self.gate("o", o, c) * np.tanh(c)
        return h, (h, c)


class NoOutputGateLSTMCell(_Gates):
    """A peephole LSTM without output gate (NOG): h' = tanh(c').

    Args:
        input_size, hidden_size, bias, peepholes: as in `PeepholeLSTMCell`, with gates "if".

    Source: Greff et al. 2015, *LSTM: a search space odyssey*.

    Example:
        >>> from tinygrad_rnn import nn
        >>> nn.NoOutputGateLSTMCell(2, 3).from_state.weight.shape
        (3, 9)
    """

    parts = "ifg"

    def forward(self, x: Any, state: Any) -> tuple[Any, Any]:
        """Take one step, from x (batch, input_size) and (h, c) to h' and (h', c')."""
        h, c = state
        i, f, g = self.sums(x, h)
        i, f = self.gate("i", i, c), self.gate("f", f, c)
        c = f * c + i * self.cell_update(np.tanh(g))
        h = np.tanh(c)
        return h, (h, c)


class NoInputActivationLSTMCell(_Gates):
    """A peephole LSTM that does not squash what it writes (NIAF): c' = σ(f + p_f c) c + σ(i + p_i c) g.

    Args:
        input_size, hidden_size, bias, peepholes: as in `PeepholeLSTMCell`.

    Source: Greff et al. 2015, *LSTM: a search space odyssey*.

    Example:
        >>> from tinygrad_rnn import nn
        >>> nn.NoInputActivationLSTMCell(2, 3).from_state.weight.shape
        (3, 12)
    """

    def forward(self, x: Any, state: Any) -> tuple[Any, Any]:
        """Take one step, from x (batch, input_size) and (h, c) to h' and (h', c')."""
        h, c = state
        i, f, g, o = self.sums(x, h)
        i, f = self.gate("i", i, c), self.gate("f", f, c)
        c = f * c + i * self.cell_update(g)
        h = self.gate("o", o, c) * np.tanh(c)
        return h, (h, c)


class NoOutputActivationLSTMCell(_Gates):
    """A peephole LSTM that does not squash what it shows (NOAF): h' = σ(o + p_o c') c'.

    Args:
        input_size, hidden_size, bias, peepholes: as in `PeepholeLSTMCell`.

    Source: Greff et al. 2015, *LSTM: a search space odyssey*.

    Example:
        >>> from tinygrad_rnn import nn
        >>> nn.NoOutputActivationLSTMCell(2, 3).from_state.weight.shape
        (3, 12)
    """

    def forward(self, x: Any, state: Any) -> tuple[Any, Any]:
        """Take one step, from x (batch, input_size) and (h, c) to h' and (h', c')."""
        h, c = state
        i, f, g, o = self.sums(x, h)
        i, f = self.gate("i", i, c), self.gate("f", f, c)
        c = f * c + i * self.cell_update(np.tanh(g))
        h = self.gate("o", o, c) * c
        return h, (h, c)


class CoupledLSTMCell(_Gates):
    """A peephole LSTM that forgets as much as it writes (CIFG): f = 1 - i, so c' = (1 - i) c + i tanh(g).

    Args:
        input_size, hidden_size, bias, peepholes: as in `PeepholeLSTMCell`, with gates "io"; "" for none.

    Source: Greff et al. 2015, *LSTM: a search space odyssey*.

    Example:
        >>> from tinygrad_rnn import nn
        >>> nn.CoupledLSTMCell(2, 3, peepholes="").from_state.weight.shape
        (3, 9)
    """

    parts = "igo"

    def forward(self, x: Any, state: Any) -> tuple[Any, Any]:
        """Take one step, from x (batch, input_size) and (h, c) to h' and (h', c')."""
        h, c = state
        i, g, o = self.sums(x, h)
        i = self.gate("i", i, c)
        c = (1 - i) * c + i * self.cell_update(np.tanh(g))
        h = self.gate("o", o, c) * np.tanh(c)
        return h, (h, c)


class FullGateRecurrenceLSTMCell(_Gates):
    """A peephole LSTM whose gates see all gates of the step before (FGR), as in the first LSTM.

    i, f, g, o = the four parts of x W + b + h U + d, to three of which [i f o] R is added, the gates of the step
    before; the rest as in `PeepholeLSTMCell`. The state is (h, c, [i f o]).

    Args:
        input_size, hidden_size, bias, peepholes: as in `PeepholeLSTMCell`.

    Source: Greff et al. 2015, *LSTM: a search space odyssey*.

    Example:
        >>> from tinygrad_rnn import nn
        >>> [leaf.shape for leaf in nn.FullGateRecurrenceLSTMCell(2, 3).initial_state(1)]
        [(1, 3), (1, 3), (1, 9)]
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, peepholes: str | None = None) -> None:
        super().__init__(input_size, hidden_size, bias, peepholes)
        self.from_gates = Linear(3 * hidden_size, 3 * hidden_size, bias=False)
        start_as_pytorch(self)

    def initial_state(self, batch_size: int) -> Any:
        """Return zeros for h and c, (batch_size, hidden_size), and for the gates, (batch_size, 3 * hidden_size)."""
        h, c = super().initial_state(batch_size)
        return h, c, np.concatenate([h, h, h], axis=-1)

    def forward(self, x: Any, state: Any) -> tuple[Any, Any]:
        """Take one step, from x (batch, input_size) and (h, c, gates) to h' and the state after it."""
        h, c, gates = state
        i, f, g, o = self.sums(x, h)
        r_i, r_f, r_o = np.split(self.from_gates(gates), 3, axis=-1)
        i, f = self.gate("i", i + r_i, c), self.gate("f", f + r_f, c)
        c = f * c + i * self.cell_update(np.tanh(g))
        o = self.gate("o", o + r_o, c)
        h = o * np.tanh(c)
        return h, (h, c, np.concatenate([i, f, o], axis=-1))


GREFF_VARIANTS: dict[str, type[FeatureCell]] = {
    "V": PeepholeLSTMCell,
    "NIG": NoInputGateLSTMCell,
    "NFG": NoForgetGateLSTMCell,
    "NOG": NoOutputGateLSTMCell,
    "NIAF": NoInputActivationLSTMCell,
    "NOAF": NoOutputActivationLSTMCell,
    "NP": LSTMCell,
    "CIFG": CoupledLSTMCell,
    "FGR": FullGateRecurrenceLSTMCell,
}
"""The LSTM of Greff et al. 2015, V, and its eight variants, under the names of the paper."""
