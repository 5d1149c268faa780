"""Draw a cell: the picture comes from the graph of one step, and from nothing else.

    python examples/draw_cell.py [FILE]

FILE ends in .svg, .png, .pdf or .dot; it is cell.svg if none is given.
"""

from __future__ import annotations

import sys

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import nn, viz


class Minimal(nn.Cell):
    """A gate z between the old state and a new one."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.from_input = nn.Linear(input_size, 2 * hidden_size)
        self.from_state = nn.Linear(hidden_size, 2 * hidden_size, bias=False)

    def forward(self, x, h):
        """Take one step: x (batch, input_size), h (batch, hidden_size)."""
        z, n = np.split(self.from_input(x) + self.from_state(h), 2, axis=-1)
        z = tg.sigmoid(z)
        h = (1 - z) * h + z * np.tanh(n)
        return h, h


def main(path="cell.svg"):
    cell = Minimal(28, 64)
    picture = viz.draw(cell, np.ones((8, 28), np.float32), cell.initial_state(8))
    assert picture.source == viz.draw(cell, np.zeros((8, 28), np.float32), cell.initial_state(8)).source
    for label in ("from_input", "from_state", "σ", "tanh", "1 −", "split", "<I>z</I>", "<I>n</I>", "<I>h</I>"):
        assert label in picture.source, label
    picture.save(path)
    print(f"{path}: one step of {cell}")


if __name__ == "__main__":
    main(*[argument for argument in sys.argv[1:] if argument != "--quick"][:1])
