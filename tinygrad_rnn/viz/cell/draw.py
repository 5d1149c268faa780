"""draw_cell: one step of a recurrent cell as a figure of a textbook."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .figure import figure_of
from .order import ordered
from .picture import CellPicture
from .reading import symbols_of_step


def draw_cell(cell: Callable[..., Any], *examples: Any) -> CellPicture:
    """Draw one step of a cell: states straight through, gates in a row, σ, tanh, × and + where they act.

    The figure is made from the graph of the step alone, so that equal algebra gives the same figure however it is
    written. A box with rounded corners is an affine map of the lines that run into it, with the function of it that
    the sign says, or none for *W*; what stands in a circle or has round ends acts element by element; a box with sharp
    corners is any other operation. A dot is where a value is copied; lines that bend into each other are put together,
    as in [h, x]. `n + z (h - n)` is drawn as (1 - z) n + z h.

    Args:
        cell: an `nn.Cell`, or a function `(x, state) -> (y, state)`. Values are called what they are called there.
        examples: x (batch, features) and a state; a cell whose input size can be told needs neither.

    Returns:
        The picture, to be saved as .svg, .tex, .pdf or .png; a notebook shows it.

    Raises:
        ConfigError: if there are no examples and none can be made.
        CellError: if it returns no pair, or another state than it was given.
        TooLargeError: if there are more than 60 symbols to draw.
        CellLayoutError: if no layout was found in which every line has a way.

    Source: the manner of C. Olah 2015, *Understanding LSTM Networks*.

    Example:
        >>> from tinygrad_rnn import nn, viz
        >>> picture = viz.draw_cell(nn.LSTMCell(28, 64))
        >>> picture.figure.crossings  # of the output and the line of the state c, which no drawing avoids
        1
        >>> picture.save("lstm.svg")  # doctest: +SKIP
    """
    symbols = ordered(symbols_of_step(cell, examples))
    count = len([symbol for symbol in symbols if symbol.kind == "gate"])
    return CellPicture(figure_of(symbols), f"One step of a recurrent cell with {count} affine maps")
