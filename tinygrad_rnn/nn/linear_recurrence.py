"""Layers whose state enters a step linearly, so that they take all steps at once, and two cells for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import errors, scope
from ..ops import sigmoid, softplus
from ..scan import linear_recurrence
from ..scan.checks import describe
from .cells import Cell
from .checks import positive
from .layers import Linear
from .recurrent import Recurrent

# Measured: larger arrays fall out of the cache, and their memory is taken from the system anew at every operation.
_ELEMENTS_AT_ONCE = 2**20


class LinearCell(Cell):
    """The base of cells with h' = a h + b, where a and b depend on x alone and act element by element.

    A subclass sets `hidden_size` (or writes `initial_state`; the state is one array) and writes `coefficients`, and
    `output` if that is more than the state. It is a cell like any other, for `Recurrent` too; `LinearRecurrence` makes
    the layer that computes the coefficients of all steps at once, and then all states.

    Example:
        A diagonal state space: every feature decays at its own rate.

        >>> import numpy as np
        >>> import tinygrad_rnn as tg
        >>> from tinygrad_rnn import nn
        >>> class Diagonal(nn.LinearCell):
        ...     def __init__(self, input_size, hidden_size, output_size):
        ...         super().__init__()
        ...         self.hidden_size = hidden_size
        ...         self.rate = nn.Parameter(np.linspace(0, 5, hidden_size, dtype=np.float32))
        ...         self.into, self.out = nn.Linear(input_size, hidden_size), nn.Linear(hidden_size, output_size)
        ...
        ...     def coefficients(self, x):
        ...         return tg.sigmoid(self.rate), self.into(x)
        ...
        ...     def output(self, x, h):
        ...         return self.out(h)
        >>> y, h = nn.LinearRecurrence(Diagonal(3, 16, 2))(np.ones((100, 5, 3)), lengths=[100, 7, 0, 1, 2])
        >>> y.shape, h.shape
        ((100, 5, 2), (1, 5, 16))
    """

    def coefficients(self, x: Any) -> tuple[Any, Any]:
        """Return a and b of h' = a h + b; every subclass writes its own.

        Args:
            x: (batch, features). `LinearRecurrence` gives the rows of many steps in one call.

        Returns:
            Two arrays that broadcast to the state, (batch, hidden_size).
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no coefficients; write def coefficients(self, x): ... return a, b in the class"
        )

    def output(self, x: Any, h: Any) -> Any:
        """Return the output of a step: the state, unless a subclass says otherwise.

        Args:
            x: (batch, features).
            h: the state after the step, (batch, hidden_size).
        """
        return h

    def forward(self, x: Any, state: Any) -> tuple[Any, Any]:
        """Take one step.

        Args:
            x: (batch, features).
            state: h, (batch, hidden_size).

        Returns:
            The output and h' = a h + b.
        """
        a, b = self.coefficients(x)
        h = a * state + b
        return self.output(x, h), h


class MinGRUCell(LinearCell):
    """A GRU whose gate and candidate see the input alone (Feng et al. 2024, *Were RNNs all we needed?*).

    z, n = the two parts of x W + b; h' = (1 - σ(z)) h + σ(z) n, the output.

    Args:
        input_size: features of x.
        hidden_size: features of the state.
        bias: add b.

    Raises:
        ConfigError: if a size is no positive integer.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> cell = nn.MinGRUCell(2, 3)
        >>> y, h = cell(np.ones((1, 2)), cell.initial_state(1))
        >>> y.shape
        (1, 3)
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True) -> None:
        super().__init__()
        self.input_size, self.hidden_size = positive("input_size", input_size), positive("hidden_size", hidden_size)
        self.from_input = Linear(self.input_size, 2 * self.hidden_size, bias)

    def coefficients(self, x: Any) -> tuple[Any, Any]:
        """Return 1 - σ(z) and σ(z) n, (batch, hidden_size) each, for x (batch, input_size)."""
        z, n = np.split(self.from_input(x), 2, axis=-1)
        z = sigmoid(z)
        return 1 - z, z * self.cell_update(n)


class MinLSTMCell(LinearCell):
    """An LSTM whose gates and candidate see the input alone, and whose gates add up to 1 (Feng et al. 2024).

    f, i, n = the three parts of x W + b; h' = (σ(f) h + σ(i) n) / (σ(f) + σ(i)), the output.

    Args:
        input_size: features of x.
        hidden_size: features of the state.
        bias: add b.

    Raises:
        ConfigError: if a size is no positive integer.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> cell = nn.MinLSTMCell(2, 3)
        >>> y, h = cell(np.ones((1, 2)), cell.initial_state(1))
        >>> y.shape
        (1, 3)
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True) -> None:
        super().__init__()
        self.input_size, self.hidden_size = positive("input_size", input_size), positive("hidden_size", hidden_size)
        self.from_input = Linear(self.input_size, 3 * self.hidden_size, bias)

    def coefficients(self, x: Any) -> tuple[Any, Any]:
        """Return the shares of f and of i, that one times n, (batch, hidden_size) each, for x (batch, input_size)."""
        f, i, n = np.split(self.from_input(x), 3, axis=-1)
        # σ(f) / (σ(f) + σ(i)), which would be 0 / 0 where both gates are shut.
        difference = softplus(-i) - softplus(-f)
        return sigmoid(difference), sigmoid(-difference) * self.cell_update(n)


