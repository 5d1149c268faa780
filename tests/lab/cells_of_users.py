"""Cells as users write them, right and wrong; the tests import this file by its path, as the command does."""

import os
import time

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.data import tasks


class Renamed(nn.LSTMCell):
    """The LSTM under another name."""


class Stateless(nn.Cell):
    """Ignores its state."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.from_input = nn.Linear(input_size, hidden_size)

    def forward(self, x, h):
        return np.tanh(self.from_input(x)), h


class WithoutForgetGate(nn.Cell):
    """The LSTM of 1997: what is in its cells stays there."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.from_input = nn.Linear(input_size, 3 * hidden_size)
        self.from_state = nn.Linear(hidden_size, 3 * hidden_size, bias=False)

    def initial_state(self, batch_size):
        h = super().initial_state(batch_size)
        return h, h

    def forward(self, x, state):
        h, c = state
        i, g, o = np.split(self.from_input(x) + self.from_state(h), 3, axis=-1)
        c = c + tg.sigmoid(i) * np.tanh(g)
        h = tg.sigmoid(o) * np.tanh(c)
        return h, (h, c)


squash = tg.Primitive("squash", np.tanh)
squash.defvjp(lambda g, out, a: g * (1 - out))  # without the square
squash.defjvp(lambda da, out, a: da * (1 - out))


class WrongRule(Stateless):
    """Calls a primitive whose gradient rule is wrong."""

    def forward(self, x, h):
        h = squash(self.from_input(x) + h)
        return h, h


class RootOfZero(Stateless):
    """Has an infinite gradient from the start."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.offset = nn.Parameter(np.zeros(hidden_size, np.float32))

    def forward(self, x, h):
        return np.tanh(self.from_input(x)) + np.sqrt(self.offset), h


class Stops(Stateless):
    """Kills its process, or never comes to an end, where the environment says so."""

    def forward(self, x, h):
        if os.environ.get("STOPS") == "dies" and os.environ.get("TINYGRAD_RNN_LAB_WORKER"):
            os.kill(os.getpid(), 9)
        while os.environ.get("STOPS") == "hangs" and os.environ.get("TINYGRAD_RNN_LAB_WORKER"):
            time.sleep(0.1)
        return super().forward(x, h)


class PicksBatches(Stateless):
    """Fails on the batches of training, and on no smaller ones."""

    def forward(self, x, h):
        if x.shape[0] == 32:
            raise ValueError("no 32")
        return super().forward(x, h)


class Recall(tasks.Classification):
    """Which of two symbols came first, of six."""

    input_size, output_size, threshold = 2, 2, 0.0
    held_out_size = 100

    def batch(self, rng, size, split):
        symbols = rng.integers(0, 2, (6, size))
        return tasks.Batch(np.eye(2, dtype=np.float32)[symbols], symbols[0])

    def baseline(self):
        return tasks.Score(np.log(2), 0.5)


class NoCell:
    """Not derived from nn.Cell."""


class Noted(nn.GRUCell):
    """Has an option that is text."""

    def __init__(self, input_size, hidden_size, note="none"):
        super().__init__(input_size, hidden_size)
        self.note = note
