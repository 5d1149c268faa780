"""Cells of equal parameters."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_rnn import nn
from tinygrad_rnn.core.errors import ConfigError
from tinygrad_rnn.data import tasks
from tinygrad_rnn.lab.contestants import contestant
from tinygrad_rnn.lab.sizes import count, equal_size

TASK = tasks.Parity(length=2)


class Even(nn.Cell):
    """Takes even sizes only."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        if hidden_size % 2:
            raise ValueError("an odd size")
        self.hidden_size = hidden_size
        self.from_input = nn.Linear(input_size, hidden_size)

    def forward(self, x, h):
        h = np.tanh(self.from_input(x) + h)
        return h, h


class Constant(Even):
    """Has as many parameters at any size."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, 2)


@settings(max_examples=10)
@given(st.sampled_from(["rnn", "lstm", "gru", Even]), st.integers(1, 3000))
def test_no_other_size_is_nearer_to_the_number_of_parameters(cell, wanted):
    found = equal_size(contestant(cell), TASK, wanted)
    size = found.contestant.options["hidden_size"]
    step = 2 if cell is Even else 1
    for other in (size - step, size + step):
        if other >= 1:
            there = count(contestant(cell, {"hidden_size": other}), TASK)
            assert abs(there - wanted) >= abs(found.parameters - wanted)
    assert found.parameters == count(found.contestant, TASK)


def test_the_parameters_of_the_read_out_count():
    cell = nn.GRUCell(TASK.input_size, 8)
    of_cell = sum(parameter.size for parameter in cell.parameters())
    assert count(contestant("gru", {"hidden_size": 8}), TASK) == of_cell + 8 * TASK.output_size + TASK.output_size


def test_a_cell_that_has_no_size_to_choose_is_refused():
    class Fixed(nn.RNNCell):
        def __init__(self, features):
            super().__init__(features, 4)

    with pytest.raises(ConfigError, match=r"Fixed takes no hidden_size.*write def __init__"):
        equal_size(contestant(Fixed), TASK, 100)
    with pytest.raises(ConfigError, match=re.escape("Constant has 10 parameters with hidden_size")):
        equal_size(contestant(Constant), TASK, 100)
