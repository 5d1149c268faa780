"""Layers with a name: those of one kind of cell, built from sizes as in other libraries."""

from __future__ import annotations

from collections.abc import Callable

from .cells import Cell, GRUCell, LSTMCell, RNNCell
from .checks import positive
from .linear_recurrence import LinearRecurrence, MinGRUCell, MinLSTMCell
from .recurrent import Recurrent


class RNN(Recurrent):
    """Layers of `RNNCell`: what `torch.nn.RNN` computes.

    Args:
        input_size: features of x.
        hidden_size: features of the state, and of the output of one direction.
        num_layers: layers on top of each other.
        nonlinearity: "tanh" or "relu".
        bias: add the two biases.
        bidirectional: run in both directions, with a cell for each.
        dropout, batch_first, learned_state, engine: as in `Recurrent`.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> y, h = nn.RNN(3, 4, bidirectional=True)(np.ones((5, 2, 3)))
        >>> y.shape, h.shape
        ((5, 2, 8), (2, 2, 4))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        nonlinearity: str = "tanh",
        bias: bool = True,
        bidirectional: bool = False,
        dropout: float = 0.0,
        batch_first: bool = False,
        learned_state: bool = False,
        engine: str | None = None,
    ) -> None:
        def make(features: int) -> Cell:
            return RNNCell(features, hidden_size, nonlinearity, bias)

        cells = _tower(make, input_size, hidden_size, num_layers, bidirectional)
        super().__init__(cells, dropout=dropout, batch_first=batch_first, learned_state=learned_state, engine=engine)


class LSTM(Recurrent):
    """Layers of `LSTMCell`: what `torch.nn.LSTM` computes. The state is (h, c).

    Args:
        input_size: features of x.
        hidden_size: features of h and c, and of the output of one direction.
        num_layers: layers on top of each other.
        bias: add the two biases.
        bidirectional: run in both directions, with a cell for each.
        dropout, batch_first, learned_state, engine: as in `Recurrent`.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> y, (h, c) = nn.LSTM(3, 4, num_layers=2)(np.ones((5, 2, 3)))
        >>> y.shape, h.shape
        ((5, 2, 4), (2, 2, 4))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bias: bool = True,
        bidirectional: bool = False,
        dropout: float = 0.0,
        batch_first: bool = False,
        learned_state: bool = False,
        engine: str | None = None,
    ) -> None:
        def make(features: int) -> Cell:
            return LSTMCell(features, hidden_size, bias)

        cells = _tower(make, input_size, hidden_size, num_layers, bidirectional)
        super().__init__(cells, dropout=dropout, batch_first=batch_first, learned_state=learned_state, engine=engine)


class GRU(Recurrent):
    """Layers of `GRUCell`: what `torch.nn.GRU` computes, or, with the reset gate before the product, the paper's form.

    Args:
        input_size: features of x.
        hidden_size: features of the state, and of the output of one direction.
        num_layers: layers on top of each other.
        bias: add the two biases.
        reset_after: apply the reset gate after the product.
        bidirectional: run in both directions, with a cell for each.
        dropout, batch_first, learned_state, engine: as in `Recurrent`.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> y, h = nn.GRU(3, 4, batch_first=True)(np.ones((2, 5, 3)))
        >>> y.shape, h.shape
        ((2, 5, 4), (1, 2, 4))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bias: bool = True,
        reset_after: bool = True,
        bidirectional: bool = False,
        dropout: float = 0.0,
        batch_first: bool = False,
        learned_state: bool = False,
        engine: str | None = None,
    ) -> None:
        def make(features: int) -> Cell:
            return GRUCell(features, hidden_size, bias, reset_after)

        cells = _tower(make, input_size, hidden_size, num_layers, bidirectional)
        super().__init__(cells, dropout=dropout, batch_first=batch_first, learned_state=learned_state, engine=engine)


class MinGRU(LinearRecurrence):
    """Layers of `MinGRUCell`, in parallel time.

    Args:
        input_size: features of x.
        hidden_size: features of the state, and of the output of one direction.
        num_layers: layers on top of each other.
        bias: add the bias.
        bidirectional: run in both directions, with a cell for each.
        dropout, batch_first, learned_state: as in `Recurrent`.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> y, h = nn.MinGRU(3, 4, num_layers=2)(np.ones((5, 2, 3)))
        >>> y.shape, h.shape
        ((5, 2, 4), (2, 2, 4))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bias: bool = True,
        bidirectional: bool = False,
        dropout: float = 0.0,
        batch_first: bool = False,
        learned_state: bool = False,
    ) -> None:
        def make(features: int) -> Cell:
            return MinGRUCell(features, hidden_size, bias)

        cells = _tower(make, input_size, hidden_size, num_layers, bidirectional)
        super().__init__(cells, dropout=dropout, batch_first=batch_first, learned_state=learned_state)


class MinLSTM(LinearRecurrence):
    """Layers of `MinLSTMCell`, in parallel time. The state is one array, h.

    Args:
        input_size: features of x.
        hidden_size: features of the state, and of the output of one direction.
        num_layers: layers on top of each other.
        bias: add the bias.
        bidirectional: run in both directions, with a cell for each.
        dropout, batch_first, learned_state: as in `Recurrent`.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> y, h = nn.MinLSTM(3, 4, bidirectional=True)(np.ones((5, 2, 3)))
        >>> y.shape, h.shape
        ((5, 2, 8), (2, 2, 4))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bias: bool = True,
        bidirectional: bool = False,
        dropout: float = 0.0,
        batch_first: bool = False,
        learned_state: bool = False,
    ) -> None:
        def make(features: int) -> Cell:
            return MinLSTMCell(features, hidden_size, bias)

        cells = _tower(make, input_size, hidden_size, num_layers, bidirectional)
        super().__init__(cells, dropout=dropout, batch_first=batch_first, learned_state=learned_state)


def _tower(
    make: Callable[[int], Cell], input_size: int, hidden_size: int, num_layers: int, bidirectional: bool
) -> list[Cell | tuple[Cell, Cell]]:
    """Return the cells of all layers; `make` takes the number of features that a cell gets to see."""
    above = [positive("hidden_size", hidden_size) * (1 + bidirectional)] * (positive("num_layers", num_layers) - 1)
    sizes = [positive("input_size", input_size), *above]
    return [(make(size), make(size)) if bidirectional else make(size) for size in sizes]
