"""Wrappers around what goes into a cell and comes out of it: residual connection and projection."""

from __future__ import annotations

from typing import Any

from ...core import errors
from ..cells import Cell
from ..checks import positive
from ..layers import Linear
from .base import WrappedCell
from .base import output_size as _output_size


class Residual(WrappedCell):
    """A cell whose input is added to its output: y = x + ỹ (He et al. 2016; Wu et al. 2016 between layers of LSTM).

    Args:
        cell: a cell that puts out as many features as it takes.

    Raises:
        CellError: if `cell` is no cell.
        ShapeError: from a call, if input and output differ in shape.

    Source: He et al. 2016, *Deep residual learning for image recognition*; Wu et al. 2016, *Google's neural machine
        translation system*, section 3.1.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> layer = nn.Recurrent([nn.GRUCell(3, 8), nn.Residual(nn.GRUCell(8, 8)), nn.Residual(nn.GRUCell(8, 8))])
        >>> layer(np.ones((5, 2, 3)))[0].shape
        (5, 2, 8)
    """

    def forward(self, x: Any, state: Any) -> tuple[Any, Any]:
        """Take one step, with what the cell inside takes and gives."""
        y, state = self.cell(x, state)
        if x.shape != y.shape:
            raise errors.ShapeError(
                f"Residual of {type(self.cell).__name__} adds an input of shape {x.shape} to an output of shape "
                f"{y.shape}; give a cell with as many features in as out, or Residual(Projection(cell, {x.shape[-1]}))"
            )
        return x + y, state


class Projection(WrappedCell):
    """A cell whose output is mapped to another number of features: y = ỹ W + b. The state does not see it.

    An LSTM that goes on from its projected output is `ProjectedLSTMCell`.

    Args:
        cell: a cell with `input_size`; a step on zeros tells how many features it puts out.
        output_size: features of y.
        bias: add b.

    Raises:
        CellError: if `cell` is no cell, or has no `input_size`.
        ConfigError: if output_size is no positive integer.

    Source: Sak et al. 2014, *Long short-term memory based recurrent neural network architectures for large vocabulary
        speech recognition*, the non-recurrent projection.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> y, h = nn.Recurrent(nn.Projection(nn.GRUCell(3, 16), 2))(np.ones((5, 2, 3)))
        >>> y.shape, h.shape
        ((5, 2, 2), (1, 2, 16))
    """

    def __init__(self, cell: Cell, output_size: int, bias: bool = True) -> None:
        super().__init__(cell)
        self.projection = Linear(_output_size(cell), positive("output_size", output_size), bias)

    def forward(self, x: Any, state: Any) -> tuple[Any, Any]:
        """Take one step, with what the cell inside takes, and (batch, output_size) as output."""
        y, state = self.cell(x, state)
        return self.projection(y), state
