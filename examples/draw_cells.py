"""Draw ten cells as a textbook does: RNN, LSTM, GRU, an LSTM with peepholes, the README's, and five made up.

    python examples/draw_cells.py [FOLDER]

The pictures of the documentation are written again if no folder is given. With --quick, three of them go to a
temporary one.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from draw_cell import Minimal

import tinygrad_rnn as tg
from tinygrad_rnn import nn, viz

PICTURES = Path(__file__).parent.parent / "docs" / "pictures" / "cells"


class TwoStates(nn.Cell):
    """A cell whose state is h and c, of one size."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.input_size, self.hidden_size = input_size, hidden_size

    def initial_state(self, batch_size):
        """Return zeros for h and c."""
        h = super().initial_state(batch_size)
        return h, h


class Peephole(TwoStates):
    """An LSTM whose gates see the memory cell (Gers & Schmidhuber 2000)."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.from_input = nn.Linear(input_size, 4 * hidden_size)
        self.from_state = nn.Linear(hidden_size, 4 * hidden_size, bias=False)
        self.peep_i, self.peep_f, self.peep_o = (nn.Parameter(np.zeros(hidden_size, np.float32)) for _ in range(3))

    def forward(self, x, state):
        """Take one step: x (batch, input_size), h and c (batch, hidden_size)."""
        h, c = state
        i, f, g, o = np.split(self.from_input(x) + self.from_state(h), 4, axis=-1)
        i = tg.sigmoid(i + self.peep_i * c)
        f = tg.sigmoid(f + self.peep_f * c)
        c = f * c + i * np.tanh(g)
        o = tg.sigmoid(o + self.peep_o * c)
        h = o * np.tanh(c)
        return h, (h, c)


class MinimalGated(nn.Cell):
    """One gate for both purposes of a GRU (Zhou et al. 2016)."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.input_size, self.hidden_size = input_size, hidden_size
        self.gate = nn.Linear(input_size + hidden_size, hidden_size)
        self.candidate = nn.Linear(input_size + hidden_size, hidden_size)

    def forward(self, x, h):
        """Take one step: x (batch, input_size), h (batch, hidden_size)."""
        f = tg.sigmoid(self.gate(np.concatenate([x, h], axis=-1)))
        n = np.tanh(self.candidate(np.concatenate([x, f * h], axis=-1)))
        h = (1 - f) * h + f * n
        return h, h


class Coupled(TwoStates):
    """An LSTM that writes as much as it forgets (Greff et al. 2015)."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.from_input = nn.Linear(input_size, 3 * hidden_size)
        self.from_state = nn.Linear(hidden_size, 3 * hidden_size, bias=False)

    def forward(self, x, state):
        """Take one step: x (batch, input_size), h and c (batch, hidden_size)."""
        h, c = state
        f, g, o = np.split(self.from_input(x) + self.from_state(h), 3, axis=-1)
        f = tg.sigmoid(f)
        c = f * c + (1 - f) * np.tanh(g)
        h = tg.sigmoid(o) * np.tanh(c)
        return h, (h, c)


class Residual(nn.Cell):
    """A normalised layer that adds to its state, read out by another one."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.input_size, self.hidden_size = input_size, hidden_size
        self.from_input, self.from_state = nn.Linear(input_size, hidden_size), nn.Linear(hidden_size, hidden_size)
        self.norm = nn.LayerNorm(hidden_size)
        self.up, self.out = nn.Linear(hidden_size, hidden_size), nn.Linear(hidden_size, input_size)

    def forward(self, x, h):
        """Take one step: x (batch, input_size), h (batch, hidden_size)."""
        a = tg.relu(self.norm(self.from_input(x) + self.from_state(h)))
        h = h + self.up(a)
        y = self.out(h)
        return y, h


class FastAndSlow(nn.Cell):
    """A fast state, and a slow one of another size that follows it by a gate."""

    def __init__(self, input_size, fast_size, slow_size):
        super().__init__()
        self.input_size, self.fast_size, self.slow_size = input_size, fast_size, slow_size
        self.fast = nn.Linear(input_size + fast_size + slow_size, fast_size)
        self.gate = nn.Linear(fast_size + slow_size, slow_size)
        self.written = nn.Linear(fast_size, slow_size)

    def initial_state(self, batch_size):
        """Return zeros for both."""
        return tuple(tg.Tensor(np.zeros((batch_size, n), np.float32)) for n in (self.fast_size, self.slow_size))

    def forward(self, x, state):
        """Take one step: x (batch, input_size), h (batch, fast_size) and s (batch, slow_size)."""
        h, s = state
        h = np.tanh(self.fast(np.concatenate([x, h, s], axis=-1)))
        z = tg.sigmoid(self.gate(np.concatenate([h, s], axis=-1)))
        s = z * s + (1 - z) * self.written(h)
        return h, (h, s)


class Projected(nn.Cell):
    """An LSTM whose output is projected to fewer features (Sak et al. 2014)."""

    def __init__(self, input_size, hidden_size, projected_size):
        super().__init__()
        self.input_size, self.hidden_size, self.projected_size = input_size, hidden_size, projected_size
        self.from_input = nn.Linear(input_size, 4 * hidden_size)
        self.from_state = nn.Linear(projected_size, 4 * hidden_size, bias=False)
        self.project = nn.Linear(hidden_size, projected_size, bias=False)

    def initial_state(self, batch_size):
        """Return zeros for r and c."""
        return tuple(tg.Tensor(np.zeros((batch_size, n), np.float32)) for n in (self.projected_size, self.hidden_size))

    def forward(self, x, state):
        """Take one step: x (batch, input_size), r (batch, projected_size) and c (batch, hidden_size)."""
        r, c = state
        i, f, g, o = np.split(self.from_input(x) + self.from_state(r), 4, axis=-1)
        c = tg.sigmoid(f) * c + tg.sigmoid(i) * np.tanh(g)
        r = self.project(tg.sigmoid(o) * np.tanh(c))
        return r, (r, c)


CELLS = {
    "rnn": lambda: nn.RNNCell(3, 4),
    "lstm": lambda: nn.LSTMCell(3, 4),
    "gru": lambda: nn.GRUCell(3, 4, reset_after=False),
    "lstm_with_peepholes": lambda: Peephole(3, 4),
    "minimal_gated_unit": lambda: MinimalGated(3, 4),
    "coupled_lstm": lambda: Coupled(3, 4),
    "readme": lambda: Minimal(28, 64),
    "residual": lambda: Residual(3, 4),
    "fast_and_slow": lambda: FastAndSlow(3, 4, 2),
    "projected_lstm": lambda: Projected(3, 4, 2),
}


def draw(folder, names=tuple(CELLS)):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        picture = viz.draw_cell(CELLS[name]())
        picture.save(folder / f"{name}.svg")
        figure = picture.figure
        print(f"{name}.svg: {figure.width:.0f} × {figure.height:.0f} mm, crossings: {figure.crossings}")


def main(*arguments):
    if "--quick" in arguments:
        with tempfile.TemporaryDirectory() as folder:
            draw(Path(folder), ("rnn", "lstm", "residual"))
    else:
        draw(Path(arguments[0]) if arguments else PICTURES)


if __name__ == "__main__":
    main(*sys.argv[1:])
