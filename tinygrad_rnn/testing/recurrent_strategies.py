"""Strategies for hypothesis: recurrent cells of drawn sizes, and batches of sequences of different lengths."""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from ..core import random
from ..core.errors import ConfigError
from ..core.node import Array
from ..nn import Cell, GRUCell, LSTMCell, RNNCell
from .subject import found_input_size

_OPTIONS: dict[type[Cell], dict[str, st.SearchStrategy[Any]]] = {
    RNNCell: {"nonlinearity": st.sampled_from(["tanh", "relu"]), "bias": st.booleans()},
    LSTMCell: {"bias": st.booleans()},
    GRUCell: {"bias": st.booleans(), "reset_after": st.booleans()},
}
# What must not matter: no test passes by luck with one of these in the padding.
_JUNK = (np.nan, np.inf, -np.inf, 1e30, 7.0)


def cells(kind: type[Cell] | None = None, **arguments: Any) -> st.SearchStrategy[Cell]:
    """Draw a recurrent cell of small drawn sizes, with weights as its class starts them.

    Args:
        kind: a class derived from `nn.Cell`; by default one of the package's own is drawn, with its options.
        arguments: of the class, each a value or a strategy. What the class asks for beyond them is taken for a size,
            and drawn from 1 to 4.

    Raises:
        ConfigError: if `kind` is no class of cells, or asks for something that is no size.

    Example:
        >>> from hypothesis import given, settings, strategies as st
        >>> from tinygrad_rnn import nn
        >>> from tinygrad_rnn.testing import strategies
        >>> @settings(deadline=None, max_examples=10)
        ... @given(strategies.cells(nn.GRUCell, hidden_size=st.integers(2, 6), bias=False))
        ... def check(cell):
        ...     assert 2 <= cell.hidden_size <= 6 and 1 <= cell.input_size <= 4
        >>> check()
    """
    if kind is None:
        return st.one_of([cells(own, **{**options, **arguments}) for own, options in _OPTIONS.items()])
    if not (isinstance(kind, type) and issubclass(kind, Cell)):
        raise ConfigError(f"cells({kind!r}); give a class derived from nn.Cell: cells(MyCell)")
    sizes = {name: st.integers(1, 4) for name in _required(kind, arguments)}
    given = {
        name: value if isinstance(value, st.SearchStrategy) else st.just(value) for name, value in arguments.items()
    }
    return st.builds(_seeded, st.just(kind), st.fixed_dictionaries({**sizes, **given}), st.integers(0, 2**32 - 1))


def _seeded(kind: type[Cell], arguments: dict[str, Any], seed: int) -> Cell:
    """Return a cell whose weights depend on the seed alone, and leave the random numbers of the package as they are."""
    before = random.get_state()
    random.seed(seed)
    try:
        return kind(**arguments)
    finally:
        random.set_state(before)


def _required(kind: type[Cell], given: dict[str, Any]) -> list[str]:
    """Return the names of the arguments that a class asks for beyond those that are given."""
    names = []
    for name, parameter in inspect.signature(kind).parameters.items():
        optional = parameter.default is not parameter.empty or parameter.kind in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        )
        if optional or name in given:
            continue
        if parameter.annotation not in (parameter.empty, int, "int"):
            raise ConfigError(
                f"{kind.__name__} asks for {parameter}, which is no size; write cells({kind.__name__}, {name}=...) "
                "with a value or a strategy"
            )
        names.append(name)
    return names


class PaddedBatch(NamedTuple):
    """Sequences of different lengths in one array.

    Attributes:
        x: (time, batch, features); what stands behind the end of a row is NaN, an infinity or another number.
        lengths: one for each row, 0 and time among them.
    """

    x: Array
    lengths: list[int]

    def padded_with(self, number: float) -> Array:
        """Return x with another number behind the end of every row.

        Example:
            >>> import numpy as np
            >>> from tinygrad_rnn.testing.strategies import PaddedBatch
            >>> PaddedBatch(np.ones((3, 2, 1)), [3, 1]).padded_with(0.0)[:, :, 0].T
            array([[1., 1., 1.],
                   [1., 0., 0.]])
        """
        valid = np.arange(len(self.x))[:, None] < np.array(self.lengths)
        return np.where(valid[:, :, None], self.x, number).astype(self.x.dtype)


def padded_batches(
    features: int | Cell, max_time: int = 5, max_batch: int = 4, dtype: Any = np.float64
) -> st.SearchStrategy[PaddedBatch]:
    """Draw sequences of different lengths, some empty and some full, with junk behind their ends.

    Args:
        features: their number, or the cell that is to read them.
        max_time: the most steps; at least 1 is drawn.
        max_batch: the most rows; at least 2 are drawn, one of length 0 and one without padding.
        dtype: of x.

    Returns:
        The strategy of a `PaddedBatch`; what is no padding is standard normal.

    Raises:
        ConfigError: if the number of features of a cell cannot be told.

    Example:
        >>> import numpy as np
        >>> from hypothesis import given, settings
        >>> from tinygrad_rnn import nn
        >>> from tinygrad_rnn.testing import strategies
        >>> layer = nn.GRU(3, 2)
        >>> @settings(deadline=None, max_examples=10)
        ... @given(strategies.padded_batches(3))
        ... def padding_changes_nothing(batch):
        ...     y, h = layer(batch.x, lengths=batch.lengths)
        ...     again, _ = layer(batch.padded_with(0.0), lengths=batch.lengths)
        ...     np.testing.assert_array_equal(y.data, again.data)
        >>> padding_changes_nothing()
    """
    if max_time < 1 or max_batch < 2:
        raise ConfigError(f"padded_batches: {max_time} steps of {max_batch} rows; give at least 1 step and 2 rows")
    width = found_input_size(features) if isinstance(features, Cell) else features
    return _padded(width, max_time, max_batch, dtype)


@st.composite
def _padded(draw: st.DrawFn, width: int, max_time: int, max_batch: int, dtype: Any) -> PaddedBatch:
    time = draw(st.integers(1, max_time))
    others = draw(st.lists(st.integers(0, time), max_size=max_batch - 2))
    lengths = list(draw(st.permutations([time, 0, *others])))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    clean = PaddedBatch(rng.normal(size=(time, len(lengths), width)).astype(dtype), lengths)
    return PaddedBatch(clean.padded_with(draw(st.sampled_from(_JUNK))), lengths)
