"""The five cells of the benchmark: as modules of this package, and as one step for any library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import nn


class PeepholeLSTMCell(nn.LSTMCell):
    """An LSTM whose gates see the memory: i and f the one before the step, o the one after (Gers et al. 2002)."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        rng = np.random.default_rng(1)
        bound = hidden_size**-0.5
        self.i, self.f, self.o = (nn.Parameter(rng.uniform(-bound, bound, hidden_size), dtype="float32") for _ in "ifo")

    def forward(self, x: Any, state: Any) -> tuple[Any, Any]:
        h, c = state
        i, f, g, o = np.split(self.from_input(x) + self.from_state(h), 4, axis=-1)
        c = tg.sigmoid(f + self.f * c) * c + tg.sigmoid(i + self.i * c) * np.tanh(g)
        h = tg.sigmoid(o + self.o * c) * np.tanh(c)
        return h, (h, c)


class LayerNormLSTMCell(nn.Cell):
    """An LSTM that normalises both products and the memory that leaves a step (Ba et al. 2016)."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.from_input = nn.Linear(input_size, 4 * hidden_size, bias=False)
        self.from_state = nn.Linear(hidden_size, 4 * hidden_size, bias=False)
        self.norm_input = nn.LayerNorm(4 * hidden_size)
        self.norm_state = nn.LayerNorm(4 * hidden_size)
        self.norm_memory = nn.LayerNorm(hidden_size)

    def initial_state(self, batch_size: int) -> Any:
        h = super().initial_state(batch_size)
        return h, h

    def forward(self, x: Any, state: Any) -> tuple[Any, Any]:
        h, c = state
        sums = self.norm_input(self.from_input(x)) + self.norm_state(self.from_state(h))
        i, f, g, o = np.split(sums, 4, axis=-1)
        c = tg.sigmoid(f) * c + tg.sigmoid(i) * np.tanh(g)
        h = tg.sigmoid(o) * np.tanh(self.norm_memory(c))
        return h, (h, c)


CELLS: dict[str, Callable[[int, int], nn.Cell]] = {
    "rnn": nn.RNNCell,
    "lstm": nn.LSTMCell,
    "gru": nn.GRUCell,
    "peephole": PeepholeLSTMCell,
    "layernorm": LayerNormLSTMCell,
}
STATES = {"rnn": 1, "lstm": 2, "gru": 1, "peephole": 2, "layernorm": 2}


class Library(NamedTuple):
    """The functions of a library that a step is made of.

    Args:
        linear: of x, weight and bias; the weight lies as that library keeps it.
        sigmoid, tanh: element by element.
        split: of an array and a number of parts along the last axis.
        norm: layer normalisation over the last axis, of x, weight and bias.
    """

    linear: Callable[[Any, Any, Any], Any]
    sigmoid: Callable[[Any], Any]
    tanh: Callable[[Any], Any]
    split: Callable[[Any, int], Any]
    norm: Callable[[Any, Any, Any], Any]


def rnn(library: Library, x: Any, state: Any, w_x: Any, b_x: Any, w_h: Any, b_h: Any) -> Any:
    (h,) = state
    return (library.tanh(library.linear(x, w_x, b_x) + library.linear(h, w_h, b_h)),)


def lstm(library: Library, x: Any, state: Any, w_x: Any, b_x: Any, w_h: Any, b_h: Any) -> Any:
    h, c = state
    i, f, g, o = library.split(library.linear(x, w_x, b_x) + library.linear(h, w_h, b_h), 4)
    c = library.sigmoid(f) * c + library.sigmoid(i) * library.tanh(g)
    return library.sigmoid(o) * library.tanh(c), c


def gru(library: Library, x: Any, state: Any, w_x: Any, b_x: Any, w_h: Any, b_h: Any) -> Any:
    (h,) = state
    x_r, x_z, x_n = library.split(library.linear(x, w_x, b_x), 3)
    h_r, h_z, h_n = library.split(library.linear(h, w_h, b_h), 3)
    r, z = library.sigmoid(x_r + h_r), library.sigmoid(x_z + h_z)
    n = library.tanh(x_n + r * h_n)
    return (n + z * (h - n),)


def peephole(library: Library, x: Any, state: Any, w_x: Any, b_x: Any, w_h: Any, b_h: Any, *peepholes: Any) -> Any:
    p_i, p_f, p_o = peepholes
    h, c = state
    i, f, g, o = library.split(library.linear(x, w_x, b_x) + library.linear(h, w_h, b_h), 4)
    c = library.sigmoid(f + p_f * c) * c + library.sigmoid(i + p_i * c) * library.tanh(g)
    return library.sigmoid(o + p_o * c) * library.tanh(c), c


def layernorm(library: Library, x: Any, state: Any, w_x: Any, w_h: Any, *norms: Any) -> Any:
    h, c = state
    w_nx, b_nx, w_nh, b_nh, w_nc, b_nc = norms
    from_input = library.norm(library.linear(x, w_x, None), w_nx, b_nx)
    from_state = library.norm(library.linear(h, w_h, None), w_nh, b_nh)
    i, f, g, o = library.split(from_input + from_state, 4)
    c = library.sigmoid(f) * c + library.sigmoid(i) * library.tanh(g)
    return library.sigmoid(o) * library.tanh(library.norm(c, w_nc, b_nc)), c


STEPS: dict[str, Callable[..., Any]] = {
    "rnn": rnn,
    "lstm": lstm,
    "gru": gru,
    "peephole": peephole,
    "layernorm": layernorm,
}
"""One step of each cell: of a library, x, the state and the weights, in the order of `cell.parameters()`, the state."""