class LinearRecurrence(Recurrent):
    """The layer of `Recurrent` for linear cells, in parallel time: the same results without a loop over steps.

    `coefficients` and `output` of a cell are called on the rows of all steps at once (of a window of steps after the
    other where the states are many), and forward hooks of the cell do not run. `step` takes single steps, as in
    `Recurrent`.

    Args:
        cells: a `LinearCell`; or a list with one entry a layer: a cell, or a pair (forward cell, backward cell).
        dropout, batch_first, learned_state: as in `Recurrent`.

    Raises:
        CellError: if a cell is no `LinearCell`, or its coefficients do not broadcast to its state.
        ConfigError: as in `Recurrent`.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> cell = nn.MinGRUCell(3, 4)
        >>> x = np.ones((50, 2, 3))
        >>> in_parallel, step_by_step = nn.LinearRecurrence(cell)(x)[0], nn.Recurrent(cell)(x)[0]
        >>> np.allclose(in_parallel.data, step_by_step.data)
        True
    """

    def __init__(
        self,
        cells: Cell | Sequence[Cell | tuple[Cell, Cell]],
        *,
        dropout: float = 0.0,
        batch_first: bool = False,
        learned_state: bool = False,
    ) -> None:
        super().__init__(cells, dropout=dropout, batch_first=batch_first, learned_state=learned_state)
        for cell in self.cells:
            if not isinstance(cell, LinearCell):
                raise errors.CellError(
                    f"{type(cell).__name__} is no nn.LinearCell, and its steps can only be taken one by one; write "
                    "nn.Recurrent(cell), or derive it from nn.LinearCell if it is h' = a h + b with a and b of x alone"
                )

    def _over_time(
        self, cell: Any, init: Any, x: Any, lengths: NDArray[np.intp] | None, reverse: bool, return_states: bool
    ) -> tuple[Any, ...]:
        time, batch = x.shape[:2]
        if lengths is None:
            lengths = np.full(batch, time)
        window = max(1, _ELEMENTS_AT_ONCE // max(1, init.size))
        if time <= window:
            return _window(cell, init, x, lengths, reverse, return_states)
        starts, state, parts = range(0, time, window), init, []
        for start in starts[::-1] if reverse else starts:
            inside = np.clip(lengths - start, 0, min(window, time - start))
            y, state, *states = _window(cell, state, x[start : start + window], inside, reverse, return_states)
            parts.append((y, *states))
        y, *states = [np.concatenate(column) for column in zip(*parts[:: -1 if reverse else 1], strict=True)]
        return (y, state, *states)


def _window(
    cell: Any, init: Any, x: Any, lengths: NDArray[np.intp], reverse: bool, return_states: bool
) -> tuple[Any, ...]:
    """Take the steps of a window of time, all at once; the state goes in, and comes out after each row's last step."""
    time, batch = x.shape[:2]
    steps = int(lengths.max(initial=0))
    valid = np.arange(steps)[:, None] < lengths
    ragged = not valid.all()

    def safe(array: Any) -> Any:
        """Give padded steps what the longest row has: with zeros, the NaN of a 0 / 0 would reach gradients."""
        return _choose(valid, array, array[:, longest : longest + 1]) if ragged else array

    def flat(array: Any) -> Any:
        return array.reshape((steps * batch, *array.shape[2:]))

    def over_time(array: Any) -> Any:
        return array.reshape((steps, batch, *array.shape[1:]))

    def padded(array: Any) -> Any:
        array = _choose(valid, array, 0) if ragged else array
        if steps < time:
            array = np.concatenate([array, np.zeros((time - steps, *array.shape[1:]), array.dtype)])
        return array

    longest = int(lengths.argmax()) if ragged else 0
    rows = flat(safe(x[:steps]))
    with scope(cell._scope):
        a, b = map(over_time, _coefficients(cell, rows, (steps * batch, *init.shape[1:]), init.dtype))
        if ragged:  # padded steps hand the state on
            a, b = _choose(valid, a, 1), _choose(valid, b, 0)
        h = linear_recurrence(a, b, init, reverse)
        y = cell.output(rows, flat(safe(h)))
    if not hasattr(y, "dtype") or y.shape[:1] != (steps * batch,):
        raise errors.CellError(
            f"{type(cell).__name__}.output returned {describe(y)} for {steps * batch} rows; return one array, the "
            f"rows its first axis: ({steps * batch}, ...)"
        )
    final = init if steps == 0 else h[0 if reverse else -1]
    y = padded(over_time(y))
    return (y, final, padded(h)) if return_states else (y, final)


def _coefficients(cell: Any, rows: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> list[Any]:
    """Return a and b of all rows, in the shape of the states that they belong to."""
    pair = cell.coefficients(rows)
    if isinstance(pair, tuple) and len(pair) == 2:
        parts = [np.full(shape, part, dtype) if type(part) in (int, float) else part for part in pair]
        if all(_fits(part, shape, dtype) for part in parts):
            return [part if part.shape == shape else np.broadcast_to(part, shape) for part in parts]
    raise errors.CellError(
        f"{type(cell).__name__}.coefficients returned {describe(pair)} for states {dtype}{list(shape)}; return a pair, "
        "a and b, of arrays that broadcast to the states and do not change their dtype"
    )


def _fits(part: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    if not hasattr(part, "dtype") or np.result_type(dtype, part.dtype) != dtype:
        return False
    lengths = zip(part.shape[::-1], shape[::-1], strict=False)
    return part.ndim <= len(shape) and all(n in (1, wanted) for n, wanted in lengths)


def _choose(valid: NDArray[np.bool_], where: Any, elsewhere: Any) -> Any:
    return np.where(valid.reshape(valid.shape + (1,) * (where.ndim - 2)), where, elsewhere)
